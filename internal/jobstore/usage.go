package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Usage returns what a user takes up. Waiting jobs are counted up to most, at most
// [jobs.MaxWaiting].
func (s *Store) Usage(ctx context.Context, owner string, most int) (u job.Usage, err error) {
	var left int64
	if err := s.row(ctx, s.q.usage, []any{owner, min(max(most, 1), jobs.MaxWaiting), owner, owner}, &u.Waiting, &u.Stored, &u.Today, &left); err != nil {
		return job.Usage{}, fmt.Errorf("jobstore: usage: %w", err)
	}
	u.Day = time.Duration(left) * time.Microsecond
	return u, nil
}

// Spend adds to the bytes that a user has uploaded today, unless they would be more
// than allowed then, and reports whether it did.
func (s *Store) Spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error) {
	ok, err := s.spend(ctx, owner, bytes, allowed)
	if err != nil {
		return false, fmt.Errorf("jobstore: spend: %w", err)
	}
	return ok, nil
}

func (s *Store) spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error) {
	if bytes > allowed {
		return false, nil
	}
	for range 2 {
		r, err := s.run(ctx, s.q.spend, bytes, owner, allowed-bytes)
		if err != nil {
			return false, err
		}
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err == nil, err
		}
		// There is too much already, or nothing yet today.
		_, err = s.run(ctx, s.q.spendFirst, owner, bytes)
		if !sqldb.IsDuplicate(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// PurgeUsage removes what was noted for Spend on days before yesterday.
func (s *Store) PurgeUsage(ctx context.Context) error {
	if _, err := s.run(ctx, s.q.usagePurge); err != nil {
		return fmt.Errorf("jobstore: purge usage: %w", err)
	}
	return nil
}
