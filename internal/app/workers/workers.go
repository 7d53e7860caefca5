// Package workers puts the worker together, as package app does with the other
// services. It links libav.
package workers

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// Flags are the settings of a worker.
type Flags struct {
	Concurrency int           `group:"Conversion:" placeholder:"N" env:"MP3LATHE_CONCURRENCY" help:"Jobs that are converted at the same time. Default: one for each processor."`
	Parallelism int           `group:"Conversion:" placeholder:"N" env:"MP3LATHE_PARALLELISM" help:"Encoders at work on one job. From 2 on, an MP3 is the same whatever N; 1 is a single one. Default: as many as there are processors without work."`
	JobTimeout  time.Duration `group:"Conversion:" placeholder:"TIME" default:"2h" env:"MP3LATHE_JOB_TIMEOUT" help:"Longest time that one attempt may take."`
	MaxLength   time.Duration `group:"Conversion:" placeholder:"TIME" default:"24h" env:"MP3LATHE_MAX_LENGTH" help:"Longest MP3."`
	MaxTries    int           `group:"Conversion:" placeholder:"N" default:"5" env:"MP3LATHE_MAX_TRIES" help:"Attempts before a job fails for reasons that are not its file's."`
	Lease       time.Duration `group:"Conversion:" placeholder:"TIME" default:"30s" env:"MP3LATHE_LEASE" help:"How long a job belongs to a worker that gives no sign of life."`
	Retention   time.Duration `group:"Conversion:" placeholder:"TIME" default:"168h" env:"MP3LATHE_RETENTION" help:"How long the files of an ended job are kept."`
	Grace       time.Duration `group:"Conversion:" placeholder:"TIME" default:"20s" env:"MP3LATHE_GRACE" help:"How long jobs may go on after SIGTERM, before they are handed back."`

	SweepInterval time.Duration `group:"Sweeper:" placeholder:"TIME" default:"5s" env:"MP3LATHE_SWEEP_INTERVAL" help:"How often lost jobs are looked for."`
	SweepStale    time.Duration `group:"Sweeper:" placeholder:"TIME" default:"30s" env:"MP3LATHE_SWEEP_STALE" help:"How long a job waits before the queue is asked again whether it knows it."`
	OrphanAge     time.Duration `group:"Sweeper:" placeholder:"TIME" default:"1h" env:"MP3LATHE_ORPHAN_AGE" help:"How old an object without a job must be before it is removed."`
}

// Run converts jobs and sweeps until ctx is done, and then finishes or hands back
// what it has begun. health is an address for /livez and /readyz, or empty.
func Run(ctx context.Context, p *app.Parts, flags Flags, health string) error {
	cfg := worker.Config{
		Name: app.Hostname(), Lease: flags.Lease, Timeout: flags.JobTimeout, MaxTries: flags.MaxTries, Retention: flags.Retention,
		Parallelism: flags.Parallelism,
		Limits:      transcode.Limits{Duration: flags.MaxLength}, Logger: p.Log,
		Sweep: worker.SweepConfig{Interval: flags.SweepInterval, Stale: flags.SweepStale, OrphanAge: flags.OrphanAge},
	}
	w, err := worker.New(cfg, worker.Deps{Jobs: p.Jobs, Queue: p.Queue, Hints: p.Hints, Bucket: worker.BucketOf(p.Bucket)})
	if err != nil {
		return err
	}
	sweeper, err := worker.NewSweeper(cfg, worker.SweepDeps{Jobs: p.Jobs, Queue: p.Queue, Hints: p.Hints, Bucket: bucket{p.Bucket}})
	if err != nil {
		return err
	}
	concurrency := flags.Concurrency
	if concurrency <= 0 {
		concurrency = runtime.GOMAXPROCS(0)
	}
	s, err := queue.NewServer(p.Redis, queue.Convert, queue.ServerConfig{Concurrency: concurrency, Grace: flags.grace(), Logger: p.Log}, w.Handle)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, g, health); err != nil {
		return err
	}
	p.Log.Info("the worker is ready", "worker", cfg.Name, "concurrency", concurrency)
	g.Go(func() error { return s.Run(gctx) })
	g.Go(func() error { return sweeper.Run(gctx) })
	return g.Wait()
}

// grace in the words of package queue, whose 0 is its default.
func (f Flags) grace() time.Duration {
	if f.Grace == 0 {
		return -1
	}
	return f.Grace
}

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
