package cage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// Config of a cage. The zero value of each field is a good default.
type Config struct {
	// Memory that a child may use beside what an idle one has, in bytes. Default 512
	// MiB and 32 MiB for each processor: an encoder holds up to 17 MiB of sound.
	Memory int64
	// CPU is how much processor time a child may use. Default: no limit.
	CPU time.Duration
	// Silence is how long a child may work without a sign of it: that it reads, writes
	// or makes progress. Default 1 minute.
	Silence time.Duration
	// Metrics gets the cage's counters; nil is nobody.
	Metrics prometheus.Registerer
	// Strict refuses to convert on a kernel that lacks one of the [Locks]. The zero
	// value goes on with those that there are.
	Strict bool

	without string // locks to leave out, in tests
}

func (c Config) withDefaults() Config {
	if c.Memory == 0 {
		c.Memory = 512<<20 + 32<<20*int64(runtime.GOMAXPROCS(0))
	}
	if c.Silence == 0 {
		c.Silence = time.Minute
	}
	return c
}

// Cage converts in caged children. It is for any number of goroutines.
type Cage struct {
	cfg    Config
	locks  Locks
	spawn  *spawner
	counts *counts

	mu     sync.Mutex
	active int // children at work
}

// entered: this program has called [Enter].
var entered atomic.Bool

// New makes a cage. It starts a child to see what this kernel can lock; the error is a
// [*MissingError] if that is not all and the cage is to be strict. The program must
// call [Enter].
func New(ctx context.Context, cfg Config) (*Cage, error) {
	if !entered.Load() {
		// Its children would run all of it again, and have children.
		return nil, errors.New("cage: the program does not call Enter, or this system is not Linux")
	}
	counts, err := newCounts(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	c := &Cage{cfg: cfg.withDefaults(), spawn: newSpawner(), counts: counts}
	s, err := c.start(ctx)
	if err != nil {
		c.spawn.close()
		return nil, fmt.Errorf("cage: a caged process cannot be started: %w", err)
	}
	s.close()
	c.locks = s.locks
	if cfg.Strict && c.locks.Missing() != "" {
		c.spawn.close()
		return nil, &MissingError{c.locks}
	}
	return c, nil
}

// Locks are those that this kernel has.
func (c *Cage) Locks() Locks { return c.locks }

// Close ends the cage. No conversion may be under way.
func (c *Cage) Close() { c.spawn.close() }

// Convert is [transcode.Convert] in a caged child. Its errors are those of that, and
// a [*Fault] if the child did not end in order. No child outlives the call.
func (c *Cage) Convert(ctx context.Context, dst io.Writer, src io.ReadSeeker, opts *transcode.Options) (*transcode.Result, error) {
	began := time.Now()
	if opts == nil {
		opts = new(transcode.Options)
	}
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &transcode.Error{Op: "open", Err: err}
	}
	size, err := src.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, &transcode.Error{Op: "open", Err: err}
	}
	s, err := c.start(ctx)
	if err != nil {
		return nil, &transcode.Error{Op: "open", Err: err}
	}
	defer s.close()
	c.enter(1)
	defer c.enter(-1)
	s.src, s.size, s.pos, s.opts = src, size, size, opts
	s.output(dst)
	result, err := s.run(ctx)
	c.counts.ended(ctx, err)
	if result != nil {
		result.WallTime = time.Since(began)
	}
	return result, err
}

// enter counts the children at work.
func (c *Cage) enter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active += n
}

// encoders is how many encoders each child may have at work now: the processors are
// shared among the children, as those of one process share them.
func (c *Cage) encoders() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(1, runtime.GOMAXPROCS(0)/max(1, c.active))
}
