// Package queues puts the page about the queues together, as package app does with the
// services. It is apart since the page takes 2 MB, which they need not carry.
package queues

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/queue/monitor"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

// CLI is the command line of the program that serves the page.
type CLI struct {
	Serve  serveCmd  `cmd:"" default:"withargs" help:"Serve the page until SIGTERM or Ctrl-C."`
	Health healthCmd `cmd:"" help:"Ask the program that runs here whether it is well: exit code 0, or 1."`
}

// listen is its own flag, since the command health has it too.
type listen struct {
	Listen string `group:"Service:" placeholder:"ADDRESS" default:":8086" env:"MP3LATHE_LISTEN" help:"Address to listen on. For gateways only: it asks nobody who he is."`
}

type healthCmd struct {
	listen
	app.AskFlags
}

// Run asks.
func (c *healthCmd) Run(ctx context.Context, std *app.Std) error {
	return c.Ask(ctx, std.Out, "listen", c.Listen)
}

type serveCmd struct {
	listen
	app.HealthFlags
	ReadOnly bool `group:"Service:" default:"true" env:"MP3LATHE_READ_ONLY" help:"Show the queues only. If it is false, the page can pause queues, and run, archive and remove tasks."`
	app.RedisFlags
	app.LogFlags
}

// Run serves until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *app.Std) error {
	var f app.Faults
	f.Address("listen", c.Listen)
	health := c.HealthFlags.Check(&f)
	redis := c.RedisFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return app.Service(std, c.LogFlags, "queues", func(p *app.Parts) error { return p.OpenQueue(redis) },
		func(p *app.Parts) error { return serve(ctx, p, c.Listen, health, !c.ReadOnly) })
}

// timeout is how long an answer may take.
const timeout = 30 * time.Second

func serve(ctx context.Context, p *app.Parts, address, health string, changes bool) error {
	page, closePage, err := Page(p.Redis, changes)
	if err != nil {
		return err
	}
	defer closePage()
	l, err := app.Listen(ctx, "listen", address)
	if err != nil {
		return err
	}
	defer l.Close()
	requests, err := httpapi.NewMetrics(p.Metrics(), "queues")
	if err != nil {
		return err
	}
	mux, _ := httpapi.NewAPI("queues", "", "")
	httpapi.Health(mux, p.Log, p.Checks())
	mux.Handle("GET /{$}", http.RedirectHandler(gateway.QueuesPath, http.StatusSeeOther))
	// What changes something must not come from a page of others, which a browser of an
	// operator may show who reaches this address.
	own := http.NewCrossOriginProtection().Handler(page)
	mux.Handle(gateway.QueuesPath, own)
	mux.Handle(gateway.QueuesPath+"/", own)
	p.Log.Info("the page of the queues is served", "address", l.Addr().String(), "changes", changes)
	g, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, g, health, p.Checks()); err != nil {
		return err
	}
	g.Go(func() error {
		return httpapi.Serve(gctx, l, httpapi.Observe(mux, p.Log, timeout, requests), p.Log, httpapi.ServerConfig{Grace: time.Second})
	})
	return g.Wait()
}

// Page is the page about the queues in a Redis where the gateway has it, and what closes
// it.
func Page(at redisconn.Address, changes bool) (page http.Handler, closePage func() error, err error) {
	return monitor.New(at, gateway.QueuesPath, changes)
}
