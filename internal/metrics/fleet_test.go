package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/job"
)

var discard = slog.New(slog.DiscardHandler)

// jobs is a database.
type jobs struct {
	holder string
	ends   time.Time
	counts int
	takes  time.Duration
	err    error
}

func (j *jobs) Lease(_ context.Context, name, holder string, ttl time.Duration) (bool, error) {
	if j.holder != "" && j.holder != holder && time.Now().Before(j.ends) {
		return false, nil
	}
	j.holder, j.ends = holder, time.Now().Add(ttl)
	return true, nil
}

func (j *jobs) Unlease(_ context.Context, _, holder string) error {
	if j.holder == holder {
		j.holder = ""
	}
	return nil
}

func (j *jobs) Census(context.Context) (map[job.State]int64, error) {
	return map[job.State]int64{job.Queued: 7}, nil
}

func (j *jobs) Waiting(context.Context) (map[job.Lane]job.Waiting, error) {
	j.counts++
	time.Sleep(j.takes)
	if j.err != nil {
		return nil, j.err
	}
	return map[job.Lane]job.Waiting{job.LaneDefault: {Jobs: 7, Oldest: time.Minute}}, nil
}

// process is one of a fleet, that can be scraped.
func process(t *testing.T, name string, db *jobs) (scrape func() int, f *metrics.Fleet) {
	t.Helper()
	r := prometheus.NewRegistry()
	f = metrics.NewFleet(db, name, discard, metrics.NewJobs(db, discard))
	r.MustRegister(f)
	return func() int {
		t.Helper()
		n, err := testutil.GatherAndCount(r, "mp3lathe_jobs")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}, f
}

// TestFleet: of many processes one tells the numbers; another does when that one is not
// asked any more, and at once when it has stopped.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &jobs{}
		first, f := process(t, "first", db)
		second, _ := process(t, "second", db)
		states := len(job.States())
		for range 10 {
			if a, b := first(), second(); a != states || b != 0 {
				t.Fatalf("%d and %d series", a, b)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Minute)
		if a, b := second(), first(); a != states || b != 0 {
			t.Errorf("of the second %d, and of the first, which was not asked for long, %d", a, b)
		}
		db.holder = "first"
		if err := f.Close(); err != nil || second() != states {
			t.Errorf("after the end of the first: %v", err)
		}
	})
}

// TestJobs: a count is good for a while, and the longer the more it has cost; the age
// of the oldest goes on meanwhile; a count that fails leaves nothing.
func TestJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &jobs{}
		c := metrics.NewJobs(db, discard)
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		oldest := func() float64 {
			t.Helper()
			families, err := r.Gather()
			if err != nil {
				t.Fatal(err)
			}
			most := -1.0
			for _, f := range families {
				for _, m := range f.GetMetric() {
					if f.GetName() == "mp3lathe_queue_oldest_seconds" {
						most = max(most, m.GetGauge().GetValue())
					}
				}
			}
			return most
		}
		ask := func(after time.Duration, want float64, counts int) {
			t.Helper()
			time.Sleep(after)
			if got := oldest(); got != want || db.counts != counts {
				t.Errorf("the oldest has waited %v s, want %v; %d counts, want %d", got, want, db.counts, counts)
			}
		}
		ask(0, 60, 1)
		ask(9*time.Second, 69, 1)
		db.takes = 2 * time.Second
		ask(time.Second, 60, 2)
		ask(39*time.Second, 99, 2) // twenty times as long
		db.err = errors.New("away")
		ask(time.Second, -1, 3)
		ask(time.Second, -1, 3)
		db.err = nil
		ask(40*time.Second, 60, 4)
		if n := testutil.CollectAndCount(c, "mp3lathe_count_errors_total"); n != 2 {
			t.Errorf("%d counters of errors", n)
		}
	})
}

// TestShared: services in one process share what both count.
func TestShared(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	a, b := metrics.To(registry), metrics.To(registry)
	metrics.NewStages(a, metrics.Upload).Observe(t.Context(), metrics.Upload, time.Second)
	metrics.NewStages(b, metrics.Wait).Observe(t.Context(), metrics.Wait, -time.Second)
	if n, err := testutil.GatherAndCount(registry); n != 2 || errors.Join(err, a.Err(), b.Err()) != nil {
		t.Errorf("%d series, %v", n, errors.Join(err, a.Err(), b.Err()))
	}
	c := metrics.To(registry)
	metrics.Register(c, prometheus.NewCounter(prometheus.CounterOpts{Name: "mp3lathe_job_stage_duration_seconds"}))
	if c.Err() == nil {
		t.Error("another kind of the same name is registered")
	}
}
