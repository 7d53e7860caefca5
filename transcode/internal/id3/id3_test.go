package id3

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"pgregory.net/rapid"
)

var versions = []Version{V23, V24}

// frame is a frame as the tests read it.
type frame struct {
	id   string
	body []byte
}

// parse takes a tag apart, strictly.
func parse(t rapid.TB, tag []byte) (Version, []frame) {
	t.Helper()
	if len(tag) < 10 || string(tag[:3]) != "ID3" || tag[4] != 0 || tag[5] != 0 {
		t.Fatalf("header %x", tag[:min(10, len(tag))])
	}
	if size := syncSafe(t, tag[6:10]); size != len(tag)-10 {
		t.Fatalf("the tag says %d bytes and has %d", size, len(tag)-10)
	}
	v := Version(tag[3])
	return v, parseFrames(t, v, tag[10:])
}

func parseFrames(t rapid.TB, v Version, b []byte) []frame {
	t.Helper()
	var out []frame
	for len(b) > 0 {
		if len(b) < 10 {
			t.Fatalf("%d bytes behind the last frame", len(b))
		}
		size := int(binary.BigEndian.Uint32(b[4:]))
		if v == V24 {
			size = syncSafe(t, b[4:8])
		}
		if b[8] != 0 || b[9] != 0 || size > len(b)-10 {
			t.Fatalf("frame header %x with %d bytes behind it", b[:10], len(b)-10)
		}
		out = append(out, frame{string(b[:4]), b[10 : 10+size]})
		b = b[10+size:]
	}
	return out
}

// syncSafe reads four bytes of seven bits.
func syncSafe(t rapid.TB, b []byte) int {
	t.Helper()
	n := 0
	for _, c := range b[:4] {
		if c >= 0x80 {
			t.Fatalf("%x is not sync-safe", b[:4])
		}
		n = n<<7 | int(c)
	}
	return n
}

// text reads one text in an encoding and returns what follows its end mark.
func text(t rapid.TB, encoding byte, b []byte) (string, []byte) {
	t.Helper()
	if encoding != utf16b {
		s, rest, _ := bytes.Cut(b, []byte{0})
		return string(s), rest
	}
	if len(b) < 2 || b[0] != 0xff || b[1] != 0xfe {
		t.Fatalf("no byte order mark in %x", b)
	}
	var units []uint16
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			return string(utf16.Decode(units)), b[2:]
		}
		units = append(units, u)
	}
	if len(b) != 0 {
		t.Fatal("an odd number of bytes")
	}
	return string(utf16.Decode(units)), nil
}

// texts reads all texts of a frame that has nothing else.
func texts(t rapid.TB, body []byte) (encoding byte, out []string) {
	t.Helper()
	encoding = body[0]
	for rest := body[1:]; len(rest) > 0; {
		var s string
		s, rest = text(t, encoding, rest)
		out = append(out, s)
	}
	return encoding, out
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, want string // "" for no frame
		v23, v24 byte
	}{
		{"plain", "plain", latin1, latin1},
		{"Köln", "Köln", utf16b, utf8},
		{"日本語 🎵", "日本語 🎵", utf16b, utf8},
		{"", "", 0, 0},
		{"\x00", "", 0, 0},
		{"\x00\x00", "", 0, 0},
		{"a\x00b\x00", "ab", latin1, latin1},
		{"ä\x00b", "äb", utf16b, utf8},
		{"bad \xff byte", "bad \uFFFD byte", utf16b, utf8},
		{"lone \xed\xa0\x80", "lone \uFFFD", utf16b, utf8},
		{"\x7f~", "\x7f~", latin1, latin1},
		{"\ufeffmark", "\ufeffmark", utf16b, utf8},
		{"two\nlines", "two\nlines", latin1, latin1},
	} {
		for _, v := range versions {
			tag := New(v)
			tag.Text("TIT2", tt.in)
			if tag.Empty() != (tt.want == "") {
				t.Errorf("2.%d, %q: Empty is %t", v, tt.in, tag.Empty())
			}
			got, frames := parse(t, tag.Bytes())
			if got != v {
				t.Errorf("version %d, want %d", got, v)
			}
			if tt.want == "" {
				if len(frames) != 0 {
					t.Errorf("2.%d, %q: %q", v, tt.in, frames)
				}
				continue
			}
			if len(frames) != 1 || frames[0].id != "TIT2" {
				t.Fatalf("2.%d, %q: %q", v, tt.in, frames)
			}
			want := tt.v23
			if v == V24 {
				want = tt.v24
			}
			e, s := texts(t, frames[0].body)
			if e != want || len(s) != 1 || s[0] != tt.want {
				t.Errorf("2.%d, %q: %q in encoding %d", v, tt.in, s, e)
			}
		}
	}
}

