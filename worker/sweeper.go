package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/job"
)

// SweepDeps are the parts that a sweeper works with; all but Departed are needed.
type SweepDeps struct {
	Jobs   SweepJobs
	Queue  Queue
	Hints  Publisher
	Bucket SweepBucket
	// Departed may be nil: nobody is, then.
	Departed Departures
}

// SweepJobs finds and changes the rows that need something done.
type SweepJobs interface {
	Leaser
	Outbox
	Watcher
	Reclaimer
	Expirer
	Identifier
	Owned
	CrashCounter
	ActPurger
}

// CrashCounter counts crashes, by the ID of the job here.
type CrashCounter interface {
	Crashes(ctx context.Context, key string) (int, error)
	CountCrash(ctx context.Context, key, id string, attempt int, code job.Code) (int, error)
	// ForgetCrashes forgets what has not crashed for a while.
	ForgetCrashes(ctx context.Context, keep time.Duration) (int, error)
}

// ActPurger removes entries of the audit log that are older than keep, at most limit.
type ActPurger interface {
	PurgeActs(ctx context.Context, keep time.Duration, limit int) (int, error)
}

// Leaser decides which of many sweepers sweeps.
type Leaser interface {
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	Unlease(ctx context.Context, name, holder string) error
}

// Outbox finds what the queue should know of, and may not (any more).
type Outbox interface {
	Overdue(ctx context.Context, stale time.Duration, limit int) ([]job.Job, error)
	// Enqueued notes that the queue knows. The error wraps [job.ErrConflict] or
	// [job.ErrNotFound] if the job does not wait for an attempt any more.
	Enqueued(ctx context.Context, id string, attempt int) error
	Untold(ctx context.Context, stale time.Duration, limit int) ([]job.Job, error)
}

// Reclaimer takes jobs from attempts whose lease has passed. One that has given a sign
// of life since it was found keeps its job: the error wraps [job.ErrLost] then.
type Reclaimer interface {
	// Requeue queues the job again.
	Requeue(ctx context.Context, id string, attempt int, why job.Failure) (job.Job, error)
	// GiveUp lets it fail.
	GiveUp(ctx context.Context, id string, attempt int, why job.Failure, retention time.Duration) (job.Job, error)
}

// Watcher tells how jobs are.
type Watcher interface {
	// Lost are running jobs whose lease has passed.
	Lost(ctx context.Context, limit int) ([]job.Job, error)
	// States tells where jobs stand; those that are missing are no jobs.
	States(ctx context.Context, ids []string) (map[string]job.Standing, error)
}

// Expirer finds and removes what has been kept for long enough.
type Expirer interface {
	Expirable(ctx context.Context, limit int) ([]job.Job, error)
	// Expire's error wraps [job.ErrConflict] or [job.ErrNotFound] if the job has
	// been expired, retried or deleted meanwhile.
	Expire(ctx context.Context, id string) (job.Job, error)
	Purge(ctx context.Context, keep time.Duration, limit int) (int, error)
}

// Identifier tells databases apart.
type Identifier interface {
	// Identity is the database's ID, which copies of it share, and the walks that it
	// has counted, which a copy has no more of.
	Identity(ctx context.Context) (id string, walks int64, err error)
	CountWalk(ctx context.Context) error
}

// SweepBucket lists and removes objects.
type SweepBucket interface {
	Eraser
	// Mark is the text that SetMark has stored, "" if there is none.
	Mark(ctx context.Context) (string, error)
	SetMark(ctx context.Context, text string) error
	// Objects returns the first objects, at most limit of them, whose key begins
	// with prefix and comes after another, in the order of their keys. Fewer than
	// limit means that there are no more.
	Objects(ctx context.Context, prefix, after string, limit int) ([]Object, error)
}

// Eraser removes objects; what is not there counts as removed.
type Eraser interface {
	Delete(ctx context.Context, key string) error
	DeletePrefix(ctx context.Context, prefix string) error
	// SweepUploads removes what is left of writers that were killed that long ago.
	SweepUploads(ctx context.Context, olderThan time.Duration) (int, error)
}

// Object is what a list tells of an object.
type Object struct {
	Key string
	// Age since it was written. This machine's clock counts here, and nowhere else;
	// S3 refuses machines whose clock is wrong by more than a quarter of an hour.
	Age time.Duration
}

// Report counts what a sweep did.
type Report struct {
	// Requeued jobs had lost their worker, Failed ones for the last time.
	Requeued, Failed int
	// Reminded jobs were told to the queue again.
	Reminded int
	// Notices were asked for again.
	Notices int
	// Expired jobs lost their files, Purged ones their rows.
	Expired, Purged int
	// Pardoned files had crashed long ago.
	Pardoned int
	// Forgotten entries of the audit log were old.
	Forgotten int
	// Departed jobs were removed because their owners have deleted their accounts.
	Departed int
	// Orphans are objects and unfinished uploads of nobody that were removed.
	Orphans int
}

