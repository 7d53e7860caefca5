package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/events"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// Parts are what the services work with. A service needs some of them only.
type Parts struct {
	Log    *slog.Logger
	DB     *sqldb.DB
	Jobs   *jobstore.Store
	Bucket *objstore.Bucket
	// Redis is the URL that Queue and Hints are connected to.
	Redis string
	Queue *queue.Client
	Hints *events.Bus

	closers []func() error
}

// OpenDB opens the database and brings the tables of jobs up to date.
func (p *Parts) OpenDB(ctx context.Context, open func(context.Context) (*sqldb.DB, error)) error {
	var err error
	if p.DB, err = open(ctx); err != nil {
		return err
	}
	p.closers = append(p.closers, p.DB.Close)
	if err := jobstore.Migrate(ctx, p.DB); err != nil {
		return err
	}
	p.Jobs = jobstore.New(p.DB)
	return nil
}

// OpenBucket opens the bucket.
func (p *Parts) OpenBucket(ctx context.Context, flags *BucketFlags) error {
	var err error
	if p.Bucket, err = flags.Open(ctx); err != nil {
		return err
	}
	p.closers = append(p.closers, p.Bucket.Close)
	return nil
}

// OpenRedis is OpenQueue on what the flags name.
func (p *Parts) OpenRedis(flags *RedisFlags) error {
	url, err := flags.URL()
	if err != nil {
		return err
	}
	return p.OpenQueue(url)
}

// OpenQueue makes the client of the queue and the bus of hints. It does not wait for
// Redis.
func (p *Parts) OpenQueue(redisURL string) error {
	var err error
	if p.Queue, err = queue.Open(redisURL); err != nil {
		return err
	}
	p.closers = append(p.closers, p.Queue.Close)
	if p.Hints, err = events.Open(redisURL); err != nil {
		return err
	}
	p.closers = append(p.closers, p.Hints.Close)
	p.Redis = redisURL
	return nil
}

// Close closes what was opened, last first.
func (p *Parts) Close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// Checks of /readyz for the parts that are open.
func (p *Parts) Checks() map[string]httpapi.Check {
	checks := map[string]httpapi.Check{}
	if p.DB != nil {
		checks["database"] = p.DB.PingContext
	}
	if p.Bucket != nil {
		checks["bucket"] = p.Bucket.Ping
	}
	if p.Queue != nil {
		checks["redis"] = p.Queue.Ping
	}
	return checks
}

// Links makes the signer of download links.
func (f *LinkFlags) Links() (*link.Signer, error) {
	if f.PublicURL == "" {
		return nil, errors.New("--public-url is not set")
	}
	text, err := secret("link-key", f.LinkKey, f.LinkKeyFile)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			keys = append(keys, []byte(line))
		}
	}
	return link.New(f.PublicURL, keys...)
}

func certificates(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// Listen opens a port. The address is logged by those who serve on it.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var cfg net.ListenConfig
	return cfg.Listen(ctx, "tcp", address)
}

// ServeHealth serves /livez and /readyz for a service that has no API of its own;
// with an empty address it does nothing.
func (p *Parts) ServeHealth(ctx context.Context, g *errgroup.Group, address string) error {
	if address == "" {
		return nil
	}
	l, err := Listen(ctx, address)
	if err != nil {
		return err
	}
	p.Log.Info("health is served", "address", l.Addr().String())
	mux, _ := httpapi.NewAPI("health", "", "")
	httpapi.Health(mux, p.Log, p.Checks())
	g.Go(func() error {
		return httpapi.Serve(ctx, l, httpapi.Observe(mux, p.Log, 10*time.Second), p.Log, httpapi.ServerConfig{Grace: time.Second})
	})
	return nil
}

// Hostname is a name for this process in rows and logs.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s-%d", name, os.Getpid())
}
