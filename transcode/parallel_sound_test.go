package transcode

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"unsafe"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// What the tests of the parallel engine have in common: sound, and drivers that
// give it to one encoder and to several.

// materials are the kinds of sound that [sound] makes.
var materials = []string{"music", "speech", "silence", "pauses", "square", "castanets", "noise", "sweep", "clipped"}

// makeSound makes n samples of a kind of sound in -1..1, always the same. The
// channels of stereo have much in common, and not all.
func makeSound(t testing.TB, kind string, rate, channels, n int) pcm {
	t.Helper()
	if kind == "music" {
		return music(t, rate, channels, n)
	}
	rnd := rand.New(rand.NewPCG(uint64(len(kind)), 7))
	gen := generator(kind, float64(rate), rnd)
	p := make(pcm, channels)
	for c := range p {
		p[c] = make([]float64, n)
	}
	for i := range n {
		v := gen(i)
		for c := range p {
			p[c][i] = v
		}
		if channels == 2 && kind != "silence" {
			// The sides differ by level and, every other 2 s, by more.
			p[1][i] *= 0.8
			if i/(2*rate)%2 == 1 {
				p[1][i] = 0.6*v + 0.05*rnd.NormFloat64()*math.Abs(v)
			}
		}
	}
	return p
}

// generator returns a function that makes one sample after the other.
func generator(kind string, rate float64, rnd *rand.Rand) func(i int) float64 {
	sine := func(hz float64, i int) float64 { return math.Sin(2 * math.Pi * hz * float64(i) / rate) }
	switch kind {
	case "speech":
		return voiced(rate, rnd)
	case "pauses": // chords of 0.7 s, and digital silence of the same length
		return func(i int) float64 {
			if int(float64(i)/rate/0.7)%2 == 1 {
				return 0
			}
			return 0.25 * (sine(220, i) + sine(277, i) + sine(1320, i) + 0.3*rnd.NormFloat64())
		}
	case "square":
		return func(i int) float64 { return math.Copysign(0.7, sine(219.7, i)) }
	case "castanets": // bursts that die away within some 10 ms
		next, level := 0, 0.0
		return func(i int) float64 {
			if i >= next {
				next, level = i+int(rate*(0.06+0.3*rnd.Float64())), 0.9
			}
			level *= 1 - 250/rate
			return level * (2*rnd.Float64() - 1)
		}
	case "noise":
		return func(int) float64 { return 0.15 * rnd.NormFloat64() }
	case "sweep": // up within 3 s, again and again
		phase := 0.0
		return func(i int) float64 {
			x := math.Mod(float64(i)/rate, 3) / 3
			phase += 2 * math.Pi * 50 * math.Pow(rate*0.4/50, x) / rate
			return 0.6 * math.Sin(phase)
		}
	case "clipped":
		return func(i int) float64 {
			return max(-1, min(1, 2*(sine(110, i)+0.6*sine(331, i)+0.4*rnd.NormFloat64()*max(0, sine(1.3, i)))))
		}
	}
	return func(int) float64 { return 0 }
}

// voiced makes something that is like speech to an encoder: pulses through
// resonances that change with each syllable, hisses, and pauses.
func voiced(rate float64, rnd *rand.Rand) func(int) float64 {
	var y1, y2, a1, a2 [3]float64
	phase, pitch, hiss, until := 0.0, 120.0, false, 0
	length, silent := 1, true
	return func(i int) float64 {
		if i >= until {
			length = int(rate * (0.08 + 0.2*rnd.Float64()))
			until = i + length
			hiss, silent = rnd.IntN(4) == 0, rnd.IntN(5) == 0
			pitch = 90 + 90*rnd.Float64()
			for k, hz := range []float64{300 + 500*rnd.Float64(), 900 + 1200*rnd.Float64(), 2300 + 700*rnd.Float64()} {
				r := math.Exp(-math.Pi * 90 / rate)
				a1[k], a2[k] = 2*r*math.Cos(2*math.Pi*min(hz, 0.45*rate)/rate), -r*r
			}
		}
		x := float64(until-i) / float64(length)
		swell := math.Sin(math.Pi * x)
		in := 0.0
		if phase += pitch / rate; phase >= 1 {
			phase--
			in = 1
		}
		if hiss {
			in = 0.3 * rnd.NormFloat64()
		}
		if silent {
			in = 0
		}
		out := 0.0
		for k := range y1 {
			y := in + a1[k]*y1[k] + a2[k]*y2[k]
			y2[k], y1[k] = y1[k], y
			out += y
		}
		return max(-1, min(1, 0.12*swell*out)) + 1e-4*rnd.NormFloat64()
	}
}

