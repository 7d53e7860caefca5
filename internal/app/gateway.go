package app

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/internal/rate"
)

// GatewayFlags are the settings of the gateway.
type GatewayFlags struct {
	MaxUpload      int64         `group:"Service:" placeholder:"BYTES" default:"4294967296" env:"MP3LATHE_MAX_UPLOAD" help:"Largest upload, in bytes."`
	UploadIdle     time.Duration `group:"Service:" placeholder:"TIME" default:"1m" env:"MP3LATHE_UPLOAD_IDLE" help:"How long an upload may stand still."`
	ShortBytes     int64         `group:"Fair use:" placeholder:"BYTES" default:"16777216" env:"MP3LATHE_SHORT_BYTES" help:"Files up to this size take the fast lane; 0 for none."`
	ShortLength    time.Duration `group:"Fair use:" placeholder:"TIME" default:"5m" env:"MP3LATHE_SHORT_LENGTH" help:"Cuts up to this length, by their settings, take the fast lane; 0 for none."`
	BulkAfter      int           `group:"Fair use:" placeholder:"N" default:"20" env:"MP3LATHE_BULK_AFTER" help:"Jobs of a user who has so many waiting already take the lane for bulk; up to 999, 0 for none."`
	QuotaJobs      int           `group:"Fair use:" placeholder:"N" default:"1000" env:"MP3LATHE_QUOTA_JOBS" help:"Jobs that one user may have waiting; up to 10000, 0 for any number."`
	QuotaDaily     int64         `group:"Fair use:" placeholder:"BYTES" default:"53687091200" env:"MP3LATHE_QUOTA_DAILY" help:"Bytes that one user may upload a day (UTC); 0 for any number."`
	QuotaStored    int64         `group:"Fair use:" placeholder:"BYTES" default:"53687091200" env:"MP3LATHE_QUOTA_STORED" help:"Bytes that the files of one user may take; 0 for any number."`
	RateUser       int           `group:"Fair use:" placeholder:"N" default:"6000" env:"MP3LATHE_RATE_USER" help:"Requests of one user that are answered in a minute; 0 for any number."`
	RateAddress    int           `group:"Fair use:" placeholder:"N" default:"300" env:"MP3LATHE_RATE_ADDRESS" help:"Requests of one address without a token, such as logins, that are answered in a minute; 0 for any number."`
	TrustedProxies []string      `group:"Fair use:" placeholder:"NETWORKS" env:"MP3LATHE_TRUSTED_PROXIES" help:"Networks of the proxies in front, such as 10.0.0.0/8,::1/128, whose X-Forwarded-For is believed. Default: none."`
	TrustParents   bool          `name:"trust-traceparent" group:"Logging:" env:"MP3LATHE_TRUST_TRACEPARENT" help:"Go on with the traces that requests name (traceparent), and record those that they want recorded. Without it each begins one of its own, with a link."`
	Drain          time.Duration `group:"Service:" placeholder:"TIME" default:"${drain}" env:"MP3LATHE_DRAIN" help:"How long uploads and downloads may go on after SIGTERM or Ctrl-C; 0 cuts them off."`
}

// GatewaySettings are what [Parts.Gateway] works by.
type GatewaySettings struct {
	gateway.Config
	// Window is how many of the waiting jobs of one user are in the queue at a time; 0 is
	// all.
	Window int
	// Drain is how long requests may go on after the end has begun; 0 is no time.
	Drain time.Duration
	// PublicURL is logged.
	PublicURL string
	// Health is an address for /livez, /readyz and /metrics, or empty.
	Health string
	Links  *link.Signer
	// Queues is a page about the queues for administrators; nil is none.
	Queues http.Handler
}

