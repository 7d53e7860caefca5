package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/trace"
	"github.com/mp3lathe/mp3lathe/job"
)

// Worker converts jobs.
type Worker struct {
	cfg    Config
	deps   Deps
	log    *slog.Logger
	counts *counts
}

// New makes a worker.
func New(cfg Config, deps Deps) (*Worker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Jobs == nil || deps.Queue == nil || deps.Hints == nil || deps.Bucket.open == nil || deps.Convert == nil {
		return nil, errors.New("worker: a part is missing")
	}
	counts, err := newCounts(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	cfg = cfg.withDefaults()
	counts.slots.Set(float64(cfg.Slots))
	return &Worker{cfg: cfg, deps: deps, log: cfg.Logger.With("worker", cfg.Name), counts: counts}, nil
}

// Handle makes one attempt at a job. Its context ends when the process wants to
// stop: then the job is handed back. The error is nil once the row says what became
// of the attempt; an error means that there was no way to ask or tell the row. The
// last parameter, the attempts made when the task was queued, is not used: the row
// knows better.
func (w *Worker) Handle(ctx context.Context, id string, _ int) error {
	if ctx.Err() != nil {
		return fmt.Errorf("worker: %s was not begun: %w", id, context.Cause(ctx))
	}
	w.counts.busy.Inc()
	defer w.counts.busy.Dec()
	began := time.Now()
	j, err := w.claim(ctx, id)
	switch {
	case errors.Is(err, job.ErrConflict), errors.Is(err, job.ErrNotFound):
		w.log.DebugContext(ctx, "nothing to do", "job", id, "why", err)
		return nil
	case err != nil:
		return fmt.Errorf("worker: claim %s: %w", id, err)
	}
	ctx, span := beginSpan(ctx, &j, began)
	defer span.End()
	w.counts.began(ctx, j)
	w.publish(ctx, id)
	result, err := w.attempt(ctx, j)
	if err != nil {
		failSpan(ctx, span, err)
	}
	return w.settle(ctx, j, result, err)
}

// claim takes the job. It hears the answer even if the process is about to end: a job
// that was taken without anybody's knowing would wait for the end of its lease.
func (w *Worker) claim(ctx context.Context, id string) (job.Job, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	return w.deps.Jobs.Claim(ctx, id, w.cfg.Name, w.cfg.Lease)
}

// settle writes into the row how an attempt ended.
func (w *Worker) settle(ctx context.Context, j job.Job, result job.Result, err error) error {
	log := w.log.With("job", j.ID, "attempt", j.Attempt)
	switch {
	case err == nil:
		return w.succeed(ctx, log, j, result)
	case errors.Is(err, job.ErrLost):
		w.counts.attempts.WithLabelValues(string(endTaken)).Inc()
		log.InfoContext(ctx, "the job was taken from its attempt", "why", err)
		return nil
	}
	log = log.With("error", err)
	f := failure(err)
	switch {
	case crashed(err) != "":
		return w.crash(ctx, log, j, f)
	case f.Code.Permanent():
		return w.fail(ctx, log, j, f)
	case ctx.Err() != nil:
		return w.release(ctx, log, j, 0, nil)
	case j.Tries >= w.cfg.MaxTries:
		return w.fail(ctx, log, j, f)
	}
	return w.release(ctx, log, j, w.cfg.backoff(j.Tries), &f)
}

func (w *Worker) succeed(ctx context.Context, log *slog.Logger, j job.Job, result job.Result) error {
	var row job.Job
	err := w.tell(ctx, func(ctx context.Context) (err error) {
		row, err = w.deps.Jobs.Succeed(ctx, j.ID, j.Attempt, result, w.cfg.Retention)
		return err
	})
	if errors.Is(err, job.ErrLost) {
		w.remove(ctx, result.Key)
	}
	if err != nil {
		// If the row could not be asked it may say that the job has succeeded, so
		// the MP3 stays.
		return w.refused(ctx, log, "succeed", j, err)
	}
	w.counts.succeeded(ctx, row, result)
	log.InfoContext(ctx, "succeeded", "waited", j.Started.Sub(j.Created), "took", time.Duration(result.WallTime*float64(time.Second)),
		"bytes", result.Bytes, "seconds", result.Duration, "encoding", result.Encoding,
		"source_bytes", j.SourceBytes, "bytes_read", result.BytesRead, "codec", result.Codec)
	w.announce(ctx, j)
	w.remove(ctx, job.SourceKey(j.ID))
	return nil
}

func (w *Worker) fail(ctx context.Context, log *slog.Logger, j job.Job, f job.Failure) error {
	err := w.tell(ctx, func(ctx context.Context) error {
		_, err := w.deps.Jobs.Fail(ctx, j.ID, j.Attempt, f, w.cfg.Retention)
		return err
	})
	if err != nil {
		return w.refused(ctx, log, "fail", j, err)
	}
	w.counts.attempts.WithLabelValues(string(endFailed)).Inc()
	w.counts.failed(f.Code)
	level := slog.LevelInfo
	if !f.Code.Permanent() {
		level = slog.LevelError
	}
	log.Log(ctx, level, "failed", "code", f.Code, "detail", f.Detail)
	w.announce(ctx, j)
	return nil
}

// crash counts an attempt that did not end by itself, apart from those that failed in
// order, and tries again once: a crash can have another reason than the file. The
// second one, with any job of the same bytes, puts them into quarantine. What took too
// long would take as long again.
func (w *Worker) crash(ctx context.Context, log *slog.Logger, j job.Job, f job.Failure) error {
	crashes := 0
	err := w.tell(ctx, func(ctx context.Context) (err error) {
		crashes, err = w.deps.Jobs.CountCrash(ctx, j.CrashKey(), j.ID, j.Attempt, f.Code)
		return err
	})
	if err != nil {
		return fmt.Errorf("worker: count a crash of %s, attempt %d: %w", j.ID, j.Attempt, err)
	}
	log = log.With("crashes", crashes, "sha256", j.SourceSHA256)
	if crashes >= job.QuarantineAfter {
		log.WarnContext(ctx, "the file is quarantined", "code", f.Code)
	}
	if crashes >= job.QuarantineAfter || f.Code == job.TimedOut {
		return w.fail(ctx, log, j, f)
	}
	after := w.cfg.backoff(1)
	return w.requeue(ctx, log, j, after, &f, func(ctx context.Context) error {
		_, err := w.deps.Jobs.Crashed(ctx, j.ID, j.Attempt, after, f)
		return err
	})
}

// release queues the job again; without a why it is handed back.
func (w *Worker) release(ctx context.Context, log *slog.Logger, j job.Job, after time.Duration, why *job.Failure) error {
	return w.requeue(ctx, log, j, after, why, func(ctx context.Context) error {
		_, err := w.deps.Jobs.Release(ctx, j.ID, j.Attempt, after, why)
		return err
	})
}

// requeue makes a change that queues the job again, and tells the queue.
func (w *Worker) requeue(ctx context.Context, log *slog.Logger, j job.Job, after time.Duration, why *job.Failure, change func(context.Context) error) error {
	if err := w.tell(ctx, change); err != nil {
		return w.refused(ctx, log, "release", j, err)
	}
	if why == nil {
		w.counts.attempts.WithLabelValues(string(endHandedBack)).Inc()
		log.InfoContext(ctx, "handed back", "cause", context.Cause(ctx))
	} else {
		w.counts.retried(why.Code)
		log.WarnContext(ctx, "failed and will be tried again", "code", why.Code, "after", after)
	}
	w.publish(ctx, j.ID)
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := w.deps.Queue.Convert(ctx, j.ID, j.Attempt, after); err != nil {
		w.log.WarnContext(ctx, "the queue did not take the job; the sweeper will ask again", "job", j.ID, "error", err)
	}
	return nil
}

// refused words the error of a change of the row. That the job is another's by now
// is no error.
func (w *Worker) refused(ctx context.Context, log *slog.Logger, what string, j job.Job, err error) error {
	if errors.Is(err, job.ErrLost) {
		w.counts.attempts.WithLabelValues(string(endTaken)).Inc()
		log.InfoContext(ctx, "the job was taken from its attempt at the end", "why", err)
		return nil
	}
	return fmt.Errorf("worker: %s %s, attempt %d: %w", what, j.ID, j.Attempt, err)
}

// tell changes the row, and tries again for as long as the lease lasts: to lose a
// conversion because the database was away for a moment would be a pity.
func (w *Worker) tell(ctx context.Context, change func(context.Context) error) (err error) {
	ctx, span := trace.Begin(ctx, "end attempt")
	defer func() { span.Done(err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.cfg.Lease)
	defer cancel()
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, 2*time.Second) {
		err := change(ctx)
		if err == nil || errors.Is(err, job.ErrLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(delay):
		}
	}
}

// announce tells those who wait for the end of a job, and its owner by mail.
func (w *Worker) announce(ctx context.Context, j job.Job) {
	w.publish(ctx, j.ID)
	if j.NotifyTo == "" {
		return
	}
	ctx, span := trace.Begin(ctx, "queue notice", trace.Producer)
	defer span.End()
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := w.deps.Queue.Notify(ctx, j.ID, j.Attempt); err != nil {
		w.log.WarnContext(ctx, "the queue did not take the notice; the sweeper will ask again", "job", j.ID, "error", err)
	}
}

func (w *Worker) publish(ctx context.Context, id string) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := w.deps.Hints.Publish(ctx, id); err != nil {
		w.log.DebugContext(ctx, "a hint was lost", "job", id, "error", err)
	}
}

// remove removes an object; the sweeper does what fails here.
func (w *Worker) remove(ctx context.Context, key string) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := w.deps.Bucket.remove(ctx, key); err != nil {
		w.log.WarnContext(ctx, "an object could not be removed; the sweeper will", "key", key, "error", err)
	}
}

// detached is a context for what must be done although the work was canceled.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}
