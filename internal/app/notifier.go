package app

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/notifier"
)

// NotifierFlags are the settings of the notifier.
type NotifierFlags struct {
	LinkLifetime time.Duration `group:"Mail:" placeholder:"TIME" default:"168h" env:"MP3LATHE_LINK_LIFETIME" help:"How long a link in a mail is good, at most."`
	Mails        int           `group:"Mail:" placeholder:"N" default:"4" env:"MP3LATHE_MAILS" help:"Mails that are sent at the same time."`
}

// Notifier sends mails until ctx is done, and then finishes those that it has
// begun. health is an address for /livez and /readyz, or empty.
func (p *Parts) Notifier(ctx context.Context, flags NotifierFlags, links notifier.Links, mailer notifier.Mailer, health string) error {
	n, err := notifier.New(notifier.Config{LinkLifetime: flags.LinkLifetime, Logger: p.Log},
		notifier.Deps{Jobs: p.Jobs, Mailer: mailer, Links: links})
	if err != nil {
		return err
	}
	s, err := queue.NewServer(p.Redis, queue.Notify, queue.ServerConfig{Concurrency: flags.Mails, Logger: p.Log}, n.Handle)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, g, health); err != nil {
		return err
	}
	p.Log.Info("the notifier is ready")
	g.Go(func() error { return s.Run(gctx) })
	return g.Wait()
}
