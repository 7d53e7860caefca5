package jobstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Identity returns the database's ID, a UUID that it is given when it is asked for
// the first time, and how often [Store.CountWalk] was called. A copy of the database
// has the same ID, and no more walks than there were when it was made.
func (s *Store) Identity(ctx context.Context) (id string, walks int64, err error) {
	err = s.row(ctx, s.q.identity, nil, &id, &walks)
	if errors.Is(err, job.ErrNotFound) {
		_, err = s.run(ctx, s.q.identityNew, uuid.NewString())
		if err == nil || sqldb.IsDuplicate(err) { // somebody else was quicker
			err = s.row(ctx, s.q.identity, nil, &id, &walks)
		}
	}
	if err != nil {
		return "", 0, fmt.Errorf("jobstore: identity: %w", err)
	}
	return id, walks, nil
}

// CountWalk adds one to the walks of [Store.Identity].
func (s *Store) CountWalk(ctx context.Context) error {
	if _, err := s.run(ctx, s.q.countWalk); err != nil {
		return fmt.Errorf("jobstore: count a walk: %w", err)
	}
	return nil
}
