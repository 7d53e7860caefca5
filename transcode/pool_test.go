package transcode

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPoolProperties compares a pool with a model of it, through any sequence of
// asking for turns, giving up, ending turns, and changes of size.
func TestPoolProperties(t *testing.T) {
	t.Parallel()
	type request struct {
		of     int
		cancel context.CancelFunc
		got    chan error
	}
	rapid.Check(t, func(rt *rapid.T) {
		g := newGate(int64(rapid.IntRange(1, 4).Draw(rt, "size")))
		shares := make([]*share, rapid.IntRange(1, 4).Draw(rt, "shares"))
		for i := range shares {
			shares[i] = &share{pool: g.pool}
		}
		var running, waiting []*request // as they should be
		has := func(of int) int {
			n := 0
			for _, r := range running {
				if r.of == of {
					n++
				}
			}
			return n
		}
		grant := func() {
			for len(waiting) > 0 && len(running) < int(g.n.Load()) {
				first := slices.MinFunc(waiting, func(a, b *request) int { return has(a.of) - has(b.of) })
				waiting = slices.DeleteFunc(waiting, func(r *request) bool { return r == first })
				running = append(running, first)
				select {
				case err := <-first.got:
					if err != nil {
						rt.Fatal(err)
					}
				case <-time.After(10 * time.Second):
					rt.Fatalf("share %d does not get its turn", first.of)
				}
			}
		}
		defer func() {
			for _, r := range append(running, waiting...) {
				r.cancel()
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"enter": func(rt *rapid.T) {
				if len(waiting) > 6 {
					rt.Skip()
				}
				ctx, cancel := context.WithCancel(t.Context())
				r := &request{rapid.IntRange(0, len(shares)-1).Draw(rt, "share"), cancel, make(chan error, 1)}
				go func() { r.got <- shares[r.of].enter(ctx) }()
				waiting = append(waiting, r)
				if len(waiting) > 1 || len(running) >= int(g.n.Load()) {
					until(t, "in the queue", func() bool { return g.waits() == len(waiting) })
				}
				grant()
			},
			"leave": func(rt *rapid.T) {
				if len(running) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(running)-1).Draw(rt, "which")
				r := running[i]
				running = slices.Delete(running, i, i+1)
				r.cancel() // too late
				shares[r.of].leave()
				grant()
			},
			"give up": func(rt *rapid.T) {
				if len(waiting) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(waiting)-1).Draw(rt, "which")
				r := waiting[i]
				waiting = slices.Delete(waiting, i, i+1)
				r.cancel()
				if err := <-r.got; err != context.Canceled {
					rt.Fatal(err)
				}
			},
			"resize": func(rt *rapid.T) {
				g.open(int64(rapid.IntRange(1, 4).Draw(rt, "size")))
				grant()
			},
			"": func(rt *rapid.T) {
				p := g.pool
				p.mu.Lock()
				run, wait := p.running, len(p.waiting)
				p.mu.Unlock()
				if run != len(running) || wait != len(waiting) {
					rt.Fatalf("%d run and %d wait, want %d and %d", run, wait, len(running), len(waiting))
				}
				for i, s := range shares {
					if s.running != has(i) {
						rt.Fatalf("share %d has %d turns, want %d", i, s.running, has(i))
					}
				}
			},
		})
	})
}

// TestPoolJoin: there is room for as many encoders as there are processors, and for
// those that must work.
func TestPoolJoin(t *testing.T) {
	t.Parallel()
	p := poolOf(2)
	for _, step := range []struct{ must, joins, idle bool }{{false, true, true}, {false, true, false}, {false, false, false}, {true, true, false}} {
		if joins := p.join(step.must); joins != step.joins || p.idle() != step.idle {
			t.Fatalf("joined: %v, idle: %v, want %+v", joins, p.idle(), step)
		}
	}
	for _, idle := range []bool{false, true, true} {
		if p.quit(); p.idle() != idle {
			t.Fatalf("idle: %v", !idle)
		}
	}
}

