package mp3

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// makeFrame makes a frame with content that rnd chooses.
func makeFrame(h Header, rnd *rand.Rand) frame {
	data := make([]byte, h.FrameSize())
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	head := h.Bytes()
	copy(data, head[:])
	return frame{h, data}
}

// drawStream draws the frames of one stream. Bit rate, padding and joint stereo
// change from frame to frame.
func drawStream(t *rapid.T, minLen, maxLen int) []frame {
	h := layer3Headers().Draw(t, "stream")
	rnd := drawRand(t, "content")
	frames := make([]frame, rapid.IntRange(minLen, maxLen).Draw(t, "frames"))
	for i := range frames {
		h.Bitrate = Bitrates(h.Version)[rnd.IntN(14)]
		h.Padding = rnd.IntN(2) == 1
		h.ModeExtension = uint8(rnd.IntN(4))
		frames[i] = makeFrame(h, rnd)
	}
	return frames
}

// drawRand draws a source of bytes. Drawn one by one they would be likely to
// be 0xFF, and slow.
func drawRand(t *rapid.T, label string) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label), 0))
}

// drawGarbage draws bytes that hold no frames, though maybe a header like h,
// whose place is returned or else -1. The first byte is 0: nothing tells a
// header right behind a frame from a true one.
func drawGarbage(t *rapid.T, h Header) (b []byte, header int) {
	rnd := drawRand(t, "garbage")
	b = make([]byte, 1+rapid.IntRange(0, 3000).Draw(t, "length"))
	for i := range b[1:] {
		b[1+i] = byte(rnd.Uint32())
	}
	if len(b) <= headerSize || !rapid.Bool().Draw(t, "false header") {
		return b, -1
	}
	header = 1 + rnd.IntN(len(b)-headerSize)
	head := h.Bytes()
	copy(b[header:], head[:])
	return b, header
}

// maxKept is what a Framer may keep between pieces: two frames and the longest
// beginning of a tag.
const maxKept = 2*maxFrameSize + apeHeaderSize

// feed writes the stream in pieces of drawn sizes and returns the frames. It
// checks the promise about memory.
func feed(t *rapid.T, f *Framer, stream []byte) []frame {
	var got []frame
	largest := rapid.SampledFrom([]int{1, 7, 100, 1500, 100_000}).Draw(t, "largest piece")
	rnd := drawRand(t, "pieces")
	for len(stream) > 0 {
		n := min(1+rnd.IntN(largest), len(stream))
		f.Write(stream[:n])
		stream = stream[n:]
		got = append(got, drain(f)...)
		if kept := len(f.buf) - f.pos; kept > maxKept {
			t.Fatalf("%d bytes kept", kept)
		}
		if cap(f.buf) > 3*(maxKept+largest) {
			t.Fatalf("buffer of %d bytes for pieces of %d", cap(f.buf), largest)
		}
	}
	f.Flush()
	return append(got, drain(f)...)
}

func sameFrames(t interface{ Fatalf(string, ...any) }, got, want []frame) {
	if !slices.EqualFunc(got, want, func(a, b frame) bool { return a.header == b.header && bytes.Equal(a.data, b.data) }) {
		t.Fatalf("got %d frames that are not the %d written", len(got), len(want))
	}
}

func TestFramerPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawStream(t, 1, 12)
		var f Framer
		sameFrames(t, feed(t, &f, join(want)), want)
		if f.Skipped() != 0 || f.Err() != nil {
			t.Fatalf("skipped %d, error %v", f.Skipped(), f.Err())
		}
	})
}

// TestFramerGarbage has garbage before, between and after runs of frames. Runs
// have two frames at least: a single one amid garbage cannot be confirmed.
func TestFramerGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawStream(t, 2, 12)
		var stream []byte
		var skipped int64
		var starts, falseEnds []int // of frames, and of what the false headers claim
		litter := func() {
			g, header := drawGarbage(t, all[0].header)
			if header >= 0 {
				falseEnds = append(falseEnds, len(stream)+header+len(all[0].data))
			}
			stream = append(stream, g...)
			skipped += int64(len(g))
		}
		for i, run := 0, 0; i < len(all); i++ {
			if run == 0 {
				if rapid.Bool().Draw(t, "litter") {
					litter()
				}
				run = len(all) - i
				if run >= 4 {
					run = rapid.IntRange(2, run-2).Draw(t, "run")
				}
			}
			run--
			starts = append(starts, len(stream))
			stream = append(stream, all[i].data...)
		}
		if rapid.Bool().Draw(t, "litter at the end") {
			litter()
		}
		starts = append(starts, len(stream))
		for _, end := range falseEnds {
			if slices.Contains(starts, end) {
				t.Skip("a false header that is confirmed by chance")
			}
		}
		var f Framer
		sameFrames(t, feed(t, &f, stream), all)
		if f.Skipped() != skipped || f.Err() != nil {
			t.Fatalf("skipped %d, want %d; error %v", f.Skipped(), skipped, f.Err())
		}
	})
}

