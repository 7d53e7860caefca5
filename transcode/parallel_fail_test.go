package transcode

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// mono is the cheapest configuration.
var mono = encoderConfig{encoding: CBR(64), rate: 22050, channels: 1, format: astiav.SampleFormatS16P}

// within fails the test, rather than let it hang, when f takes too long.
func within(t *testing.T, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	select {
	case <-done:
	case <-time.After(40 * time.Second):
		t.Fatal("it does not end")
	}
	if err := ctx.Err(); err != nil {
		t.Fatal("it did not end by itself")
	}
}

// never is a splice that is never found.
func never(_, _ *mp3.Unpacker, _ int, _, _, _ int64) (int64, bool) { return 0, false }

// TestUnspliced: where no splice is ever found, the result is that of one encoder,
// byte for byte, whatever the lengths of stream and chunks.
func TestUnspliced(t *testing.T) {
	t.Parallel()
	for _, v := range []encoderConfig{mono, {encoding: VBR(4), rate: 44100, channels: 2, format: astiav.SampleFormatFltp}} {
		size := blockSize(v.rate)
		for _, test := range []struct {
			frames  int64
			samples int
			in      int // chunks in vain; -1 where that depends on the end
		}{
			{98, 500 * size, 4},
			{147, 600 * size, 3},
			{196, 600 * size, 2},
			{196, 601*size + 1, 2},
			{245, 800*size - 1, 2},
			{400, 500 * size, 0},
		} {
			if v.channels == 2 && test.frames != 196 {
				continue // takes three times as long
			}
			p := cachedSound(t, "music", v.rate, v.channels, test.samples)
			want := relay(t, encodeSerial(t, v, p))
			for _, most := range []int{2, 3} {
				within(t, func(ctx context.Context) {
					got, err := engine{plan: small(test.frames), most: most, splice: never}.run(ctx, v, p)
					if err != nil {
						t.Error(err)
						return
					}
					if !slices.EqualFunc(got.frames, want.frames, slices.Equal) {
						t.Errorf("%v, chunks of %d, %d samples: not what one encoder makes", v.encoding, test.frames, test.samples)
					}
					if got.in != test.in || len(got.splices) != 0 {
						t.Errorf("%v, chunks of %d, %d samples: %d unspliced, %d splices", v.encoding, test.frames, test.samples, got.in, len(got.splices))
					}
				})
			}
		}
	}
}

// TestHeldBack: with the smallest frames there are, LAME holds back up to 85
// of them; there is a splice nonetheless, and an end without any.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	for _, v := range []encoderConfig{
		{encoding: VBR(9), rate: 24000, channels: 2, format: astiav.SampleFormatS16P},
		{encoding: VBR(4), rate: 22050, channels: 1, format: astiav.SampleFormatFltp},
		{encoding: ABR(8), rate: 24000, channels: 2, format: astiav.SampleFormatFltp},
	} {
		for _, kind := range []string{"silence", "pauses"} {
			p := cachedSound(t, kind, v.rate, v.channels, 600*576)
			serial := encodeSerial(t, v, p)
			for _, most := range []int{0, 3} {
				for _, refused := range []int{0, 3, 1000} {
					within(t, func(ctx context.Context) {
						n := 0
						g := engine{plan: small(200), most: most, splice: func(left, right *mp3.Unpacker, level int, from, to, near int64) (int64, bool) {
							if n++; n%(refused+1) != 0 {
								return 0, false
							}
							return mp3.Splice(left, right, level, from, to, near)
						}}
						got, err := g.run(ctx, v, p)
						if err != nil {
							t.Errorf("%v, %s, %d encoders, %d refused: %v", v.encoding, kind, most, refused, err)
							return
						}
						checkWhole(t, v, 600*576, got)
						checkStreams(t, v, serial, got)
						if most > 0 && refused == 0 && (len(got.splices) < 2 || got.in != 0) {
							t.Errorf("%v, %s, %d encoders: %d splices, %d unspliced", v.encoding, kind, most, len(got.splices), got.in)
						}
					})
				}
			}
		}
	}
}

// TestSpliceLate: where the first places to splice are refused, a later one is
// taken, and nothing is lost.
func TestSpliceLate(t *testing.T) {
	t.Parallel()
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	serial := encodeSerial(t, mono, p)
	for refused := range 12 {
		n := 0
		splice := func(left, right *mp3.Unpacker, level int, from, to, near int64) (int64, bool) {
			if n++; n <= refused {
				return 0, false
			}
			n = 0
			return mp3.Splice(left, right, level, from, to, near)
		}
		within(t, func(ctx context.Context) {
			got, err := engine{plan: small(196), most: 2, splice: splice}.run(ctx, mono, p)
			if err != nil {
				t.Error(err)
				return
			}
			if len(got.frames) != len(serial.frames) || got.bytes() != serial.bytes() {
				t.Errorf("%d refused: %d frames of %d bytes, want %d of %d", refused, len(got.frames), got.bytes(), len(serial.frames), serial.bytes())
			}
			// The last chunk may be too short to try so often.
			if refused == 0 && len(got.splices) != 3 || got.in == 0 && len(got.splices) < 2 {
				t.Errorf("%d refused: %d splices, %d unspliced", refused, len(got.splices), got.in)
			}
		})
	}
}

