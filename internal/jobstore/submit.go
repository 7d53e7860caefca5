package jobstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Submit keeps a new job: queued, created now. Of the job it takes ID, Owner (at most
// 64 characters of ASCII), NotifyTo, FileName, the source, Settings, Lane and Keep; the rest
// is ignored. If there is a job of that ID the error wraps [job.ErrConflict], and
// [job.ErrTwin] if there is one of that twin. With a key the job is there if and only
// if the key says so; [job.ErrLost] means that the key is not held.
func (s *Store) Submit(ctx context.Context, j job.Submission) (job.Job, error) {
	args, err := insertion(&j)
	var made job.Job
	if err == nil {
		made, _, err = s.once(ctx, j.Key, j.ID, s.q.insert, args...)
	}
	if sqldb.IsDuplicate(err) {
		err = s.duplicate(ctx, &j)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: submit %s: %w", j.ID, err)
	}
	return made, nil
}

// duplicate says of what a new row would have been the second.
func (s *Store) duplicate(ctx context.Context, j *job.Submission) error {
	switch _, err := s.get(ctx, j.ID); {
	case err == nil:
		return fmt.Errorf("%w: it is there already", job.ErrConflict)
	case errors.Is(err, job.ErrNotFound):
		return job.ErrTwin
	default:
		return err
	}
}

// Twin returns the job that was submitted with a twin and has not been displaced, in
// whatever state it is; [job.ErrNotFound] if there is none.
func (s *Store) Twin(ctx context.Context, twin string) (job.Job, error) {
	jobs, err := s.jobs(ctx, s.q.twin, twin)
	if err == nil && len(jobs) == 0 {
		err = job.ErrNotFound
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: a twin: %w", err)
	}
	return jobs[0], nil
}

// Join has an earlier job answer a submission of the same twin. It takes the name of
// the later file, tells NotifyTo of its end if nobody was to be told, and a success is
// kept for as long as if it were made now. [job.ErrConflict] means that the job neither
// is active nor has succeeded, expires just now, or has another twin.
func (s *Store) Join(ctx context.Context, id string, j job.Submission) (job.Job, error) {
	old, n, err := s.once(ctx, j.Key, id, s.q.join, j.NotifyTo, j.NotifyTo, j.FileName, j.FileName, id, j.Twin)
	if err == nil && n == 0 {
		err = s.refused(ctx, id)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: join %s: %w", id, err)
	}
	return old, nil
}

// Displace has a job that is not active answer no more submissions of a twin, so that
// another can take its place. If it is active, or has another twin, nothing happens.
func (s *Store) Displace(ctx context.Context, id, twin string) error {
	if _, err := s.exec(ctx, id, s.q.displace, id, twin); err != nil {
		return fmt.Errorf("jobstore: displace %s: %w", id, err)
	}
	return nil
}
