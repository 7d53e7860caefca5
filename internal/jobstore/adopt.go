package jobstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Adopt keeps a job that was done elsewhere: it has succeeded with j.Result by its first
// attempt, ended now, and expires after retention. Of the job it takes what [Store.Submit]
// does, and Created; it stands alone, and nobody is told of it. If there is a job of that
// ID the error wraps [job.ErrConflict].
func (s *Store) Adopt(ctx context.Context, j job.Job, retention time.Duration) (job.Job, error) {
	j.NotifyTo = ""
	args, err := insertion(&job.Submission{Job: j})
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: adopt %s: %w", j.ID, err)
	}
	result, err := json.Marshal(j.Result)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: adopt %s: %w", j.ID, err)
	}
	kept := retention.Microseconds()
	// What is stored is the MP3.
	args[len(args)-3] = j.Result.Bytes
	args = append(args, string(result), j.Created.UnixMicro(), kept, kept)
	adopted, _, err := s.change(ctx, j.ID, s.q.adopt, args...)
	if sqldb.IsDuplicate(err) {
		err = fmt.Errorf("%w: it is there already", job.ErrConflict)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: adopt %s: %w", j.ID, err)
	}
	return adopted, nil
}