// gate is a pool whose size can be changed.
type gate struct {
	pool *pool
	n    atomic.Int64
}

func newGate(n int64) *gate {
	g := &gate{}
	g.n.Store(n)
	g.pool = &pool{size: func() int { return int(g.n.Load()) }}
	return g
}

func (g *gate) open(n int64) {
	g.n.Store(n)
	g.pool.mu.Lock()
	g.pool.grant()
	g.pool.mu.Unlock()
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("still not: %s", what)
		}
	}
}

// waits returns how many wait for a turn.
func (g *gate) waits() int {
	g.pool.mu.Lock()
	defer g.pool.mu.Unlock()
	return len(g.pool.waiting)
}

// TestAbandoned: an encoder that is told in the middle of its work that its chunk
// is not wanted any more, and then to stop, is freed. Not parallel: it counts
// owners.
func TestAbandoned(t *testing.T) {
	leavesNothing(t)
	g := newGate(0)
	e := newParallelEncoder(t.Context(), mono, small(196), g.pool, 2, func() (*astiav.Frame, error) { return newBlock(mono) }, (&encoded{}).emit)
	stopped := errors.New("stopped")
	err := feed(e, mono, cachedSound(t, "music", mono.rate, 1, 220*576), 110, func() error {
		if e.blocks.end < 220 {
			return nil
		}
		until(t, "two encoders at work", func() bool { return g.waits() == 2 })
		e.mu.Lock()
		c := e.chunks[1]
		e.chunks = e.chunks[:1]
		e.abandon(c)
		e.mu.Unlock()
		return stopped
	})
	if !errors.Is(err, stopped) {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { e.close(); close(closed) }()
	until(t, "told to stop", func() bool { return e.stop.Load() == 1 })
	g.open(2)
	<-closed
}

// TestFailedThenAbandoned: a worker that could not go on leaves nothing to those who
// give up its chunk later, and think that it is still at it.
func TestFailedThenAbandoned(t *testing.T) {
	leavesNothing(t)
	e := newParallelEncoder(t.Context(), mono, small(196), poolOf(1), 1, func() (*astiav.Frame, error) { return newBlock(mono) }, (&encoded{}).emit)
	defer e.close()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	g := e.share.pool
	if err := e.share.enter(t.Context()); err != nil { // nobody else gets a turn
		t.Fatal(err)
	}
	e.ctx, e.ended = canceled, true
	c := &chunk{end: 196, taken: true}
	e.mu.Lock()
	err := e.run(c)
	e.abandon(c)
	e.mu.Unlock()
	e.share.leave()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if g.running != 0 {
		t.Errorf("%d turns are left", g.running)
	}
}

// TestCanceled: the error is the context's, whoever notices first.
func TestCanceled(t *testing.T) {
	t.Parallel()
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	for _, test := range []struct {
		name   string
		splice func(_, _ *mp3.Unpacker, _ int, _, _, _ int64) (int64, bool)
	}{{"spliced", nil}, {"unspliced", never}} {
		for _, at := range []int{1, 2, 50, 100, 170, 200, 250, 300, 400, 600} {
			t.Run(fmt.Sprintf("%s/%d", test.name, at), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				s := &encoded{}
				var e *parallelEncoder
				g := engine{plan: small(196), most: 2, splice: test.splice, each: func(p *parallelEncoder) error { e = p; return nil }}
				err := g.runTo(ctx, mono, p, s, func(b []byte) error {
					_ = s.emit(b)
					if len(s.frames) == at {
						cancel(nil)
						until(t, "told to stop", func() bool { return e.stop.Load() == 1 })
					}
					return nil
				})
				if err != context.Canceled {
					t.Errorf("error %v", err)
				}
				if n := len(s.frames); n > at+256 {
					t.Errorf("%d frames, canceled at %d", n, at)
				}
			})
		}
	}
}

// TestStopAfterError: encoders are stopped after it is known why, so that nobody
// takes their stopping for the cause.
func TestStopAfterError(t *testing.T) {
	t.Parallel()
	e := newParallelEncoder(t.Context(), mono, small(196), poolOf(1), 2, func() (*astiav.Frame, error) { return newBlock(mono) }, (&encoded{}).emit)
	e.mu.Lock()
	failed := make(chan struct{})
	go func() { e.fail(errFull); close(failed) }()
	for range 1000 {
		runtime.Gosched()
	}
	time.Sleep(5 * time.Millisecond) // in which the fault, if there is one, shows
	if e.stop.Load() != 0 {
		t.Error("stopped without an error")
	}
	e.mu.Unlock()
	<-failed
	e.close()
	if e.err != errFull || e.stop.Load() == 0 {
		t.Errorf("error %v, stop %d", e.err, e.stop.Load())
	}
}

