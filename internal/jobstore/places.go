package jobstore

import (
	"context"
	"fmt"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
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

// WaitingOwners goes through the users who have jobs that wait for a place, by their
// IDs: those after one of them, a thousand at a time; the first come after "". turn are
// those who have a job that may be attempted, and room for it. last is the one to go on
// after, "" if there are no more.
func (s *Store) WaitingOwners(ctx context.Context, after string) (turn []string, last string, err error) {
	n := 0
	err = s.each(ctx, s.q.waitingOwners, []any{s.window - 1, after, jobs.MaxList}, func(scan func(...any) error) error {
		var isTurn bool
		err := scan(&last, &isTurn)
		if isTurn {
			turn = append(turn, last)
		}
		n++
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("jobstore: waiting owners: %w", err)
	}
	if n < jobs.MaxList {
		last = ""
	}
	return turn, last, nil
}
