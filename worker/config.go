package worker

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// Config of a worker and its sweeper. The zero value of each field is a good
// default.
type Config struct {
	// Name of this worker in rows and logs. Default "worker"; give each process
	// its own.
	Name string
	// Lease is how long an attempt holds its job without a sign of life. Default
	// 30 s.
	Lease time.Duration
	// Heartbeat is how often an attempt gives one, tells its progress and learns of
	// its cancellation. Default 400 ms; at most a fifth of Lease.
	Heartbeat time.Duration
	// Timeout of one attempt. Default 2 h.
	Timeout time.Duration
	// MaxTries is how many attempts may fail for reasons that are not the source's
	// before the job fails. Default 5.
	MaxTries int
	// Backoff is the delay after the first failed attempt; it doubles with each
	// further one up to MaxBackoff, give or take a quarter. Defaults 5 s and 5 min.
	Backoff, MaxBackoff time.Duration
	// Retention of an ended job's files. Default 7 days.
	Retention time.Duration
	// Parallelism is how many encoders may work on one job: see
	// [transcode.Options]. 0 leaves none idle while there is work, and gives each job
	// its processor when there are as many.
	Parallelism int
	// Slots is how many jobs are handled at the same time, for the metrics: who calls
	// Handle sees to it.
	Slots int
	// Limits of a conversion.
	Limits transcode.Limits
	// Sweep is about the sweeper.
	Sweep SweepConfig
	// Logger of what becomes of jobs. nil logs nothing.
	Logger *slog.Logger
	// Metrics gets the counters; nil is nobody.
	Metrics prometheus.Registerer
}

// SweepConfig says how often a sweeper looks and what it takes for lost. The zero
// value of each field is a good default.
type SweepConfig struct {
	// Interval between two sweeps. Default 5 s.
	Interval time.Duration
	// Stale is how old the last word to the queue about a job must be before it is
	// said again. Default 20 s.
	Stale time.Duration
	// QueueSince is for a queue that began empty, as that of a system in one process
	// does at each start: all that was said to a queue before this time is said again
	// at once. The zero time is a queue that outlives its processes.
	QueueSince time.Time
	// Batch is the most jobs of one kind, and the most objects, that a sweep asks for at
	// once, and the most jobs that it tells the queue of. Default 500.
	Batch int
	// Keep is how long the row of an expired job stays for its owner to see.
	// Default 30 days.
	Keep time.Duration
	// AuditRetention is how long the entries of the audit log of jobs are kept. 0 is for
	// ever.
	AuditRetention time.Duration
	// OrphanAge is how old an object must be before it may count as nobody's.
	// Default 1 h, and more than any upload or attempt needs between writing an
	// object and its row.
	OrphanAge time.Duration
	// OrphanInterval between two walks through the bucket. Default 1 h.
	OrphanInterval time.Duration
}

// DefaultTimeout is that of [Config].Timeout.
const DefaultTimeout = 2 * time.Hour

func (c Config) withDefaults() Config {
	standard(&c.Name, "worker")
	standard(&c.Lease, 30*time.Second)
	standard(&c.Heartbeat, min(400*time.Millisecond, c.Lease/5))
	standard(&c.Timeout, DefaultTimeout)
	standard(&c.MaxTries, 5)
	standard(&c.Backoff, 5*time.Second)
	standard(&c.MaxBackoff, 5*time.Minute)
	standard(&c.Retention, 7*24*time.Hour)
	standard(&c.Sweep.Interval, 5*time.Second)
	standard(&c.Sweep.Stale, 20*time.Second)
	standard(&c.Sweep.Batch, 500)
	standard(&c.Sweep.Keep, 30*24*time.Hour)
	standard(&c.Sweep.OrphanAge, time.Hour)
	standard(&c.Sweep.OrphanInterval, time.Hour)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func standard[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case min(c.Lease, c.Heartbeat, c.Timeout, c.Backoff, c.MaxBackoff, c.Retention) < 0,
		min(c.Sweep.Interval, c.Sweep.Stale, c.Sweep.Keep, c.Sweep.AuditRetention, c.Sweep.OrphanAge, c.Sweep.OrphanInterval) < 0:
		return errors.New("worker: a time is negative")
	case c.Heartbeat > c.Lease/5:
		return errors.New("worker: the heartbeat must be at most a fifth of the lease")
	case c.MaxTries < 0 || c.Sweep.Batch < 0:
		return errors.New("worker: a number is negative")
	}
	return nil
}

// stale is how old the last word to the queue must be just now before it is said
// again.
func (c *SweepConfig) stale() time.Duration {
	if c.QueueSince.IsZero() {
		return c.Stale
	}
	return min(c.Stale, max(time.Since(c.QueueSince), 0))
}

// backoff is the delay after so many failed tries, at least 1.
func (c *Config) backoff(tries int) time.Duration {
	d := c.Backoff
	for ; tries > 1 && d < c.MaxBackoff; tries-- {
		d *= 2
	}
	d = min(d, c.MaxBackoff)
	return d*3/4 + rand.N(d/2+1)
}
