package notifier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/internal/trace"
	"github.com/mp3lathe/mp3lathe/job"
)

// Config of a [Notifier]. Its zero value is fine.
type Config struct {
	// Lease is how long a claimed notice belongs to one notifier; 0 is 2 minutes,
	// at least 2 seconds. Half of it bounds the sending of a mail, so that a slow one
	// cannot be sent twice.
	Lease time.Duration
	// LinkLifetime is the longest that a link in a mail is good for; 0 is 7 days. It
	// ends no later than the MP3 is kept.
	LinkLifetime time.Duration
	// Service is what the mails call us; empty is "mp3lathe".
	Service string
	// Logger gets one record for each mail that was sent or given up; nil discards
	// them.
	Logger *slog.Logger
	// Metrics gets the times of mails; nil is nobody.
	Metrics prometheus.Registerer
}

func (c Config) withDefaults() Config {
	c.Lease = cmp.Or(c.Lease, 2*time.Minute)
	c.LinkLifetime = cmp.Or(c.LinkLifetime, 7*24*time.Hour)
	c.Service = cmp.Or(c.Service, "mp3lathe")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports the first setting that cannot be used.
func (c Config) Validate() error {
	switch c = c.withDefaults(); {
	case c.Lease < 2*time.Second:
		return fmt.Errorf("notifier: a lease of %v is too short to send a mail", c.Lease)
	case c.LinkLifetime < time.Minute:
		return fmt.Errorf("notifier: links that last for %v help nobody", c.LinkLifetime)
	case len(c.Service) > 60 || strings.ContainsFunc(c.Service, unicode.IsControl):
		return errors.New("notifier: the service's name has control characters or more than 60 bytes")
	}
	return nil
}

// Jobs is where the notices are; a job store has it.
type Jobs interface {
	// ClaimNotice leases the notice of a job that has ended. job.ErrConflict if there
	// is nothing to tell, it was told, or somebody else holds the lease.
	ClaimNotice(ctx context.Context, id string, lease time.Duration) (job.Job, error)
	// Notified says that an attempt's end was told, or with a reason why it was
	// given up.
	Notified(ctx context.Context, id string, attempt int, failure string) error
	// ReleaseNotice ends the lease of a notice that was not told.
	ReleaseNotice(ctx context.Context, id string) error
}

// Mailer sends mails; [mail.Sender] and [mail.Folder] do.
type Mailer interface {
	Send(ctx context.Context, m mail.Message) error
}

// Links makes links to an MP3 that need no login.
type Links interface {
	Audio(jobID string, until time.Time) string
}

// Deps are what a [Notifier] works with. All must be set.
type Deps struct {
	Jobs   Jobs
	Mailer Mailer
	Links  Links
}

// Notifier tells the ends of jobs. It is safe for use by many goroutines.
type Notifier struct {
	cfg    Config
	deps   Deps
	stages metrics.Stages
	// told are the ends that were told, or given up, and of which the row does not know
	// yet, with the reason: by the [end]. What this process knows is not told again by
	// it, whatever becomes of the lease.
	told sync.Map
}

// end of an attempt at a job.
type end struct {
	job     string
	attempt int
}

// New returns a notifier.
func New(cfg Config, deps Deps) (*Notifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Jobs == nil || deps.Mailer == nil || deps.Links == nil {
		return nil, errors.New("notifier: a dependency is missing")
	}
	r := metrics.To(cfg.Metrics)
	n := &Notifier{cfg: cfg.withDefaults(), deps: deps, stages: metrics.NewStages(r, metrics.Notify)}
	return n, r.Err()
}

const (
	// afterwards bounds what is done for a notice when its context may be over.
	afterwards = 10 * time.Second
	// maxPause between tries to note an end.
	maxPause = 500 * time.Millisecond
	// maxReason is the longest reason of a refusal that is kept, in bytes.
	maxReason = 200
)

// tooLate is the reason that is kept for a result that nobody can fetch any more.
const tooLate = "the MP3 was no longer kept when it could be told"

// Handle tells the end of an attempt at a job, if that is still to be told. It is
// the handler of the queue's notices. An error means that the notice is to be tried
// again later; nil, that there is nothing left to do, for whatever reason.
func (n *Notifier) Handle(ctx context.Context, id string, attempt int) error {
	if failure, ok := n.told.Load(end{id, attempt}); ok {
		return n.note(ctx, end{id, attempt}, failure.(string))
	}
	j, err := n.deps.Jobs.ClaimNotice(ctx, id, n.cfg.Lease)
	switch {
	case errors.Is(err, job.ErrConflict), errors.Is(err, job.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("notifier: job %s: %w", id, err)
	}
	began := time.Now()
	ctx, span := trace.Begin(trace.Continue(ctx, j.Trace), "tell end of job", trace.Consumer, trace.With(
		trace.String("job.id", j.ID), trace.Int("job.attempt", j.Attempt), trace.String("job.state", string(j.State))))
	defer span.End()
	if j.Attempt != attempt || j.State != job.Succeeded && j.State != job.Failed || j.NotifyTo == "" {
		// A notice of an end that is no more; the lease must not hold up another.
		return n.release(ctx, id, nil)
	}
	log := n.cfg.Logger.With("job", id, "attempt", attempt, "state", string(j.State))

	until := n.linkEnd(&j)
	if j.State == job.Succeeded && !time.Now().Before(until) {
		log.WarnContext(ctx, "notice given up", "reason", tooLate)
		return n.note(ctx, end{id, attempt}, tooLate)
	}
	m, err := n.compose(&j, until)
	if err != nil {
		return n.release(ctx, id, fmt.Errorf("notifier: job %s: %w", id, err))
	}
	sending, cancel := context.WithTimeout(ctx, n.cfg.Lease/2)
	defer cancel()
	sending, mailing := trace.Begin(sending, "send mail", trace.Client)
	err = n.deps.Mailer.Send(sending, m)
	mailing.Done(err)
	switch {
	case err == nil:
		n.stages.Observe(ctx, metrics.Notify, time.Since(began))
		log.InfoContext(ctx, "notice sent", "message", m.ID)
		return n.note(ctx, end{id, attempt}, "")
	case mail.Permanent(err):
		log.WarnContext(ctx, "notice given up", "reason", err.Error())
		return n.note(ctx, end{id, attempt}, reason(err))
	default:
		return n.release(ctx, id, fmt.Errorf("notifier: job %s: %w", id, err))
	}
}

// linkEnd is when the link to a job's MP3 ends.
func (n *Notifier) linkEnd(j *job.Job) time.Time {
	until := time.Now().Add(n.cfg.LinkLifetime)
	if !j.Expires.IsZero() && j.Expires.Before(until) {
		until = j.Expires
	}
	return until.Truncate(time.Second)
}

// compose writes the mail of a job's end.
func (n *Notifier) compose(j *job.Job, until time.Time) (mail.Message, error) {
	url := ""
	if j.State == job.Succeeded {
		url = n.deps.Links.Audio(j.ID, until)
	}
	v := newView(j, n.cfg.Service, url, until)
	text, html, err := v.render()
	return mail.Message{
		// The same for each time that this end is told.
		ID: j.ID + "." + strconv.Itoa(j.Attempt),
		To: j.NotifyTo, Subject: v.subject(), Text: text, HTML: html,
	}, err
}

// note writes into the row that an end was told, or given up. The mail is out by then, so
// it goes on until the database takes it, however long that is away: once the lease is
// over, another notifier would send the mail again. Only the end of the process ends it,
// and not at once.
func (n *Notifier) note(ctx context.Context, e end, failure string) error {
	n.told.Store(e, failure)
	ctx, cancel := outlasting(ctx, min(afterwards, n.cfg.Lease/4))
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, maxPause) {
		err := n.deps.Jobs.Notified(ctx, e.job, e.attempt, failure)
		switch {
		case err == nil,
			// Deleted or retried by its owner while the mail was on its way.
			errors.Is(err, job.ErrConflict), errors.Is(err, job.ErrNotFound), errors.Is(err, job.ErrLost):
			n.told.Delete(e)
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("notifier: job %s: told, but not noted: %w", e.job, err)
		}
	}
}

// outlasting returns a context that ends some time after its parent.
func outlasting(parent context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		select {
		case <-time.After(by):
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// release gives the notice back, for another try, and returns the error that it was
// given. If even that fails the lease ends by itself.
func (n *Notifier) release(ctx context.Context, id string, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(afterwards, n.cfg.Lease/4))
	defer cancel()
	rerr := n.deps.Jobs.ReleaseNotice(ctx, id)
	if rerr == nil || errors.Is(rerr, job.ErrConflict) || errors.Is(rerr, job.ErrNotFound) {
		return err
	}
	return errors.Join(err, fmt.Errorf("notifier: job %s: release: %w", id, rerr))
}

// reason is an error as one short line for the row.
func reason(err error) string {
	s := strings.ToValidUTF8(err.Error(), "")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }), " ")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}
