package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// ClaimNotice leases the telling of a job's end, so that it is told once. The
// answer's Attempt is for [Store.Notified]. [job.ErrConflict] means that there is
// nothing to tell, that it was told, or that another has the lease.
func (s *Store) ClaimNotice(ctx context.Context, id string, lease time.Duration) (job.Job, error) {
	j, err := s.settle(ctx, id, s.q.claimNotice, lease.Microseconds(), id)
	if err == nil && (j.State != job.Succeeded && j.State != job.Failed || !j.Notified.IsZero()) {
		err = job.ErrConflict // meanwhile
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: claim the notice of %s: %w", id, err)
	}
	return j, nil
}

// Notified notes that the end of an attempt was told, or, with a reason, that
// telling it was given up. To say so again is no error. [job.ErrLost] means that the
// job has gone on since, or that there was nothing to tell.
func (s *Store) Notified(ctx context.Context, id string, attempt int, failure string) error {
	n, err := s.exec(ctx, id, s.q.notified, jobs.Clip(failure, jobs.MaxText), id, attempt)
	if err == nil && n == 0 {
		err = s.untellable(ctx, id, attempt)
	}
	if err != nil {
		return fmt.Errorf("jobstore: notified of %s, attempt %d: %w", id, attempt, err)
	}
	return nil
}

func (s *Store) untellable(ctx context.Context, id string, attempt int) error {
	state, current, notified, err := s.state(ctx, id)
	switch {
	case err != nil:
		return err
	case state.Ended() && current == attempt && notified:
		return nil
	}
	return job.ErrLost
}

// ReleaseNotice ends the lease of a notice that could not be told now, so that the
// next try need not wait for the lease to pass. If there is none that is no error.
func (s *Store) ReleaseNotice(ctx context.Context, id string) error {
	if _, err := s.exec(ctx, id, s.q.releaseNotice, id); err != nil {
		return fmt.Errorf("jobstore: release the notice of %s: %w", id, err)
	}
	return nil
}
