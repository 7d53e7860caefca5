package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// chunk is how many IDs one call names.
const chunk = 100

// Overdue returns jobs that are queued, have a place, may be attempted, and were put into
// the queue at least stale ago, in no order: their tasks may be lost. Before, what requests
// under a key have begun that long ago is brought to its end.
func (s *Store) Overdue(ctx context.Context, stale time.Duration, n int) ([]job.Job, error) {
	bound, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(bound)
	if err == nil {
		err = s.forgotten(bound, now-stale.Microseconds(), jobs.Limit(n))
	}
	if err != nil {
		return nil, fmt.Errorf("jobstore: overdue: %w", err)
	}
	return s.sweep(ctx, "overdue", n, func(now int64) query { return overdue(now, stale.Microseconds()) })
}

// Enqueued notes that a queued job was put into the queue just now. attempt is the number
// of attempts that it has had. [job.ErrConflict] means that it is not queued any more, or
// has had more.
func (s *Store) Enqueued(ctx context.Context, id string, attempt int) error {
	_, err := s.settle(ctx, id, func(now int64) change {
		return change{
			where: bson.D{{Key: "state", Value: job.Queued}, {Key: "attempt", Value: attempt}},
			set:   bson.D{{Key: "due_at", Value: now}},
		}
	})
	if err != nil {
		return fmt.Errorf("jobstore: enqueued %s: %w", id, err)
	}
	return nil
}

// Lost returns running jobs whose lease has passed, the first to pass first.
func (s *Store) Lost(ctx context.Context, n int) ([]job.Job, error) {
	return s.sweep(ctx, "lost", n, lost)
}

// Requeue puts a job that [Store.Lost] has named back into the queue, for an attempt that
// is due at once. The lost one does not count as a try. [job.ErrLost] means that the
// attempt does not hold the job, or has extended its lease.
func (s *Store) Requeue(ctx context.Context, id string, attempt int, why job.Failure) (job.Job, error) {
	j, err := s.lapsed(ctx, id, attempt, func(_ *row, now int64) change { return s.released(&why, 1, 0, now) })
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: requeue %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// GiveUp ends a job that [Store.Lost] has named for good; it expires as after
// [Store.Succeed]. [job.ErrLost] means that the attempt does not hold the job, or has
// extended its lease.
func (s *Store) GiveUp(ctx context.Context, id string, attempt int, why job.Failure, retention time.Duration) (job.Job, error) {
	j, err := s.lapsed(ctx, id, attempt, func(r *row, now int64) change { return failed(r, why, retention, now) })
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: give up %s, attempt %d: %w", id, attempt, err)
	}
	return j, nil
}

// Untold returns jobs that have succeeded or failed, whose NotifyTo has not been told and
// is not just being told, and whose notice was last asked for at least stale ago: its end,
// or the last [Store.ClaimNotice].
func (s *Store) Untold(ctx context.Context, stale time.Duration, n int) ([]job.Job, error) {
	return s.sweep(ctx, "untold", n, func(now int64) query { return untold(now, stale.Microseconds()) })
}

// Expirable returns jobs that have ended and whose time to expire has come, in no order.
func (s *Store) Expirable(ctx context.Context, n int) ([]job.Job, error) {
	return s.sweep(ctx, "expirable", n, expirable)
}

func (s *Store) sweep(ctx context.Context, what string, n int, q func(now int64) query) ([]job.Job, error) {
	now, err := s.now(ctx)
	if err != nil {
		return nil, fmt.Errorf("jobstore: %s: %w", what, err)
	}
	found, err := s.find(ctx, q(now), jobs.Limit(n))
	if err != nil {
		return nil, fmt.Errorf("jobstore: %s: %w", what, err)
	}
	return found, nil
}

func (s *Store) now(ctx context.Context) (int64, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	return s.db.Now(ctx)
}

