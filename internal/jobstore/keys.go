package jobstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// ClaimKey gives a key to a request: to the first that comes with it, and to another
// one only if the key has expired, or if nothing has come of it and its holder has
// given no sign of life for as long as its lease. It reports whether k.Holder has the
// key now, and if not what is known of it.
func (s *Store) ClaimKey(ctx context.Context, k job.Keyed, lease time.Duration) (job.KeyRecord, bool, error) {
	rec, ok, err := s.claimKey(ctx, k, lease)
	if err != nil {
		return job.KeyRecord{}, false, fmt.Errorf("jobstore: claim a key: %w", err)
	}
	return rec, ok, nil
}

func (s *Store) claimKey(ctx context.Context, k job.Keyed, lease time.Duration) (job.KeyRecord, bool, error) {
	if !jobs.ValidOwner(k.Owner) {
		return job.KeyRecord{}, false, fmt.Errorf("%q is not the ID of a user", k.Owner)
	}
	// Those who were quicker are few: each has taken the key or given it back.
	for range 10 {
		rec, holder, free, err := s.key(ctx, k.RequestKey)
		var n int64 = 1
		switch {
		case errors.Is(err, job.ErrNotFound):
			_, err = s.run(ctx, s.q.keyNew, k.Owner, k.Name, k.Head, k.Bytes, k.Holder, lease.Microseconds(), jobs.KeyRetention.Microseconds())
			if sqldb.IsDuplicate(err) {
				continue
			}
		case err == nil && !free:
			return rec, false, nil
		case err == nil:
			var r sql.Result
			r, err = s.run(ctx, s.q.keyTake, k.Head, k.Bytes, k.Holder, lease.Microseconds(), jobs.KeyRetention.Microseconds(),
				k.Owner, k.Name, holder)
			if err == nil {
				n, err = r.RowsAffected()
			}
		}
		if err != nil {
			return job.KeyRecord{}, false, err
		}
		if n > 0 {
			return job.KeyRecord{}, true, nil
		}
	}
	return job.KeyRecord{}, false, errors.New("it does not stay with anybody")
}

// key reads a key; free means that it may be taken.
func (s *Store) key(ctx context.Context, k job.RequestKey) (rec job.KeyRecord, holder string, free bool, err error) {
	var header string
	err = s.row(ctx, s.q.keyGet, []any{k.Owner, k.Name},
		&rec.Head, &rec.Body, &rec.Bytes, &rec.JobID, &rec.Answer.Status, &header, &rec.Answer.Body, &holder, &rec.Held, &free)
	if err == nil && header != "" {
		err = json.Unmarshal([]byte(header), &rec.Answer.Header)
	}
	return rec, holder, free, err
}

// HoldKey extends the lease of a key. [job.ErrLost] means that k.Holder does not hold
// it (any more).
func (s *Store) HoldKey(ctx context.Context, k job.RequestKey, lease time.Duration) error {
	return s.changeKey(ctx, "hold", s.q.keyHold, lease.Microseconds(), k.Owner, k.Name, k.Holder)
}

// AnswerKey keeps the answer to a request until its key expires. Of k.Request it takes
// Body and Bytes, which are known by now. [job.ErrLost] means that k.Holder does not
// hold the key.
func (s *Store) AnswerKey(ctx context.Context, k job.Keyed, a job.Answer) error {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("jobstore: answer a key: %w", err)
	}
	return s.changeKey(ctx, "answer", s.q.keyAnswer, k.Body, k.Bytes, a.Status, string(header), a.Body, k.Owner, k.Name, k.Holder)
}

// FreeKey forgets a key under which nothing was done. If k.Holder does not hold it, or
// there is a job by it, that is no error.
func (s *Store) FreeKey(ctx context.Context, k job.RequestKey) error {
	if _, err := s.run(ctx, s.q.keyFree, k.Owner, k.Name, k.Holder); err != nil {
		return fmt.Errorf("jobstore: free a key: %w", err)
	}
	return nil
}

// PurgeKeys removes keys that have expired, at most n, and returns how many there
// were.
func (s *Store) PurgeKeys(ctx context.Context, n int) (int, error) {
	r, err := s.run(ctx, s.q.keyPurge, jobs.Limit(n))
	if err != nil {
		return 0, fmt.Errorf("jobstore: purge keys: %w", err)
	}
	gone, err := r.RowsAffected()
	return int(gone), err
}

func (s *Store) changeKey(ctx context.Context, what, query string, args ...any) error {
	r, err := s.run(ctx, query, args...)
	if err == nil {
		var n int64
		if n, err = r.RowsAffected(); err == nil && n == 0 {
			err = job.ErrLost
		}
	}
	if err != nil {
		return fmt.Errorf("jobstore: %s a key: %w", what, err)
	}
	return nil
}

// RetryOnce is [Store.Retry] under a key: the job is queued if and only if the key says
// so. [job.ErrLost] means that the key is not held. With a nil key it is Retry.
func (s *Store) RetryOnce(ctx context.Context, id string, k *job.Keyed) (job.Job, error) {
	j, n, err := s.once(ctx, k, id, s.q.retry, id)
	if err == nil && n == 0 {
		err = s.refused(ctx, id)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: retry %s: %w", id, err)
	}
	return j, nil
}

// once is change in one transaction with the note that the key has led to the job.
func (s *Store) once(ctx context.Context, k *job.Keyed, id, query string, args ...any) (j job.Job, n int64, err error) {
	if k == nil {
		return s.change(ctx, id, query, args...)
	}
	if !job.ValidID(id) {
		return job.Job{}, 0, nil
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// The key first: who has lost it waits here for the one who has it.
		r, err := tx.ExecContext(ctx, s.q.keyJob, id, k.Body, k.Bytes, k.Owner, k.Name, k.Holder)
		if err == nil {
			n, err = r.RowsAffected()
		}
		switch {
		case err != nil:
			return err
		case n == 0:
			return job.ErrLost
		}
		if r, err = tx.ExecContext(ctx, query, args...); err != nil {
			return err
		}
		if n, err = r.RowsAffected(); err == nil && n == 0 {
			err = errNothing
		}
		return err
	})
	if errors.Is(err, errNothing) {
		return job.Job{}, 0, nil
	}
	if err != nil {
		return job.Job{}, 0, err
	}
	j, err = s.get(ctx, id)
	return j, n, err
}

// errNothing rolls back what has found nothing to do.
var errNothing = errors.New("no row was changed")
