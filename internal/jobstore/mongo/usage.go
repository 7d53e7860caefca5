package mongo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// usageID is the ID of what a user has uploaded on a day, counted since the Unix epoch.
func usageID(day int64, owner string) string { return strconv.FormatInt(day, 10) + " " + owner }

// Usage returns what a user takes up. Waiting jobs are counted up to most, at most
// [jobs.MaxWaiting].
func (s *Store) Usage(ctx context.Context, owner string, most int) (job.Usage, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	u, err := s.usageOf(ctx, owner, min(max(most, 1), jobs.MaxWaiting))
	if err != nil {
		return job.Usage{}, fmt.Errorf("jobstore: usage: %w", err)
	}
	return u, nil
}

func (s *Store) usageOf(ctx context.Context, owner string, most int) (u job.Usage, err error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return job.Usage{}, err
	}
	today := now / dayMicros
	u.Day = micros((today+1)*dayMicros - now)
	if u.Waiting, err = s.count(ctx, waiting(owner), most); err != nil {
		return job.Usage{}, err
	}
	if u.Stored, err = s.stored(ctx, owner); err != nil {
		return job.Usage{}, err
	}
	var day struct {
		Bytes int64 `bson:"bytes"`
	}
	err = s.usage.FindOne(ctx, bson.D{{Key: "_id", Value: usageID(today, owner)}}).Decode(&day)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = nil
	}
	u.Today = day.Bytes
	return u, err
}

// stored sums up the bytes of a user's files.
func (s *Store) stored(ctx context.Context, owner string) (int64, error) {
	q := stored(owner)
	sum := bson.D{{Key: "_id", Value: nil}, {Key: "bytes", Value: bson.D{{Key: "$sum", Value: "$stored"}}}}
	cursor, err := s.jobs.Aggregate(ctx, mongo.Pipeline{{{Key: "$match", Value: q.filter}}, {{Key: "$group", Value: sum}}}, options.Aggregate().SetHint(q.index))
	if err != nil {
		return 0, err
	}
	var sums []struct {
		Bytes int64 `bson:"bytes"`
	}
	if err := cursor.All(ctx, &sums); err != nil || len(sums) == 0 {
		return 0, err
	}
	return sums[0].Bytes, nil
}

// Spend adds to the bytes that a user has uploaded today, unless they would be more than
// allowed then, and reports whether it did.
func (s *Store) Spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	ok, err := s.spend(ctx, owner, bytes, allowed)
	if err != nil {
		return false, fmt.Errorf("jobstore: spend: %w", err)
	}
	return ok, nil
}

func (s *Store) spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error) {
	if bytes > allowed {
		return false, nil
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return false, err
	}
	today := now / dayMicros
	id := usageID(today, owner)
	for range 2 {
		r, err := s.usage.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, is("bytes", "$lte", allowed-bytes)},
			bson.D{{Key: "$inc", Value: bson.D{{Key: "bytes", Value: bytes}}}})
		if err != nil || r.MatchedCount > 0 {
			return err == nil, err
		}
		// There is too much already, or nothing yet today.
		_, err = s.usage.InsertOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "day", Value: today}, {Key: "bytes", Value: bytes}})
		if !mongodb.IsDuplicate(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// PurgeUsage removes what was noted for Spend on days before yesterday.
func (s *Store) PurgeUsage(ctx context.Context) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err == nil {
		_, err = s.usage.DeleteMany(ctx, bson.D{is("day", "$lt", now/dayMicros-1)})
	}
	if err != nil {
		return fmt.Errorf("jobstore: purge usage: %w", err)
	}
	return nil
}
