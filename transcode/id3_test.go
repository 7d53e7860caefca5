package transcode

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTags: what ffprobe reads in the MP3 is what it reads in the source.
func TestTags(t *testing.T) {
	t.Parallel()
	src := fixturePath("media/tags-all.m4a")
	want := ffprobe(t, src).Format.Tags
	for _, version := range []ID3Version{ID3v23, ID3v24} {
		dst, _ := convert(t, src, &Options{ID3: version})
		got := ffprobe(t, dst).Format.Tags
		for _, key := range []string{"title", "artist", "album", "album_artist", "composer", "track", "disc", "genre", "comment", "copyright", "grouping"} {
			if got[key] != want[key] || want[key] == "" {
				t.Errorf("ID3v2.%d: %s is %q, want %q", 3+version, key, got[key], want[key])
			}
		}
		if len(want["date"]) < 4 || len(got["date"]) < 4 || got["date"][:4] != want["date"][:4] {
			t.Errorf("ID3v2.%d: the date is %q, want %q", 3+version, got["date"], want["date"])
		}
	}
}

func TestTagOptions(t *testing.T) {
	t.Parallel()
	src := fixturePath("media/tags-all.m4a")
	tags := func(o Options) map[string]string {
		dst, _ := convert(t, src, &o)
		all := ffprobe(t, dst).Format.Tags
		delete(all, "encoder")
		return all
	}
	if got := tags(Options{NoTags: true}); len(got) != 0 {
		t.Errorf("without tags there are %v", got)
	}
	if diff := cmp.Diff(map[string]string{"title": "Ein Titel"}, tags(Options{NoTags: true, Tags: Tags{Title: "Ein Titel"}})); diff != "" {
		t.Errorf("only one tag (-want +got):\n%s", diff)
	}
	source := tags(Options{})
	source["title"] = "他の題"
	if diff := cmp.Diff(source, tags(Options{Tags: Tags{Title: "他の題"}})); diff != "" {
		t.Errorf("one tag replaced (-want +got):\n%s", diff)
	}
}

// cover returns the first picture that ffmpeg finds in a file, nil if it has none.
func cover(t *testing.T, file string) []byte {
	t.Helper()
	for _, s := range ffprobe(t, file).Streams {
		if s.CodecType == "video" {
			return run(t, "ffmpeg", "-v", "error", "-i", file, "-map", "0:v:0", "-c", "copy", "-f", "image2pipe", "-")
		}
	}
	return nil
}

func TestCover(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"waltz.m4a", "media/tags-png.m4a"} {
		src := fixturePath(file)
		want := cover(t, src)
		if want == nil {
			t.Fatalf("%s has no cover", file)
		}
		dst, _ := convert(t, src, nil)
		if got := cover(t, dst); !bytes.Equal(got, want) {
			t.Errorf("%s: a cover of %d bytes became one of %d", file, len(want), len(got))
		}
		dst, _ = convert(t, src, &Options{NoCover: true})
		if got := cover(t, dst); got != nil {
			t.Errorf("%s: a cover of %d bytes that nobody wanted", file, len(got))
		}
		other := cover(t, fixturePath("media/tags-png.m4a"))
		dst, _ = convert(t, fixturePath("melody.mp4"), &Options{Cover: &Picture{Data: other}})
		if got := cover(t, dst); !bytes.Equal(got, other) {
			t.Errorf("a cover of %d bytes that was set became one of %d", len(other), len(got))
		}
	}
	_, err := Convert(t.Context(), &bytes.Buffer{}, bytes.NewReader(nil), &Options{Cover: &Picture{Data: []byte("GIF89a")}})
	if !errors.Is(err, ErrOptions) {
		t.Errorf("a GIF as cover: %v", err)
	}
}

// TestChapters: the chapters of an audio book come through, and a cut moves them.
func TestChapters(t *testing.T) {
	t.Parallel()
	src := fixturePath("audiobook.m4b")
	want := ffprobe(t, src).Chapters
	if len(want) != 3 {
		t.Fatalf("the fixture has %d chapters", len(want))
	}
	dst, _ := convert(t, src, nil)
	if diff := cmp.Diff(want, ffprobe(t, dst).Chapters); diff != "" {
		t.Errorf("chapters (-want +got):\n%s", diff)
	}
}

// TestTextChapters: without Nero's list the chapters come from the text track.
func TestTextChapters(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "audiobook.m4b")
	want, err := Probe(t.Context(), bytes.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	without := bytes.Replace(source, []byte("chpl"), []byte("free"), 1)
	if bytes.Equal(without, source) {
		t.Fatal("the fixture has no list to take away")
	}
	got, err := Probe(t.Context(), bytes.NewReader(without))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Chapters, got.Chapters); diff != "" || len(want.Chapters) != 3 {
		t.Errorf("chapters (-list +text track):\n%s", diff)
	}
}

func TestProbeFindsTags(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join("..", "testdata", "waltz.m4a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := Probe(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if info.Tags.Title == "" || len(info.Covers) != 1 || info.Covers[0].MIME != "image/jpeg" {
		t.Errorf("tags %+v, covers %+v", info.Tags, info.Covers)
	}
}