// TestCanceledInTurn: who waits for a turn, or for the encoders, does so no longer
// than its context allows.
func TestCanceledInTurn(t *testing.T) {
	t.Parallel()
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	for _, most := range []int{0, 3} {
		g := newGate(2)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		got := make(chan error)
		go func() {
			e := engine{plan: small(196), most: most, pool: g.pool, each: func(*parallelEncoder) error { g.n.Store(0); return nil }}
			_, err := e.run(ctx, mono, p)
			got <- err
		}()
		until(t, "waits for a turn", func() bool { return g.waits() > 0 })
		cancel(nil)
		if err := <-got; err != context.Canceled {
			t.Errorf("most %d: error %v", most, err)
		}
		if n := g.waits(); n != 0 || g.pool.running != 0 {
			t.Errorf("most %d: %d wait, %d run", most, n, g.pool.running)
		}
	}
}

var errFull = errors.New("the disk is full")

// TestDestinationFails: the destination's error comes back as it is, in every phase,
// and ends the work.
func TestDestinationFails(t *testing.T) {
	leavesNothing(t)
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	for _, splice := range []func(_, _ *mp3.Unpacker, _ int, _, _, _ int64) (int64, bool){nil, never} {
		for _, most := range []int{0, 3} {
			for _, at := range []int{1, 163, 164, 180, 300, 600, 701} {
				within(t, func(ctx context.Context) {
					s := &encoded{}
					err := engine{plan: small(196), most: most, splice: splice}.runTo(ctx, mono, p, s, func(b []byte) error {
						if len(s.frames) == at {
							return errFull
						}
						return s.emit(b)
					})
					if err != errFull || len(s.frames) != at {
						t.Errorf("%d encoders, at frame %d: error %v after %d", most, at, err, len(s.frames))
					}
				})
			}
		}
	}
}

// TestDestinationPanics: the caller's writer may panic; that comes through.
func TestDestinationPanics(t *testing.T) {
	leavesNothing(t)
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	for _, at := range []int{1, 200, 698} {
		s := &encoded{}
		got := func() (r any) {
			defer func() { r = recover() }()
			_ = engine{plan: small(196), most: 2}.runTo(t.Context(), mono, p, s, func(b []byte) error {
				if len(s.frames) == at {
					panic(errFull)
				}
				return s.emit(b)
			})
			return nil
		}()
		if got != errFull {
			t.Errorf("at frame %d: %v", at, got)
		}
	}
}

// TestEncoderFails: a LAME that can't be opened, the first or a later one, is an
// error, and so is want of memory for blocks.
func TestEncoderFails(t *testing.T) {
	leavesNothing(t)
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	for _, most := range []int{0, 2, 3} {
		for _, at := range []int{0, 12} {
			within(t, func(ctx context.Context) {
				n := -1
				each := func(e *parallelEncoder) error {
					if n++; n == at {
						e.mu.Lock()
						e.config.format = astiav.SampleFormatU8P // no LAME takes it
						e.mu.Unlock()
					}
					return nil
				}
				_, err := engine{plan: small(196), most: most, each: each}.run(ctx, mono, p)
				// As many as are idle may be one, which needs no second LAME.
				if (err == nil && (most > 0 || at == 0)) || errors.Is(err, errClosed) {
					t.Errorf("%d encoders, from batch %d: error %v", most, at, err)
				}
			})
		}
		within(t, func(ctx context.Context) {
			n := 0
			fresh := func() (*astiav.Frame, error) {
				if n++; n > 100 {
					return nil, errNoMemory
				}
				return newBlock(mono)
			}
			_, err := engine{plan: small(196), most: most, each: func(e *parallelEncoder) error { e.fresh = fresh; return nil }}.run(ctx, mono, p)
			if err != errNoMemory {
				t.Errorf("%d encoders: error %v", most, err)
			}
		})
	}
}

// TestClosedEarly: an encoder can be closed at any time.
func TestClosedEarly(t *testing.T) {
	leavesNothing(t)
	p := cachedSound(t, "music", mono.rate, 1, 700*576)
	for _, most := range []int{0, 2, 3} {
		for at := range 44 {
			n := -1
			_, err := engine{plan: small(196), most: most, each: func(*parallelEncoder) error {
				if n++; n > at {
					return errFull
				}
				return nil
			}}.run(t.Context(), mono, p)
			if at < 43 && err != errFull {
				t.Error(err)
			}
		}
	}
	e := newParallelEncoder(t.Context(), mono, small(196), poolOf(2), 2, nil, nil)
	e.close()
}