// music returns the melody among the fixtures, again and again.
func music(t testing.TB, rate, channels, n int) pcm {
	t.Helper()
	p := ffmpegDecode(t, fixturePath("melody.mp4"), channels, "-ar", strconv.Itoa(rate), "-ac", strconv.Itoa(channels))
	for c := range p {
		for len(p[c]) < n {
			p[c] = append(p[c], p[c][:min(len(p[c]), n-len(p[c]))]...)
		}
		p[c] = p[c][:n]
	}
	return p
}

// quantized returns the sound as blocks of a format hold it.
func (p pcm) quantized(f astiav.SampleFormat) pcm {
	out := make(pcm, len(p))
	for c := range p {
		out[c] = make([]float64, len(p[c]))
		for i, v := range p[c] {
			out[c][i] = value(f, v)
		}
	}
	return out
}

func value(f astiav.SampleFormat, v float64) float64 {
	switch f {
	case astiav.SampleFormatS16P:
		return float64(toInt(v, 1<<15)) / (1 << 15)
	case astiav.SampleFormatS32P:
		return float64(toInt(v, 1<<31)) / (1 << 31)
	}
	return float64(float32(v))
}

func toInt(v, scale float64) int64 { return int64(max(-scale, min(scale-1, math.Round(v*scale)))) }

func newBlock(v encoderConfig) (*astiav.Frame, error) {
	quiet()
	f := astiav.AllocFrame()
	f.SetSampleFormat(v.format)
	f.SetChannelLayout(target{channels: v.channels}.layout())
	f.SetSampleRate(v.rate)
	f.SetNbSamples(blockSize(v.rate))
	return f, f.AllocBuffer(0)
}

// fillBlock writes the samples from..to-1 into a block.
func fillBlock(f *astiav.Frame, v encoderConfig, p pcm, from, to int) error {
	f.SetNbSamples(blockSize(v.rate))
	if err := f.MakeWritable(); err != nil {
		return err
	}
	f.SetNbSamples(to - from)
	f.SetPts(int64(from))
	const most = 1152 * 4
	for c := range p {
		plane := (*[most]byte)(unsafe.Pointer(av(f).data[c]))
		for i, x := range p[c][from:to] {
			switch v.format {
			case astiav.SampleFormatS16P:
				binary.NativeEndian.PutUint16(plane[2*i:], uint16(toInt(x, 1<<15)))
			case astiav.SampleFormatS32P:
				binary.NativeEndian.PutUint32(plane[4*i:], uint32(toInt(x, 1<<31)))
			default:
				binary.NativeEndian.PutUint32(plane[4*i:], math.Float32bits(float32(x)))
			}
		}
	}
	return nil
}

// feed gives a sound to an encoder, batch blocks at a time, and ends it.
func feed(enc encoder, v encoderConfig, p pcm, batch int, each func() error) error {
	if each == nil {
		each = func() error { return nil }
	}
	blocks := make([]*astiav.Frame, batch)
	defer func() {
		for _, f := range blocks {
			if f != nil {
				f.Free()
			}
		}
	}()
	for i := range blocks {
		var err error
		if blocks[i], err = newBlock(v); err != nil {
			return err
		}
	}
	if err := each(); err != nil {
		return err
	}
	size := blockSize(v.rate)
	for at := 0; at < len(p[0]); {
		n := 0
		for ; n < batch && at < len(p[0]); n++ {
			to := min(at+size, len(p[0]))
			if err := fillBlock(blocks[n], v, p, at, to); err != nil {
				return err
			}
			at = to
		}
		if err := enc.encode(blocks[:n]); err != nil {
			return err
		}
		if err := each(); err != nil {
			return err
		}
	}
	return enc.finish()
}

// encoded is what an encoder made.
type encoded struct {
	frames  [][]byte
	splices []int64 // the first frames of encoders
	alike   int     // splices where both encoders had made the same
	tries   int     // looks for a splice
	in      int     // unspliced
}

func (s *encoded) emit(b []byte) error {
	s.frames = append(s.frames, append([]byte(nil), b...))
	return nil
}

