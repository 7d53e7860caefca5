package mongo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Insert is [Store.Submit] of a job that stands alone.
func (s *Store) Insert(ctx context.Context, j job.Job) (job.Job, error) {
	return s.Submit(ctx, job.Submission{Job: j})
}

// Submit keeps a new job: queued, created now. See jobstore.Store.
func (s *Store) Submit(ctx context.Context, j job.Submission) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	made, err := s.submit(ctx, &j)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: submit %s: %w", j.ID, mongodb.Full(err))
	}
	return made, nil
}

func (s *Store) submit(ctx context.Context, j *job.Submission) (job.Job, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	r, err := newRow(j, now, s.window == 0)
	if err != nil {
		return job.Job{}, err
	}
	if j.Key == nil {
		if err := s.insert(ctx, r, j.Twin); err != nil {
			return job.Job{}, err
		}
		return r.job()
	}
	r.State, r.Intent = submitted, newIntent(toSubmit, j.Key, now)
	return s.once(ctx, j.Key, j.ID, func() (*row, error) { return r, s.insert(ctx, r, j.Twin) })
}

// Adopt keeps a job that was done elsewhere. See jobstore.Store.
func (s *Store) Adopt(ctx context.Context, j job.Job, retention time.Duration) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	adopted, err := s.adopt(ctx, j, retention.Microseconds())
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: adopt %s: %w", j.ID, mongodb.Full(err))
	}
	return adopted, nil
}

func (s *Store) adopt(ctx context.Context, j job.Job, kept int64) (job.Job, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	j.NotifyTo = ""
	r, err := newRow(&job.Submission{Job: j}, now, s.window == 0)
	if err != nil {
		return job.Job{}, err
	}
	result, err := json.Marshal(j.Result)
	if err != nil {
		return job.Job{}, err
	}
	r.State, r.Attempt, r.Tries, r.Result, r.Stored = string(job.Succeeded), 1, 1, string(result), j.Result.Bytes
	r.CreatedAt, r.StartedAt, r.EndedAt, r.Kept, r.DueAt = j.Created.UnixMicro(), now, now, kept, now+kept
	if err := s.insert(ctx, r, ""); err != nil {
		return job.Job{}, err
	}
	return r.job()
}

// insert adds a row. The error wraps [job.ErrConflict] or [job.ErrTwin] if it would be the
// second of something.
func (s *Store) insert(ctx context.Context, r *row, twin string) error {
	for range maxTries {
		_, err := s.jobs.InsertOne(ctx, r)
		if !mongodb.IsDuplicate(err) {
			return err
		}
		switch _, err := s.get(ctx, r.ID); {
		case err == nil:
			return fmt.Errorf("%w: it is there already", job.ErrConflict)
		case !errors.Is(err, job.ErrNotFound):
			return err
		}
		switch _, err := s.twin(ctx, twin); {
		case err == nil:
			return job.ErrTwin
		case !errors.Is(err, job.ErrNotFound):
			return err
		}
		// It was there, and is gone: displaced, or submitted in vain.
	}
	return errBusy
}

// Twin returns the job that was submitted with a twin and has not been displaced, in
// whatever state it is; [job.ErrNotFound] if there is none.
func (s *Store) Twin(ctx context.Context, twin string) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	r, err := s.twin(ctx, twin)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: a twin: %w", err)
	}
	return r.job()
}

func (s *Store) twin(ctx context.Context, twin string) (*row, error) {
	for range maxTries {
		rows, err := s.rows(ctx, withTwin(twin), 1)
		switch {
		case err != nil:
			return nil, err
		case len(rows) == 0:
			return nil, job.ErrNotFound
		case rows[0].State != submitted:
			return &rows[0], nil
		}
		if err := s.carryOut(ctx, &rows[0]); err != nil {
			return nil, err
		}
	}
	return nil, errBusy
}

// Join has an earlier job answer a submission of the same twin. See jobstore.Store.
func (s *Store) Join(ctx context.Context, id string, j job.Submission) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	old, err := s.join(ctx, id, &j)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: join %s: %w", id, err)
	}
	return old, nil
}

func (s *Store) join(ctx context.Context, id string, j *job.Submission) (job.Job, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	if j.Key != nil {
		in := newIntent(toJoin, j.Key, now)
		in.NotifyTo, in.FileName = j.NotifyTo, j.FileName
		return s.once(ctx, j.Key, id, func() (*row, error) { return s.placeIntent(ctx, id, in, joinable(j.Twin, now)) })
	}
	for range maxTries {
		r, err := s.row(ctx, id)
		if err != nil {
			return job.Job{}, err
		}
		c := joined(r, j.NotifyTo, j.FileName, now)
		c.where = append(c.where, joinable(j.Twin, now)...)
		after, err := s.change(ctx, id, &c)
		if err == nil {
			return after.job()
		}
		if !errors.Is(err, job.ErrNotFound) {
			return job.Job{}, err
		}
		// It may have been changed since it was read. If not, it cannot be joined.
		if unchanged, err := s.raw(ctx, id); err != nil {
			return job.Job{}, err
		} else if unchanged.State == r.State && unchanged.NotifyTo == r.NotifyTo && unchanged.Twin == r.Twin {
			return job.Job{}, job.ErrConflict
		}
	}
	return job.Job{}, errBusy
}

// joinable wants a job to be active, or succeeded and not about to expire, and to have a
// twin.
func joinable(twin string, now int64) bson.D {
	return bson.D{{Key: "twin", Value: twinField(twin, "")}, {Key: "$or", Value: bson.A{
		bson.D{in("state", job.Queued, job.Running)},
		bson.D{{Key: "state", Value: job.Succeeded}, is("due_at", "$gt", now)},
	}}}
}

// joined is the change of a job that is joined, if what counts of its row stays as it is.
// An end that was reached since its intent was written is told too, as if it had been
// joined before.
func joined(r *row, notifyTo, fileName string, now int64) change {
	c := change{where: bson.D{{Key: "state", Value: r.State}, {Key: "notify_to", Value: r.NotifyTo}}}
	if fileName != "" {
		c.set = append(c.set, bson.E{Key: "file_name", Value: fileName})
	}
	state := job.State(r.State)
	if r.NotifyTo == "" && notifyTo != "" {
		c.set = append(c.set, bson.E{Key: "notify_to", Value: notifyTo})
		if state == job.Succeeded || state == job.Failed {
			c.set = append(c.set, bson.E{Key: "notice_at", Value: int64(1)})
		}
	}
	if state == job.Succeeded {
		c.max = bson.D{{Key: "due_at", Value: now + r.Kept}}
	}
	return c
}

// Displace has a job that is not active answer no more submissions of a twin. If it is
// active, or has another twin, nothing happens.
func (s *Store) Displace(ctx context.Context, id, twin string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	c := change{
		silent: true,
		where:  bson.D{{Key: "twin", Value: twinField(twin, "")}, in("state", job.Succeeded, job.Failed, job.Canceled, job.Expired)},
		set:    bson.D{{Key: "twin", Value: twinField("", id)}},
	}
	if _, err := s.change(ctx, id, &c); err != nil && !errors.Is(err, job.ErrNotFound) {
		return fmt.Errorf("jobstore: displace %s: %w", id, err)
	}
	return nil
}