// TestRandom reads back what was written, whatever it was.
func TestRandom(t *testing.T) {
	t.Parallel()
	anyText := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("aä\x00字🎵")), 0, 6, -1))
	clean := func(s string) string { return strings.ReplaceAll(s, "\x00", "") }
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom(versions).Draw(t, "version")
		tag := New(v)
		var want [][]string
		add := func(parts ...string) {
			if clean(parts[len(parts)-1]) != "" {
				want = append(want, parts)
			}
		}
		for range rapid.IntRange(0, 6).Draw(t, "frames") {
			s, d := anyText.Draw(t, "text"), anyText.Draw(t, "description")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				tag.Text("TALB", s)
				add("TALB", clean(s))
			case 1:
				tag.UserText(d, s)
				add("TXXX", clean(d), clean(s))
			case 2:
				tag.Comment("deu", s)
				add("COMM", "", clean(s))
			case 3:
				tag.Lyrics("deu", s)
				add("USLT", "", clean(s))
			}
		}
		_, frames := parse(t, tag.Bytes())
		if len(frames) != len(want) || tag.Empty() != (len(want) == 0) {
			t.Fatalf("%d frames, want %d", len(frames), len(want))
		}
		for i, f := range frames {
			if f.id != want[i][0] {
				t.Fatalf("frame %s, want %s", f.id, want[i][0])
			}
			body := f.body
			if f.id == "COMM" || f.id == "USLT" {
				if string(body[1:4]) != "deu" {
					t.Fatalf("language %q", body[1:4])
				}
				body = append([]byte{body[0]}, body[4:]...)
			}
			_, got := texts(t, body)
			for k, s := range want[i][1:] {
				if k >= len(got) || got[k] != s {
					t.Fatalf("%s is %q, want %q", f.id, got, want[i][1:])
				}
			}
		}
	})
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{
		"eng": "eng", "deu": "deu", "XXX": "XXX",
		"": "XXX", "en": "XXX", "en-GB": "XXX", "€": "XXX", "a\x00b": "XXX", "a b": "XXX", "123": "XXX",
	} {
		for _, v := range versions {
			tag := New(v)
			tag.Comment(language, "text")
			tag.Lyrics(language, "text")
			_, frames := parse(t, tag.Bytes())
			if len(frames) != 2 || string(frames[0].body) != "\x00"+want+"\x00text" || string(frames[1].body) != "\x00"+want+"\x00text" {
				t.Errorf("2.%d, %q: %q", v, language, frames)
			}
		}
	}
}

// TestEmptyDescription: an empty text in UTF-16 has a byte order mark too.
func TestEmptyDescription(t *testing.T) {
	t.Parallel()
	tag := New(V23)
	tag.Comment("deu", "ä")
	tag.UserText("", "ä")
	_, frames := parse(t, tag.Bytes())
	if got, want := string(frames[0].body), "\x01deu\xff\xfe\x00\x00\xff\xfe\xe4\x00"; got != want {
		t.Errorf("COMM is %q, want %q", got, want)
	}
	if got, want := string(frames[1].body), "\x01\xff\xfe\x00\x00\xff\xfe\xe4\x00"; got != want {
		t.Errorf("TXXX is %q, want %q", got, want)
	}
}

func TestPicture(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte{0xff, 0xd8, 0, 1}, 100)
	for _, description := range []string{"", "2", "Rückseite"} {
		for _, v := range versions {
			tag := New(v)
			tag.Picture(FrontCover, "image/jpeg", description, data)
			_, frames := parse(t, tag.Bytes())
			if len(frames) != 1 || frames[0].id != "APIC" {
				t.Fatalf("%q", frames)
			}
			body := frames[0].body
			mime, rest := text(t, latin1, body[1:])
			got, picture := text(t, body[0], rest[1:])
			if mime != "image/jpeg" || rest[0] != 3 || got != description || !bytes.Equal(picture, data) {
				t.Errorf("2.%d: %q", v, body)
			}
		}
	}
}