func (s *encoded) bytes() int {
	n := 0
	for _, f := range s.frames {
		n += len(f)
	}
	return n
}

// engine is a way to drive the parallel encoder.
type engine struct {
	plan   plan
	most   int // as Options.Parallelism
	pool   *pool
	batch  int
	splice func(left, right *mp3.Unpacker, level int, from, to, near int64) (int64, bool)
	each   func(*parallelEncoder) error // before the first batch, and after each
}

func poolOf(n int) *pool { return &pool{size: func() int { return n }} }

// small is a plan of chunks of so many frames.
func small(frames int64) plan { return plan{frames: frames, chunks: 1, warmup: warmup} }

// run encodes a sound.
func (g engine) run(ctx context.Context, v encoderConfig, p pcm) (*encoded, error) {
	s := &encoded{}
	err := g.runTo(ctx, v, p, s, s.emit)
	return s, err
}

func (g engine) runTo(ctx context.Context, v encoderConfig, p pcm, s *encoded, emit func([]byte) error) error {
	if g.pool == nil {
		g.pool = poolOf(2)
	}
	if g.batch == 0 {
		g.batch = batchBlocks
	}
	e := newParallelEncoder(ctx, v, g.plan, g.pool, g.most, func() (*astiav.Frame, error) { return newBlock(v) }, emit)
	defer e.close()
	splice := e.splice
	if g.splice != nil {
		splice = g.splice
	}
	e.splice = func(left, right *mp3.Unpacker, level int, from, to, near int64) (int64, bool) {
		n, ok := splice(left, right, level, from, to, near)
		s.tries++
		if ok {
			s.splices = append(s.splices, n)
			if string(left.Main(n-1)) == string(right.Main(n-1)) && string(left.Main(n-2)) == string(right.Main(n-2)) {
				s.alike++
			}
		}
		return n, ok
	}
	var each func() error
	if g.each != nil {
		each = func() error { return g.each(e) }
	}
	err := feed(e, v, p, g.batch, each)
	s.in = e.unspliced
	return err
}

func (g engine) encode(t testing.TB, v encoderConfig, p pcm) *encoded {
	t.Helper()
	s, err := g.run(t.Context(), v, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// encodeSerial encodes a sound with one LAME.
func encodeSerial(t testing.TB, v encoderConfig, p pcm) *encoded {
	t.Helper()
	s := &encoded{}
	e, err := newSerialEncoder(t.Context(), v, poolOf(1), s.emit)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if err := feed(e, v, p, batchBlocks, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// relay takes a stream apart and lays it again.
func relay(t testing.TB, in *encoded) *encoded {
	t.Helper()
	out := &encoded{}
	var u mp3.Unpacker
	p := mp3.NewPacker(out.emit)
	for i, f := range in.frames {
		if err := u.Add(f); err != nil {
			t.Fatal(err)
		}
		if err := p.Add(u.Frame(int64(i)), u.Main(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return out
}

// file writes a stream of so many samples as Convert would, and returns where.
func (s *encoded) file(t testing.TB, v encoderConfig, samples int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.mp3")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := conversion{decoder: &decoder{rate: v.rate}}
	m, err := newMuxer(f, 1<<40, nil, c.infoHeader(Settings{Encoding: v.encoding, SampleRate: v.rate, Channels: v.channels}), promise{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range s.frames {
		if err := m.frame(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.finish(mp3.Padding(int64(samples), m.frames, blockSize(v.rate), lameDelay)); err != nil {
		t.Fatal(err)
	}
	return path
}

var sounds sync.Map // of makeSound, by arguments

// cachedSound makes each sound once.
func cachedSound(t testing.TB, kind string, rate, channels, n int) pcm {
	key := fmt.Sprint(kind, rate, channels, n)
	if p, ok := sounds.Load(key); ok {
		return p.(pcm)
	}
	p := makeSound(t, kind, rate, channels, n)
	sounds.Store(key, p)
	return p
}

// leavesNothing fails a test that ends with more owners of C memory than it began
// with. It is not for tests that run in parallel with others.
func leavesNothing(t testing.TB) {
	before := owners.Load()
	t.Cleanup(func() {
		if n := owners.Load() - before; n != 0 {
			t.Errorf("%d owners of C memory are left", n)
		}
	})
}
