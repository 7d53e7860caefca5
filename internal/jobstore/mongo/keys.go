package mongo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// keyRow is the key of a request.
type keyRow struct {
	ID        string `bson:"_id"` // keyID
	Head      string `bson:"head"`
	Body      string `bson:"body"`
	Bytes     int64  `bson:"bytes"` // of the body; -1: not known
	Holder    string `bson:"holder"`
	HeldUntil int64  `bson:"held_until"`
	Job       string `bson:"job"`    // that was made or changed, or nothing
	Token     string `bson:"token"`  // of the intent that did
	Status    int    `bson:"status"` // 0: no answer yet
	Header    string `bson:"header"` // JSON, or nothing
	Answer    string `bson:"answer"`
	ExpiresAt int64  `bson:"expires_at"`
}

// keyID is the ID of a key. No user's ID has a space.
func keyID(k job.RequestKey) string { return k.Owner + " " + k.Name }

// heldBy wants a key to be its holder's, though he may have been slow.
func heldBy(holder string) bson.D {
	return bson.D{{Key: "holder", Value: holder}, {Key: "status", Value: 0}}
}

// free reports whether the key may be taken from its holder.
func (k *keyRow) free(now int64) bool {
	return k.ExpiresAt <= now || k.Status == 0 && k.Job == "" && k.HeldUntil <= now
}

// freeKey is the same as a filter.
func freeKey(now int64) bson.E {
	return bson.E{Key: "$or", Value: bson.A{
		bson.D{is("expires_at", "$lte", now)},
		bson.D{{Key: "status", Value: 0}, {Key: "job", Value: ""}, is("held_until", "$lte", now)},
	}}
}

// ClaimKey gives a key to a request: to the first that comes with it, and to another one
// only if the key has expired, or if nothing has come of it and its holder has given no
// sign of life for as long as its lease. It reports whether k.Holder has the key now, and
// if not what is known of it.
func (s *Store) ClaimKey(ctx context.Context, k job.Keyed, lease time.Duration) (job.KeyRecord, bool, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	rec, ok, err := s.claimKey(ctx, &k, lease)
	if err != nil {
		return job.KeyRecord{}, false, fmt.Errorf("jobstore: claim a key: %w", err)
	}
	return rec, ok, nil
}

func (s *Store) claimKey(ctx context.Context, k *job.Keyed, lease time.Duration) (job.KeyRecord, bool, error) {
	if !jobs.ValidOwner(k.Owner) {
		return job.KeyRecord{}, false, fmt.Errorf("%q is not the ID of a user", k.Owner)
	}
	for range maxTries {
		now, err := s.db.Now(ctx)
		if err != nil {
			return job.KeyRecord{}, false, err
		}
		fresh := keyRow{
			ID: keyID(k.RequestKey), Head: k.Head, Bytes: k.Bytes, Holder: k.Holder,
			HeldUntil: now + lease.Microseconds(), ExpiresAt: now + jobs.KeyRetention.Microseconds(),
		}
		old, err := s.key(ctx, k.RequestKey)
		switch {
		case errors.Is(err, job.ErrNotFound):
			if _, err = s.keys.InsertOne(ctx, &fresh); err == nil {
				return job.KeyRecord{}, true, nil
			}
			if !mongodb.IsDuplicate(err) {
				return job.KeyRecord{}, false, err
			}
			continue
		case err != nil:
			return job.KeyRecord{}, false, err
		case !old.free(now):
			rec, err := s.record(ctx, old, now)
			return rec, false, err
		}
		taken, err := s.keys.ReplaceOne(ctx, bson.D{{Key: "_id", Value: fresh.ID}, {Key: "holder", Value: old.Holder}, freeKey(now)}, &fresh)
		if err != nil {
			return job.KeyRecord{}, false, err
		}
		if taken.MatchedCount > 0 {
			return job.KeyRecord{}, true, nil
		}
	}
	return job.KeyRecord{}, false, errBusy
}

func (s *Store) key(ctx context.Context, k job.RequestKey) (*keyRow, error) {
	row := new(keyRow)
	err := s.keys.FindOne(ctx, bson.D{{Key: "_id", Value: keyID(k)}}).Decode(row)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = job.ErrNotFound
	}
	return row, err
}

// record is what is known of a key. What is to come of it has come of it then.
func (s *Store) record(ctx context.Context, k *keyRow, now int64) (job.KeyRecord, error) {
	rec := job.KeyRecord{
		Request: job.Request{Head: k.Head, Body: k.Body, Bytes: k.Bytes}, JobID: k.Job,
		Held: k.Status == 0 && k.HeldUntil > now, Answer: job.Answer{Status: k.Status, Body: k.Answer},
	}
	if k.Header != "" {
		if err := json.Unmarshal([]byte(k.Header), &rec.Answer.Header); err != nil {
			return job.KeyRecord{}, err
		}
	}
	if k.Job == "" {
		return rec, nil
	}
	r, err := s.raw(ctx, k.Job)
	if err == nil && r.Intent != nil && r.Intent.Token == k.Token {
		err = s.carryOut(ctx, r)
	}
	if errors.Is(err, job.ErrNotFound) {
		err = nil
	}
	return rec, err
}

