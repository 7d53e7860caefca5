// Package workers puts the worker together, as package app does with the other
// services. It links libav.
package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// Flags are the settings of a worker.
type Flags struct {
	Concurrency int           `group:"Conversion:" placeholder:"N" default:"${cpus}" env:"MP3LATHE_CONCURRENCY" help:"Jobs that are converted at the same time; by default one for each processor."`
	Parallelism int           `group:"Conversion:" placeholder:"N" default:"0" env:"MP3LATHE_PARALLELISM" help:"Encoders at work on one job: 0 for as many as there are processors without work, 1 for a single one. From 2 on, an MP3 is the same whatever N."`
	JobTimeout  time.Duration `group:"Conversion:" placeholder:"TIME" default:"2h" env:"MP3LATHE_JOB_TIMEOUT" help:"Longest time that one attempt may take; then the job fails."`
	MaxLength   time.Duration `group:"Conversion:" placeholder:"TIME" default:"24h" env:"MP3LATHE_MAX_LENGTH" help:"Longest MP3."`
	MaxTries    int           `group:"Conversion:" placeholder:"N" default:"5" env:"MP3LATHE_MAX_TRIES" help:"Attempts before a job fails for reasons that are not its file's."`
	Lease       time.Duration `group:"Conversion:" placeholder:"TIME" default:"30s" env:"MP3LATHE_LEASE" help:"How long a job belongs to a worker that gives no sign of life."`
	Isolation   string        `group:"Conversion:" placeholder:"HOW" enum:"required,preferred,off" default:"preferred" env:"MP3LATHE_ISOLATION" help:"Convert each file in a locked-in process of its own: required refuses to start where the kernel lacks a lock, preferred goes on with those it has, off converts in this process."`
	JobMemory   int           `group:"Conversion:" placeholder:"MIB" default:"0" env:"MP3LATHE_JOB_MEMORY" help:"Memory that the process of one job may use, in MiB; 0 for 512, and 32 more for each processor."`
	Retention   time.Duration `group:"Conversion:" placeholder:"TIME" default:"168h" env:"MP3LATHE_RETENTION" help:"How long the files of an ended job are kept, unless its upload wants less."`
	Grace       time.Duration `group:"Conversion:" placeholder:"TIME" default:"20s" env:"MP3LATHE_GRACE" help:"How long jobs may go on after SIGTERM or Ctrl-C, before they are handed back; 0 hands them back at once."`

	Weights string `group:"Fair use:" placeholder:"N:N:N" default:"6:3:1" env:"MP3LATHE_WEIGHTS" help:"Weights of the lanes short, default and bulk: how often a free slot looks into each first."`

	SweepInterval time.Duration `group:"Sweeper:" placeholder:"TIME" default:"5s" env:"MP3LATHE_SWEEP_INTERVAL" help:"How often lost jobs are looked for."`
	SweepStale    time.Duration `group:"Sweeper:" placeholder:"TIME" default:"20s" env:"MP3LATHE_SWEEP_STALE" help:"How long a job waits before the queue is asked again whether it knows it."`
	OrphanAge     time.Duration `group:"Sweeper:" placeholder:"TIME" default:"1h" env:"MP3LATHE_ORPHAN_AGE" help:"How old an object without a job must be before it is removed."`
}

// Settings are what [Run] works by. The zero value of each field is a good default.
type Settings struct {
	worker.Config
	// Isolation is one of the constants of that name. Default [IsolationPreferred].
	Isolation string
	// JobMemory bounds the process of one job, in bytes; 0 is the cage's default.
	JobMemory int64
	// Concurrency is how many jobs are converted at the same time. Default
	// GOMAXPROCS.
	Concurrency int
	// Window is how many of the waiting jobs of one user are in the queue at a time; 0 is
	// all.
	Window int
	// Weights of the lanes; nil is a good choice.
	Weights map[job.Lane]int
	// Grace is how long jobs may go on after the end has begun; negative is no time.
	// Default 20 s.
	Grace time.Duration
	// Health is an address for /livez, /readyz and /metrics, or empty.
	Health string
}