// TestPoolFair: however many turns others ask for, who has none gets one as soon as
// one ends; and there are never more than there may be.
func TestPoolFair(t *testing.T) {
	t.Parallel()
	const size = 2
	p := poolOf(size)
	var running, most, stop atomic.Int64
	turn := func(s *share) error {
		if err := s.enter(t.Context()); err != nil {
			return err
		}
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(50 * time.Microsecond)
		running.Add(-1)
		s.leave()
		return nil
	}
	var wg sync.WaitGroup
	counts := make([]atomic.Int64, 3)
	for i, encoders := range []int{8, 1, 1} {
		s := &share{pool: p}
		for range encoders {
			wg.Go(func() {
				for stop.Load() == 0 {
					if err := turn(s); err != nil {
						t.Error(err)
						return
					}
					counts[i].Add(1)
				}
			})
		}
	}
	until(t, "many turns", func() bool { return counts[0].Load()+counts[1].Load()+counts[2].Load() > 3000 })
	stop.Store(1)
	wg.Wait()
	if most.Load() != size || p.running != 0 || len(p.waiting) != 0 {
		t.Errorf("%d turns at once, %d are left, %d wait", most.Load(), p.running, len(p.waiting))
	}
	// The lone encoders take turns that the eight of the other conversion would like
	// to have: nobody starves.
	all := counts[0].Load() + counts[1].Load() + counts[2].Load()
	for i := range counts {
		if n := counts[i].Load(); n < all/6 || n > all*2/3 {
			t.Errorf("conversion %d had %d turns of %d", i, n, all)
		}
	}
}

// crowd keeps a pool of two full, by four conversions that always want turns, until
// it is told to stop. There is always one that waits.
func crowd(t *testing.T, p *pool) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		s := &share{pool: p}
		p.join(true)
		wg.Go(func() {
			defer p.quit()
			for !stopped.Load() {
				if err := s.enter(context.Background()); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(20 * time.Microsecond)
				s.leave()
			}
		})
	}
	until(t, "crowded", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.waiting) >= 1 && p.running == 2 })
	return func() { stopped.Store(true); wg.Wait() }
}

// TestFullHouse: where all processors are busy, nothing is encoded twice: an encoder
// that is alone goes on from chunk to chunk, and makes what a single one makes.
func TestFullHouse(t *testing.T) {
	t.Parallel()
	for _, v := range []encoderConfig{mono, {encoding: VBR(2), rate: 44100, channels: 2, format: mono.format}} {
		p := cachedSound(t, "music", v.rate, v.channels, 700*blockSize(v.rate))
		want := relay(t, encodeSerial(t, v, p))
		pool := poolOf(2)
		stop := crowd(t, pool)
		within(t, func(ctx context.Context) {
			got, err := engine{plan: small(147), pool: pool}.run(ctx, v, p)
			if err != nil {
				t.Error(err)
				return
			}
			if len(got.splices) != 0 || got.in != 0 || !slices.EqualFunc(got.frames, want.frames, slices.Equal) {
				t.Errorf("%v: %d splices, %d unspliced, or other bytes", v.encoding, len(got.splices), got.in)
			}
		})
		stop()
	}
}

// TestMakesRoom: a conversion that has all processors has one of them once others
// come, and all again when they are gone; and no more than that.
func TestMakesRoom(t *testing.T) {
	t.Parallel()
	p := cachedSound(t, "music", mono.rate, 1, 6000*576)
	pool := poolOf(2)
	working := func(e *parallelEncoder) int {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.working
	}
	var stop func()
	stage := 0
	within(t, func(ctx context.Context) {
		got, err := engine{plan: small(147), pool: pool, each: func(e *parallelEncoder) error {
			n := working(e)
			if n > 2 {
				t.Errorf("%d encoders", n)
			}
			switch {
			case stage == 0 && n == 2:
				stop = crowd(t, pool)
				stage = 1
			case stage == 1 && n == 1:
				stop()
				stage = 2
			case stage == 2 && n == 2:
				stage = 3
			}
			return nil
		}}.run(ctx, mono, p)
		if stage != 3 {
			t.Errorf("stage %d", stage)
		}
		if err != nil {
			t.Error(err)
			return
		}
		checkWhole(t, mono, 6000*576, got)
		if len(got.splices) == 0 {
			t.Error("no splices")
		}
	})
}
