package app

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/notifier"
)

// NotifierFlags are the settings of the notifier.
type NotifierFlags struct {
	LinkLifetime time.Duration `group:"Mail:" placeholder:"TIME" default:"168h" env:"MP3LATHE_LINK_LIFETIME" help:"How long a link in a mail is good, at most; never longer than the MP3 is kept."`
	NoticeLease  time.Duration `group:"Mail:" placeholder:"TIME" default:"2m" env:"MP3LATHE_NOTICE_LEASE" help:"How long the mail about a job belongs to a notifier that has begun to send it. If it dies, another one sends it after this time; half of it is what sending may take."`
	Mails        int           `group:"Mail:" placeholder:"N" default:"4" env:"MP3LATHE_MAILS" help:"Mails that are sent at the same time."`
}

// NotifierSettings are what [Parts.Notifier] works by.
type NotifierSettings struct {
	notifier.Config
	// Mails that are sent at the same time.
	Mails  int
	Links  notifier.Links
	Mailer notifier.Mailer
	// Health is an address for /livez, /readyz and /metrics, or empty.
	Health string
}

// MaxAtOnce is the most jobs, or mails, that one process may be told to work on at
// the same time.
const MaxAtOnce = 1000

// Check returns the settings of the notifier, without those that other flags make.
func (c *NotifierFlags) Check(f *Faults) NotifierSettings {
	f.Time("link-lifetime", c.LinkLifetime, time.Minute, Long)
	f.Time("notice-lease", c.NoticeLease, 2*time.Second, Long)
	f.Number("mails", int64(c.Mails), 1, MaxAtOnce)
	return NotifierSettings{Config: notifier.Config{LinkLifetime: c.LinkLifetime, Lease: c.NoticeLease}, Mails: c.Mails}
}

// NotifierCLI is the command line of the notifier.
type NotifierCLI struct {
	Serve  notifierCmd `cmd:"" default:"withargs" help:"Send mails until SIGTERM or Ctrl-C."`
	Health HealthCmd   `cmd:"" help:"Ask the notifier that runs here whether it is well, if it has --health: exit code 0, or 1."`
}

type notifierCmd struct {
	HealthFlags
	NotifierFlags
	LinkFlags
	MailFlags
	JobsFlags
	RedisFlags
	LogFlags
}

// Run sends mails until ctx is done.
func (c *notifierCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	settings := c.NotifierFlags.Check(&f)
	settings.Health = c.HealthFlags.Check(&f)
	settings.Links = c.LinkFlags.Check(&f)
	settings.Mailer = c.MailFlags.Check(&f, true)
	database, redis := c.JobsFlags.Check(&f), c.RedisFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return Service(std, c.LogFlags, "notifier", func(p *Parts) error {
		if err := p.OpenDB(ctx, database); err != nil {
			return err
		}
		return p.OpenQueue(redis)
	}, func(p *Parts) error { return p.Notifier(ctx, settings) })
}

// Notifier sends mails until ctx is done, and then finishes those that it has begun.
func (p *Parts) Notifier(ctx context.Context, settings NotifierSettings) error {
	settings.Logger, settings.Metrics = p.Log, p.Metrics()
	mailer, err := mail.NewCounted(settings.Mailer, p.Metrics(), "notifier")
	if err != nil {
		return err
	}
	n, err := notifier.New(settings.Config, notifier.Deps{Jobs: p.Jobs, Mailer: mailer, Links: settings.Links})
	if err != nil {
		return err
	}
	s, err := queue.NewServer(p.Redis, queue.Notify, queue.ServerConfig{Concurrency: settings.Mails, Logger: p.Log}, n.Handle)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, g, settings.Health, p.Checks()); err != nil {
		return err
	}
	p.Log.Info("the notifier is ready")
	g.Go(func() error { return s.Run(gctx) })
	return g.Wait()
}
