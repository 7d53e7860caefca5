package transcode

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// silently runs a judge that has nothing to say of a good file: any warning fails
// the test. It returns the size of what it prints.
func silently(t testing.TB, name string, args ...string) int64 {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("the tests need %s; `make test` installs it", name)
	}
	cmd := exec.Command(name, args...)
	var n counter
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &n, &said
	if err := cmd.Run(); err != nil || said.Len() > 0 {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said.Bytes())
	}
	return int64(n)
}

// checkDecoders lets four programs of others decode a file: all must be content,
// and play the same number of samples.
func checkDecoders(t testing.TB, file string, channels, samples int) {
	t.Helper()
	checkMP3(t, file)
	if n := silently(t, "mpg123", "-q", "--gapless", "-s", file) / int64(2*channels); n != int64(samples) {
		t.Errorf("mpg123 plays %d samples, want %d", n, samples)
	}
	if n := silently(t, "ffmpeg", "-v", "warning", "-i", file, "-f", "s16le", "-") / int64(2*channels); n != int64(samples) {
		t.Errorf("ffmpeg plays %d samples, want %d", n, samples)
	}
	if n := silently(t, "lame", "--silent", "--decode", "-t", file, "-") / int64(2*channels); n != int64(samples) {
		t.Errorf("lame plays %d samples, want %d", n, samples)
	}
}

// checkStreams compares the frames of several encoders with those of one.
func checkStreams(t testing.TB, v encoderConfig, serial, got *encoded) {
	t.Helper()
	if len(got.frames) != len(serial.frames) {
		t.Fatalf("%d frames, want %d", len(got.frames), len(serial.frames))
	}
	for i, f := range got.frames {
		h, err := mp3.ParseHeader(f)
		if err != nil {
			t.Fatal(err)
		}
		if v.encoding.mode == modeCBR && (h.Bitrate != v.encoding.value || len(f) != len(serial.frames[i])) {
			t.Fatalf("frame %d has %d kb/s and %d bytes, want %d and %d", i, h.Bitrate, len(f), v.encoding.value, len(serial.frames[i]))
		}
	}
	// With variable bit rate, an encoder that begins makes its first frames larger
	// until the reservoir is full, and some of that may be behind the splice.
	more := int64(got.bytes() - serial.bytes())
	if most := int64(serial.bytes()/200) + int64(len(got.splices)*mp3Most(v)); more > most || more < -most || v.encoding.mode == modeCBR && more != 0 {
		t.Errorf("%d bytes, want %d", got.bytes(), serial.bytes())
	}
}

// mp3Most is the largest reservoir, in bytes.
func mp3Most(v encoderConfig) int {
	if blockSize(v.rate) == 576 {
		return 255
	}
	return 511
}

// frameSNR returns the signal-to-noise ratio of each frame of a stream, decoded
// without gaps, in dB; NaN where there is no sound.
func frameSNR(want, got pcm, rate, frames int) []float64 {
	size := blockSize(rate)
	out := make([]float64, frames)
	for f := range out {
		// A frame's sound comes out the delays of encoder and decoder later.
		from := f*size - lameDelay - mp3.DecoderDelay
		to := min(from+size, len(want[0]))
		from = max(from, 0)
		var signal, noise float64
		for c := range want {
			for i := from; i < to; i++ {
				d := want[c][i] - got[c][i]
				signal += want[c][i] * want[c][i]
				noise += d * d
			}
		}
		out[f] = math.NaN()
		if signal > 1e-7*float64(to-from) { // -70 dB of full scale
			out[f] = 10 * math.Log10(signal/max(noise, 1e-13*float64(to-from)))
		}
	}
	return out
}

// totalSNR returns the signal-to-noise ratio over all channels, in dB.
func totalSNR(want, got pcm) float64 {
	var a, b []float64
	for c := range want {
		a, b = append(a, want[c]...), append(b, got[c]...)
	}
	return snr(a, b)
}

// losses collects by how many dB frames are worse with several encoders than with
// one, near splices (from two frames before to the second after) and elsewhere.
type losses struct {
	mu        sync.Mutex
	near      []loss
	elsewhere []float64 // dB either way, of frames that differ at all
}

type loss struct {
	db    float64
	where string
}

