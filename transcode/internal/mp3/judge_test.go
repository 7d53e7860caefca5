package mp3

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The judges are other programs that read or write MP3 files. The tests that
// need one fail without it: skipped, they would prove nothing unnoticed.

// run runs a judge and returns what it wrote to its standard output. Anything
// on its standard error fails the test.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("needs %s: `make test` installs it", name)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	if stderr.Len() > 0 {
		t.Fatalf("%s %s: %s", name, strings.Join(args, " "), stderr.Bytes())
	}
	return stdout.Bytes()
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lame encodes the samples with LAME and returns the file.
func lame(t testing.TB, pcm pcm, args ...string) []byte {
	t.Helper()
	in := writeFile(t, "in.wav", pcm.wav())
	out := filepath.Join(filepath.Dir(in), "out.mp3")
	args = append([]string{"--quiet", "--resample", strconv.FormatFloat(float64(pcm.rate)/1000, 'f', -1, 64)}, args...)
	run(t, "lame", append(args, in, out)...)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mpg123Samples returns how many samples per channel mpg123 plays.
func mpg123Samples(t testing.TB, path string, channels int) int {
	t.Helper()
	return len(run(t, "mpg123", "-q", "-s", "--gapless", path)) / 2 / channels
}

// ffmpegSamples returns how many samples per channel ffmpeg plays.
func ffmpegSamples(t testing.TB, path string, channels int) int {
	t.Helper()
	return len(run(t, "ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-")) / 2 / channels
}

// ffprobeDuration returns the duration in seconds that ffprobe reads in path.
func ffprobeDuration(t testing.TB, path string) float64 {
	t.Helper()
	out := run(t, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path)
	d, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mp3val fails the test if mp3val finds a fault in the file.
func mp3val(t testing.TB, path string) {
	t.Helper()
	for line := range strings.Lines(string(run(t, "mp3val", path))) {
		// A file without ID3 tags gets a warning for that; it is none here.
		if (strings.HasPrefix(line, "WARNING") || strings.HasPrefix(line, "ERROR")) &&
			!strings.Contains(line, "No supported tags") {
			t.Errorf("mp3val: %s", line)
		}
	}
}

// pcm is 16-bit audio, channels interleaved.
type pcm struct {
	rate, channels int
	samples        []int16
}

// length returns the number of samples per channel.
func (p pcm) length() int64 { return int64(len(p.samples) / p.channels) }

func (p pcm) wav() []byte {
	le := binary.LittleEndian
	size := 2 * len(p.samples)
	b := make([]byte, 0, 44+size)
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, uint16(p.channels))
	b = le.AppendUint32(b, uint32(p.rate))
	b = le.AppendUint32(b, uint32(2*p.channels*p.rate))
	b = le.AppendUint16(b, uint16(2*p.channels))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	for _, s := range p.samples {
		b = le.AppendUint16(b, uint16(s))
	}
	return b
}

// chirp makes n samples of a tone that rises and swells, with noise in its
// second half, so that VBR has a reason to vary.
func chirp(rate, channels, n int) pcm {
	p := pcm{rate: rate, channels: channels, samples: make([]int16, 0, n*channels)}
	rnd := rand.New(rand.NewPCG(1, 2))
	phase := 0.0
	for i := range n {
		x := float64(i) / float64(n)
		phase += 2 * math.Pi * (100 + 0.3*float64(rate)*x) / float64(rate)
		v := 8000 * (0.1 + x) * math.Sin(phase)
		if x > 0.5 {
			v += 6000 * (rnd.Float64() - 0.5)
		}
		for c := range channels {
			p.samples = append(p.samples, int16(v*(1-0.4*float64(c))))
		}
	}
	return p
}

// frame is a frame as the tests keep it, with bytes of its own.
type frame struct {
	header Header
	data   []byte
}

// framesOf cuts a whole stream into frames.
func framesOf(t testing.TB, stream []byte) []frame {
	t.Helper()
	var f Framer
	f.Write(stream)
	f.Flush()
	frames := drain(&f)
	if f.Err() != nil || f.Skipped() != 0 {
		t.Fatalf("framer: skipped %d bytes, error %v", f.Skipped(), f.Err())
	}
	return frames
}

func drain(f *Framer) []frame {
	var frames []frame
	for {
		data, h, ok := f.Next()
		if !ok {
			return frames
		}
		frames = append(frames, frame{h, bytes.Clone(data)})
	}
}

func join(frames []frame) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f.data...)
	}
	return b
}
