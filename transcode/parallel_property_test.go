package transcode

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// unsteady is a pool whose turns come late, as they would on a busy machine.
func unsteady(n int, seed uint64) *pool {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 1))
	return &pool{size: func() int {
		mu.Lock()
		d := time.Duration(rnd.ExpFloat64()*1e5) * time.Duration(rnd.IntN(2))
		mu.Unlock()
		time.Sleep(d)
		return n
	}}
}

// TestProperties: any sound in any chunks by any number of encoders, canceled or
// not, spliced or not: it ends, with as many frames as there must be or the
// context's error; it keeps no more blocks than it may; nothing is left behind; and
// if the number of encoders was asked for, the bytes depend on the sound and the
// chunks alone.
func TestProperties(t *testing.T) {
	configs := []encoderConfig{
		mono, mono,
		{VBR(4), 22050, 1, astiav.SampleFormatFltp},
		{ABR(48), 16000, 1, astiav.SampleFormatS32P},
		{CBR(32), 44100, 1, astiav.SampleFormatFltp},
		{VBR(0), 44100, 2, astiav.SampleFormatS16P},
		{CBR(160), 48000, 2, astiav.SampleFormatFltp},
	}
	const longest = 420
	sounds := map[string]pcm{}
	for _, v := range configs {
		for _, kind := range []string{"music", "castanets", "pauses"} {
			sounds[fmt.Sprint(v.rate, v.channels, kind)] = cachedSound(t, kind, v.rate, v.channels, longest*blockSize(v.rate))
		}
	}
	var lengths []int
	for n := range longest {
		lengths = append(lengths, longest-n)
	}
	before, splices := owners.Load(), 0
	rapid.Check(t, func(rt *rapid.T) {
		v := rapid.SampledFrom(configs).Draw(rt, "config")
		kind := rapid.SampledFrom([]string{"music", "castanets", "pauses"}).Draw(rt, "sound")
		size := blockSize(v.rate)
		// Not an IntRange, which would mostly be short.
		samples := max(0, rapid.SampledFrom(lengths).Draw(rt, "frames")*size-rapid.IntRange(0, size-1).Draw(rt, "missing"))
		chunks := rapid.Int64Range(1, 3).Draw(rt, "chunks")
		pl := plan{frames: chunks*rapid.Int64Range(98, 250).Draw(rt, "length") + rapid.Int64Range(0, chunks-1).Draw(rt, "rest"), chunks: chunks, warmup: warmup}
		refused := rapid.SampledFrom([]int{0, 0, 0, 1, 3, 1000}).Draw(rt, "refused")
		cancelAt := rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 50, 150, 250, 400}).Draw(rt, "cancel")
		p := sounds[fmt.Sprint(v.rate, v.channels, kind)].first(samples)

		once := func(i int) *encoded {
			most := rapid.SampledFrom([]int{0, 1, 2, 3, 5}).Draw(rt, fmt.Sprintf("encoders %d", i))
			if i == 1 {
				most = max(most, 1)
			}
			n := rapid.SampledFrom([]int{1, 2, 3, 8}).Draw(rt, fmt.Sprintf("pool %d", i))
			g := engine{plan: pl, most: most, pool: unsteady(n, rapid.Uint64().Draw(rt, "seed")), batch: rapid.IntRange(1, 40).Draw(rt, fmt.Sprintf("batch %d", i))}
			if refused > 0 {
				tried := 0
				g.splice = func(left, right *mp3.Unpacker, level int, from, to, near int64) (int64, bool) {
					if tried++; tried%(refused+1) != 0 {
						return 0, false
					}
					return mp3.Splice(left, right, level, from, to, near)
				}
			}
			g.each = func(e *parallelEncoder) error {
				e.mu.Lock()
				defer e.mu.Unlock()
				if most := roomFor(e); e.blocks.len() > most || int64(len(e.blocks.spare))+e.blocks.len() > most+int64(g.batch) {
					rt.Fatalf("%d blocks and %d to write to, where %d are allowed", e.blocks.len(), len(e.blocks.spare), most)
				}
				return nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			s := &encoded{}
			err := g.runTo(ctx, v, p, s, func(b []byte) error {
				if len(s.frames) == cancelAt {
					cancel()
				}
				return s.emit(b)
			})
			if err != nil && (!errors.Is(err, context.Canceled) || cancelAt < 0 || len(s.frames) < cancelAt) {
				rt.Fatalf("error %v after %d frames", err, len(s.frames))
			}
			if n := owners.Load() - before; n != 0 {
				rt.Fatalf("%d owners of C memory are left", n)
			}
			if err == nil {
				checkWhole(&quietly{TB: t, fail: rt.Fatalf}, v, samples, s)
			}
			splices += len(s.splices)
			return s
		}
		once(0)
		if cancelAt < 0 {
			b, c := once(1), once(1)
			if !slices.EqualFunc(b.frames, c.frames, slices.Equal) {
				rt.Fatalf("other bytes at the second time: %d and %d frames, splices %v and %v", len(b.frames), len(c.frames), b.splices, c.splices)
			}
		}
	})
	if !t.Failed() && splices < 50 {
		t.Errorf("only %d splices", splices)
	}
	t.Log(splices, "splices")
}

// roomFor is how many blocks an encoder may ever keep.
func roomFor(e *parallelEncoder) int64 {
	return int64(e.most-1)*e.plan.length() + max(2*e.plan.warmup+mp3.Lookahead+heldBack+workerBatch, e.plan.length()/4)
}

// quietly reports failures elsewhere.
type quietly struct {
	testing.TB
	fail func(string, ...any)
}

func (q *quietly) Fatalf(format string, a ...any) { q.fail(format, a...) }
func (q *quietly) Errorf(format string, a ...any) { q.fail(format, a...) }
func (q *quietly) Helper()                        {}
