package worker

import (
	"context"
	"errors"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// walk is the place of a sweeper that walks through the bucket.
type walk struct {
	began  time.Time // zero before the first walk
	folder int       // in folders; their number when the walk is over
	after  string    // the last key that was looked at
}

// folders are the parts of the bucket that belong to jobs.
func folders() []string { return []string{"in/", "out/"} }

// minUploadAge is the least age at which an unfinished upload counts as forgotten.
const minUploadAge = 24 * time.Hour

// orphans walks through the bucket for objects that no job needs: of uploads and
// attempts whose process died between object and row, and of jobs whose files could
// not be removed when it was their time.
func (s *Sweeper) orphans(ctx context.Context, until time.Time, r *Report) error {
	all := folders()
	if s.walk.began.IsZero() || s.walk.folder == len(all) && time.Since(s.walk.began) >= s.cfg.Sweep.OrphanInterval {
		ours, err := s.owns(ctx)
		if errors.Is(err, errUnsure) {
			return nil // the next sweep asks again
		}
		if err != nil {
			return err
		}
		s.walk = walk{began: time.Now()}
		if !ours {
			s.walk.folder = len(all)
		}
	}
	if s.walk.folder == len(all) {
		return nil
	}
	// One page in each sweep, even if the other parts have left no time.
	for first := true; s.walk.folder < len(all); first = false {
		if !first && time.Now().After(until) || ctx.Err() != nil {
			return nil
		}
		page, err := s.deps.Bucket.Objects(ctx, all[s.walk.folder], s.walk.after, s.cfg.Sweep.Batch)
		if err != nil {
			return err
		}
		// The walk goes on behind the page even if something in it can't be removed.
		if len(page) < s.cfg.Sweep.Batch {
			s.walk.folder, s.walk.after = s.walk.folder+1, ""
		} else {
			s.walk.after = page[len(page)-1].Key
		}
		if err := s.removeUnneeded(ctx, page, r); err != nil {
			return err
		}
	}
	n, err := s.deps.Bucket.SweepUploads(ctx, max(minUploadAge, s.cfg.Sweep.OrphanAge))
	r.Orphans += n
	return err
}

// removeUnneeded removes the old objects of a page that no job needs. The rows are
// asked after the list was made, so that a row that comes after its object is seen.
func (s *Sweeper) removeUnneeded(ctx context.Context, page []Object, r *Report) error {
	owners, ids := ownersOf(page, s.cfg.Sweep.OrphanAge)
	if len(ids) == 0 {
		return nil
	}
	states, err := s.deps.Jobs.States(ctx, ids)
	if err != nil {
		return err
	}
	var errs []error
	for key, id := range owners {
		if state, ok := states[id]; ok && state.Needs(id, key) {
			continue
		}
		if err := s.deps.Bucket.Delete(ctx, key); err != nil {
			errs = append(errs, err)
			continue
		}
		r.Orphans++
	}
	return errors.Join(errs...)
}

// ownersOf returns the jobs that those objects of a page belong to which are that old,
// by key and as a list.
func ownersOf(page []Object, age time.Duration) (owners map[string]string, ids []string) {
	owners = map[string]string{}
	for _, o := range page {
		if id, ok := job.OwnerOfKey(o.Key); ok && o.Age >= age {
			owners[o.Key] = id
			ids = append(ids, id)
		}
	}
	return owners, ids
}