// TestFramerLoss takes bytes out of a frame: that one is lost, no other.
func TestFramerLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := drawStream(t, 6, 12)
		hurt := rapid.IntRange(2, len(frames)-3).Draw(t, "hurt")
		keep := rapid.IntRange(0, len(frames[hurt].data)-1).Draw(t, "keep")
		want := slices.Delete(slices.Clone(frames), hurt, hurt+1)
		if n := slices.Index(ends(frames[hurt+1:]), len(frames[hurt].data)-keep); n >= 0 {
			t.Skip("the header's frame ends where another does, so nothing looks wrong")
		}
		frames[hurt].data = frames[hurt].data[:keep]

		var f Framer
		sameFrames(t, feed(t, &f, join(frames)), want)
		if f.Skipped() != int64(keep) {
			t.Fatalf("skipped %d, want %d", f.Skipped(), keep)
		}
	})
}

// TestFramerCutHeader leaves three bytes of a frame. With the sync bits of the
// next one they make a header, within which that next one starts.
func TestFramerCutHeader(t *testing.T) {
	h := Header{Version: MPEG1, Layer: 3, Bitrate: 64, SampleRate: 44100, Mode: Mono}
	rnd := rand.New(rand.NewPCG(9, 10))
	var frames []frame
	for range 6 {
		frames = append(frames, makeFrame(h, rnd))
	}
	stream := slices.Concat(join(frames[:3]), frames[3].data[:3], join(frames[4:]))
	if _, err := ParseHeader(stream[3*h.FrameSize():]); err != nil {
		t.Fatalf("the test makes no header: %v", err)
	}
	var f Framer
	f.Write(stream)
	f.Flush()
	sameFrames(t, drain(&f), slices.Delete(frames, 3, 4))
}

// ends returns where each of the frames ends, counted from the first's start.
func ends(frames []frame) []int {
	all := make([]int, len(frames))
	n := 0
	for i, f := range frames {
		n += len(f.data)
		all[i] = n
	}
	return all
}

func testStream(n int) []frame {
	rnd := rand.New(rand.NewPCG(3, 4))
	h := Header{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100, Mode: JointStereo}
	frames := make([]frame, n)
	for i := range frames {
		h.Padding = i%3 == 0
		frames[i] = makeFrame(h, rnd)
	}
	return frames
}

// TestFramerWaits sees what Next returns before the stream has ended.
func TestFramerWaits(t *testing.T) {
	frames := testStream(2)
	first := frames[0].data
	var f Framer
	f.Write(first)
	if got := drain(&f); len(got) != 0 {
		t.Fatal("a frame without a second header was trusted")
	}
	f.Write(frames[1].data[:headerSize])
	sameFrames(t, drain(&f), frames[:1])
	f.Flush()
	if got := drain(&f); len(got) != 0 || f.Skipped() != headerSize {
		t.Fatalf("%d frames of a header, skipped %d", len(got), f.Skipped())
	}

	f = Framer{}
	f.Write(first)
	f.Flush()
	sameFrames(t, drain(&f), frames[:1])

	f = Framer{}
	f.Write(first)
	f.Write([]byte("no frame"))
	f.Flush()
	if got := drain(&f); len(got) != 0 {
		t.Fatal("a frame that garbage follows was trusted")
	}
}

// TestFramerJoined has two streams of different kinds one after the other.
func TestFramerJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frames := append(drawStream(t, 2, 4), drawStream(t, 2, 4)...)
		var f Framer
		sameFrames(t, feed(t, &f, join(frames)), frames)
	})
}