// add takes the signal-to-noise ratio of each frame of a stream. It fails the test
// where a frame near a splice is worse than it was, and than the worst 0.1 % (or one)
// of those elsewhere.
func (l *losses) add(t testing.TB, name string, serial, got []float64, splices []int64) {
	near := map[int]bool{}
	for _, n := range splices {
		for i := n - 2; i <= n+1; i++ {
			near[int(i)] = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var others []float64
	for f := range serial {
		db := serial[f] - got[f]
		switch {
		case math.IsNaN(db):
		case near[f]:
			l.near = append(l.near, loss{db, fmt.Sprintf("frame %d of %s", f, name)})
		default:
			others = append(others, serial[f])
			if db != 0 {
				l.elsewhere = append(l.elsewhere, math.Abs(db))
			}
		}
	}
	slices.Sort(others)
	for f := range near {
		if serial[f]-got[f] > 0.1 && got[f] < others[len(others)/1000] {
			t.Errorf("frame %d, near a splice, has %.2f dB; it had %.2f; the worst elsewhere %.2f", f, got[f], serial[f], others[len(others)/1000])
		}
	}
}

// check compares all frames near splices with all others. Two encoders that came
// from different places differ, in either direction, until they have come to the
// same state, if they ever do: a frame near a splice may lose no more than all but
// 0.1 % of the others that differ gain or lose, and they lose nothing on average.
func (l *losses) check(t testing.TB) {
	slices.Sort(l.elsewhere)
	most := l.elsewhere[len(l.elsewhere)*999/1000]
	sum := 0.0
	for _, n := range l.near {
		sum += n.db
		if n.db > most {
			t.Errorf("%s, near a splice, loses %.2f dB; 99.9 %% of those elsewhere that differ, differ by no more than %.2f", n.where, n.db, most)
		}
	}
	mean := sum / float64(len(l.near))
	if mean > 0.01 {
		t.Errorf("frames near splices lose %.3f dB on average", mean)
	}
	slices.SortFunc(l.near, func(a, b loss) int { return cmp.Compare(b.db, a.db) })
	if usual := l.near[len(l.near)/100].db; usual > 0.5 {
		t.Errorf("one in a hundred frames near splices loses %.2f dB or more", usual)
	}
	t.Logf("%d frames near splices: %.4f dB lost on average, %.2f at worst (%s); %d others differ, 99.9 %% by at most %.2f dB",
		len(l.near), mean, l.near[0].db, l.near[0].where, len(l.elsewhere), most)
}

// judged is a case of TestJudged.
type judged struct {
	encoderConfig
	kind    string
	chunk   int64
	samples int
}

func (j judged) String() string {
	return fmt.Sprintf("%s/%v/%d-%d/%v-%d", j.kind, j.encoding, j.rate, j.channels, j.format, j.chunk)
}

// judgedCases are all kinds of sound in the three modes; all bit rates and
// qualities; all sample rates, in mono and stereo, in the three formats of blocks.
func judgedCases() []judged {
	var all []judged
	formats := []astiav.SampleFormat{astiav.SampleFormatFltp, astiav.SampleFormatS16P, astiav.SampleFormatS32P}
	add := func(kind string, rate, channels int, e Encoding) {
		n := len(all)
		j := judged{encoderConfig{e.at(rate), rate, channels, formats[n%3]}, kind, 98 + 49*int64(n%2), 0}
		// No whole number of frames, and as many frames whatever the rate.
		j.samples = 240*blockSize(rate) - 7*n
		all = append(all, j)
	}
	for _, kind := range materials {
		for _, e := range []Encoding{CBR(128), VBR(0), VBR(4), ABR(128)} {
			add(kind, 44100, 2, e)
		}
	}
	kind := func() string { return materials[len(all)*5%len(materials)] }
	for _, b := range Bitrates() {
		add(kind(), 44100, 2, CBR(b))
	}
	for _, e := range []Encoding{VBR(2), VBR(9), ABR(64), ABR(192)} {
		add(kind(), 48000, 2, e)
		add(kind(), 44100, 1, e)
	}
	for i, rate := range SampleRates() {
		for k, e := range []Encoding{CBR(64), VBR(3), ABR(56)} {
			add(kind(), rate, 1+(i+k)%2, e)
		}
	}
	return all
}

// plan has chunks as short as the warm-up allows.
func (j judged) plan() plan {
	p := plan{chunks: 1, warmup: warmupFor(j.encoderConfig)}
	p.frames = j.chunk + p.warmup - warmup
	return p
}

// first returns the first n samples.
func (p pcm) first(n int) pcm {
	out := make(pcm, len(p))
	for c := range p {
		out[c] = p[c][:n]
	}
	return out
}