// The values of [Settings].Isolation.
const (
	// IsolationRequired: a worker whose kernel lacks one of the cage's locks does not
	// start.
	IsolationRequired = "required"
	// IsolationPreferred: it does with those that there are.
	IsolationPreferred = "preferred"
	// IsolationOff: conversions run in the worker's own process.
	IsolationOff = "off"
)

// Check returns the settings of a worker, without those that other flags make.
func (c *Flags) Check(f *app.Faults) Settings {
	f.Number("concurrency", int64(c.Concurrency), 1, app.MaxAtOnce)
	f.Number("parallelism", int64(c.Parallelism), 0, app.MaxAtOnce)
	f.Time("job-timeout", c.JobTimeout, time.Second, app.Long)
	f.Time("max-length", c.MaxLength, time.Second, app.Long)
	f.Number("max-tries", int64(c.MaxTries), 1, 1000)
	f.Time("lease", c.Lease, time.Second, app.Long)
	f.Number("job-memory", int64(c.JobMemory), 0, 1<<20)
	f.Time("retention", c.Retention, time.Second, app.Long)
	f.Time("grace", c.Grace, 0, app.Long)
	f.Time("sweep-interval", c.SweepInterval, 10*time.Millisecond, app.Long)
	f.Time("sweep-stale", c.SweepStale, 10*time.Millisecond, app.Long)
	f.Time("orphan-age", c.OrphanAge, time.Minute, app.Long)
	return Settings{
		Config: worker.Config{
			Lease: c.Lease, Timeout: c.JobTimeout, MaxTries: c.MaxTries, Retention: c.Retention, Parallelism: c.Parallelism,
			Limits: transcode.Limits{Duration: c.MaxLength},
			Sweep:  worker.SweepConfig{Interval: c.SweepInterval, Stale: c.SweepStale, OrphanAge: c.OrphanAge},
		},
		Isolation: c.Isolation, JobMemory: int64(c.JobMemory) << 20,
		Concurrency: c.Concurrency, Grace: app.Grace(c.Grace), Weights: c.weights(f),
	}
}

// weights reads the weights of the lanes.
func (c *Flags) weights(f *app.Faults) map[job.Lane]int {
	weights, fields := map[job.Lane]int{}, strings.Split(c.Weights, ":")
	ok := len(fields) == len(job.Lanes())
	for i, lane := range job.Lanes() {
		if ok {
			n, err := strconv.Atoi(fields[i])
			weights[lane] = n
			ok = err == nil && n >= 1 && n <= 1000
		}
	}
	if !ok {
		f.Add("weights", "is %q: want three numbers from 1 to 1000, such as 6:3:1", c.Weights)
	}
	return weights
}

// CLI is the command line of the worker.
type CLI struct {
	Serve      serveCmd      `cmd:"" default:"withargs" help:"Convert until SIGTERM or Ctrl-C; then finish, or hand back."`
	Health     app.HealthCmd `cmd:"" help:"Ask the worker that runs here whether it is well, if it has --health: exit code 0, or 1."`
	Quarantine quarantineCmd `cmd:"" help:"Show files with which conversions have crashed, or pardon one."`
}

type serveCmd struct {
	app.HealthFlags
	Flags
	app.TurnFlags
	app.AuditFlags
	app.JobsFlags
	app.RedisFlags
	app.BucketFlags
	app.LogFlags
}

func (c *serveCmd) settings(f *app.Faults) Settings {
	s := c.Flags.Check(f)
	s.Health, s.Window = c.HealthFlags.Check(f), c.TurnFlags.Check(f)
	s.Sweep.AuditRetention = c.AuditFlags.Check(f)
	return s
}

// Run converts until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *app.Std) error {
	var f app.Faults
	settings := c.settings(&f)
	database, bucket, redis := c.JobsFlags.Check(&f), c.BucketFlags.Check(ctx, &f), c.RedisFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return app.Service(std, c.LogFlags, "worker", func(p *app.Parts) error {
		return p.Open(ctx, database, bucket, redis)
	}, func(p *app.Parts) error { return Run(ctx, p, settings) })
}

