package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/departed"
	"github.com/mp3lathe/mp3lathe/internal/events"
	"github.com/mp3lathe/mp3lathe/internal/fair"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/jobstore/mongo"
	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// Parts are what the services work with. A service needs some of them only.
type Parts struct {
	Log *slog.Logger
	// Database names the open one, without its password.
	Database string
	// Newer reports that its tables are of a newer version than this program.
	Newer bool
	// DB is the database, if it is SQL.
	DB   *sqldb.DB
	Jobs jobs.Store
	// Departed are the owners whose jobs are to be removed.
	Departed jobs.Departures
	Bucket   *objstore.Bucket
	// Redis is what Queue and Hints are connected to.
	Redis redisconn.Address
	Queue *queue.Client
	Hints *events.Bus

	// Service and Version are those of the program.
	Service, Version string

	metrics     *prometheus.Registry
	metricsOnce sync.Once
	ping        httpapi.Check // of the database
	closers     []func() error
}

// Metrics is where the services and their parts register what they count: one registry
// for the process.
func (p *Parts) Metrics() *prometheus.Registry {
	p.metricsOnce.Do(func() { p.metrics = metrics.NewRegistry(p.Service, p.Version) })
	return p.metrics
}

// Open opens the parts that convert: database, bucket and Redis.
func (p *Parts) Open(ctx context.Context, database string, bucket BucketPlace, redis redisconn.Address) error {
	if err := p.OpenDB(ctx, database); err != nil {
		return err
	}
	if err := p.OpenBucket(ctx, bucket); err != nil {
		return err
	}
	return p.OpenQueue(redis)
}

// OpenDB opens the database of a URL and brings its tables of jobs up to date.
func (p *Parts) OpenDB(ctx context.Context, url string) error {
	if mongodb.IsURL(url) {
		return p.openMongoDB(ctx, url)
	}
	if err := p.openDB(ctx, url, jobstore.Migrate); err != nil {
		return err
	}
	if err := p.openDB(ctx, url, departed.Migrate); err != nil {
		return err
	}
	p.Jobs, p.Departed = jobstore.New(p.DB), departed.New(p.DB)
	return nil
}

// openDB opens the database of a URL, unless one is open, and brings some of its
// tables up to date.
func (p *Parts) openDB(ctx context.Context, url string, migrate func(context.Context, *sqldb.DB) error) error {
	if p.DB == nil {
		db, err := sqldb.Open(ctx, url)
		if err != nil {
			return Explain("the database cannot be used", err)
		}
		p.DB, p.Database, p.ping = db, db.String(), db.PingContext
		p.closers = append(p.closers, db.Close)
		p.Metrics().MustRegister(collectors.NewDBStatsCollector(db.DB, "main"))
		if relaxed := db.Relaxed(); relaxed != db {
			p.Metrics().MustRegister(collectors.NewDBStatsCollector(relaxed.DB, "relaxed"))
		}
	}
	if err := migrate(ctx, p.DB); err != nil {
		return Explain("the tables of the database cannot be brought up to date", err)
	}
	p.migrated(p.DB.Newer())
	return nil
}

// openMongoDB is [Parts.OpenDB] for MongoDB.
func (p *Parts) openMongoDB(ctx context.Context, url string) error {
	db, err := mongodb.Open(ctx, url)
	if err != nil {
		return Explain("the database cannot be used", err)
	}
	p.Database, p.ping = db.String(), db.Ping
	p.closers = append(p.closers, db.Close)
	newer, err := mongo.Migrate(ctx, db)
	if err != nil {
		return Explain("the tables of the database cannot be brought up to date", err)
	}
	p.migrated(newer)
	p.Jobs, p.Departed = mongo.New(db), mongo.NewDepartures(db)
	return nil
}

// migrated notes whether tables are newer than this program.
func (p *Parts) migrated(newer bool) {
	p.Newer = newer
	if newer && p.Log != nil {
		// As when the programs of a fleet are replaced one after the other.
		p.Log.Warn("the tables of the database are of a newer version than this program")
	}
}

// OpenBucket opens the bucket.
func (p *Parts) OpenBucket(ctx context.Context, place BucketPlace) error {
	var err error
	if p.Bucket, err = objstore.OpenWith(ctx, place.URL, &place.Options); err != nil {
		return Explain("the bucket cannot be used", err)
	}
	p.closers = append(p.closers, p.Bucket.Close)
	// Pieces of what goes to S3 wait in the folder for temporary files.
	disk := metrics.NewDisk("temporary", os.TempDir())
	if u, err := url.Parse(place.URL); err == nil && u.Scheme == "file" {
		disk = metrics.NewDisk("bucket", u.Path)
	}
	p.Metrics().MustRegister(disk)
	return nil
}

// OpenQueue makes the client of the queue and the bus of hints. It does not wait for
// Redis.
func (p *Parts) OpenQueue(at redisconn.Address) error {
	var err error
	if p.Queue, err = queue.Open(at); err != nil {
		return err
	}
	p.closers = append(p.closers, p.Queue.Close)
	if p.Hints, err = events.Open(at); err != nil {
		return err
	}
	p.closers = append(p.closers, p.Hints.Close)
	p.Redis = at
	return nil
}

// Turns returns jobs and queue for a service that gives users turns: see package fair.
func (p *Parts) Turns(window int) (fair.Jobs, fair.Queue) {
	store := p.Jobs.WithWindow(window)
	turns := fair.NewTurns(store, p.Queue, p.Log)
	return fair.NewJobs(store, turns), fair.NewQueue(p.Queue, turns)
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
	if p.ping != nil {
		checks["database"] = p.ping
	}
	if p.Bucket != nil {
		checks["bucket"] = p.Bucket.Ping
	}
	if p.Queue != nil {
		checks["redis"] = p.Queue.Ping
	}
	return checks
}

// Listen opens the port of an address that a flag names. The address is logged by
// those who serve on it.
func Listen(ctx context.Context, flag, address string) (net.Listener, error) {
	var cfg net.ListenConfig
	l, err := cfg.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program listens on %s; choose another address with %s", address, label(flag))
	case err != nil:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", label(flag), address, err)
	}
	return l, nil
}

// HealthFlags name the address for those who watch a service, which is not for its
// users.
type HealthFlags struct {
	Health string `group:"Service:" placeholder:"ADDRESS" env:"MP3LATHE_HEALTH" help:"Address for /livez, /readyz and /metrics. Default: none."`
}

// Check returns the address, which may be empty.
func (c *HealthFlags) Check(f *Faults) string {
	if c.Health != "" {
		f.Address("health", c.Health)
	}
	return c.Health
}

// ServeHealth serves /livez, /readyz and /metrics for those who watch a service; with an
// empty address it does nothing.
func (p *Parts) ServeHealth(ctx context.Context, g *errgroup.Group, address string, checks map[string]httpapi.Check) error {
	if address == "" {
		return nil
	}
	l, err := Listen(ctx, "health", address)
	if err != nil {
		return err
	}
	p.Log.Info("health is served", "address", l.Addr().String())
	mux, _ := httpapi.NewAPI("health", "", "")
	httpapi.Health(mux, p.Log, checks)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Metrics(), promhttp.HandlerOpts{
		EnableOpenMetrics:   true, // which has exemplars
		MaxRequestsInFlight: 4,
		ErrorLog:            slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
	}))
	g.Go(func() error {
		return httpapi.Serve(ctx, l, httpapi.Observe(mux, p.Log, 10*time.Second, nil), p.Log, httpapi.ServerConfig{Grace: time.Second})
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
