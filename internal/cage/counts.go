package cage

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are what a cage tells Prometheus.
type counts struct {
	conversions *prometheus.CounterVec
}

// The ends of a conversion beside the kinds of faults.
const (
	endDone     = "done"
	endRefused  = "refused" // in order, with an error
	endCanceled = "canceled"
)

func newCounts(to prometheus.Registerer) (*counts, error) {
	c := &counts{conversions: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mp3lathe_cage_conversions_total",
		Help: "Conversions in caged processes by how they ended: done, refused, canceled, or the kind of the fault.",
	}, []string{"end"})}
	for _, end := range []string{endDone, endRefused, endCanceled} {
		c.conversions.WithLabelValues(end)
	}
	for _, k := range Kinds() {
		c.conversions.WithLabelValues(string(k))
	}
	if to == nil {
		return c, nil
	}
	return c, to.Register(c.conversions)
}

// ended counts the end of a conversion.
func (c *counts) ended(ctx context.Context, err error) {
	end := endRefused
	var fault *Fault
	switch {
	case err == nil:
		end = endDone
	case errors.As(err, &fault):
		end = string(fault.Kind)
	case ctx.Err() != nil:
		end = endCanceled
	}
	c.conversions.WithLabelValues(end).Inc()
}
