package jobstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/mp3lathe/mp3lathe/job"
)

// Place gives a user's queued jobs places in the queue, those that have waited longest
// first, as long as the window has room, and returns them: the queue is to be told of
// each. Of two who ask at once, one gets the job. Without a window all find room, a
// thousand at a time.
func (s *Store) Place(ctx context.Context, owner string) ([]job.Job, error) {
	var placed []job.Job
	// Others may take what was seen to be free. They have told the queue then.
	for again := true; again; {
		next, err := s.turn(ctx, owner)
		if err != nil {
			return placed, fmt.Errorf("jobstore: place: %w", err)
		}
		again = false
		for _, j := range next {
			n, err := s.exec(ctx, j.ID, s.q.place, j.ID)
			if err != nil {
				return placed, fmt.Errorf("jobstore: place %s: %w", j.ID, err)
			}
			if again = again || n == 0; n > 0 {
				j.Waits = false
				placed = append(placed, j)
			}
		}
	}
	return placed, nil
}

// turn returns the jobs of a user that are next and find room.
func (s *Store) turn(ctx context.Context, owner string) (next []job.Job, err error) {
	room := 0
	err = s.each(ctx, s.q.turn, []any{owner, s.window, owner, s.window}, func(scan func(...any) error) error {
		there := 0
		j, err := scanJob(func(dest ...any) error { return scan(append(dest, &there)...) })
		next = append(next, j)
		room = s.window - there
		return err
	})
	return next[:min(len(next), max(room, 0))], err
}

// WaitingOwner returns the user who comes after another, by their IDs, and has jobs that
// wait for a place; "" if there is none. The first comes after "".
func (s *Store) WaitingOwner(ctx context.Context, after string) (owner string, err error) {
	err = s.row(ctx, s.q.waitingOwner, []any{after}, &owner)
	if errors.Is(err, job.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("jobstore: waiting owner: %w", err)
	}
	return owner, nil
}