// Run converts jobs and sweeps until ctx is done, and then finishes or hands back
// what it has begun.
func Run(ctx context.Context, p *app.Parts, settings Settings) error {
	cfg := settings.Config
	cfg.Name, cfg.Logger, cfg.Metrics = app.Hostname(), p.Log, p.Metrics()
	concurrency := settings.Concurrency
	if concurrency == 0 {
		concurrency = runtime.GOMAXPROCS(0)
	}
	cfg.Slots = concurrency
	convert, free, err := converter(ctx, p, settings)
	if err != nil {
		return err
	}
	defer free()
	jobs, turns := p.Turns(settings.Window)
	w, err := worker.New(cfg, worker.Deps{Jobs: jobs, Queue: turns, Hints: p.Hints, Bucket: worker.BucketOf(p.Bucket), Convert: convert})
	if err != nil {
		return err
	}
	sweeper, err := worker.NewSweeper(cfg, worker.SweepDeps{Jobs: jobs, Queue: turns, Hints: p.Hints, Bucket: SweepBucket(p.Bucket), Departed: p.Departed})
	if err != nil {
		return err
	}
	s, err := queue.NewServer(p.Redis, queue.Convert, queue.ServerConfig{Concurrency: concurrency, Grace: settings.Grace, Weights: settings.Weights, Logger: p.Log}, w.Handle)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, g, settings.Health, p.Checks()); err != nil {
		return err
	}
	p.Log.Info("the worker is ready", "worker", cfg.Name, "concurrency", concurrency)
	g.Go(func() error { return s.Run(gctx) })
	g.Go(func() error { return sweeper.Run(gctx) })
	return g.Wait()
}

// converter returns what converts, and what ends it.
func converter(ctx context.Context, p *app.Parts, settings Settings) (worker.Converter, func(), error) {
	if settings.Isolation == IsolationOff {
		p.Log.Warn("conversions are not isolated: a file that crashes one ends this process")
		return transcode.Convert, func() {}, nil
	}
	timeout := cmp.Or(settings.Timeout, worker.DefaultTimeout)
	c, err := cage.New(ctx, cage.Config{
		Memory: settings.JobMemory, Strict: settings.Isolation == IsolationRequired, Metrics: p.Metrics(),
		// More than all processors can use in that time is not to be had.
		CPU: timeout * time.Duration(runtime.GOMAXPROCS(0)),
	})
	if missing := new(cage.MissingError); errors.As(err, &missing) {
		return nil, nil, fmt.Errorf("%w; --isolation=%s goes on with what there is", err, IsolationPreferred)
	}
	if err != nil {
		return nil, nil, err
	}
	if missing := c.Locks().Missing(); missing != "" {
		p.Log.Warn("conversions are locked in less than they could be", "kernel_lacks", missing)
	}
	return c.Convert, c.Close, nil
}

// SweepBucket is a bucket as the sweeper wants it.
func SweepBucket(b *objstore.Bucket) worker.SweepBucket { return bucket{b} }

// bucket adds to a bucket what the sweeper wants of it.
type bucket struct{ *objstore.Bucket }

// Objects implements [worker.SweepBucket].
func (b bucket) Objects(ctx context.Context, prefix, after string, limit int) ([]worker.Object, error) {
	found, err := b.List(ctx, prefix, after, limit)
	objects := make([]worker.Object, len(found))
	for i, o := range found {
		objects[i] = worker.Object{Key: o.Key, Age: time.Since(o.Modified)}
	}
	return objects, err
}

// maxMark is the longest mark that is read; ours have 60 bytes at the most.
const maxMark = 1 << 10

// Mark implements [worker.SweepBucket].
func (b bucket) Mark(ctx context.Context) (string, error) {
	r, err := b.NewReader(ctx, job.MarkKey)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxMark))
	return string(text), err
}

// SetMark implements [worker.SweepBucket].
func (b bucket) SetMark(ctx context.Context, text string) error {
	w, err := b.CreateSequential(ctx, job.MarkKey)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Commit()
}
