package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/job"
)

// change is a change of one job: of its row, if it is as it says. The version grows by one
// with it.
type change struct {
	where, set, inc bson.D
	unset, max      bson.D
	silent          bool // the version stays
}

func (c *change) update() bson.D {
	inc := c.inc
	if !c.silent {
		inc = append(inc, bson.E{Key: "version", Value: int64(1)})
	}
	var u bson.D
	for _, part := range []struct {
		name string
		d    bson.D
	}{{"$set", c.set}, {"$inc", inc}, {"$unset", c.unset}, {"$max", c.max}} {
		if len(part.d) > 0 {
			u = append(u, bson.E{Key: part.name, Value: part.d})
		}
	}
	return u
}

// in wants a field to be one of some values.
func in[T any](field string, values ...T) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: "$in", Value: values}}}
}

// is compares a field: "$lte", "$gt" and so on.
func is(field, how string, value any) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: how, Value: value}}}
}

// noIntent keeps out of the way of an intent, which might be carried out: who meets one
// carries it out first.
func noIntent() bson.E { return bson.E{Key: "intent", Value: nil} }

// idle are the fields of a job that does not run.
func idle() bson.D {
	return bson.D{{Key: "worker", Value: ""}, {Key: "progress", Value: int64(0)}, {Key: "progress_total", Value: int64(0)}}
}

// change makes a change, and returns what it has left; [job.ErrNotFound] if the row is not
// as it wants, or not there.
func (s *Store) change(ctx context.Context, id string, c *change) (*row, error) {
	if !job.ValidID(id) {
		return nil, job.ErrNotFound
	}
	filter := append(bson.D{{Key: "_id", Value: id}}, c.where...)
	return decode(s.jobs.FindOneAndUpdate(ctx, filter, c.update(), options.FindOneAndUpdate().SetReturnDocument(options.After)))
}

// settle is a change that the job's state may refuse: the error wraps [job.ErrNotFound] or
// [job.ErrConflict].
func (s *Store) settle(ctx context.Context, id string, c func(now int64) change) (j job.Job, err error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	err = s.again(ctx, id, func() (bool, error) {
		wanted := c(now)
		r, err := s.change(ctx, id, &wanted)
		if errors.Is(err, job.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		j, err = r.job()
		return true, err
	})
	return j, err
}

// again does something until it reports that it is done. If it is not, the row may have an
// intent in its way, which is carried out; else the row refuses it.
func (s *Store) again(ctx context.Context, id string, do func() (bool, error)) error {
	if !job.ValidID(id) {
		return job.ErrNotFound
	}
	for range maxTries {
		if done, err := do(); done || err != nil {
			return err
		}
		r, err := s.raw(ctx, id)
		if err != nil {
			return err
		}
		if r.Intent == nil {
			return job.ErrConflict
		}
		if err := s.carryOut(ctx, r); err != nil {
			return err
		}
	}
	return errBusy
}

// finish ends an attempt; one that does not hold the job has lost it.
func (s *Store) finish(ctx context.Context, id string, attempt int, c func(r *row, now int64) change) (job.Job, error) {
	return s.end(ctx, id, attempt, func(*row, int64) bool { return true }, c)
}

// lapsed is finish of an attempt whose lease has passed; one that has extended it since
// has not.
func (s *Store) lapsed(ctx context.Context, id string, attempt int, c func(r *row, now int64) change) (job.Job, error) {
	return s.end(ctx, id, attempt, func(r *row, now int64) bool { return r.DueAt < now }, c)
}

// end changes a job that an attempt holds, by what its row says. What counts of that is
// compared when it is changed; if it was changed meanwhile, it begins anew.
func (s *Store) end(ctx context.Context, id string, attempt int, may func(*row, int64) bool, c func(r *row, now int64) change) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	for range maxTries {
		r, err := s.raw(ctx, id)
		if errors.Is(err, job.ErrNotFound) || err == nil && (r.State != string(job.Running) || r.Attempt != attempt || !may(r, now)) {
			return job.Job{}, job.ErrLost
		}
		if err != nil {
			return job.Job{}, err
		}
		if err := s.stop("decided"); err != nil {
			return job.Job{}, err
		}
		wanted := c(r, now)
		wanted.where = bson.D{{Key: "state", Value: job.Running}, {Key: "attempt", Value: attempt}, {Key: "notify_to", Value: r.NotifyTo}}
		if r.DueAt < now {
			wanted.where = append(wanted.where, is("due_at", "$lt", now))
		}
		after, err := s.change(ctx, id, &wanted)
		if err == nil {
			return after.job()
		}
		if !errors.Is(err, job.ErrNotFound) {
			return job.Job{}, err
		}
	}
	return job.Job{}, errBusy
}
