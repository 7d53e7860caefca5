package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/mp3lathe/mp3lathe/transcode"
)

func TestProbe(t *testing.T) {
	workFolder(t, "book.m4b", "audiobook.m4b", "waltz.m4a", "waltz.m4a", "silent.mp4", "media/bad-video-only.mp4",
		"two.mp4", "media/tracks-second-default.mp4", "drm.mp4", "media/bad-cenc.mp4", "text.mp4", "media/bad-text.mp4")
	got := inProcess(t, "", "probe", "book.m4b", "waltz.m4a", "silent.mp4", "two.mp4", "drm.mp4", "text.mp4", "none.mp4", ".")
	got.want(t, exitFailed, "mp3lathe: text.mp4: not a usable MP4 file", "mp3lathe: none.mp4: no such file; check the name\n",
		"mp3lathe: .: it is a folder; name the files in it\n")
	for _, text := range []string{
		"book.m4b\n  Format    MP4 family, brand M4A, index last\n  Duration  0:06.0\n",
		"\n  1      aac LC  24 kHz  mono  ", "\n  CHAPTER  START  TITLE\n  1        0:00   Chapter 1",
		"\n\nwaltz.m4a\n  Format        MP4", "\n  Cover         image/jpeg, ", "\n  Title         Waltz in A Minor\n",
		"  Audio     none\n", "default\n", "encrypted\n",
	} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("no %q", text)
		}
	}
	if t.Failed() {
		t.Log(got.stdout)
	}
}

func TestProbeJSON(t *testing.T) {
	workFolder(t, "book.m4b", "audiobook.m4b", "text.mp4", "media/bad-text.mp4")
	got := inProcess(t, "", "probe", "--json", "book.m4b", "text.mp4")
	got.want(t, exitFailed, "mp3lathe: text.mp4: ")
	list := objects(t, got.stdout)
	if len(list) != 2 {
		t.Fatal(got.stdout)
	}
	if k := keys(list[0]); !slices.Equal(k, strings.Fields("audio brand bytes bytes_read chapters covers duration_seconds fragmented index_first input other_tracks status tags")) {
		t.Errorf("the fields are %v", k)
	}
	track := list[0]["audio"].([]any)[0].(map[string]any)
	for _, key := range strings.Fields("number id codec sample_rate channels bit_rate duration_seconds default encrypted decodable") {
		if _, ok := track[key]; !ok {
			t.Errorf("the track lacks %s", key)
		}
	}
	if ch := list[0]["chapters"].([]any); len(ch) != 3 || ch[1].(map[string]any)["start_seconds"] != 2.0 {
		t.Errorf("chapters %v", ch)
	}
	if list[1]["status"] != "failed" || list[1]["error"].(map[string]any)["code"] != "invalid_data" {
		t.Errorf("the failure is %v", list[1])
	}
}

// A file can hold any text as a tag; a terminal must not obey it.
func TestDescribeHostileTags(t *testing.T) {
	text := describe("x", &transcode.Info{
		Brand: "\x1b[2J",
		Tags: transcode.Tags{
			Title: "\x1b]0;owned\x07", Lyrics: strings.Repeat("la\r\n", 50), Comment: strings.Repeat("夢", 5000),
		},
		Audio:    []transcode.Track{{Number: 1, Codec: "a\nb", Language: "\u202e", Title: "x\x00y", Layout: "\t"}},
		Chapters: []transcode.Chapter{{Title: "\x1b[31m"}},
	})
	for _, r := range text {
		if r != '\n' && unprintable(r) {
			t.Errorf("it prints %q", r)
		}
	}
	for line := range strings.Lines(text) {
		if w := runewidth.StringWidth(line); w > 250 {
			t.Errorf("a line of %d columns", w)
		}
	}
	if n := strings.Count(text, "\n"); n > 25 {
		t.Errorf("%d lines", n)
	}
}

func TestColumns(t *testing.T) {
	got := columns("> ", [][]string{{"a", "夢夢", "x"}, {"long", "b", "y"}, {"", "c"}})
	want := "> a     夢夢  x\n> long  b     y\n>       c\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
