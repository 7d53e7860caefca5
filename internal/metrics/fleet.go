package metrics

import (
	"context"
	"log/slog"
	"sync"
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
	if err != nil {
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
	Census(ctx context.Context) (job.Census, error)
}

// Census tells how many jobs there are. A count is good for a while, and the longer the
// more it costs: to count takes up at most a twentieth of one connection's time, however
// many rows there are and however often somebody asks.
type Census struct {
	jobs Counter
	log  *slog.Logger

	states, waiting, oldest *prometheus.Desc
	errors                  prometheus.Counter

	mu    sync.Mutex
	at    time.Time     // of the last count
	keep  time.Duration // how long it is good
	last  job.Census
	known bool // last is one
}

const (
	censusAge     = 10 * time.Second
	censusTimeout = 5 * time.Second
	censusShare   = 20
)

// NewCensus returns a collector of the numbers of jobs.
func NewCensus(jobs Counter, logger *slog.Logger) *Census {
	return &Census{
		jobs: jobs, log: logger,
		states:  prometheus.NewDesc("mp3lathe_jobs", "Jobs in the database by state.", []string{"state"}, nil),
		waiting: prometheus.NewDesc("mp3lathe_queue_jobs", "Jobs that wait for a worker, by lane, whether Redis knows of them or not.", []string{"lane"}, nil),
		oldest:  prometheus.NewDesc("mp3lathe_queue_oldest_seconds", "How long the job has waited that has waited for longest of those that may run, by lane; 0 if there is none.", []string{"lane"}, nil),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mp3lathe_census_errors_total", Help: "Counts of the jobs in the database that failed or took too long.",
		}),
	}
}

// Describe implements [prometheus.Collector].
func (c *Census) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.states
	ch <- c.waiting
	ch <- c.oldest
	c.errors.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (c *Census) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) >= c.keep {
		c.count()
	}
	c.errors.Collect(ch)
	if !c.known {
		return
	}
	for _, state := range job.States() {
		ch <- prometheus.MustNewConstMetric(c.states, prometheus.GaugeValue, float64(c.last.States[state]), string(state))
	}
	for _, lane := range job.Lanes() {
		w := c.last.Waiting[lane]
		oldest := w.Oldest
		if oldest > 0 { // it has gone on to wait
			oldest += time.Since(c.at)
		}
		ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(w.Jobs), LaneName(lane))
		ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest.Seconds(), LaneName(lane))
	}
}

// count counts anew. What an earlier count has found is not told again if that fails:
// an old number that looks like a new one is worse than none.
func (c *Census) count() {
	ctx, cancel := context.WithTimeout(context.Background(), censusTimeout)
	defer cancel()
	began := time.Now()
	last, err := c.jobs.Census(ctx)
	c.at = time.Now()
	c.keep = max(censusAge, censusShare*c.at.Sub(began))
	c.last, c.known = last, err == nil
	if err != nil {
		c.errors.Inc()
		c.log.Warn("the jobs could not be counted", "error", err)
	}
}

// LaneName is the value of the label lane: a label without a value counts as none.
func LaneName(lane job.Lane) string {
	if lane == job.LaneDefault {
		return "default"
	}
	return string(lane)
}
