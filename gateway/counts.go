package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/job"
)

// counts are what a gateway tells Prometheus beside its requests.
type counts struct {
	made                           *prometheus.CounterVec
	joined, retried, canceled      prometheus.Counter
	uploadedBytes, downloadedBytes prometheus.Counter
	streams                        prometheus.Gauge
	stages                         metrics.Stages
}

func newCounts(to prometheus.Registerer) (*counts, error) {
	r := metrics.To(to)
	counter := func(name, help string) prometheus.Counter {
		return metrics.Register(r, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	c := &counts{
		made: metrics.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mp3lathe_jobs_created_total", Help: "Jobs that uploads have made, by lane.",
		}, []string{"lane"})),
		joined:          counter("mp3lathe_jobs_joined_total", "Uploads that were answered by an earlier job of the same file and settings."),
		retried:         counter("mp3lathe_jobs_retried_total", "Failed jobs that their owners have queued again."),
		canceled:        counter("mp3lathe_jobs_canceled_total", "Jobs that their owners have canceled."),
		uploadedBytes:   counter("mp3lathe_uploaded_bytes_total", "Bytes of files that have come, those included that became no job."),
		downloadedBytes: counter("mp3lathe_downloaded_bytes_total", "Bytes of MP3s that were sent."),
		streams: metrics.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mp3lathe_event_streams", Help: "Streams of events that are open.",
		})),
		stages: metrics.NewStages(r, metrics.Upload),
	}
	for _, lane := range job.Lanes() {
		c.made.WithLabelValues(metrics.LaneName(lane))
	}
	return c, r.Err()
}