// TestFramerOtherLayers sees that no Layer II frame passes for Layer III.
func TestFramerOtherLayers(t *testing.T) {
	h := Header{Version: MPEG1, Layer: 2, Bitrate: 192, SampleRate: 48000}
	stream := bytes.Repeat(makeFrame(h, rand.New(rand.NewPCG(5, 6))).data, 5)
	var f Framer
	f.Write(stream)
	f.Flush()
	if got := drain(&f); len(got) != 0 || f.Skipped() != int64(len(stream)) {
		t.Errorf("%d frames, skipped %d", len(got), f.Skipped())
	}
}

func TestFramerFreeFormat(t *testing.T) {
	streams := [][]byte{
		lame(t, chirp(44100, 2, 22050), "--freeformat", "-b", "400"),
		lame(t, chirp(32000, 2, 16000), "--freeformat", "-b", "640"),
		lame(t, chirp(44100, 1, 22050), "--freeformat", "-b", "100", "-m", "m"),
	}
	rapid.Check(t, func(t *rapid.T) {
		stream := rapid.SampledFrom(streams).Draw(t, "stream")
		var f Framer
		if got := feed(t, &f, stream); len(got) != 0 || !errors.Is(f.Err(), ErrFreeFormat) {
			t.Fatalf("%d frames, error %v", len(got), f.Err())
		}
	})
	// One such header in garbage is no free-format stream.
	frames := testStream(4)
	var f Framer
	f.Write([]byte{0, 0xFF, 0xFB, 0x00, 0x64})
	f.Write(join(frames))
	f.Flush()
	sameFrames(t, drain(&f), frames)
}

func TestFramerAllocs(t *testing.T) {
	stream := join(testStream(100))
	var f Framer
	if n := testing.AllocsPerRun(10, func() { frameAll(t, &f, stream, 4096) }); n != 0 {
		t.Errorf("%v allocations for 100 frames", n)
	}
}

// frameAll runs the stream through f, which keeps its last frame back.
func frameAll(t testing.TB, f *Framer, stream []byte, piece int) {
	for b := range slices.Chunk(stream, piece) {
		f.Write(b)
		for {
			if _, _, ok := f.Next(); !ok {
				break
			}
		}
	}
	if f.Skipped() != 0 {
		t.Fatal("frames lost")
	}
}

func BenchmarkFramer(b *testing.B) {
	stream := join(testStream(100))
	var f Framer
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		frameAll(b, &f, stream, 4096)
	}
}

func FuzzFramer(f *testing.F) {
	frames := testStream(3)
	f.Add(join(frames), 100)
	f.Add(slices.Concat([]byte("ID3\x04\x00\x00\x00\x00\x00\x02xx"), join(frames), []byte("TAG")), 1)
	f.Add(bytes.Repeat([]byte{0xFF, 0xFB, 0x00, 0x64}, 40), 7)
	small := Header{Version: MPEG2, Layer: 3, Bitrate: 8, SampleRate: 24000}
	f.Add(bytes.Repeat(makeFrame(small, rand.New(rand.NewPCG(7, 8))).data, 9), 5)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		var whole, pieces Framer
		whole.Write(stream)
		want := drain(&whole)
		whole.Flush()
		want = append(want, drain(&whole)...)

		var got []frame
		for b := range slices.Chunk(stream, max(piece, 1)) {
			pieces.Write(b)
			got = append(got, drain(&pieces)...)
			if kept := len(pieces.buf) - pieces.pos; kept > maxKept {
				t.Fatalf("%d bytes kept", kept)
			}
		}
		pieces.Flush()
		got = append(got, drain(&pieces)...)
		sameFrames(t, got, want)
		if whole.Err() != pieces.Err() || whole.Skipped() != pieces.Skipped() {
			t.Fatalf("in pieces: %v, skipped %d; whole: %v, skipped %d",
				pieces.Err(), pieces.Skipped(), whole.Err(), whole.Skipped())
		}
		size := whole.Skipped()
		for _, fr := range want {
			if h, err := ParseHeader(fr.data); err != nil || h != fr.header || h.FrameSize() != len(fr.data) {
				t.Fatalf("frame %x: %v", fr.data[:headerSize], err)
			}
			size += int64(len(fr.data))
		}
		if size > int64(len(stream)) {
			t.Fatalf("%d bytes out of %d", size, len(stream))
		}
	})
}
