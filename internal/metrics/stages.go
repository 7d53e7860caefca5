package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stage of a job.
type Stage string

// The stages, in their order. Read, Decode and Encode overlap where a conversion has
// several encoders at work.
const (
	// Upload: from the request's first byte until the job is made. Mostly the client's
	// line.
	Upload Stage = "upload"
	// Wait: from there until a worker begins the first attempt.
	Wait Stage = "wait"
	// Read: waiting for bytes of the upload from the bucket.
	Read Stage = "read"
	// Decode: from these bytes to sound of the rate that is encoded.
	Decode Stage = "decode"
	// Encode: at work in LAME, all encoders of the job together.
	Encode Stage = "encode"
	// Store: waiting for the bucket to take the MP3.
	Store Stage = "store"
	// Notify: from the moment that a notifier takes up the mail until the mail server has
	// it.
	Notify Stage = "notify"
)

// Stages are the times of jobs' stages.
type Stages struct{ seconds *prometheus.HistogramVec }

// NewStages registers the times of some stages, which this process knows.
func NewStages(r *Registrar, here ...Stage) Stages {
	s := Stages{Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mp3lathe_job_stage_duration_seconds", Buckets: Work(),
		Help: "How long the stages of a job took: upload, wait, read, decode, encode (all encoders together), store, notify.",
	}, []string{"stage"}))}
	for _, stage := range here {
		s.seconds.WithLabelValues(string(stage))
	}
	return s
}

// Observe notes how long a stage took. A time below 0, of clocks that disagree, is 0.
func (s Stages) Observe(ctx context.Context, stage Stage, took time.Duration) {
	Observe(ctx, s.seconds.WithLabelValues(string(stage)), max(took, 0).Seconds())
}
