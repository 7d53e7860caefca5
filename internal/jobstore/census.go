package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// Waiting tells what is queued, by lane; a lane without any is missing. It looks at all
// queued jobs, so it is not for each request.
func (s *Store) Waiting(ctx context.Context) (map[job.Lane]job.Waiting, error) {
	lanes := map[job.Lane]job.Waiting{}
	err := s.each(ctx, s.q.waiting, nil, func(scan func(...any) error) error {
		var lane job.Lane
		var n, oldest int64
		err := scan(&lane, &n, &oldest)
		lanes[lane] = job.Waiting{Jobs: n, Oldest: time.Duration(oldest) * time.Microsecond}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("jobstore: waiting: %w", err)
	}
	return lanes, nil
}

// Census counts all jobs by state; a state without any is missing. It looks at all jobs
// that there are, so it takes the longer the more are kept.
func (s *Store) Census(ctx context.Context) (map[job.State]int64, error) {
	states := map[job.State]int64{}
	err := s.each(ctx, s.q.census, nil, func(scan func(...any) error) error {
		var state job.State
		var n int64
		err := scan(&state, &n)
		states[state] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("jobstore: census: %w", err)
	}
	return states, nil
}
