package metrics

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/job"
)

// Leaser lends a name to one of many holders for a time.
type Leaser interface {
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	Unlease(ctx context.Context, name, holder string) error
}

// Fleet collects what all processes of a fleet would tell alike: how many jobs wait in
// the database, say. One of them does it for all: the first that is asked, for as long
// as it is asked. So the number of processes does not multiply the work of the parts that
// must be asked, and a process that nobody scrapes never keeps the lease.
//
// While one is lost the numbers are missing for a minute and a half at most; and when
// the lease changes hands two may tell them for a moment, so queries take the max of
// all.
type Fleet struct {
	lease  Leaser
	holder string
	log    *slog.Logger
	of     []prometheus.Collector

	failing atomic.Bool
}

const (
	leaseName    = "metrics"
	leaseTTL     = 90 * time.Second
	leaseTimeout = 2 * time.Second
)

// NewFleet returns a collector that collects from others while it has the lease. holder
// is a name of this process.
func NewFleet(lease Leaser, holder string, logger *slog.Logger, of ...prometheus.Collector) *Fleet {
	return &Fleet{lease: lease, holder: holder, log: logger, of: of}
}

// Describe implements [prometheus.Collector].
func (f *Fleet) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range f.of {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (f *Fleet) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
	defer cancel()
	ours, err := f.lease.Lease(ctx, leaseName, f.holder, leaseTTL)
	// Once when it begins: scrapes come four times a minute.
	if was := f.failing.Swap(err != nil); err != nil && !was {
		f.log.Warn("the lease of the metrics cannot be asked for", "error", err)
	}
	if err != nil || !ours {
		return
	}
	for _, c := range f.of {
		c.Collect(ch)
	}
}

// Close gives the lease back, so that another process tells the numbers at once.
func (f *Fleet) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
	defer cancel()
	if err := f.lease.Unlease(ctx, leaseName, f.holder); err != nil {
		f.log.Debug("the lease of the metrics was not given back", "error", err)
	}
	return nil
}

// Counter counts the jobs.
type Counter interface {
	// Waiting tells what is queued, by lane.
	Waiting(ctx context.Context) (map[job.Lane]job.Waiting, error)
	// Census counts all jobs by state.
	Census(ctx context.Context) (map[job.State]int64, error)
}

// Jobs tells how many jobs there are. A count is good for a while, and the longer the
// more it costs: each takes up at most a twentieth of one connection's time, however many
// rows there are and however often somebody asks. What waits is counted apart from all
// that is kept, so that many jobs of the past do not hide the queue.
type Jobs struct {
	states, waiting, oldest *prometheus.Desc
	errors                  *prometheus.CounterVec

	mu     sync.Mutex
	queued counted[map[job.Lane]job.Waiting]
	all    counted[map[job.State]int64]
}

const (
	waitingAge   = 10 * time.Second
	censusAge    = time.Minute
	countTimeout = 4 * time.Second // two of them are below the 10 s of a scrape
	countShare   = 20
)

// NewJobs returns a collector of the numbers of jobs.
func NewJobs(jobs Counter, logger *slog.Logger) *Jobs {
	c := &Jobs{
		states:  prometheus.NewDesc("mp3lathe_jobs", "Jobs in the database by state.", []string{"state"}, nil),
		waiting: prometheus.NewDesc("mp3lathe_queue_jobs", "Jobs that wait for a worker, by lane, whether Redis knows of them or not.", []string{"lane"}, nil),
		oldest:  prometheus.NewDesc("mp3lathe_queue_oldest_seconds", "How long the job has waited that has waited for longest of those that may run, by lane; 0 if there is none.", []string{"lane"}, nil),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mp3lathe_count_errors_total", Help: "Counts of the jobs in the database that failed or took too long: of what waits, or of all.",
		}, []string{"of"}),
	}
	c.queued = counted[map[job.Lane]job.Waiting]{count: jobs.Waiting, least: waitingAge, errors: c.errors.WithLabelValues("waiting"), log: logger}
	c.all = counted[map[job.State]int64]{count: jobs.Census, least: censusAge, errors: c.errors.WithLabelValues("all"), log: logger}
	return c
}

// Describe implements [prometheus.Collector].
func (c *Jobs) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.states
	ch <- c.waiting
	ch <- c.oldest
	c.errors.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (c *Jobs) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lanes, ok := c.queued.get(); ok {
		for _, lane := range job.Lanes() {
			w := lanes[lane]
			oldest := w.Oldest
			if oldest > 0 { // it has gone on to wait
				oldest += time.Since(c.queued.at)
			}
			ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(w.Jobs), LaneName(lane))
			ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest.Seconds(), LaneName(lane))
		}
	}
	if states, ok := c.all.get(); ok {
		for _, state := range job.States() {
			ch <- prometheus.MustNewConstMetric(c.states, prometheus.GaugeValue, float64(states[state]), string(state))
		}
	}
	c.errors.Collect(ch)
}

// counted is a count that is good for a while. It is for one goroutine at a time.
type counted[T any] struct {
	count  func(context.Context) (T, error)
	least  time.Duration // that it is good
	errors prometheus.Counter
	log    *slog.Logger

	at   time.Time // of the last count
	keep time.Duration
	last T
	ok   bool
}

// get returns the count, anew if it is time. What an earlier one has found is not told
// again if that fails: an old number that looks like a new one is worse than none.
func (c *counted[T]) get() (T, bool) {
	if time.Since(c.at) < c.keep {
		return c.last, c.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	began, failing := time.Now(), !c.ok && !c.at.IsZero()
	last, err := c.count(ctx)
	c.at = time.Now()
	c.keep = max(c.least, countShare*c.at.Sub(began))
	c.last, c.ok = last, err == nil
	if err != nil {
		c.errors.Inc()
	}
	if err != nil && !failing {
		c.log.Warn("the jobs cannot be counted", "error", err)
	}
	return c.last, c.ok
}

// LaneName is the value of the label lane: a label without a value counts as none.
func LaneName(lane job.Lane) string {
	if lane == job.LaneDefault {
		return "default"
	}
	return string(lane)
}
