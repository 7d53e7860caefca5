//go:build !race

// The race detector allocates on its own account.

package transcode

import (
	"io"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
)

// TestSteadyAllocations: once a conversion runs, it allocates nothing for each
// frame: one of twice the length takes hardly more allocations.
func TestSteadyAllocations(t *testing.T) {
	// Mono at 16 kHz: 50 s of AAC, 262 s of PCM.
	const mib = 1 << 20
	aac := virtualFile{packets: 50 * 16000 / 1024, perChunk: 16, size: 64 * mib}
	pcm := virtualFile{pcm: true, size: 9 * mib}
	for _, test := range []struct {
		name    string
		file    virtualFile
		seconds [2]int
		options Options
	}{
		{"serial", aac, [2]int{20, 40}, Options{Parallelism: 1}},
		{"resampled", aac, [2]int{20, 40}, Options{Parallelism: 1, SampleRate: 44100, Channels: Stereo}},
		{"PCM", pcm, [2]int{20, 40}, Options{Parallelism: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			src, err := newVirtual(test.file)
			if err != nil {
				t.Fatal(err)
			}
			var allocs [2]float64
			var frames [2]int64
			for i, seconds := range test.seconds {
				o := test.options
				o.Duration = time.Duration(seconds) * time.Second
				allocs[i] = testing.AllocsPerRun(2, func() {
					r, err := Convert(t.Context(), io.Discard, src, &o)
					if err != nil {
						t.Fatal(err)
					}
					frames[i] = r.Frames
				})
			}
			more, longer := allocs[1]-allocs[0], frames[1]-frames[0]
			t.Logf("%.0f allocations for %d frames, %.0f for %d: %.3f a frame", allocs[0], frames[0], allocs[1], frames[1], more/float64(longer))
			if longer < 400 {
				t.Fatalf("only %d frames more in the longer one", longer)
			}
			if more > 40 {
				t.Errorf("%d frames more take %.0f allocations more", longer, more)
			}
		})
	}
}

// TestSteadyAllocationsParallel: several encoders allocate for each chunk, which
// brings an encoder of its own, and not for each frame. The chunks are of one
// length, since the sound in flight grows with that.
func TestSteadyAllocationsParallel(t *testing.T) {
	quiet()
	v := encoderConfig{encoding: CBR(32), rate: 16000, channels: 1, format: astiav.SampleFormatFltp}
	shape := resampler{to: target{rate: v.rate, channels: v.channels, block: blockSize(v.rate)}, format: v.format}
	encode := func(p plan) {
		made := int64(0)
		e := newParallelEncoder(t.Context(), v, p, &pool{size: func() int { return 2 }}, 2, shape.block,
			func([]byte) error { made++; return nil })
		defer e.close()
		blocks := make([]*astiav.Frame, batchBlocks)
		defer func() { (&blockQueue{blocks: blocks}).free() }()
		for i := range blocks {
			var err error
			if blocks[i], err = shape.block(); err != nil {
				t.Fatal(err)
			}
		}
		for n := int64(0); n < p.frames; n += batchBlocks {
			for i, b := range blocks {
				b.SetPts((n + int64(i)) * int64(shape.to.block))
				if err := silence(b); err != nil { // others come back
					t.Fatal(err)
				}
			}
			if err := e.encode(blocks); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.finish(); err != nil {
			t.Fatal(err)
		}
		if made < p.frames || int64(e.spliced+e.unspliced) != p.chunks-1 {
			t.Fatalf("%d frames, %d splices of %v", made, e.spliced, p)
		}
	}
	const length = 800 // frames of a chunk
	short, long := plan{frames: 6 * length, chunks: 6, warmup: warmup}, plan{frames: 12 * length, chunks: 12, warmup: warmup}
	few := testing.AllocsPerRun(1, func() { encode(short) })
	many := testing.AllocsPerRun(1, func() { encode(long) })
	each := (many - few) / float64(long.chunks-short.chunks)
	t.Logf("%.0f allocations for %d chunks, %.0f for %d: %.0f for each, %.3f a frame", few, short.chunks, many, long.chunks, each, each/length)
	if each > 100 {
		t.Errorf("%.0f allocations for each chunk of %d frames", each, length)
	}
}
