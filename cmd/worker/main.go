// Command worker converts the jobs of mp3lathe's queue.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Main(ctx, "mp3lathe-worker", "Converts the jobs of mp3lathe's queue.", &cli{}, os.Args[1:], os.Stdout, os.Stderr))
}

type cli struct {
	Serve serveCmd `cmd:"" default:"withargs" help:"Convert until SIGTERM or Ctrl-C; then finish, or hand back."`
}

type serveCmd struct {
	Health string `group:"Service:" placeholder:"ADDRESS" env:"MP3LATHE_HEALTH" help:"Address for /livez and /readyz. Default: none."`
	workers.Flags
	app.DatabaseFlags
	app.RedisFlags
	app.BucketFlags
	app.LogFlags
}

// Run converts until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *app.Std) error {
	return std.Service(c.LogFlags, "worker", func(p *app.Parts) error {
		return errors.Join(p.OpenDB(ctx, c.DatabaseFlags.Open), p.OpenBucket(ctx, &c.BucketFlags), p.OpenRedis(&c.RedisFlags))
	}, func(p *app.Parts) error { return workers.Run(ctx, p, c.Flags, c.Health) })
}