func TestChapters(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		tag := New(v)
		tag.Chapter("ch1", 0, 1500*time.Millisecond, "Anfang")
		tag.Chapter("ch2", 1500*time.Millisecond+999*time.Microsecond, 60*24*time.Hour, "")
		tag.Chapter("ch3", -time.Second, time.Hour, "Schluß")
		tag.Contents([]string{"ch1", "ch2", "ch3"})
		_, frames := parse(t, tag.Bytes())
		if len(frames) != 4 {
			t.Fatalf("%q", frames)
		}
		for i, want := range []struct {
			id         string
			start, end uint32
			title      string
		}{
			{"ch1", 0, 1500, "Anfang"},
			{"ch2", 1500, 1<<32 - 1, ""},
			{"ch3", 0, 3600000, "Schluß"},
		} {
			id, rest := text(t, latin1, frames[i].body)
			start, end := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
			if frames[i].id != "CHAP" || id != want.id || start != want.start || end != want.end || string(rest[8:16]) != strings.Repeat("\xff", 8) {
				t.Errorf("2.%d: %q", v, frames[i])
			}
			inner := parseFrames(t, v, rest[16:])
			if want.title == "" {
				if len(inner) != 0 {
					t.Errorf("2.%d: %q without a title", v, inner)
				}
				continue
			}
			if len(inner) != 1 || inner[0].id != "TIT2" {
				t.Fatalf("2.%d: %q", v, inner)
			}
			if _, s := texts(t, inner[0].body); len(s) != 1 || s[0] != want.title {
				t.Errorf("2.%d: title %q", v, s)
			}
		}
		if got := string(frames[3].body); frames[3].id != "CTOC" || got != "toc\x00\x03\x03ch1\x00ch2\x00ch3\x00" {
			t.Errorf("2.%d: %q", v, frames[3])
		}
	}
}

// TestManyChapters has more than a list can count.
func TestManyChapters(t *testing.T) {
	t.Parallel()
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = "c"
	}
	tag := New(V23)
	tag.Contents(ids)
	_, frames := parse(t, tag.Bytes())
	if got, want := string(frames[0].body), "toc\x00\x03\xff"+strings.Repeat("c\x00", 255); got != want {
		t.Errorf("%q", got)
	}
}

// TestSizes has tags and frames of all sizes around those where a byte of their
// size fills up.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, v := range versions {
		for _, n := range []int{1, 126, 127, 128, 129, 255, 256, 1<<14 - 1, 1 << 14, 1<<14 + 1, 1<<21 - 1, 1 << 21, 1<<21 + 1} {
			for _, around := range []int{0, -1, -11, -21} {
				n := n + around
				if n < 1 {
					continue
				}
				tag := New(v)
				tag.Text("TIT2", strings.Repeat("x", n))
				_, frames := parse(t, tag.Bytes())
				if len(frames) != 1 || len(frames[0].body) != 1+n {
					t.Errorf("2.%d, %d bytes: %d frames", v, n, len(frames))
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, MaxSize).Draw(t, "n")
		b := appendSyncSafe(nil, n)
		if len(b) != 4 || syncSafe(t, b) != n {
			t.Fatalf("%d is %x", n, b)
		}
	})
}

// TestMaxSize fills a tag to its last byte.
func TestMaxSize(t *testing.T) {
	t.Parallel()
	if got := appendSyncSafe(nil, MaxSize); string(got) != "\x7f\x7f\x7f\x7f" {
		t.Errorf("the largest size is %x", got)
	}
	for _, v := range versions {
		tag := &Tag{version: v, frames: make([]byte, MaxSize-20, MaxSize)}
		tag.Text("TIT2", "0123456789") // 21 bytes
		if len(tag.frames) != MaxSize-20 {
			t.Error("a frame that is too large was taken")
		}
		tag.Text("TIT2", "012345678")
		if len(tag.frames) != MaxSize {
			t.Error("a frame that fits was not taken")
		}
		tag.Picture(Other, "image/png", "", make([]byte, MaxSize))
		if len(tag.frames) != MaxSize {
			t.Error("a frame was taken where there is no room")
		}
	}
}
