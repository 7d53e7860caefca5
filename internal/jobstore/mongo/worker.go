package mongo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// Claim gives a queued job to a worker, as a new attempt that holds it until lease has
// passed without a heartbeat. A job that is not queued is refused ([job.ErrConflict]).
func (s *Store) Claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error) {
	j, err := s.settle(ctx, id, func(now int64) change {
		return change{
			where: bson.D{{Key: "state", Value: job.Queued}},
			set: bson.D{
				{Key: "state", Value: job.Running}, {Key: "worker", Value: jobs.Clip(worker, jobs.MaxWorker)}, {Key: "progress", Value: int64(0)}, {Key: "progress_total", Value: int64(0)},
				{Key: "failure_code", Value: ""}, {Key: "failure_detail", Value: ""}, {Key: "not_before", Value: int64(0)},
				{Key: "started_at", Value: now}, {Key: "due_at", Value: now + lease.Microseconds()},
			},
			inc: bson.D{{Key: "attempt", Value: 1}, {Key: "tries", Value: 1}},
		}
	})
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: claim %s: %w", id, err)
	}
	return j, nil
}

// Heartbeat notes the progress of an attempt and extends its lease, to end after lease from
// now. [job.ErrLost] means that the attempt does not hold the job; one whose lease has
// passed does until the job is taken from it.
func (s *Store) Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err == nil {
		_, err = s.change(ctx, id, &change{
			where: bson.D{{Key: "state", Value: job.Running}, {Key: "attempt", Value: attempt}},
			set: bson.D{
				{Key: "progress", Value: p.Position.Microseconds()}, {Key: "progress_total", Value: p.Total.Microseconds()},
				{Key: "due_at", Value: now + lease.Microseconds()},
			},
		})
	}
	if errors.Is(err, job.ErrNotFound) {
		err = job.ErrLost
	}
	if err != nil {
		return fmt.Errorf("jobstore: heartbeat of %s, attempt %d: %w", id, attempt, err)
	}
	return nil
}

// Succeed ends a running job with a result, which expires after retention, or earlier if
// its owner wishes so. [job.ErrLost] means that the attempt does not hold the job. To say
// the same again (attempt and key) is no error.
func (s *Store) Succeed(ctx context.Context, id string, attempt int, result job.Result, retention time.Duration) (job.Job, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: succeed %s, attempt %d: %w", id, attempt, err)
	}
	j, err := s.finish(ctx, id, attempt, func(r *row, now int64) change {
		keep := r.keep(retention.Microseconds())
		return change{set: append(idle(), bson.D{
			{Key: "state", Value: job.Succeeded}, {Key: "result", Value: string(text)}, {Key: "stored", Value: result.Bytes},
			{Key: "ended_at", Value: now}, {Key: "kept", Value: keep}, {Key: "due_at", Value: now + keep},
			{Key: "notice_at", Value: r.notice(now)}, {Key: "notice_lease_until", Value: int64(0)},
		}...)}
	})
	if errors.Is(err, job.ErrLost) {
		old, getErr := s.Get(ctx, id)
		switch {
		case getErr == nil && old.State == job.Succeeded && old.Attempt == attempt && old.Result.Key == result.Key:
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

// failed is the change of a job that ends with a failure.
func failed(r *row, f job.Failure, retention time.Duration, now int64) change {
	code, detail := jobs.FailureColumns(&f)
	return change{set: append(idle(), bson.D{
		{Key: "state", Value: job.Failed}, {Key: "failure_code", Value: code}, {Key: "failure_detail", Value: detail},
		{Key: "ended_at", Value: now}, {Key: "due_at", Value: now + r.keep(retention.Microseconds())},
		{Key: "notice_at", Value: r.notice(now)}, {Key: "notice_lease_until", Value: int64(0)},
	}...)}
}

// released is the change of a job that waits for another attempt. back is by how much the
// tries go back.
func (s *Store) released(why *job.Failure, back int, after time.Duration, now int64) change {
	code, detail := jobs.FailureColumns(why)
	due := now + after.Microseconds()
	return change{
		set: append(idle(), bson.D{
			{Key: "state", Value: job.Queued}, {Key: "failure_code", Value: code}, {Key: "failure_detail", Value: detail},
			{Key: "not_before", Value: due}, {Key: "due_at", Value: due}, {Key: "placed", Value: s.window == 0},
		}...),
		inc: bson.D{{Key: "tries", Value: -back}},
	}
}

// Fail ends a running job for good; it expires as after [Store.Succeed]. [job.ErrLost]
// means that the attempt does not hold the job.
func (s *Store) Fail(ctx context.Context, id string, attempt int, f job.Failure, retention time.Duration) (job.Job, error) {
	j, err := s.finish(ctx, id, attempt, func(r *row, now int64) change { return failed(r, f, retention, now) })
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: fail %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Release puts a running job back into the queue, for an attempt that is due after a
// while. why is how this attempt failed; nil means that it was handed back, which does not
// count against the job. [job.ErrLost] means that the attempt does not hold the job.
func (s *Store) Release(ctx context.Context, id string, attempt int, after time.Duration, why *job.Failure) (job.Job, error) {
	back := 0
	if why == nil {
		back = 1
	}
	j, err := s.finish(ctx, id, attempt, func(_ *row, now int64) change { return s.released(why, back, after, now) })
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: release %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Crashed is [Store.Release] of an attempt whose process has crashed. Crashes are counted
// by [Store.CountCrash], and not as tries.
func (s *Store) Crashed(ctx context.Context, id string, attempt int, after time.Duration, why job.Failure) (job.Job, error) {
	j, err := s.finish(ctx, id, attempt, func(_ *row, now int64) change { return s.released(&why, 1, after, now) })
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: crash of %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}
