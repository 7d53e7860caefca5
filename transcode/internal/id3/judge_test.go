package id3

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The judges are ffprobe and ffmpeg. Where one is missing the tests fail, since they
// would prove nothing without.

// run returns what a program prints. What it says on its standard error fails the
// test.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("the tests need %s; `make test` installs it", name)
	}
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// silence is a second of MP3 without a tag.
func silence(t testing.TB) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "silence.mp3")
	run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "1",
		"-id3v2_version", "0", "-b:a", "8k", out)
	mp3, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return mp3
}

// tagged writes an MP3 with a tag and returns its name.
func tagged(t testing.TB, tag *Tag, mp3 []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tagged.mp3")
	if err := os.WriteFile(file, append(tag.Bytes(), mp3...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		Codec string            `json:"codec_name"`
		Type  string            `json:"codec_type"`
		Tags  map[string]string `json:"tags"`
	} `json:"streams"`
	Format struct {
		Tags map[string]string `json:"tags"`
	} `json:"format"`
	Chapters []struct {
		Start string            `json:"start_time"`
		End   string            `json:"end_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
}

func ffprobe(t testing.TB, file string) (p probed) {
	t.Helper()
	out := run(t, "ffprobe", "-v", "warning", "-of", "json", "-show_streams", "-show_format", "-show_chapters", file)
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFFprobeText has ffprobe read all kinds of text frames.
func TestFFprobeText(t *testing.T) {
	t.Parallel()
	mp3 := silence(t)
	long := strings.Repeat("Långer Text 長い文 🎵\n", 5000)
	for _, v := range versions {
		tag := New(v)
		tag.Text("TIT2", "Ünïcödé 日本語 🎵")
		tag.Text("TPE1", "plain")
		tag.Text("TALB", "\u202bעברית\u202c")
		tag.Text("TRCK", "3/12")
		tag.Text("TCON", "Électro")
		tag.Text("TPE2", "a\x00b")
		tag.UserText("description", "Über etwas")
		tag.UserText("Größe", "groß")
		tag.UserText("Wert", "plain")
		tag.Comment("deu", "Ein Kommentar: äöü")
		tag.Lyrics("XXX", long)
		p := ffprobe(t, tagged(t, tag, mp3))
		wanted := map[string]string{
			"title":        "Ünïcödé 日本語 🎵",
			"artist":       "plain",
			"album":        "\u202bעברית\u202c",
			"track":        "3/12",
			"genre":        "Électro",
			"album_artist": "ab",
			"description":  "Über etwas",
			"Größe":        "groß",
			"Wert":         "plain",
			"comment":      "Ein Kommentar: äöü",
			"lyrics-XXX":   long,
		}
		for key, want := range wanted {
			if got := p.Format.Tags[key]; got != want {
				t.Errorf("2.%d: %s is %.100q, want %.100q", v, key, got, want)
			}
		}
		if len(p.Format.Tags) != len(wanted) {
			t.Errorf("2.%d: tags %v", v, p.Format.Tags)
		}
		if len(p.Streams) != 1 || p.Streams[0].Codec != "mp3" {
			t.Errorf("2.%d: streams %+v", v, p.Streams)
		}
	}
}

// TestFFprobeChapters has ffprobe read chapters.
func TestFFprobeChapters(t *testing.T) {
	t.Parallel()
	mp3 := silence(t)
	for _, v := range versions {
		tag := New(v)
		tag.Text("TIT2", "Buch")
		tag.Chapter("ch1", 0, 250*time.Millisecond, "Erstes 第一")
		tag.Chapter("ch2", 250*time.Millisecond, 600*time.Millisecond, "Zweites")
		tag.Chapter("ch3", 600*time.Millisecond, 30*time.Hour, "")
		tag.Contents([]string{"ch1", "ch2", "ch3"})
		p := ffprobe(t, tagged(t, tag, mp3))
		want := []struct{ start, end, title string }{
			{"0.000000", "0.250000", "Erstes 第一"},
			{"0.250000", "0.600000", "Zweites"},
			{"0.600000", "108000.000000", "ch3"}, // its ID, for want of a title
		}
		if len(p.Chapters) != len(want) {
			t.Fatalf("2.%d: %d chapters", v, len(p.Chapters))
		}
		for i, w := range want {
			if c := p.Chapters[i]; c.Start != w.start || c.End != w.end || c.Tags["title"] != w.title {
				t.Errorf("2.%d: %+v, want %+v", v, c, w)
			}
		}
		if p.Format.Tags["title"] != "Buch" {
			t.Errorf("2.%d: tags %v", v, p.Format.Tags)
		}
	}
}

// noise makes a picture that does not compress.
func noise(size int) image.Image {
	rnd := rand.New(rand.NewPCG(5, 6))
	m := image.NewRGBA(image.Rect(0, 0, size, size))
	for i := range m.Pix {
		m.Pix[i] = byte(rnd.Uint32())
	}
	for y := range size {
		for x := range size {
			c := m.RGBAAt(x, y)
			m.SetRGBA(x, y, color.RGBA{c.R, c.G, c.B, 255})
		}
	}
	return m
}

// TestFFmpegPicture has ffmpeg take pictures out again, of which one is large.
func TestFFmpegPicture(t *testing.T) {
	t.Parallel()
	mp3 := silence(t)
	var large, small bytes.Buffer
	if err := png.Encode(&large, noise(840)); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&small, noise(50), nil); err != nil {
		t.Fatal(err)
	}
	if large.Len() < 2<<20 {
		t.Fatalf("the test made a picture of %d bytes", large.Len())
	}
	for _, v := range versions {
		tag := New(v)
		tag.Text("TIT2", "vor den Bildern")
		tag.Picture(FrontCover, "image/png", "", large.Bytes())
		tag.Picture(Other, "image/jpeg", "Rückseite", small.Bytes())
		tag.Text("TPE1", "nach den Bildern")
		file := tagged(t, tag, mp3)
		p := ffprobe(t, file)
		if len(p.Streams) != 3 || p.Streams[0].Codec != "mp3" || p.Streams[1].Codec != "png" || p.Streams[2].Codec != "mjpeg" {
			t.Fatalf("2.%d: streams %+v", v, p.Streams)
		}
		if p.Streams[1].Tags["comment"] != "Cover (front)" || p.Streams[2].Tags["comment"] != "Other" || p.Streams[2].Tags["title"] != "Rückseite" {
			t.Errorf("2.%d: streams %+v", v, p.Streams)
		}
		if p.Format.Tags["title"] != "vor den Bildern" || p.Format.Tags["artist"] != "nach den Bildern" {
			t.Errorf("2.%d: tags %v", v, p.Format.Tags)
		}
		for stream, want := range map[string][]byte{"0:v:0": large.Bytes(), "0:v:1": small.Bytes()} {
			got := run(t, "ffmpeg", "-v", "error", "-i", file, "-map", stream, "-c", "copy", "-f", "image2pipe", "-")
			if !bytes.Equal(got, want) {
				t.Errorf("2.%d: picture of %d bytes, want %d", v, len(got), len(want))
			}
		}
		// The tag hides nothing of the sound.
		if got := run(t, "ffmpeg", "-v", "error", "-i", file, "-map", "0:a", "-c", "copy", "-id3v2_version", "0", "-write_xing", "0", "-f", "mp3", "-"); !bytes.HasSuffix(mp3, got) || len(got) < len(mp3)*3/4 {
			t.Errorf("2.%d: %d bytes of MP3, want the last of %d", v, len(got), len(mp3))
		}
	}
}
