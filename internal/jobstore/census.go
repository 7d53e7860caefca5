package jobstore

import (
	"context"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// Census counts all jobs. It looks at every row, or at every entry of an index, so it is
// not for each request.
func (s *Store) Census(ctx context.Context) (job.Census, error) {
	c := job.Census{States: map[job.State]int64{}, Waiting: map[job.Lane]job.Waiting{}}
	err := s.each(ctx, s.q.census, nil, func(scan func(...any) error) error {
		var state job.State
		var n int64
		err := scan(&state, &n)
		c.States[state] = n
		return err
	})
	if err == nil {
		err = s.each(ctx, s.q.waiting, nil, func(scan func(...any) error) error {
			var lane job.Lane
			var n, oldest int64
			err := scan(&lane, &n, &oldest)
			c.Waiting[lane] = job.Waiting{Jobs: n, Oldest: time.Duration(oldest) * time.Microsecond}
			return err
		})
	}
	if err != nil {
		return job.Census{}, fmt.Errorf("jobstore: census: %w", err)
	}
	return c, nil
}