// Sweeper makes the queue and the bucket agree with the rows. It is for one
// goroutine.
type Sweeper struct {
	cfg  Config
	deps SweepDeps
	log  *slog.Logger
	walk walk

	counts  *counts
	refused string // why the bucket is not swept, as logged last
}

// lease is the name of the sweepers' lease.
const lease = "sweeper"

// NewSweeper makes a sweeper.
func NewSweeper(cfg Config, deps SweepDeps) (*Sweeper, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Jobs == nil || deps.Queue == nil || deps.Hints == nil || deps.Bucket == nil {
		return nil, errors.New("worker: a part of the sweeper is missing")
	}
	counts, err := newCounts(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	cfg = cfg.withDefaults()
	return &Sweeper{cfg: cfg, deps: deps, log: cfg.Logger.With("sweeper", cfg.Name), counts: counts}, nil
}

// Run sweeps, whenever it has the lease, until ctx is done. A new queue is told of
// what waits without the lease, which a process that was killed may still hold.
func (s *Sweeper) Run(ctx context.Context) error {
	defer func() {
		ctx, cancel := detached(ctx)
		defer cancel()
		if err := s.deps.Jobs.Unlease(ctx, lease, s.cfg.Name); err != nil {
			s.log.Debug("the lease was not given back", "error", err)
		}
	}()
	if !s.cfg.Sweep.QueueSince.IsZero() {
		s.sweep(ctx)
	}
	for {
		s.turn(ctx)
		every := s.cfg.Sweep.Interval
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every*3/4 + rand.N(every/2+1)):
		}
	}
}

// turn sweeps once if the lease can be had.
func (s *Sweeper) turn(ctx context.Context) {
	ttl := max(3*s.cfg.Sweep.Interval, time.Second)
	ok, err := s.deps.Jobs.Lease(ctx, lease, s.cfg.Name, ttl)
	if err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the sweepers' lease cannot be asked for", "error", err)
		}
		return
	}
	s.sweep(ctx)
}

// sweep sweeps once and logs what came of it.
func (s *Sweeper) sweep(ctx context.Context) {
	report, err := s.Sweep(ctx)
	if ctx.Err() == nil || err == nil { // a sweep that a shutdown has broken off is no news
		s.counts.swept(report, err)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("a sweep was not finished", "error", err)
	}
	if report != (Report{}) {
		s.log.Info("swept", "requeued", report.Requeued, "failed", report.Failed, "reminded", report.Reminded,
			"notices", report.Notices, "expired", report.Expired, "purged", report.Purged, "pardoned", report.Pardoned, "forgotten", report.Forgotten, "departed", report.Departed, "orphans", report.Orphans)
	}
}

// Sweep sweeps once, lease or not: all it does may be done by two at the same time.
// One part that fails does not keep the others from their turn. What takes long, the
// removal of files, is broken off after an interval and goes on in the next sweep, so
// that lost jobs never wait for it.
func (s *Sweeper) Sweep(ctx context.Context) (Report, error) {
	var r Report
	until := time.Now().Add(s.cfg.Sweep.Interval)
	var errs []error
	for _, part := range []func(context.Context, time.Time, *Report) error{
		s.lost, s.remind, s.notices, s.departed, s.expire, s.purge, s.forget, s.orphans,
	} {
		if err := part(ctx, until, &r); err != nil {
			errs = append(errs, fmt.Errorf("worker: sweep: %w", err))
		}
	}
	return r, errors.Join(errs...)
}