// HoldKey extends the lease of a key. [job.ErrLost] means that k.Holder does not hold it
// (any more).
func (s *Store) HoldKey(ctx context.Context, k job.RequestKey, lease time.Duration) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err == nil {
		err = s.changeKey(ctx, k, bson.D{{Key: "held_until", Value: now + lease.Microseconds()}})
	}
	if err != nil {
		return fmt.Errorf("jobstore: hold a key: %w", err)
	}
	return nil
}

// AnswerKey keeps the answer to a request until its key expires. Of k.Request it takes Body
// and Bytes, which are known by now. [job.ErrLost] means that k.Holder does not hold the
// key.
func (s *Store) AnswerKey(ctx context.Context, k job.Keyed, a job.Answer) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	header, err := json.Marshal(a.Header)
	if err == nil {
		err = s.changeKey(ctx, k.RequestKey, bson.D{
			{Key: "body", Value: k.Body}, {Key: "bytes", Value: k.Bytes},
			{Key: "status", Value: a.Status}, {Key: "header", Value: string(header)}, {Key: "answer", Value: a.Body},
		})
	}
	if err != nil {
		return fmt.Errorf("jobstore: answer a key: %w", err)
	}
	return nil
}

func (s *Store) changeKey(ctx context.Context, k job.RequestKey, set bson.D) error {
	r, err := s.keys.UpdateOne(ctx, append(bson.D{{Key: "_id", Value: keyID(k)}}, heldBy(k.Holder)...), bson.D{{Key: "$set", Value: set}})
	if err == nil && r.MatchedCount == 0 {
		err = job.ErrLost
	}
	return err
}

// FreeKey forgets a key under which nothing was done. If k.Holder does not hold it, or
// there is a job by it, that is no error.
func (s *Store) FreeKey(ctx context.Context, k job.RequestKey) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if _, err := s.keys.DeleteOne(ctx, append(bson.D{{Key: "_id", Value: keyID(k)}}, unused(k.Holder)...)); err != nil {
		return fmt.Errorf("jobstore: free a key: %w", err)
	}
	return nil
}

// PurgeKeys removes keys that have expired, at most n, and returns how many there were.
func (s *Store) PurgeKeys(ctx context.Context, n int) (int, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	gone, err := s.purgeKeys(ctx, jobs.Limit(n))
	if err != nil {
		return 0, fmt.Errorf("jobstore: purge keys: %w", err)
	}
	return gone, nil
}

func (s *Store) purgeKeys(ctx context.Context, n int) (int, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	expired := is("expires_at", "$lte", now)
	cursor, err := s.keys.Find(ctx, bson.D{expired}, options.Find().SetHint(byExpiry).SetSort(ascending("expires_at")).
		SetLimit(int64(n)).SetBatchSize(int32(n)).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return 0, err
	}
	var found []keyRow
	if err := cursor.All(ctx, &found); err != nil || len(found) == 0 {
		return 0, err
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	r, err := s.keys.DeleteMany(ctx, bson.D{in("_id", ids...), expired}) // one may have been taken anew
	if err != nil {
		return 0, err
	}
	return int(r.DeletedCount), nil
}

// RetryOnce is [Store.Retry] under a key: the job is queued if and only if the key says
// so. [job.ErrLost] means that the key is not held. With a nil key it is Retry.
func (s *Store) RetryOnce(ctx context.Context, id string, k *job.Keyed) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	j, err := s.retry(ctx, id, k)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: retry %s: %w", id, err)
	}
	return j, nil
}

func (s *Store) retry(ctx context.Context, id string, k *job.Keyed) (job.Job, error) {
	failed := bson.E{Key: "state", Value: job.Failed}
	if k == nil {
		return s.settle(ctx, id, func(now int64) change {
			c := requeued(now, s.window == 0)
			c.where = bson.D{failed, noIntent()}
			return c
		})
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	in := newIntent(toRetry, k, now)
	in.Placed = s.window == 0
	return s.once(ctx, k, id, func() (*row, error) { return s.placeIntent(ctx, id, in, bson.D{failed}) })
}

// requeued is the change of a job that is tried again as if it were new.
func requeued(now int64, placed bool) change {
	return change{set: bson.D{
		{Key: "state", Value: job.Queued}, {Key: "tries", Value: 0}, {Key: "failure_code", Value: ""}, {Key: "failure_detail", Value: ""},
		{Key: "not_before", Value: now}, {Key: "ended_at", Value: int64(0)}, {Key: "due_at", Value: now}, {Key: "placed", Value: placed},
		{Key: "notice_at", Value: int64(0)}, {Key: "notice_lease_until", Value: int64(0)}, {Key: "notified_at", Value: int64(0)}, {Key: "notice_error", Value: ""},
	}}
}
