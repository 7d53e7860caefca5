package transcode

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The judges are programs by others: ffmpeg and ffprobe, mpg123, mp3val. Where one
// is missing a test fails, since it would prove nothing without.

// run returns what a judge prints.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("the tests need %s; `make test` installs it", name)
	}
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// pcm is decoded audio, a slice of samples for each channel.
type pcm [][]float64

// interleaved makes pcm of 32-bit floats.
func interleaved(b []byte, channels int) pcm {
	p := make(pcm, channels)
	for i := 0; i+4*channels <= len(b); i += 4 * channels {
		for c := range p {
			v := math.Float32frombits(binary.LittleEndian.Uint32(b[i+4*c:]))
			p[c] = append(p[c], float64(v))
		}
	}
	return p
}

// play decodes an MP3 with mpg123, gapless as players do.
func play(t testing.TB, file string, channels int) pcm {
	t.Helper()
	return interleaved(run(t, "mpg123", "-q", "--gapless", "-e", "f32", "-s", file), channels)
}

// playedSamples counts the samples that mpg123 plays, without keeping them.
func playedSamples(t testing.TB, file string, channels int) int64 {
	t.Helper()
	if _, err := exec.LookPath("mpg123"); err != nil {
		t.Fatal("the tests need mpg123; `make test` installs it")
	}
	cmd := exec.Command("mpg123", "-q", "--gapless", "-s", file)
	var n counter
	cmd.Stdout = &n
	if err := cmd.Run(); err != nil {
		t.Fatalf("mpg123 %s: %v", file, err)
	}
	return int64(n) / int64(2*channels) // 16 bits
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// ffmpegDecode decodes an audio track of a file with ffmpeg.
func ffmpegDecode(t testing.TB, file string, channels int, args ...string) pcm {
	t.Helper()
	a := append([]string{"-v", "error", "-i", file, "-map", "0:a:0"}, args...)
	a = append(a, "-f", "f32le", "-")
	return interleaved(run(t, "ffmpeg", a...), channels)
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		CodecName  string `json:"codec_name"`
		CodecType  string `json:"codec_type"`
		SampleRate string `json:"sample_rate"`
		Channels   int    `json:"channels"`
		BitRate    string `json:"bit_rate"`
	} `json:"streams"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
	Chapters []struct {
		Start string            `json:"start_time"`
		End   string            `json:"end_time"`
		Tags  map[string]string `json:"tags"`
	} `json:"chapters"`
}

func ffprobe(t testing.TB, file string) probed {
	t.Helper()
	out := run(t, "ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_chapters", file)
	var p probed
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// harmless are warnings of mp3val that say nothing of a file's soundness: files
// without a tag, and files so short that they might be anything.
var harmless = []string{"No supported tags", "Too few MPEG frames"}

// checkMP3 lets mp3val look for anything wrong in the frames or the header.
func checkMP3(t testing.TB, file string) {
	t.Helper()
	for _, line := range strings.Split(string(run(t, "mp3val", file)), "\n") {
		known := slices.ContainsFunc(harmless, func(w string) bool { return strings.Contains(line, w) })
		if strings.HasPrefix(line, "WARNING") && !known {
			t.Errorf("mp3val: %s", line)
		}
	}
}

// snr returns the signal-to-noise ratio in dB of got against want, over what both
// have.
func snr(want, got []float64) float64 {
	var signal, noise float64
	for i := range min(len(want), len(got)) {
		signal += want[i] * want[i]
		noise += (want[i] - got[i]) * (want[i] - got[i])
	}
	return 10 * math.Log10(signal/max(noise, 1e-30))
}

// rms returns the level of a signal.
func rms(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum / float64(max(1, len(v))))
}

func peak(v []float64) float64 {
	var p float64
	for _, x := range v {
		p = max(p, math.Abs(x))
	}
	return p
}

// tone returns the amplitude of a frequency in a signal (Goertzel).
func tone(v []float64, hz float64, rate int) float64 {
	var re, im float64
	for i, x := range v {
		a := 2 * math.Pi * hz * float64(i) / float64(rate)
		re += x * math.Cos(a)
		im += x * math.Sin(a)
	}
	return 2 * math.Hypot(re, im) / float64(len(v))
}

// fixture is a row of testdata/FIXTURES.tsv.
type fixture struct {
	file     string
	expected []Code // "ok" is the empty code
	track    int
	codec    string
	rate     int
	channels int
	samples  int64
}

func (f fixture) path() string { return filepath.Join("..", "testdata", filepath.FromSlash(f.file)) }

// table reads a table of tab-separated values with a header line.
func table(t testing.TB, file string) []map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	var rows []map[string]string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if columns == nil {
			columns = fields
			continue
		}
		row := map[string]string{}
		for i, c := range columns {
			if i < len(fields) && fields[i] != "-" {
				row[c] = fields[i]
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return rows
}

// codes splits a list of outcomes.
func codes(s string) []Code {
	var out []Code
	for _, c := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '|' }) {
		if c == "ok" {
			c = ""
		}
		out = append(out, Code(c))
	}
	return out
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// fixtures returns all fixtures.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	var out []fixture
	for _, row := range table(t, filepath.Join("..", "testdata", "FIXTURES.tsv")) {
		out = append(out, fixture{
			file:     row["file"],
			expected: codes(row["expected"] + "," + row["also"]),
			track:    int(number(row["track"])),
			codec:    row["codec"],
			rate:     int(number(row["rate"])),
			channels: int(number(row["channels"])),
			samples:  number(row["samples"]),
		})
	}
	return out
}

// fixturePath returns the path of a file in testdata.
func fixturePath(name string) string {
	return filepath.Join("..", "testdata", filepath.FromSlash(name))
}

// convert converts a file into a folder of the test and returns where.
func convert(t testing.TB, src string, opts *Options) (string, *Result) {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "out.mp3")
	r, err := ConvertFile(t.Context(), dst, src, opts)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return dst, r
}
