package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// ClaimNotice leases the telling of a job's end, so that it is told once. The answer's
// Attempt is for [Store.Notified]. [job.ErrConflict] means that there is nothing to tell,
// that it was told, or that another has the lease.
func (s *Store) ClaimNotice(ctx context.Context, id string, lease time.Duration) (job.Job, error) {
	j, err := s.settle(ctx, id, func(now int64) change {
		return change{
			where: bson.D{in("state", job.Succeeded, job.Failed), is("notice_at", "$gt", int64(0)), is("notice_lease_until", "$lte", now)},
			set:   bson.D{{Key: "notice_at", Value: now}, {Key: "notice_lease_until", Value: now + lease.Microseconds()}},
		}
	})
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: claim the notice of %s: %w", id, err)
	}
	return j, nil
}

// Notified notes that the end of an attempt was told, or, with a reason, that telling it
// was given up. To say so again is no error. [job.ErrLost] means that the job has gone on
// since, or that there was nothing to tell.
func (s *Store) Notified(ctx context.Context, id string, attempt int, failure string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if err := s.notified(ctx, id, attempt, jobs.Clip(failure, jobs.MaxText)); err != nil {
		return fmt.Errorf("jobstore: notified of %s, attempt %d: %w", id, attempt, err)
	}
	return nil
}

func (s *Store) notified(ctx context.Context, id string, attempt int, failure string) error {
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, id, &change{
		where: bson.D{
			in("state", job.Succeeded, job.Failed, job.Expired), {Key: "attempt", Value: attempt},
			{Key: "notified_at", Value: int64(0)}, is("notify_to", "$ne", ""),
		},
		set: bson.D{
			{Key: "notified_at", Value: now}, {Key: "notice_error", Value: failure},
			{Key: "notice_at", Value: int64(0)}, {Key: "notice_lease_until", Value: int64(0)},
		},
	})
	if !errors.Is(err, job.ErrNotFound) {
		return err
	}
	r, err := s.row(ctx, id)
	switch {
	case err != nil:
		return err
	case job.State(r.State).Ended() && r.Attempt == attempt && r.NotifiedAt != 0:
		return nil
	}
	return job.ErrLost
}

// ReleaseNotice ends the lease of a notice that could not be told now, so that the next try
// need not wait for the lease to pass. If there is none that is no error.
func (s *Store) ReleaseNotice(ctx context.Context, id string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	_, err := s.change(ctx, id, &change{
		where: bson.D{is("notice_lease_until", "$gt", int64(0))},
		set:   bson.D{{Key: "notice_lease_until", Value: int64(0)}},
	})
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return fmt.Errorf("jobstore: release the notice of %s: %w", id, err)
	}
	return nil
}
