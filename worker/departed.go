package worker

import (
	"context"
	"errors"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// Departures are the owners whose accounts were deleted.
type Departures interface {
	Due(ctx context.Context, limit int) ([]job.Departure, error)
	// Again has the owner returned by Due once more, after a time.
	Again(ctx context.Context, owner string, after time.Duration) error
	Forget(ctx context.Context, owner string) error
}

// Owned finds, ends and removes the jobs of an owner.
type Owned interface {
	List(ctx context.Context, q job.Query) ([]job.Job, error)
	Cancel(ctx context.Context, id string) (job.Job, error)
	Delete(ctx context.Context, id string) error
}

// An owner who is gone may have a token that is good for a while, or an upload under way,
// so his jobs are looked for more than once: soon at first, less often later, until
// Sweep.Keep is over.
const (
	departedFirst = 10 * time.Second
	departedLast  = 6 * time.Hour
)

// departed removes the jobs of owners who are gone, with their files.
func (s *Sweeper) departed(ctx context.Context, until time.Time, r *Report) error {
	if s.deps.Departed == nil {
		return nil
	}
	found, err := s.deps.Departed.Due(ctx, s.cfg.Sweep.Batch)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range found {
		all, err := s.removeOwned(ctx, d.Owner, until, r)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue // it is found again by the next sweep
		case !all:
			return errors.Join(errs...) // the time is over
		case d.Age > s.cfg.Sweep.Keep:
			err = s.deps.Departed.Forget(ctx, d.Owner)
		default:
			err = s.deps.Departed.Again(ctx, d.Owner, min(max(d.Age/4, departedFirst), departedLast))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// removeOwned removes the jobs of an owner, and reports whether that was all of them
// before the time was over.
func (s *Sweeper) removeOwned(ctx context.Context, owner string, until time.Time, r *Report) (all bool, err error) {
	if owner == "" { // which would be everybody
		return false, errors.New("a departure of nobody")
	}
	for {
		jobs, err := s.deps.Jobs.List(ctx, job.Query{Owner: owner, Limit: s.cfg.Sweep.Batch})
		if err != nil || len(jobs) == 0 {
			return err == nil, err
		}
		for _, j := range jobs {
			if time.Now().After(until) || ctx.Err() != nil {
				return false, ctx.Err()
			}
			if j.State.Active() {
				if _, err := s.deps.Jobs.Cancel(ctx, j.ID); err != nil && !moved(err) {
					return false, err
				}
			}
			// The files go first: a row that is still there brings a sweeper back.
			err := errors.Join(s.deps.Bucket.Delete(ctx, job.SourceKey(j.ID)), s.deps.Bucket.DeletePrefix(ctx, job.ResultPrefix(j.ID)))
			if err == nil {
				err = s.deps.Jobs.Delete(ctx, j.ID)
			}
			switch {
			case err == nil:
				r.Departed++
				s.publish(ctx, j.ID)
			case !moved(err):
				return false, err
			}
		}
	}
}
