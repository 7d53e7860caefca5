package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// NoteAct keeps what an administrator does. At is the database's time. One whose Once was
// noted before is no error, and changes nothing. It stays when the job is removed.
func (s *Store) NoteAct(ctx context.Context, a job.Act) error {
	a, err := jobs.Noted(a)
	if err == nil {
		_, err = s.run(ctx, s.q.actNew, a.ID, a.Actor, a.ActorEmail, a.Place, string(a.Action), a.JobID, a.Owner, a.Detail, a.Once)
	}
	if err != nil && !sqldb.IsDuplicate(err) {
		return fmt.Errorf("jobstore: note an act: %w", err)
	}
	return nil
}

// Acts returns what administrators did, newest first, at most [jobs.MaxList]. Before may
// name an entry that is no more, but not what cannot be the ID of one ([job.ErrNotFound]).
// Once is not told.
func (s *Store) Acts(ctx context.Context, q job.ActQuery) (acts []job.Act, err error) {
	before := jobs.LastID
	if q.Before != "" {
		if before = q.Before; !job.ValidID(before) {
			return nil, fmt.Errorf("jobstore: acts before %q: %w", before, job.ErrNotFound)
		}
	}
	if !jobs.Findable(q) {
		return nil, nil
	}
	query, args := s.q.acts, []any{before}
	switch {
	case q.JobID != "":
		query, args = s.q.actsJob, []any{q.JobID, before, q.Actor, q.Actor, q.Owner, q.Owner}
	case q.Owner != "":
		query, args = s.q.actsOwner, []any{q.Owner, before, q.Actor, q.Actor}
	case q.Actor != "":
		query, args = s.q.actsActor, []any{q.Actor, before}
	}
	err = s.each(ctx, query, append(args, jobs.Limit(q.Limit)), func(scan func(...any) error) error {
		var a job.Act
		var when int64
		err := scan(&a.ID, &when, &a.Actor, &a.ActorEmail, &a.Place, &a.Action, &a.JobID, &a.Owner, &a.Detail)
		a.At = at(when)
		acts = append(acts, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("jobstore: acts: %w", err)
	}
	return acts, nil
}

// PurgeActs removes entries that were noted longer than keep ago, at most n, the oldest
// first, and returns how many there were.
func (s *Store) PurgeActs(ctx context.Context, keep time.Duration, n int) (int, error) {
	r, err := s.run(ctx, s.q.actPurge, keep.Microseconds(), jobs.Limit(n))
	if err != nil {
		return 0, fmt.Errorf("jobstore: purge acts: %w", err)
	}
	gone, err := r.RowsAffected()
	return int(gone), err
}
