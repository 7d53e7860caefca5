package mongo

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/mp3lathe/mp3lathe/job"
)

// intent is what is to be done to a job if the key of a request leads to it. Key and job
// are two documents, and a process can die between any two changes. So:
//
//  1. The intent is written into the job's row. A new job is inserted with it, in the state
//     submitted, in which there is no such job for others.
//  2. The key takes note of the job and of the intent's token, if its holder holds it and
//     it has led to no job yet. This decides.
//  3. The job is changed and the intent goes; or if the key did not take note, it goes
//     without a change.
//
// Whoever meets an intent, its maker or somebody else, does steps 2 and 3, as often as he
// likes: each of them happens once. Step 2 cannot be done by one after another has found
// that it can't be: a key that its holder has lost he never holds again, since holders have
// names that nobody had before. The sweeper looks for intents that nobody meets.
//
// A job with an intent is not queued again, expired or removed by others before; so a retry
// finds it as it was. All else may go on: what joins changes nothing that anybody compares.
type intent struct {
	Token  string `bson:"token"`
	Kind   string `bson:"kind"`
	At     int64  `bson:"at"`
	Key    string `bson:"key"` // keyID
	Holder string `bson:"holder"`
	Body   string `bson:"body"`
	Bytes  int64  `bson:"bytes"`

	// Of those that join.
	NotifyTo string `bson:"notify_to,omitempty"`
	FileName string `bson:"file_name,omitempty"`
	// Placed, of those that queue the job again.
	Placed bool `bson:"placed"`
}

// Kinds of intents.
const (
	toSubmit = "submit"
	toRetry  = "retry"
	toJoin   = "join"
)

func newIntent(kind string, k *job.Keyed, now int64) *intent {
	return &intent{Token: uuid.NewString(), Kind: kind, At: now, Key: keyID(k.RequestKey), Holder: k.Holder, Body: k.Body, Bytes: k.Bytes}
}

// held returns [job.ErrLost] if the key is not held, or has led to a job. It may be lost
// right after: the intent tells.
func (s *Store) held(ctx context.Context, k *job.Keyed) error {
	n, err := s.keys.CountDocuments(ctx, append(bson.D{{Key: "_id", Value: keyID(k.RequestKey)}}, unused(k.Holder)...))
	if err == nil && n == 0 {
		err = job.ErrLost
	}
	return err
}

// unused wants a key to be held and to have led to no job.
func unused(holder string) bson.D {
	return append(heldBy(holder), bson.E{Key: "job", Value: ""})
}

// carryOut does what a row's intent says, if its key leads there, and removes it.
func (s *Store) carryOut(ctx context.Context, r *row) error {
	_, err := s.carry(ctx, r)
	return err
}

// carry is carryOut, and reports whether the key leads there.
func (s *Store) carry(ctx context.Context, r *row) (bool, error) {
	in := r.Intent
	note := bson.D{{Key: "job", Value: r.ID}, {Key: "body", Value: in.Body}, {Key: "bytes", Value: in.Bytes}, {Key: "token", Value: in.Token}}
	noted, err := s.keys.UpdateOne(ctx, append(bson.D{{Key: "_id", Value: in.Key}}, unused(in.Holder)...), bson.D{{Key: "$set", Value: note}})
	if err != nil {
		return false, err
	}
	leads := noted.MatchedCount > 0
	if !leads {
		// Somebody may have done so already.
		n, err := s.keys.CountDocuments(ctx, bson.D{{Key: "_id", Value: in.Key}, {Key: "token", Value: in.Token}})
		if err != nil {
			return false, err
		}
		leads = n > 0
	}
	if err := s.stop("noted"); err != nil {
		return leads, err
	}
	if !leads {
		return false, s.drop(ctx, r)
	}
	return true, s.apply(ctx, r)
}

// drop removes an intent to which its key does not lead.
func (s *Store) drop(ctx context.Context, r *row) error {
	filter := bson.D{{Key: "_id", Value: r.ID}, {Key: "intent.token", Value: r.Intent.Token}}
	var err error
	if r.Intent.Kind == toSubmit {
		_, err = s.jobs.DeleteOne(ctx, filter)
	} else {
		_, err = s.jobs.UpdateOne(ctx, filter, bson.D{{Key: "$unset", Value: bson.D{{Key: "intent", Value: ""}}}})
	}
	return err
}

// apply makes the change of an intent to which its key leads. If the intent is gone,
// somebody else has made it.
func (s *Store) apply(ctx context.Context, r *row) error {
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	for range maxTries {
		in := r.Intent
		var c change
		switch in.Kind {
		case toSubmit:
			c = change{silent: true, set: bson.D{{Key: "state", Value: job.Queued}}}
		case toRetry:
			c = requeued(now, in.Placed)
		case toJoin:
			c = joined(r, in.NotifyTo, in.FileName, now)
		}
		c.where = append(c.where, bson.E{Key: "intent.token", Value: in.Token})
		c.unset = bson.D{{Key: "intent", Value: ""}}
		_, err := s.change(ctx, r.ID, &c)
		if !errors.Is(err, job.ErrNotFound) {
			return err
		}
		// The row has changed, or the intent is gone.
		if r, err = s.raw(ctx, r.ID); errors.Is(err, job.ErrNotFound) || err == nil && (r.Intent == nil || r.Intent.Token != in.Token) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return errBusy
}

// once changes a job under a key: place writes the intent into its row, if the row is as
// it must be, and returns the row. The error wraps [job.ErrLost] if the key is not held.
func (s *Store) once(ctx context.Context, k *job.Keyed, id string, place func() (*row, error)) (job.Job, error) {
	if err := s.held(ctx, k); err != nil {
		return job.Job{}, err
	}
	r, err := place()
	if err != nil {
		return job.Job{}, err
	}
	if err := s.stop("placed"); err != nil {
		return job.Job{}, err
	}
	leads, err := s.carry(ctx, r)
	switch {
	case err != nil:
		return job.Job{}, err
	case !leads:
		return job.Job{}, job.ErrLost
	}
	return s.get(ctx, id)
}

// placeIntent is a place for once, by a filter that the row must pass.
func (s *Store) placeIntent(ctx context.Context, id string, in *intent, where bson.D) (placed *row, err error) {
	err = s.again(ctx, id, func() (bool, error) {
		c := change{silent: true, where: append(bson.D{noIntent()}, where...), set: bson.D{{Key: "intent", Value: in}}}
		r, err := s.change(ctx, id, &c)
		if errors.Is(err, job.ErrNotFound) {
			return false, nil
		}
		placed = r
		return err == nil, err
	})
	return placed, err
}

// forgotten carries out the intents that were made before a time and are still there.
func (s *Store) forgotten(ctx context.Context, before int64, n int) error {
	rows, err := s.rows(ctx, forgotten(before), n)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := s.carryOut(ctx, &rows[i]); err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			return err
		}
	}
	return nil
}
