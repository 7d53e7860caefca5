package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// Departures keeps whose jobs are to be removed, as package departed does in SQL. Its
// methods may be called by many at a time.
type Departures struct {
	db *mongodb.DB
	c  *mongo.Collection
}

var _ jobs.Departures = (*Departures)(nil)

// NewDepartures returns the departures in a database that [Migrate] has prepared.
func NewDepartures(db *mongodb.DB) *Departures {
	return &Departures{db, db.Collection(departuresName)}
}

// Depart notes that an owner is gone. To say so again is no error, and changes nothing.
func (s *Departures) Depart(ctx context.Context, owner string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if owner == "" || len(owner) > 64 {
		return fmt.Errorf("departed: %q is not the ID of a user", owner)
	}
	now, err := s.db.Now(ctx)
	if err == nil {
		_, err = s.c.InsertOne(ctx, bson.D{{Key: "_id", Value: owner}, {Key: "since", Value: now}, {Key: "due_at", Value: now}})
	}
	if err != nil && !mongodb.IsDuplicate(err) {
		return fmt.Errorf("departed: %w", err)
	}
	return nil
}

// Due returns departures whose jobs are to be looked for now, at most limit, the one that
// has waited for longest first.
func (s *Departures) Due(ctx context.Context, limit int) ([]job.Departure, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	due, err := s.due(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("departed: due: %w", err)
	}
	return due, nil
}

func (s *Departures) due(ctx context.Context, limit int) ([]job.Departure, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	cursor, err := s.c.Find(ctx, bson.D{is("due_at", "$lte", now)}, options.Find().SetHint(byDeparture).SetSort(ascending("due_at")).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Owner string `bson:"_id"`
		Since int64  `bson:"since"`
	}
	if err := cursor.All(ctx, &rows); err != nil {
		return nil, err
	}
	due := make([]job.Departure, len(rows))
	for i, r := range rows {
		due[i] = job.Departure{Owner: r.Owner, Age: micros(now - r.Since)}
	}
	return due, nil
}

// Again has an owner looked for once more, after a time.
func (s *Departures) Again(ctx context.Context, owner string, after time.Duration) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err == nil {
		_, err = s.c.UpdateOne(ctx, bson.D{{Key: "_id", Value: owner}}, bson.D{{Key: "$set", Value: bson.D{{Key: "due_at", Value: now + after.Microseconds()}}}})
	}
	if err != nil {
		return fmt.Errorf("departed: again: %w", err)
	}
	return nil
}

// Forget removes a departure that has been long ago.
func (s *Departures) Forget(ctx context.Context, owner string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if _, err := s.c.DeleteOne(ctx, bson.D{{Key: "_id", Value: owner}}); err != nil {
		return fmt.Errorf("departed: forget: %w", err)
	}
	return nil
}