// Check returns the settings of the gateway, without those that other flags make.
func (c *GatewayFlags) Check(f *Faults) GatewaySettings {
	f.Number("max-upload", c.MaxUpload, 1, math.MaxInt64)
	f.Time("upload-idle", c.UploadIdle, time.Second, Long)
	f.Number("short-bytes", c.ShortBytes, 0, math.MaxInt64)
	f.Time("short-length", c.ShortLength, 0, Long)
	f.Number("bulk-after", int64(c.BulkAfter), 0, jobs.MaxList-1)
	f.Number("quota-jobs", int64(c.QuotaJobs), 0, jobs.MaxWaiting)
	f.Number("quota-daily", c.QuotaDaily, 0, math.MaxInt64)
	f.Number("quota-stored", c.QuotaStored, 0, math.MaxInt64)
	f.Number("rate-user", int64(c.RateUser), 0, maxRate)
	f.Number("rate-address", int64(c.RateAddress), 0, maxRate)
	f.Time("drain", c.Drain, 0, Long)
	return GatewaySettings{
		Config: gateway.Config{
			MaxUpload: c.MaxUpload, UploadIdle: c.UploadIdle,
			ShortBytes: orNone(c.ShortBytes), ShortLength: orNone(c.ShortLength), BulkAfter: orNone(c.BulkAfter),
			Quota: gateway.Quota{Waiting: c.QuotaJobs, DailyBytes: c.QuotaDaily, StoredBytes: c.QuotaStored},
			Rates: gateway.Rates{User: c.RateUser, Address: c.RateAddress}, TrustedProxies: c.trusted(f),
			TrustParents: c.TrustParents,
		}, Drain: c.Drain,
	}
}

// maxRate is the most requests a minute that can be counted.
const maxRate = 10_000_000

// trusted reads the networks of the proxies.
func (c *GatewayFlags) trusted(f *Faults) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p, err = a.Prefix(a.BitLen())
			}
		}
		if err != nil {
			f.Add("trusted-proxies", "has %q: want networks such as 10.0.0.0/8, or addresses", text)
		}
		networks = append(networks, p)
	}
	return networks
}

// GatewayCLI is the command line of the gateway.
type GatewayCLI struct {
	Serve   gatewayCmd       `cmd:"" default:"withargs" help:"Serve the API until SIGTERM or Ctrl-C."`
	Health  gatewayHealthCmd `cmd:"" help:"Ask the gateway that runs here whether it is well: exit code 0, or 1."`
	Migrate jobsMigrateCmd   `cmd:"" help:"Bring the tables of jobs up to date, which every service also does at its start."`
}

