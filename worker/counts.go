package worker

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// end is how an attempt ended.
type end string

// The ends.
const (
	endSucceeded  end = "succeeded"
	endFailed     end = "failed"
	endRetried    end = "retried"
	endHandedBack end = "handed_back" // by a worker that stops
	endTaken      end = "taken"       // the job was not its own any more
)

// counts are what workers and sweepers tell Prometheus.
type counts struct {
	ended    *prometheus.CounterVec
	retries  *prometheus.CounterVec
	attempts *prometheus.CounterVec

	seconds  *prometheus.HistogramVec
	stages   metrics.Stages
	realtime prometheus.Histogram

	read, written prometheus.Counter
	sound         prometheus.Counter

	slots, busy prometheus.Gauge

	acts   *prometheus.CounterVec
	sweeps *prometheus.CounterVec
}

func newCounts(to prometheus.Registerer) (*counts, error) {
	r := metrics.To(to)
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return metrics.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	counter := func(name, help string) prometheus.Counter {
		return metrics.Register(r, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	c := &counts{
		ended:    vec("mp3lathe_jobs_ended_total", "Jobs that have succeeded, or failed for good, and by which code.", "state", "code"),
		retries:  vec("mp3lathe_job_retries_total", "Attempts that failed and are tried again, by code.", "code"),
		attempts: vec("mp3lathe_attempts_total", "Attempts at jobs by how they ended: succeeded, failed, retried, handed_back by a worker that stops, or taken away.", "end"),
		seconds: metrics.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mp3lathe_job_duration_seconds", Help: "From the making of a job to its success, by lane.",
			Buckets: []float64{.25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600},
		}, []string{"lane"})),
		stages: metrics.NewStages(r, metrics.Wait, metrics.Read, metrics.Decode, metrics.Encode, metrics.Store),
		realtime: metrics.Register(r, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mp3lathe_conversion_realtime_ratio", Help: "Length of an MP3 by the time that its conversion took: 100 is an hour of sound in 36 seconds.",
			Buckets: []float64{1, 2.5, 5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 1000},
		})),
		read:    counter("mp3lathe_source_read_bytes_total", "Bytes of uploads that conversions have read from the bucket."),
		written: counter("mp3lathe_result_written_bytes_total", "Bytes of the MP3s of jobs that have succeeded."),
		sound:   counter("mp3lathe_result_sound_seconds_total", "Length of the MP3s of jobs that have succeeded."),
		slots: metrics.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mp3lathe_worker_slots", Help: "Jobs that the worker may convert at the same time.",
		})),
		busy: metrics.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mp3lathe_worker_busy_slots", Help: "Jobs that the worker is at work on.",
		})),
		acts:   vec("mp3lathe_sweeper_acts_total", "What sweepers have put right, by act.", "act"),
		sweeps: vec("mp3lathe_sweeps_total", "Sweeps by whether all parts could be done.", "result"),
	}
	c.ended.WithLabelValues(string(job.Succeeded), "")
	for _, code := range job.Codes() {
		c.ended.WithLabelValues(string(job.Failed), string(code))
		if !code.Permanent() || code == job.Crashed || code == job.OutOfMemory {
			c.retries.WithLabelValues(string(code))
		}
	}
	for _, e := range []end{endSucceeded, endFailed, endRetried, endHandedBack, endTaken} {
		c.attempts.WithLabelValues(string(e))
	}
	for _, lane := range job.Lanes() {
		c.seconds.WithLabelValues(metrics.LaneName(lane))
	}
	for act := range (Report{}).acts() {
		c.acts.WithLabelValues(act)
	}
	for _, result := range []string{sweepDone, sweepBroken} {
		c.sweeps.WithLabelValues(result)
	}
	return c, r.Err()
}

// began counts the wait of a job for its first attempt. Later ones have waited for other
// reasons too: a delay after a failure, or their owner.
func (c *counts) began(ctx context.Context, j job.Job) {
	if j.Attempt == 1 {
		c.stages.Observe(ctx, metrics.Wait, j.Started.Sub(j.Created))
	}
}

// converted counts what a conversion took that has come to its end.
func (c *counts) converted(ctx context.Context, r *transcode.Result, commit time.Duration) {
	c.stages.Observe(ctx, metrics.Read, r.Stages.Read)
	c.stages.Observe(ctx, metrics.Decode, r.Stages.Decode)
	c.stages.Observe(ctx, metrics.Encode, r.Stages.Encode)
	c.stages.Observe(ctx, metrics.Store, r.Stages.Write+commit)
	metrics.Observe(ctx, c.realtime, r.Speed())
}

// succeeded counts a job as its row has it.
func (c *counts) succeeded(ctx context.Context, j job.Job, r job.Result) {
	c.ended.WithLabelValues(string(job.Succeeded), "").Inc()
	c.attempts.WithLabelValues(string(endSucceeded)).Inc()
	c.written.Add(float64(r.Bytes))
	c.sound.Add(r.Duration)
	metrics.Observe(ctx, c.seconds.WithLabelValues(metrics.LaneName(j.Lane)), max(j.Ended.Sub(j.Created), 0).Seconds())
}

// failed counts a job that has failed for good.
func (c *counts) failed(code job.Code) {
	c.ended.WithLabelValues(string(job.Failed), string(code)).Inc()
}

// retried counts an attempt that is made again.
func (c *counts) retried(code job.Code) {
	c.attempts.WithLabelValues(string(endRetried)).Inc()
	c.retries.WithLabelValues(string(code)).Inc()
}

// The results of sweeps.
const (
	sweepDone   = "done"
	sweepBroken = "broken" // some of it could not be done
)

// swept counts what a sweep has done.
func (c *counts) swept(r Report, err error) {
	for act, n := range r.acts() {
		c.acts.WithLabelValues(act).Add(float64(n))
	}
	result := sweepDone
	if err != nil {
		result = sweepBroken
	}
	c.sweeps.WithLabelValues(result).Inc()
}

// acts are the counts of a report by their names.
func (r Report) acts() map[string]int {
	return map[string]int{
		"requeued": r.Requeued, "failed": r.Failed, "reminded": r.Reminded, "notices": r.Notices, "expired": r.Expired,
		"purged": r.Purged, "pardoned": r.Pardoned, "forgotten": r.Forgotten, "departed": r.Departed, "orphans": r.Orphans,
	}
}
