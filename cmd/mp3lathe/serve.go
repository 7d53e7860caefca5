package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/queues"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/mail"
)

// serveCmd is "mp3lathe serve": the whole system in one process.
type serveCmd struct {
	Data string `short:"d" group:"Service:" placeholder:"DIR" env:"MP3LATHE_DATA" complete:"folders" help:"Folder for everything that is kept. Default: ~/.local/share/mp3lathe."`
	listenFlag
	PublicURL string `group:"Service:" placeholder:"URL" env:"MP3LATHE_PUBLIC_URL" help:"The address as users see it, for links in mails. Default: http:// and the address."`

	app.HealthFlags
	AdminQueues string `group:"Service:" placeholder:"HOW" enum:"off,read,write" default:"off" env:"MP3LATHE_ADMIN_QUEUES" help:"Show administrators the queues at /admin/queues: off, read, or write, which lets them pause queues and run or remove tasks."`

	app.GatewayFlags
	app.TurnFlags
	app.AuthFlags
	app.AuditFlags
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

// serveSettings are those of all services in the process.
type serveSettings struct {
	gateway  app.GatewaySettings
	auth     auth.Config
	worker   workers.Settings
	notifier app.NotifierSettings
	health   string
}

// check looks at all settings before anything is begun.
func (c *serveCmd) check() (serveSettings, error) {
	var f app.Faults
	f.Address("listen", c.Listen)
	if c.PublicURL != "" {
		app.CheckPublicURL(&f, c.PublicURL)
	}
	s := serveSettings{
		gateway: c.GatewayFlags.Check(&f), auth: c.AuthFlags.Check(&f),
		worker: c.Flags.Check(&f), notifier: c.NotifierFlags.Check(&f), health: c.HealthFlags.Check(&f),
	}
	s.gateway.Version = currentVersions().Version
	s.gateway.Window = c.TurnFlags.Check(&f)
	s.worker.Window = s.gateway.Window
	s.auth.AuditRetention = c.AuditFlags.Check(&f)
	s.worker.Sweep.AuditRetention = s.auth.AuditRetention
	if sender := c.MailFlags.Check(&f, false); sender != nil {
		s.notifier.Mailer = sender
	}
	return s, f.Err()
}

// Run serves until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *stdio) error {
	settings, err := c.check()
	if err != nil {
		return err
	}
	// What is alive in the heap is 2 to 5 MiB: conversions and large buffers lie
	// outside of it. By its default the collector would come for each few jobs.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	d, err := openData(c.Data)
	if errors.As(err, new(*fs.PathError)) {
		return fmt.Errorf("the folder for the data cannot be used (--data names another): %w", err)
	}
	if err != nil {
		return err
	}
	defer d.close()
	if settings.notifier.Mailer == nil {
		if settings.notifier.Mailer, err = mail.NewFolder(d.path("mail"), c.MailFrom); err != nil {
			return err
		}
	}
	settings.auth.Secrets = d.secrets
	redis := embedded.Redis()
	defer redis.Close()
	out := &app.Std{Out: std.out, Err: std.err, Version: currentVersions().Version}
	err = app.Service(out, c.LogFlags, "all", func(p *app.Parts) error {
		url := d.database()
		if err := p.Open(ctx, url, app.BucketPlace{URL: d.bucket()}, redis.Address()); err != nil {
			return err
		}
		// Nobody else writes into this bucket, so what is unfinished stays so.
		if _, err := p.Bucket.SweepUploads(ctx, 0); err != nil {
			return err
		}
		if err := p.OpenAccounts(ctx, url); err != nil {
			return err
		}
		if p.Newer {
			return fmt.Errorf("the data in %s are of a newer mp3lathe than this one (%s); use that, or another folder with --data", d.dir, currentVersions().Version)
		}
		return nil
	}, func(p *app.Parts) error { return c.serve(ctx, std, p, d, settings) })
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // a signal came before all was open
	}
	return err
}

// serve runs all services until ctx is done.
func (c *serveCmd) serve(ctx context.Context, std *stdio, p *app.Parts, d *dataFolder, settings serveSettings) error {
	front, err := app.Listen(ctx, "listen", c.Listen)
	if err != nil {
		return err
	}
	defer front.Close()
	behind, err := app.Listen(ctx, "listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer behind.Close()
	local := "http://" + reachable(front.Addr().(*net.TCPAddr))
	settings.gateway.AuthURL = "http://" + behind.Addr().String()
	verifier, err := app.NewVerifier(ctx, settings.gateway.AuthURL, p.Log)
	if err != nil {
		return err
	}
	defer verifier.Close()
	settings.gateway.PublicURL = cmp.Or(c.PublicURL, local)
	settings.auth.PublicURL = settings.gateway.PublicURL
	accounts, err := p.NewAuth(settings.auth, app.AuthParts{Mailer: settings.notifier.Mailer, Gateway: local, Redis: p.Redis})
	if err != nil {
		return err
	}
	if err := accounts.Prepare(ctx); err != nil {
		return err
	}
	if c.AdminQueues != "off" {
		page, closePage, err := queues.Page(p.Redis, c.AdminQueues == "write")
		if err != nil {
			return err
		}
		defer closePage()
		settings.gateway.Queues = page
	}
	links, err := link.New(settings.gateway.PublicURL, d.linkKeys...)
	if err != nil {
		return err
	}
	settings.gateway.Links, settings.notifier.Links = links, links
	// The queue knows nothing of the jobs of an earlier process. Nobody has asked it
	// for any yet.
	settings.worker.Sweep.QueueSince = time.Now()
	g, gctx := errgroup.WithContext(ctx)
	// One port for all of them: they share a process and a registry.
	if err := p.ServeHealth(gctx, g, settings.health, p.Checks()); err != nil {
		return err
	}
	g.Go(func() error { return p.Auth(gctx, behind, accounts, "") })
	g.Go(func() error { return p.Gateway(gctx, front, settings.gateway, verifier) })
	g.Go(func() error { return workers.Run(gctx, p, settings.worker) })
	g.Go(func() error { return p.Notifier(gctx, settings.notifier) })
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
