package mail

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/internal/metrics"
)

// Mailer sends mails: a [Sender], a [Folder].
type Mailer interface {
	Send(ctx context.Context, m Message) error
}

// Counted is a mailer whose mails are counted.
type Counted struct {
	mailer                Mailer
	sent, refused, failed prometheus.Counter
}

// NewCounted counts what becomes of a service's mails: sent; refused for good, see
// [Permanent]; or failed for now.
func NewCounted(m Mailer, to prometheus.Registerer, service string) (*Counted, error) {
	r := metrics.To(to)
	mails := metrics.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mp3lathe_mails_total", Help: "Tries to send a mail by what came of them: sent, refused for good, or failed for now.",
	}, []string{"service", "outcome"}))
	of := func(outcome string) prometheus.Counter { return mails.WithLabelValues(service, outcome) }
	return &Counted{m, of("sent"), of("refused"), of("failed")}, r.Err()
}

// Send sends a mail.
func (c *Counted) Send(ctx context.Context, m Message) error {
	err := c.mailer.Send(ctx, m)
	switch {
	case err == nil:
		c.sent.Inc()
	case Permanent(err):
		c.refused.Inc()
	default:
		c.failed.Inc()
	}
	return err
}
