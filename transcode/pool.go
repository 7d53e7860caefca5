package transcode

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pool lets no more encoders run at once than there are processors, and shares
// these among the conversions of a process: a lone one may have all, and nobody
// waits while somebody else has more. An encoder takes a turn for every batch of
// blocks, some milliseconds.
type pool struct {
	size func() int // turns at once

	mu      sync.Mutex
	joined  int // encoders that have something to do, whether they have a turn or not
	running int
	waiting []*turn      // in the order in which they came
	hurry   atomic.Int32 // 1 while somebody waits
}

// turn is a request for one.
type turn struct {
	of    *share
	begin chan struct{}
}

// processors is the pool of this process. GOMAXPROCS can change while it runs, with
// the limits of a container.
var processors = &pool{size: encoders}

// encodersLimit is what LimitEncoders was told; 0 is no limit.
var encodersLimit atomic.Int64

// LimitEncoders sets how many encoders, those of all conversions of this process
// together, may be at work at the same time from now on, so that processes can share
// the processors of a machine. 0, the initial value, is as many as GOMAXPROCS; more
// than that are never at work.
func LimitEncoders(n int) { encodersLimit.Store(int64(max(0, n))) }

func encoders() int {
	n := runtime.GOMAXPROCS(0)
	if most := int(encodersLimit.Load()); most > 0 {
		return min(n, most)
	}
	return n
}

// share is what one conversion has of a pool.
type share struct {
	pool    *pool
	running int // of the conversion's encoders

	busy    time.Duration // of all encoders added up, until changed
	changed time.Time     // when running was last changed
}

// change adds to the encoders that run, under the pool's lock.
func (s *share) change(by int) {
	now := time.Now()
	s.busy += time.Duration(s.running) * now.Sub(s.changed)
	s.changed = now
	s.running += by
}

// took is how long encoders have had a turn, all added up.
func (s *share) took() time.Duration {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.change(0)
	return s.busy
}

// enter waits for a turn. It fails only with ctx's error.
func (s *share) enter(ctx context.Context) error {
	p := s.pool
	p.mu.Lock()
	if p.running < p.size() && len(p.waiting) == 0 {
		p.running++
		s.change(1)
		p.mu.Unlock()
		return nil
	}
	t := &turn{of: s, begin: make(chan struct{})}
	p.waiting = append(p.waiting, t)
	p.grant()
	p.mu.Unlock()
	select {
	case <-t.begin:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.waiting, t)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.grant()
	}
	p.mu.Unlock()
	if i < 0 { // it began just now
		s.leave()
	}
	return ctx.Err()
}

// leave ends a turn.
func (s *share) leave() {
	p := s.pool
	p.mu.Lock()
	p.running--
	s.change(-1)
	p.grant()
	p.mu.Unlock()
}

// grant lets those begin for whom there is room: first who has the least, and of
// those who came first.
func (p *pool) grant() {
	for len(p.waiting) > 0 && p.running < p.size() {
		first := 0
		for i, t := range p.waiting {
			if t.of.running < p.waiting[first].of.running {
				first = i
			}
		}
		t := p.waiting[first]
		p.waiting = slices.Delete(p.waiting, first, first+1)
		p.running++
		t.of.change(1)
		close(t.begin)
	}
	p.hurry.Store(int32(min(1, len(p.waiting))))
}

// idle reports whether there are processors for which nobody has work.
func (p *pool) idle() bool { return p.free() > 0 }

// free returns for how many processors nobody has work.
func (p *pool) free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.size()-p.joined)
}

// join says that an encoder has something to do from now on. Unless it must, it
// does so only if there is a processor for it, which it reports.
func (p *pool) join(must bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !must && p.joined >= p.size() {
		return false
	}
	p.joined++
	return true
}

// quit ends what join has begun.
func (p *pool) quit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined--
}
