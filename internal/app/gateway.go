package app

import (
	"context"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// GatewayFlags are the settings of the gateway.
type GatewayFlags struct {
	LinkFlags
	MaxUpload  int64         `group:"Service:" placeholder:"BYTES" default:"4294967296" env:"MP3LATHE_MAX_UPLOAD" help:"Largest upload, in bytes."`
	UploadIdle time.Duration `group:"Service:" placeholder:"TIME" default:"1m" env:"MP3LATHE_UPLOAD_IDLE" help:"How long an upload may stand still."`
	Drain      time.Duration `group:"Service:" placeholder:"TIME" default:"5m" env:"MP3LATHE_DRAIN" help:"How long uploads and downloads may go on after SIGTERM."`
}

// Gateway serves the HTTP API on l until ctx is done, and then lets requests finish.
// verifier is closed by the caller.
func (p *Parts) Gateway(ctx context.Context, l net.Listener, version string, flags GatewayFlags, authURL string, verifier *token.Verifier) error {
	links, err := flags.Links()
	if err != nil {
		return err
	}
	checks := p.Checks()
	checks["tokens"] = verifier.Ready
	// Uploads wait for it in their rows, and the sweeper queues them later. A load
	// balancer that turned users away would lose more.
	checks["redis"] = httpapi.Spare(checks["redis"])
	g, err := gateway.New(gateway.Config{
		Version: version, MaxUpload: flags.MaxUpload, UploadIdle: flags.UploadIdle, AuthURL: authURL,
	}, gateway.Deps{
		Jobs: p.Jobs, Queue: p.Queue, Hints: p.Hints, Bucket: gateway.BucketOf(p.Bucket), Tokens: verifier, Links: links,
		Checks: checks, Logger: p.Log,
	})
	if err != nil {
		return err
	}
	p.Log.Info("the gateway is served", "address", l.Addr().String(), "public", flags.PublicURL)
	group, gctx := errgroup.WithContext(ctx)
	// The background part serves requests that go on after ctx is done.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return g.Run(background) })
	group.Go(func() error {
		defer stop()
		return httpapi.Serve(gctx, l, g.Handler(), p.Log, httpapi.ServerConfig{Grace: flags.Drain})
	})
	return group.Wait()
}
