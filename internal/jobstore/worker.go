package jobstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Claim gives a queued job to a worker, as a new attempt that holds it until lease
// has passed without a heartbeat. NotBefore is not looked at: when an attempt is due
// is the queue's business. A job that is not queued is refused ([job.ErrConflict]).
// If the attempt was begun and has lost the job at once, because it was canceled
// say, the error may wrap [job.ErrLost] too.
func (s *Store) Claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error) {
	j, err := s.claim(ctx, id, jobs.Clip(worker, jobs.MaxWorker), lease)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: claim %s: %w", id, err)
	}
	return j, nil
}

func (s *Store) claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error) {
	if !job.ValidID(id) {
		return job.Job{}, job.ErrNotFound
	}
	if s.db.Dialect() == sqldb.SQLite {
		return s.settle(ctx, id, s.q.claim, worker, lease.Microseconds(), id)
	}
	r, err := s.run(ctx, s.q.claim, worker, lease.Microseconds(), id)
	if err != nil {
		return job.Job{}, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return job.Job{}, err
	}
	if n == 0 {
		return job.Job{}, s.refused(ctx, id)
	}
	// The row is read after the change, when it may be somebody else's already: the
	// attempt that this very change began is what tells.
	attempt, err := r.LastInsertId()
	if err != nil {
		return job.Job{}, err
	}
	j, err := s.get(ctx, id)
	if err == nil && (j.State != job.Running || int64(j.Attempt) != attempt) {
		err = fmt.Errorf("%w: %w", job.ErrConflict, job.ErrLost)
	}
	if errors.Is(err, job.ErrNotFound) {
		err = fmt.Errorf("%w: %w", err, job.ErrLost)
	}
	if err != nil {
		return job.Job{}, err
	}
	return j, nil
}

// Heartbeat notes the progress of an attempt and extends its lease, to end after
// lease from now. [job.ErrLost] means that the attempt does not hold the job; one
// whose lease has passed does until the job is taken from it.
func (s *Store) Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error {
	n, err := s.exec(ctx, id, s.q.heartbeat,
		p.Position.Microseconds(), p.Total.Microseconds(), lease.Microseconds(), id, attempt)
	if err == nil && n == 0 {
		err = job.ErrLost
	}
	if err != nil {
		return fmt.Errorf("jobstore: heartbeat of %s, attempt %d: %w", id, attempt, err)
	}
	return nil
}

// Succeed ends a running job with a result, which expires after retention, or earlier
// if its owner wishes so.
// [job.ErrLost] means that the attempt does not hold the job. To say the same again
// (attempt and key) is no error, so that whoever has not heard the answer can ask
// again without throwing the result away.
func (s *Store) Succeed(ctx context.Context, id string, attempt int, r job.Result, retention time.Duration) (job.Job, error) {
	result, err := json.Marshal(r)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: succeed %s, attempt %d: %w", id, attempt, err)
	}
	kept := retention.Microseconds()
	j, err := s.finish(ctx, id, s.q.succeed, string(result), r.Bytes, kept, kept, kept, kept, id, attempt)
	if errors.Is(err, job.ErrLost) {
		old, getErr := s.get(ctx, id)
		switch {
		case getErr == nil && old.State == job.Succeeded && old.Attempt == attempt && old.Result.Key == r.Key:
			return old, nil
		case getErr != nil && !errors.Is(getErr, job.ErrNotFound):
			err = getErr // lost or not is not known
		}
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: succeed %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Fail ends a running job for good; it expires as after [Store.Succeed]. [job.ErrLost] means
// that the attempt does not hold the job.
func (s *Store) Fail(ctx context.Context, id string, attempt int, f job.Failure, retention time.Duration) (job.Job, error) {
	code, detail := jobs.FailureColumns(&f)
	j, err := s.finish(ctx, id, s.q.fail, code, detail, retention.Microseconds(), retention.Microseconds(), id, attempt)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: fail %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Release puts a running job back into the queue, for an attempt that is due after
// a while. why is how this attempt failed; nil means that it was handed back, which
// does not count against the job. [job.ErrLost] means that the attempt does not
// hold the job.
func (s *Store) Release(ctx context.Context, id string, attempt int, after time.Duration, why *job.Failure) (job.Job, error) {
	j, err := s.release(ctx, id, attempt, after, why, why != nil)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: release %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Crashed is [Store.Release] of an attempt whose process has crashed. Crashes are
// counted by [Store.CountCrash], and not as tries.
func (s *Store) Crashed(ctx context.Context, id string, attempt int, after time.Duration, why job.Failure) (job.Job, error) {
	j, err := s.release(ctx, id, attempt, after, &why, false)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: crash of %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

func (s *Store) release(ctx context.Context, id string, attempt int, after time.Duration, why *job.Failure, counts bool) (job.Job, error) {
	code, detail := jobs.FailureColumns(why)
	back := 1
	if counts {
		back = 0
	}
	return s.finish(ctx, id, s.q.release, back, code, detail, after.Microseconds(), after.Microseconds(), id, attempt)
}

// finish is a change that ends an attempt: one that does not hold the job has lost
// it.
func (s *Store) finish(ctx context.Context, id, query string, args ...any) (job.Job, error) {
	j, n, err := s.change(ctx, id, query, args...)
	if err == nil && n == 0 || errors.Is(err, job.ErrNotFound) {
		err = job.ErrLost
	}
	return j, err
}
