package job

import (
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// awkward is what names are spoilt with.
var awkward = []rune("/\\.. \t\n\x00\x1b\x7f\u0085\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\u3000\ufeff\U000e0041äß夢👩\ufe0f")

func fileNames() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.SampledFrom(awkward)),
		rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom(awkward))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.StringOfN(rapid.SampledFrom(awkward), 100, 400, -1),
		rapid.StringMatching(`[a-z ]{1,12}(/|\\)?[a-z. ]{200,300}\.[a-z0-9]{1,6}`),
	)
}

// checkFileName checks what holds for the clean form of every name.
func checkFileName(t interface{ Fatalf(string, ...any) }, s string) {
	clean := CleanFileName(s)
	switch {
	case !utf8.ValidString(clean):
		t.Fatalf("%q becomes %q, which is not UTF-8", s, clean)
	case len(clean) > maxFileName:
		t.Fatalf("%q becomes %d bytes", s, len(clean))
	case strings.ContainsAny(clean, `/\`) || clean == "." || clean == "..":
		t.Fatalf("%q becomes the path %q", s, clean)
	case strings.TrimSpace(clean) != clean:
		t.Fatalf("%q becomes %q, with space around it", s, clean)
	case CleanFileName(clean) != clean:
		t.Fatalf("%q becomes %q, and that %q", s, clean, CleanFileName(clean))
	}
	for _, r := range clean {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			t.Fatalf("%q becomes %q with %U", s, clean, r)
		}
	}
	mp3 := (&Job{FileName: s}).MP3Name()
	base, ok := strings.CutSuffix(mp3, ".mp3")
	switch {
	case !ok || base == "":
		t.Fatalf("the MP3 of %q is called %q", s, mp3)
	case path.Base(mp3) != mp3 || CleanFileName(mp3) != mp3:
		t.Fatalf("the MP3 of %q is called %q, which is not clean", s, mp3)
	case strings.HasPrefix(mp3, "."):
		t.Fatalf("the MP3 of %q is hidden: %q", s, mp3)
	}
	// Only the last extension is taken off, and the end of what is too long.
	if !strings.Contains(clean, base) && base != "audio" {
		t.Fatalf("the MP3 of %q is called %q", s, mp3)
	}
}

func TestFileNameProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { checkFileName(t, fileNames().Draw(t, "name")) })
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{
		"talk.mp4", "../../etc/passwd", `C:\Videos\a.mov`, "a\x00b", "\u202e4pm.exe", "\xff\xfe", "..", strings.Repeat("夢", 90) + ".mp4",
		strings.Repeat("a", 254) + " b", ".\u00a0x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkFileName(t, s) })
}

func TestCleanFileName(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"talk.mp4", "träumend 夢.mp4", "Übung 3 – Teil (2).m4a", "👩‍👩‍👧‍👦 holiday.mov", "❤️.mp4", "🏴‍☠️.mp4", "می\u200cخواهم.mp4",
		"שלום.mp4", "क्\u200dष.mp4", "a & b; c=d \"e\" 'f' %2F.mp4", ".hidden", "no extension", "e\u0301.mp4", strings.Repeat("x", maxFileName),
	} {
		if got := CleanFileName(s); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	}
	for s, want := range map[string]string{
		"": "", ".": "", "..": "", "....": "", "/": "", "a/": "", `a\`: "", " \t ": "", "\x00": "",
		"../../etc/passwd": "passwd", `C:\Users\me\a.mp4`: "a.mp4", `/a\b/c.mp4`: "c.mp4", " a.mp4\n": "a.mp4",
		"a\r\nContent-Type: x.mp4": "aContent-Type: x.mp4", "\u202egpm.exe": "gpm.exe", "a\xffb.mp4": "ab.mp4",
		"\ufeffa.mp4": "a.mp4", "line\u2028end": "lineend", strings.Repeat("夢", 86): strings.Repeat("夢", 85),
		strings.Repeat("x", 254) + " y": strings.Repeat("x", 254), "a\u00ad\u200bb": "ab",
	} {
		if got := CleanFileName(s); got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
}

func TestMP3Name(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "audio.mp3", ".mp4": "audio.mp3", "...": "audio.mp3", "talk.mp4": "talk.mp3", "talk.MPEG4": "talk.mp3", "a.b.m4a": "a.b.mp3",
		"talk": "talk.mp3", "talk.": "talk.mp3", ".hidden": "hidden.mp3", "song.mp3": "song.mp3", "clip.3gp": "clip.mp3",
		"Symphony No. 5": "Symphony No. 5.mp3", "v1.2": "v1.2.mp3", "2024.05.17": "2024.05.17.mp3", "Dr. No (1962).mov": "Dr. No (1962).mp3",
		"träumend 夢.mp4": "träumend 夢.mp3", "Ende. Schluss": "Ende. Schluss.mp3", "x .mp4": "x.mp3", "../up.mp4": "up.mp3",
		strings.Repeat("夢", 100): strings.Repeat("夢", 83) + ".mp3",
	} {
		if got := (&Job{FileName: s}).MP3Name(); got != want {
			t.Errorf("the MP3 of %q is called %q, want %q", s, got, want)
		}
	}
}
