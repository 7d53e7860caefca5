// Command notifier tells the owners of mp3lathe's jobs by mail that they have ended.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/mp3lathe/mp3lathe/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Main(ctx, "mp3lathe-notifier", "Tells the owners of jobs by mail that they have ended.", &cli{}, os.Args[1:], os.Stdout, os.Stderr))
}

type cli struct {
	Serve serveCmd `cmd:"" default:"withargs" help:"Send mails until SIGTERM or Ctrl-C."`
}

type serveCmd struct {
	Health string `group:"Service:" placeholder:"ADDRESS" env:"MP3LATHE_HEALTH" help:"Address for /livez and /readyz. Default: none."`
	app.NotifierFlags
	app.LinkFlags
	app.MailFlags
	app.DatabaseFlags
	app.RedisFlags
	app.LogFlags
}

// Run sends mails until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *app.Std) error {
	links, err := c.Links()
	if err != nil {
		return err
	}
	mailer, err := c.MailFlags.Open()
	if err != nil {
		return err
	}
	return std.Service(c.LogFlags, "notifier", func(p *app.Parts) error {
		return errors.Join(p.OpenDB(ctx, c.DatabaseFlags.Open), p.OpenRedis(&c.RedisFlags))
	}, func(p *app.Parts) error { return p.Notifier(ctx, c.NotifierFlags, links, mailer, c.Health) })
}
