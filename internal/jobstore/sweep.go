package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// chunk is how many IDs one statement names.
const chunk = 100

// Overdue returns jobs that are queued, have a place, may be attempted, and were put
// into the queue at least stale ago, the longest ago first: their tasks may be lost.
func (s *Store) Overdue(ctx context.Context, stale time.Duration, n int) ([]job.Job, error) {
	return s.sweep(ctx, "overdue", s.q.overdue, stale.Microseconds(), jobs.Limit(n))
}

// Enqueued notes that a queued job was put into the queue just now. attempt is the
// number of attempts that it has had. [job.ErrConflict] means that it is not queued
// any more, or has had more.
func (s *Store) Enqueued(ctx context.Context, id string, attempt int) error {
	n, err := s.exec(ctx, id, s.q.enqueued, id, attempt)
	if err == nil && n == 0 {
		err = s.refused(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("jobstore: enqueued %s: %w", id, err)
	}
	return nil
}

// Lost returns running jobs whose lease has passed, the first to pass first.
func (s *Store) Lost(ctx context.Context, n int) ([]job.Job, error) {
	return s.sweep(ctx, "lost", s.q.lost, jobs.Limit(n))
}

// Requeue puts a job that [Store.Lost] has named back into the queue, for an attempt
// that is due at once. The lost one does not count as a try; crashes are counted by
// [Store.CountCrash]. why is how this attempt failed. [job.ErrLost] means that the
// attempt does not hold the job, or has extended its lease.
func (s *Store) Requeue(ctx context.Context, id string, attempt int, why job.Failure) (job.Job, error) {
	code, detail := jobs.FailureColumns(&why)
	j, err := s.finish(ctx, id, s.q.requeue, 1, code, detail, 0, 0, id, attempt)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: requeue %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// GiveUp ends a job that [Store.Lost] has named for good; it expires as after [Store.Succeed].
// [job.ErrLost] means that the attempt does not hold the job, or has extended its
// lease.
func (s *Store) GiveUp(ctx context.Context, id string, attempt int, why job.Failure, retention time.Duration) (job.Job, error) {
	code, detail := jobs.FailureColumns(&why)
	j, err := s.finish(ctx, id, s.q.giveUp, code, detail, retention.Microseconds(), retention.Microseconds(), id, attempt)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: give up %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Untold returns jobs that have succeeded or failed, whose NotifyTo has not been
// told and is not just being told, and whose notice was last asked for at least
// stale ago: its end, or the last [Store.ClaimNotice].
func (s *Store) Untold(ctx context.Context, stale time.Duration, n int) ([]job.Job, error) {
	return s.sweep(ctx, "untold", s.q.untold, stale.Microseconds(), jobs.Limit(n))
}

// Expirable returns jobs that have ended and whose time to expire has come, in no
// order.
func (s *Store) Expirable(ctx context.Context, n int) ([]job.Job, error) {
	return s.sweep(ctx, "expirable", s.q.expirable, jobs.Limit(n))
}

func (s *Store) sweep(ctx context.Context, what, query string, args ...any) ([]job.Job, error) {
	jobs, err := s.jobs(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("jobstore: %s: %w", what, err)
	}
	return jobs, nil
}

// Expire marks a job that [Store.Expirable] has named as expired, once its files are
// gone; another is refused ([job.ErrConflict]). Result and Failure are kept, Expires
// becomes now, and nothing is told of it any more.
func (s *Store) Expire(ctx context.Context, id string) (job.Job, error) {
	j, err := s.settle(ctx, id, s.q.expire, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: expire %s: %w", id, err)
	}
	return j, nil
}

// Purge removes the rows of jobs that expired longer than keep ago, at most n, and
// returns how many there were.
func (s *Store) Purge(ctx context.Context, keep time.Duration, n int) (int, error) {
	removed := 0
	for n = jobs.Limit(n); n > 0; n -= chunk {
		gone, err := s.purge(ctx, keep, min(n, chunk))
		removed += gone
		if err != nil {
			return removed, fmt.Errorf("jobstore: purge: %w", err)
		}
		if gone < chunk {
			break
		}
	}
	return removed, nil
}

// purge removes a batch: few rows at a time, so that nobody waits for it.
func (s *Store) purge(ctx context.Context, keep time.Duration, n int) (int, error) {
	var ids []string
	err := s.each(ctx, s.q.purgeable, []any{keep.Microseconds(), n}, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	r, err := s.run(ctx, s.q.purge, placeholders(ids)...)
	if err != nil {
		return 0, err
	}
	gone, err := r.RowsAffected()
	return int(gone), err
}

// placeholders are the values of {ids}: too few IDs are filled up with the last.
func placeholders(ids []string) []any {
	args := make([]any, chunk)
	for i := range args {
		args[i] = ids[min(i, len(ids)-1)]
	}
	return args
}

// States returns where the jobs of some IDs stand. Those that are missing, and
// what cannot be an ID, name no job.
func (s *Store) States(ctx context.Context, ids []string) (map[string]job.Standing, error) {
	valid := make([]string, 0, len(ids))
	for _, id := range ids {
		if job.ValidID(id) {
			valid = append(valid, id)
		}
	}
	states := make(map[string]job.Standing, len(valid))
	for len(valid) > 0 {
		n := min(len(valid), chunk)
		err := s.each(ctx, s.q.states, placeholders(valid[:n]), func(scan func(...any) error) error {
			var id string
			var state job.Standing
			err := scan(&id, &state.State, &state.Attempt)
			states[id] = state
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("jobstore: states: %w", err)
		}
		valid = valid[n:]
	}
	return states, nil
}

// Lease takes or extends the lease of a name (at most 64 characters of ASCII), to
// end after ttl from now, and reports whether holder has it.
func (s *Store) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	holder = jobs.Clip(holder, jobs.MaxWorker)
	r, err := s.run(ctx, s.q.leaseTake, holder, ttl.Microseconds(), name, holder)
	if err != nil {
		return false, fmt.Errorf("jobstore: lease %s: %w", name, err)
	}
	if n, err := r.RowsAffected(); err != nil {
		return false, fmt.Errorf("jobstore: lease %s: %w", name, err)
	} else if n > 0 {
		return true, nil
	}
	// Somebody else has it, or nobody ever had.
	_, err = s.run(ctx, s.q.leaseNew, name, holder, ttl.Microseconds())
	switch {
	case sqldb.IsDuplicate(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("jobstore: lease %s: %w", name, err)
	}
	return true, nil
}

// Unlease gives up a lease; if holder does not have it that is no error.
func (s *Store) Unlease(ctx context.Context, name, holder string) error {
	if _, err := s.run(ctx, s.q.leaseEnd, name, jobs.Clip(holder, jobs.MaxWorker)); err != nil {
		return fmt.Errorf("jobstore: unlease %s: %w", name, err)
	}
	return nil
}