// Expire marks a job that [Store.Expirable] has named as expired, once its files are gone;
// another is refused ([job.ErrConflict]). Result and Failure are kept, Expires becomes now,
// and nothing is told of it any more.
func (s *Store) Expire(ctx context.Context, id string) (job.Job, error) {
	j, err := s.settle(ctx, id, func(now int64) change {
		return change{
			where: bson.D{in("state", job.Succeeded, job.Failed, job.Canceled), is("due_at", "$lte", now), noIntent()},
			set: bson.D{
				{Key: "state", Value: job.Expired}, {Key: "due_at", Value: now}, {Key: "stored", Value: int64(0)},
				{Key: "notice_at", Value: int64(0)}, {Key: "notice_lease_until", Value: int64(0)},
			},
		}
	})
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: expire %s: %w", id, err)
	}
	return j, nil
}

// Purge removes the rows of jobs that expired longer than keep ago, at most n, and returns
// how many there were.
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
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	rows, err := s.rows(ctx, purgeable(now, keep.Microseconds()), n)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	r, err := s.jobs.DeleteMany(ctx, bson.D{in("_id", ids...), {Key: "state", Value: job.Expired}})
	if err != nil {
		return 0, err
	}
	return int(r.DeletedCount), nil
}

// States returns where the jobs of some IDs stand. Those that are missing, and what cannot
// be an ID, name no job. One that may be about to be there counts as queued.
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
		if err := s.states(ctx, valid[:n], states); err != nil {
			return nil, fmt.Errorf("jobstore: states: %w", err)
		}
		valid = valid[n:]
	}
	return states, nil
}

func (s *Store) states(ctx context.Context, ids []string, states map[string]job.Standing) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	cursor, err := s.jobs.Find(ctx, bson.D{in("_id", ids...)}, options.Find().SetBatchSize(chunk).
		SetProjection(bson.D{{Key: "state", Value: 1}, {Key: "attempt", Value: 1}}))
	if err != nil {
		return err
	}
	var rows []row
	if err := cursor.All(ctx, &rows); err != nil {
		return err
	}
	for i := range rows {
		state := job.State(rows[i].State)
		if state == submitted {
			state = job.Queued
		}
		states[rows[i].ID] = job.Standing{State: state, Attempt: rows[i].Attempt}
	}
	return nil
}

// Lease takes or extends the lease of a name (at most 64 characters of ASCII), to end after
// ttl from now, and reports whether holder has it.
func (s *Store) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	ok, err := s.lease(ctx, name, jobs.Clip(holder, jobs.MaxWorker), ttl)
	if err != nil {
		return false, fmt.Errorf("jobstore: lease %s: %w", name, err)
	}
	return ok, nil
}

func (s *Store) lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return false, err
	}
	mine := bson.D{{Key: "holder", Value: holder}, {Key: "ends", Value: now + ttl.Microseconds()}}
	free := bson.A{bson.D{{Key: "holder", Value: holder}}, bson.D{is("ends", "$lte", now)}}
	r, err := s.leases.UpdateOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "$or", Value: free}}, bson.D{{Key: "$set", Value: mine}})
	if err != nil || r.MatchedCount > 0 {
		return err == nil, err
	}
	// Somebody else has it, or nobody ever had.
	_, err = s.leases.InsertOne(ctx, append(bson.D{{Key: "_id", Value: name}}, mine...))
	if mongodb.IsDuplicate(err) {
		return false, nil
	}
	return err == nil, err
}

// Unlease gives up a lease; if holder does not have it that is no error.
func (s *Store) Unlease(ctx context.Context, name, holder string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	_, err := s.leases.UpdateOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "holder", Value: jobs.Clip(holder, jobs.MaxWorker)}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "ends", Value: int64(0)}}}})
	if err != nil {
		return fmt.Errorf("jobstore: unlease %s: %w", name, err)
	}
	return nil
}

// Identity returns the database's ID, a UUID that it is given when it is asked for the
// first time, and how often [Store.CountWalk] was called.
func (s *Store) Identity(ctx context.Context) (id string, walks int64, err error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if id, walks, err = s.identity(ctx); err != nil {
		return "", 0, fmt.Errorf("jobstore: identity: %w", err)
	}
	return id, walks, nil
}

// CountWalk adds one to the walks of [Store.Identity].
func (s *Store) CountWalk(ctx context.Context) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	_, err := s.database.UpdateOne(ctx, theDatabase(), bson.D{{Key: "$inc", Value: bson.D{{Key: "walks", Value: int64(1)}}}})
	if err != nil {
		return fmt.Errorf("jobstore: count a walk: %w", err)
	}
	return nil
}