// gatewayListen is its own flag, since the command health has it too.
type gatewayListen struct {
	Listen string `group:"Service:" placeholder:"ADDRESS" default:":8080" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
}

type gatewayHealthCmd struct {
	gatewayListen
	AskFlags
}

// Run asks.
func (c *gatewayHealthCmd) Run(ctx context.Context, std *Std) error {
	return c.Ask(ctx, std.Out, "listen", c.Listen)
}

type gatewayCmd struct {
	gatewayListen
	AuthURL   string `name:"auth-url" group:"Parts:" placeholder:"URL" env:"MP3LATHE_AUTH_URL" help:"The auth service, such as http://auth:8081."`
	QueuesURL string `name:"queues-url" group:"Parts:" placeholder:"URL" env:"MP3LATHE_QUEUES_URL" help:"The page of the queues, such as http://queues:8086, to be shown to administrators at /admin/queues. Default: not shown."`
	HealthFlags
	LinkFlags
	GatewayFlags
	TurnFlags
	JobsFlags
	RedisFlags
	BucketFlags
	LogFlags
}

// Run serves until ctx is done.
func (c *gatewayCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	f.Address("listen", c.Listen)
	settings := c.GatewayFlags.Check(&f)
	settings.Window = c.TurnFlags.Check(&f)
	settings.Health = c.HealthFlags.Check(&f)
	settings.Version, settings.PublicURL = std.Version, c.PublicURL
	settings.Links = c.LinkFlags.Check(&f)
	settings.AuthURL = c.authURL(&f)
	settings.Queues = c.queues(&f)
	database, bucket, redis := c.JobsFlags.Check(&f), c.BucketFlags.Check(ctx, &f), c.RedisFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return Service(std, c.LogFlags, "gateway", func(p *Parts) error {
		return p.Open(ctx, database, bucket, redis)
	}, func(p *Parts) error {
		l, err := Listen(ctx, "listen", c.Listen)
		if err != nil {
			return err
		}
		defer l.Close()
		verifier, err := NewVerifier(ctx, settings.AuthURL, p.Log)
		if err != nil {
			return err
		}
		defer verifier.Close()
		return p.Gateway(ctx, l, settings, verifier)
	})
}

// NewVerifier returns a verifier of the tokens of the auth service at a URL, whose keys
// it fetches until ctx is done or it is closed.
func NewVerifier(ctx context.Context, authURL string, logger *slog.Logger) (*token.Verifier, error) {
	return token.New(ctx, token.Config{JWKS: authURL + "/.well-known/jwks.json", Issuer: Issuer, Audience: Audience, Logger: logger})
}

// authURL returns the URL of the auth service, without a slash at its end.
func (c *gatewayCmd) authURL(f *Faults) string {
	if c.AuthURL == "" {
		f.Add("auth-url", "is not set")
		return ""
	}
	f.httpURL("auth-url", c.AuthURL, "http://auth:8081")
	return strings.TrimRight(c.AuthURL, "/")
}

// queues returns the page about the queues; nil if there is none.
func (c *gatewayCmd) queues(f *Faults) http.Handler {
	if c.QueuesURL == "" {
		return nil
	}
	f.httpURL("queues-url", c.QueuesURL, "http://queues:8086")
	target, err := url.Parse(c.QueuesURL)
	if err != nil {
		return nil // it has been said
	}
	return gateway.QueuesAt(target)
}

// Gateway serves the HTTP API on l until ctx is done, and then lets requests finish.
// verifier is closed by the caller.
func (p *Parts) Gateway(ctx context.Context, l net.Listener, settings GatewaySettings, verifier *token.Verifier) error {
	checks := p.Checks()
	checks["tokens"] = verifier.Ready
	// Uploads wait for it in their rows, and the sweeper queues them later. A load
	// balancer that turned users away would lose more.
	checks["redis"] = httpapi.Spare(checks["redis"])
	jobs, queue := p.Turns(settings.Window)
	limiter, err := rate.Open(p.Redis, p.Log)
	if err != nil {
		return err
	}
	defer limiter.Close()
	settings.TLS = strings.HasPrefix(settings.PublicURL, "https://")
	g, err := gateway.New(settings.Config, gateway.Deps{
		Jobs: jobs, Keys: jobs, Queue: queue, Hints: p.Hints, Bucket: gateway.BucketOf(p.Bucket), Tokens: verifier, Links: settings.Links,
		Limiter: limiter, Departures: p.Departed, Queues: settings.Queues,
		Checks: checks, Logger: p.Log, Metrics: p.Metrics(),
	})
	if err != nil {
		return err
	}
	// Gateways are there when no worker is, which is when somebody should know what waits.
	fleet := metrics.NewFleet(p.Jobs, Hostname(), p.Log, metrics.NewJobs(p.Jobs, p.Log), p.Queue.Collector())
	defer fleet.Close()
	if err := p.Metrics().Register(fleet); err != nil {
		return err
	}
	p.Log.Info("the gateway is served", "address", l.Addr().String(), "public", settings.PublicURL)
	group, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, group, settings.Health, checks); err != nil {
		return err
	}
	// The background part serves requests that go on after ctx is done.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return g.Run(background) })
	group.Go(func() error {
		defer stop()
		return httpapi.Serve(gctx, l, g.Handler(), p.Log, httpapi.ServerConfig{Grace: Grace(settings.Drain)})
	})
	return group.Wait()
}

// Grace is a time after SIGTERM in the words of the packages that take one: their 0
// is a default, and a negative one is no time.
func Grace(d time.Duration) time.Duration { return orNone(d) }

// orNone is a setting whose 0 is none, for a field whose 0 is a default.
func orNone[T int | int64 | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}
