// Command gateway serves mp3lathe's HTTP API: uploads, jobs, downloads.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/app"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Main(ctx, "mp3lathe-gateway", "mp3lathe's HTTP API: uploads, jobs, downloads.", &cli{}, os.Args[1:], os.Stdout, os.Stderr))
}

type cli struct {
	Serve serveCmd `cmd:"" default:"withargs" help:"Serve the API until SIGTERM or Ctrl-C."`
}

type serveCmd struct {
	Listen  string `group:"Service:" placeholder:"ADDRESS" default:":8080" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
	AuthURL string `name:"auth-url" group:"Parts:" placeholder:"URL" env:"MP3LATHE_AUTH_URL" help:"The auth service, such as http://auth:8081."`
	app.GatewayFlags
	app.DatabaseFlags
	app.RedisFlags
	app.BucketFlags
	app.LogFlags
}

// Run serves until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *app.Std) error {
	if c.AuthURL == "" {
		return errors.New("--auth-url is not set")
	}
	return std.Service(c.LogFlags, "gateway", func(p *app.Parts) error {
		return errors.Join(p.OpenDB(ctx, c.DatabaseFlags.Open), p.OpenBucket(ctx, &c.BucketFlags), p.OpenRedis(&c.RedisFlags))
	}, func(p *app.Parts) error {
		verifier, err := token.New(ctx, token.Config{
			JWKS: c.AuthURL + "/.well-known/jwks.json", Issuer: app.Issuer, Audience: app.Audience, Logger: p.Log,
		})
		if err != nil {
			return err
		}
		defer verifier.Close()
		l, err := app.Listen(ctx, c.Listen)
		if err != nil {
			return err
		}
		return p.Gateway(ctx, l, version, c.GatewayFlags, c.AuthURL, verifier)
	})
}
