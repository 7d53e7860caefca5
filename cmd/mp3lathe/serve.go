package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/notifier"
)

// serveCmd is "mp3lathe serve": the whole system in one process.
type serveCmd struct {
	Data      string `short:"d" group:"Service:" placeholder:"DIR" env:"MP3LATHE_DATA" complete:"folders" help:"Folder for everything that is kept. Default: ~/.local/share/mp3lathe."`
	Listen    string `short:"l" group:"Service:" placeholder:"ADDRESS" default:"127.0.0.1:8080" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
	PublicURL string `group:"Service:" placeholder:"URL" env:"MP3LATHE_PUBLIC_URL" help:"The address as users see it, for links in mails. Default: http:// and the address."`
	MaxUpload int64  `group:"Service:" placeholder:"BYTES" default:"4294967296" env:"MP3LATHE_MAX_UPLOAD" help:"Largest upload, in bytes."`

	TokenLifetime time.Duration `group:"Service:" placeholder:"TIME" default:"15m" env:"MP3LATHE_TOKEN_LIFETIME" help:"How long an access token is good."`
	Registration  string        `group:"Service:" enum:"open,closed" default:"open" env:"MP3LATHE_REGISTRATION" help:"Who may register: open is everybody, closed nobody."`

	workers.Flags
	app.NotifierFlags
	app.MailFlags
	app.LogFlags
}

func (*serveCmd) usage() string { return "mp3lathe serve [flags]" }

func (*serveCmd) footer() string {
	return `The gateway, auth, a worker and the notifier run in this one process, on SQLite,
a Redis inside the process, and folders below DIR: bucket holds uploads and MP3s,
mail the mails (.eml) unless --smtp names a mail server. All of it, queued jobs
included, survives a restart. DIR/address has the address while it runs.

Examples:
  mp3lathe serve                                  on http://127.0.0.1:8080
  mp3lathe serve --data /srv/mp3lathe --listen :80 --public-url http://mp3.example.org
`
}

// Run serves until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *stdio) error {
	out := &app.Std{Out: std.out, Err: std.err}
	d, err := openData(c.Data)
	if err != nil {
		return err
	}
	defer d.close()
	mailer, err := c.mailer(d)
	if err != nil {
		return err
	}
	redis, err := embedded.Redis()
	if err != nil {
		return err
	}
	defer redis.Close()
	var accounts *auth.Service
	return out.Service(c.LogFlags, "all", func(p *app.Parts) (err error) {
		err = p.OpenDB(ctx, func(ctx context.Context) (*sqldb.DB, error) { return sqldb.Open(ctx, "sqlite:"+d.path("mp3lathe.db")) })
		if err != nil {
			return err
		}
		if err := p.OpenBucket(ctx, &app.BucketFlags{Bucket: d.bucket()}); err != nil {
			return err
		}
		if err := p.OpenQueue(redis.URL()); err != nil {
			return err
		}
		flags := app.AuthFlags{TokenLifetime: c.TokenLifetime, Registration: c.Registration}
		accounts, err = p.OpenAccounts(ctx, nil, flags, d.signingKey)
		return err
	}, func(p *app.Parts) error { return c.serve(ctx, std, p, d, accounts, mailer) })
}

// mailer is the mail server's, or a folder.
func (c *serveCmd) mailer(d *dataFolder) (notifier.Mailer, error) {
	if c.SMTP != "" {
		return c.MailFlags.Open()
	}
	return mail.NewFolder(d.path("mail"), c.MailFrom)
}

// serve runs all services until ctx is done.
func (c *serveCmd) serve(ctx context.Context, std *stdio, p *app.Parts, d *dataFolder, accounts *auth.Service, mailer notifier.Mailer) error {
	verifier, err := token.New(ctx, token.Config{Keys: accounts.Keys(), Issuer: app.Issuer, Audience: app.Audience, Logger: p.Log})
	if err != nil {
		return err
	}
	defer verifier.Close()
	front, err := app.Listen(ctx, c.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("another program listens on %s; choose another address with --listen", c.Listen)
		}
		return err
	}
	behind, err := app.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		front.Close()
		return err
	}
	local := "http://" + reachable(front.Addr().(*net.TCPAddr))
	gateway := app.GatewayFlags{
		LinkFlags: app.LinkFlags{PublicURL: c.PublicURL, LinkKey: d.linkKey}, MaxUpload: c.MaxUpload, UploadIdle: time.Minute, Drain: c.Grace,
	}
	if gateway.PublicURL == "" {
		gateway.PublicURL = local
	}
	links, err := gateway.Links()
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.Auth(gctx, behind, accounts) })
	g.Go(func() error {
		return p.Gateway(gctx, front, currentVersions().Version, gateway, "http://"+behind.Addr().String(), verifier)
	})
	g.Go(func() error { return workers.Run(gctx, p, c.Flags, "") })
	g.Go(func() error { return p.Notifier(gctx, c.NotifierFlags, links, mailer, "") })
	if err := d.announce(local); err != nil {
		p.Log.Warn("the address could not be written", "error", err)
	}
	fmt.Fprintf(std.out, "mp3lathe serves %s (the API: %[1]s/openapi.json); its data is in %s; Ctrl-C stops it\n", local, d.dir)
	return g.Wait()
}

// reachable is an address that this machine can connect to.
func reachable(a *net.TCPAddr) string {
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, fmt.Sprint(a.Port))
}

// defaultData is the folder by the XDG base directory specification.
func defaultData() (string, error) {
	base := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", errors.New("there is no home folder; name one for the data with --data")
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "mp3lathe"), nil
}
