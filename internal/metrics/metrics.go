// Package metrics has what the services' Prometheus metrics have in common: how they
// are registered, the times of a job's stages, and what one process tells for a whole
// fleet. What only one package counts stands there.
//
// Names begin with mp3lathe_, units are seconds and bytes, and every label has few
// values that are known beforehand: never an ID, a path, an address or a name that
// somebody else has chosen. Counters begin at 0 for each of them, so that a rate can be
// seen from the first event on.
package metrics

import (
	"context"
	"errors"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/mp3lathe/mp3lathe/internal/trace"
)

// Requests are the buckets, in seconds, of what somebody waits for at a screen.
func Requests() []float64 {
	return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// Work are the buckets, in seconds, of what goes on for milliseconds or for hours.
func Work() []float64 {
	return []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}
}

// NewRegistry returns a registry for one process, which tells of the process itself and
// which program it is.
func NewRegistry(service, version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mp3lathe_build_info", Help: "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"service": service, "version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Registrar registers metrics, and keeps the errors for the end.
type Registrar struct {
	to   prometheus.Registerer
	errs []error
}

// To returns a registrar. With nil what is registered counts for nobody.
func To(r prometheus.Registerer) *Registrar { return &Registrar{to: r} }

// Err is what went wrong.
func (r *Registrar) Err() error { return errors.Join(r.errs...) }

// Register registers c and returns it; or the one that is there already, since services
// in one process share what they both count.
func Register[C prometheus.Collector](r *Registrar, c C) C {
	if r.to == nil {
		return c
	}
	err := r.to.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return c
}

// Observe observes a value, with the ID of the trace that ctx is in as its exemplar if
// that is recorded: from a slow bucket there is a way to one job in it.
func Observe(ctx context.Context, o prometheus.Observer, value float64) {
	if id := trace.Recorded(ctx); id != "" {
		if with, ok := o.(prometheus.ExemplarObserver); ok {
			with.ObserveWithExemplar(value, prometheus.Labels{"trace_id": id})
			return
		}
	}
	o.Observe(value)
}
