package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/internal/metrics"
)

// Metrics counts the requests of a service; nil counts none. Its labels are the patterns
// of routes, as in the log, and never what a client has written.
type Metrics struct {
	service  string
	requests *prometheus.CounterVec
	seconds  prometheus.ObserverVec
	running  prometheus.Gauge
}

// NewMetrics registers the counts of a service's requests.
func NewMetrics(to prometheus.Registerer, service string) (*Metrics, error) {
	r := metrics.To(to)
	seconds := metrics.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mp3lathe_http_request_duration_seconds", Buckets: metrics.Requests(),
		Help: "How long requests took, from their head to the end of the answer, by route.",
	}, []string{"service", "route"}))
	m := &Metrics{
		service: service,
		requests: metrics.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mp3lathe_http_requests_total",
			Help: "Requests by route and the code of their answer; 499 if the client went away before its end.",
		}, []string{"service", "route", "code"})),
		seconds: seconds.MustCurryWith(prometheus.Labels{"service": service}),
		running: metrics.Register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mp3lathe_http_requests_in_flight", Help: "Requests that are being answered.",
		}, []string{"service"})).WithLabelValues(service),
	}
	return m, r.Err()
}

// began counts a request that has come; the answer counts its end.
func (m *Metrics) began() (ended func(ctx context.Context, pattern string, code int, took time.Duration)) {
	if m == nil {
		return func(context.Context, string, int, time.Duration) {}
	}
	m.running.Inc()
	return func(ctx context.Context, pattern string, code int, took time.Duration) {
		m.running.Dec()
		if pattern == "" { // refused before the routes were asked
			pattern = noPattern
		}
		m.requests.WithLabelValues(m.service, pattern, strconv.Itoa(code)).Inc()
		metrics.Observe(ctx, m.seconds.WithLabelValues(pattern), took.Seconds())
	}
}

// noPattern is the pattern of what no route matches.
const noPattern = "/"

// clientGone is the code that counts for an answer that nobody has waited for, as
// nginx has it.
const clientGone = 499

// code is that of a request, for its counts. An answer that was cut off has announced
// another one than it deserves.
func (rec *record) code(out *response, cut bool) int {
	switch {
	case cut && rec.problem != nil:
		return rec.problem.Status
	case cut:
		return clientGone
	case out.status == 0:
		return http.StatusOK
	}
	return out.status
}