// lost queues running jobs again whose worker gives no sign of life, once: a job that
// has lost two may be what ends them, whatever stands between. It is the job that counts
// here, and not its file: a machine that dies takes many with it, and files that end
// their own process only are counted by the worker.
func (s *Sweeper) lost(ctx context.Context, _ time.Time, r *Report) error {
	found, err := s.deps.Jobs.Lost(ctx, s.cfg.Sweep.Batch)
	if err != nil {
		return err
	}
	for _, j := range found {
		crashes, err := s.deps.Jobs.Crashes(ctx, j.ID)
		if err != nil {
			return err
		}
		last := crashes+1 >= job.QuarantineAfter
		if last {
			_, err = s.deps.Jobs.GiveUp(ctx, j.ID, j.Attempt, job.Failure{Code: job.Crashed}, s.cfg.Retention)
		} else {
			_, err = s.deps.Jobs.Requeue(ctx, j.ID, j.Attempt, job.Failure{Code: job.WorkerLost})
		}
		if errors.Is(err, job.ErrLost) {
			continue // it lives or has ended after all, or another sweeper was quicker
		}
		if err != nil {
			return err
		}
		if crashes, err = s.deps.Jobs.CountCrash(ctx, j.ID, j.ID, j.Attempt, job.Crashed); err != nil {
			return err
		}
		s.log.Warn("a job has lost its worker", "job", j.ID, "attempt", j.Attempt, "by", j.Worker, "crashes", crashes, "last", last)
		s.publish(ctx, j.ID)
		// If the queue does not take it, the parts that follow will find it.
		if last {
			r.Failed++
			s.counts.failed(job.Crashed)
			err = s.notify(ctx, j)
		} else {
			r.Requeued++
			err = s.deps.Queue.Convert(ctx, j.ID, j.Attempt, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remind tells the queue again of jobs that wait for long: it may have lost them.
func (s *Sweeper) remind(ctx context.Context, _ time.Time, r *Report) error {
	found, err := s.deps.Jobs.Overdue(ctx, s.cfg.Sweep.stale(), s.cfg.Sweep.Batch)
	if err != nil {
		return err
	}
	for _, j := range found {
		if err := s.deps.Queue.Convert(ctx, j.ID, j.Attempt, 0); err != nil {
			return err
		}
		r.Reminded++
		if err := s.deps.Jobs.Enqueued(ctx, j.ID, j.Attempt); err != nil && !moved(err) {
			return err
		}
	}
	return nil
}

// moved reports that a job has gone on since it was found. A worker that was told of
// it may have begun by now.
func moved(err error) bool {
	return errors.Is(err, job.ErrConflict) || errors.Is(err, job.ErrNotFound)
}

// notices asks again for mails that have not been sent.
func (s *Sweeper) notices(ctx context.Context, _ time.Time, r *Report) error {
	found, err := s.deps.Jobs.Untold(ctx, s.cfg.Sweep.stale(), s.cfg.Sweep.Batch)
	if err != nil {
		return err
	}
	for _, j := range found {
		if err := s.notify(ctx, j); err != nil {
			return err
		}
		r.Notices++
	}
	return nil
}

func (s *Sweeper) notify(ctx context.Context, j job.Job) error {
	if j.NotifyTo == "" {
		return nil
	}
	return s.deps.Queue.Notify(ctx, j.ID, j.Attempt)
}

// expireAtOnce is for how many jobs files are removed at the same time: most of it is
// waiting for the bucket.
const expireAtOnce = 16

// expire removes the files of jobs that ended long ago, batch after batch while there is
// time.
func (s *Sweeper) expire(ctx context.Context, until time.Time, r *Report) error {
	for {
		found, err := s.deps.Jobs.Expirable(ctx, s.cfg.Sweep.Batch)
		if err != nil {
			return err
		}
		var (
			mu   sync.Mutex
			errs []error
			g    errgroup.Group
		)
		g.SetLimit(expireAtOnce)
		for _, j := range found {
			if time.Now().After(until) || ctx.Err() != nil {
				break
			}
			g.Go(func() error {
				err := s.expireOne(ctx, j.ID)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					r.Expired++
				case !moved(err):
					errs = append(errs, err)
				}
				return nil
			})
		}
		_ = g.Wait()
		// What could not be removed would be found again at once.
		if len(errs) > 0 || len(found) < s.cfg.Sweep.Batch || time.Now().After(until) || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
}

// expireOne removes the files of a job, and then says so in its row: one that is still
// as it was brings a sweeper back.
func (s *Sweeper) expireOne(ctx context.Context, id string) error {
	err := errors.Join(s.deps.Bucket.Delete(ctx, job.SourceKey(id)), s.deps.Bucket.DeletePrefix(ctx, job.ResultPrefix(id)))
	if err == nil {
		_, err = s.deps.Jobs.Expire(ctx, id)
	}
	if err == nil {
		s.publish(ctx, id)
	}
	return err
}

// purge removes the rows of jobs that expired, and of files that crashed, long ago.
func (s *Sweeper) purge(ctx context.Context, until time.Time, r *Report) (err error) {
	for {
		n, err := s.deps.Jobs.Purge(ctx, s.cfg.Sweep.Keep, s.cfg.Sweep.Batch)
		r.Purged += n
		if err != nil {
			return err
		}
		if n < s.cfg.Sweep.Batch || time.Now().After(until) || ctx.Err() != nil {
			break
		}
	}
	r.Pardoned, err = s.deps.Jobs.ForgetCrashes(ctx, s.cfg.Sweep.Keep)
	return err
}

// forget removes what administrators did long ago from the audit log.
func (s *Sweeper) forget(ctx context.Context, until time.Time, r *Report) error {
	if s.cfg.Sweep.AuditRetention == 0 {
		return nil
	}
	for {
		n, err := s.deps.Jobs.PurgeActs(ctx, s.cfg.Sweep.AuditRetention, s.cfg.Sweep.Batch)
		r.Forgotten += n
		if err != nil || n < s.cfg.Sweep.Batch || time.Now().After(until) || ctx.Err() != nil {
			return err
		}
	}
}

func (s *Sweeper) publish(ctx context.Context, id string) {
	if err := s.deps.Hints.Publish(ctx, id); err != nil {
		s.log.Debug("a hint was lost", "job", id, "error", err)
	}
}
