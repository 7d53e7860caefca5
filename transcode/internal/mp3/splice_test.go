package mp3

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// encoderFrom makes what an encoder makes of a stream from frame first on: each frame
// with as much main data as the reservoir has room for, or less. In bursts, its
// frames are those of like, if that is not nil.
func encoderFrom(t *rapid.T, name string, h Header, variable bool, first int64, n int, like *Unpacker) *Unpacker {
	u := &Unpacker{}
	u.Reset(first)
	level, burst := 0, 0
	for i := range int64(n) {
		if variable {
			h.Bitrate = rapid.SampledFrom(Bitrates(h.Version)[:12]).Draw(t, name+" bitrate")
		}
		f, err := ParseFrame(emptyFrame(h))
		if err != nil {
			t.Fatal(err)
		}
		f.Begin = min(level, f.Most)
		// Few values, so that frames are often the same in both.
		f.MainData = min(f.Begin+f.Slot, max(0, f.Slot+rapid.SampledFrom([]int{-30, 30, 0, -5, 200, -200}).Draw(t, name+" more")))
		if burst--; burst < 0 && like != nil {
			burst = rapid.SampledFrom([]int{0, 1, 2, 6}).Draw(t, name+" alike")
		}
		if n := first + i; burst > 0 && n < like.End() {
			f.MainData = min(f.Begin+f.Slot, like.Frame(n).MainData)
		}
		f.Ends = uint8(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 2}).Draw(t, name+" ends"))
		level = f.Begin + f.Slot - f.MainData
		u.frames = append(u.frames, f)
		u.starts = append(u.starts, len(u.data))
		u.data = append(u.data, make([]byte, f.Slot)...)
	}
	return u
}

// fits reports whether the frames of an encoder from n on can be laid at a level,
// by laying them, up to last, and with what that one had left for those to come.
func fits(u *Unpacker, n, last int64, level int) bool {
	for ; n < last; n++ {
		if level = u.Frame(n).After(level); level < 0 {
			return false
		}
	}
	return level >= u.Frame(last).Begin
}

// TestSplice compares Splice with the plain reading of its rules, and lays what it
// says can be laid.
func TestSplice(t *testing.T) {
	found, none := 0, 0
	property := func(t *rapid.T) {
		leftFrames := rapid.IntRange(20, 60).Draw(t, "left")
		h := rapid.SampledFrom([]Header{
			{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100, Mode: JointStereo},
			{Version: MPEG1, Layer: 3, Bitrate: 320, SampleRate: 32000, Mode: JointStereo},
			{Version: MPEG2, Layer: 3, Bitrate: 8, SampleRate: 24000, Mode: Mono},
		}).Draw(t, "header")
		variable := rapid.SampledFrom([]bool{false, false, true}).Draw(t, "variable")
		left := encoderFrom(t, "left", h, variable, 0, leftFrames, nil)
		first := int64(rapid.SampledFrom([]int{0, 2, 7, 10, leftFrames - 5}).Draw(t, "first"))
		right := encoderFrom(t, "right", h, variable, first, rapid.IntRange(1, 70).Draw(t, "right"), left)
		to := int64(rapid.IntRange(2, leftFrames+3).Draw(t, "to"))
		from := max(2, to-int64(rapid.IntRange(0, 16).Draw(t, "window")))
		near := int64(rapid.IntRange(0, leftFrames).Draw(t, "near"))
		if from >= left.End() {
			t.Skip()
		}
		var frames [][]byte
		p := NewPacker(func(b []byte) error { frames = append(frames, bytes.Clone(b)); return nil })
		for n := range from {
			if err := p.Add(left.Frame(n), left.Main(n)); err != nil {
				t.Fatal(err)
			}
		}
		level := p.Level()

		want, least := int64(-1), 0
		at := level
		for n := from; n <= min(to, left.End(), right.End()-1); n++ {
			if n > from {
				at = left.Frame(n - 1).After(at)
			}
			if n-1 < first || left.Frame(n-1).Ends != right.Frame(n-1).Ends || !fits(right, n, min(to+Lookahead, right.End()-1), at) {
				continue
			}
			alike := func(n int64) bool {
				return n >= first && left.Frame(n).same(right.Frame(n)) && bytes.Equal(left.Main(n), right.Main(n))
			}
			if alike(n-1) && alike(n-2) {
				want = n
				break
			}
			lost := at - right.Frame(n).Begin
			if want < 0 || lost < least || lost == least && max(n-near, near-n) < max(want-near, near-want) {
				want, least = n, lost
			}
		}
		got, ok := Splice(left, right, level, from, to, near)
		if ok != (want >= 0) || ok && got != want {
			t.Fatalf("splice at %d, %v; want %d", got, ok, want)
		}
		if !ok {
			none++
			return
		}
		found++
		for n := from; n < got; n++ {
			if err := p.Add(left.Frame(n), left.Main(n)); err != nil {
				t.Fatalf("left's frame %d: %v", n, err)
			}
		}
		for n := got; n < right.End(); n++ {
			if err := p.Add(right.Frame(n), right.Main(n)); err != nil {
				t.Fatalf("right's frame %d, spliced at %d: %v", n, got, err)
			}
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		if int64(len(frames)) != right.End() {
			t.Fatalf("%d frames, want %d", len(frames), right.End())
		}
	}
	for range 20 { // a hundred sequences each, in a second
		rapid.Check(t, property)
	}
	if !t.Failed() && (found < 10 || none < 10) {
		t.Errorf("%d splices found, %d times none", found, none)
	}
}

// TestSpliceSelf: two encoders that make the same are spliced at once, and the
// result is what one makes.
func TestSpliceSelf(t *testing.T) {
	e := encodings()[8]
	frames, _ := splitInfo(t, lame(t, chirp(e.rate, e.channels(), 4*e.rate), e.args()...))
	var left, right Unpacker
	for _, f := range frames {
		if err := left.Add(f.data); err != nil {
			t.Fatal(err)
		}
		if err := right.Add(f.data); err != nil {
			t.Fatal(err)
		}
	}
	var out []byte
	p := NewPacker(func(b []byte) error { out = append(out, b...); return nil })
	const from = 40
	for n := range int64(from) {
		if err := p.Add(left.Frame(n), left.Main(n)); err != nil {
			t.Fatal(err)
		}
	}
	n, ok := Splice(&left, &right, p.Level(), from, from+16, from)
	if !ok || n != from {
		t.Fatalf("splice at %d, %v; want %d", n, ok, from)
	}
	for ; n < right.End(); n++ {
		if err := p.Add(right.Frame(n), right.Main(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(framesOf(t, out), relaid(t, frames), func(a, b frame) bool { return bytes.Equal(a.data, b.data) }) {
		t.Error("not the same stream")
	}
}
