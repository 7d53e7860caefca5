package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// schemaCollection notes what was brought up to date, and who does it.
	schemaCollection = "mp3lathe_schema"
	// migrateLease is how long one may take before another does the same.
	migrateLease = time.Minute
	migratePause = 50 * time.Millisecond
	// migrateTimeout is for indexes of collections that are large already.
	migrateTimeout = 10 * time.Minute
)

// Schema is what collections need to have.
type Schema struct {
	// Name of it. Its Version grows with each change.
	Name    string
	Version int
	// Indexes by the collection.
	Indexes map[string][]Index
}

// Index of a collection.
type Index struct {
	Name   string
	Keys   bson.D
	Unique bool
}

// schemaRow is a schema as it is in the database.
type schemaRow struct {
	Version int    `bson:"version"`
	Holder  string `bson:"holder"`
	Until   int64  `bson:"until"`
}

// Migrate makes the indexes of a schema that are not there. Any number of processes may
// call it at the same time: one does it, and the others wait. It reports whether the
// database is of a newer version already, which is left as it is.
func (db *DB) Migrate(ctx context.Context, schema Schema) (newer bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	c, me := db.Collection(schemaCollection), uuid.NewString()
	for {
		var row schemaRow
		err := c.FindOne(ctx, bson.D{{Key: "_id", Value: schema.Name}}).Decode(&row)
		switch {
		case errors.Is(err, mongo.ErrNoDocuments):
			_, err = c.InsertOne(ctx, bson.D{{Key: "_id", Value: schema.Name}, {Key: "version", Value: 0}, {Key: "holder", Value: ""}, {Key: "until", Value: int64(0)}})
			if err != nil && !IsDuplicate(err) {
				return false, fmt.Errorf("mongodb: schema %s: %w", schema.Name, err)
			}
			continue
		case err != nil:
			return false, fmt.Errorf("mongodb: schema %s: %w", schema.Name, err)
		case row.Version >= schema.Version:
			return row.Version > schema.Version, nil
		}
		got, err := db.lock(ctx, c, schema.Name, me)
		if err == nil && got {
			return false, db.migrate(ctx, c, schema, me)
		}
		if err != nil {
			return false, fmt.Errorf("mongodb: schema %s: %w", schema.Name, err)
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("mongodb: schema %s: another is at it: %w", schema.Name, ctx.Err())
		case <-time.After(migratePause):
		}
	}
}

// lock reports whether this one may migrate.
func (db *DB) lock(ctx context.Context, c *mongo.Collection, name, me string) (bool, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return false, err
	}
	r, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "until", Value: bson.D{{Key: "$lte", Value: now}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "holder", Value: me}, {Key: "until", Value: now + migrateLease.Microseconds()}}}})
	return err == nil && r.MatchedCount > 0, err
}

// createIndexes makes those that are not there. FerretDB 1.x does not take it well if one
// is made that is.
func (db *DB) createIndexes(ctx context.Context, collection string, indexes []Index) error {
	there, err := db.Collection(collection).Indexes().ListSpecifications(ctx)
	if err != nil {
		return err
	}
	var missing []mongo.IndexModel
	for _, x := range indexes {
		if slices.ContainsFunc(there, func(s mongo.IndexSpecification) bool { return s.Name == x.Name }) {
			continue
		}
		opts := options.Index().SetName(x.Name)
		if x.Unique {
			opts.SetUnique(true)
		}
		missing = append(missing, mongo.IndexModel{Keys: x.Keys, Options: opts})
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = db.Collection(collection).Indexes().CreateMany(ctx, missing)
	return err
}

// migrate makes the indexes. One that is there already stays, so that it does no harm if
// somebody else does the same after all.
func (db *DB) migrate(ctx context.Context, c *mongo.Collection, schema Schema, me string) error {
	for collection, indexes := range schema.Indexes {
		if err := db.createIndexes(ctx, collection, indexes); err != nil {
			return fmt.Errorf("mongodb: indexes of %s: %w", collection, err)
		}
	}
	_, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: schema.Name}, {Key: "version", Value: bson.D{{Key: "$lt", Value: schema.Version}}}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "version", Value: schema.Version}}}})
	if err == nil {
		_, err = c.UpdateOne(ctx, bson.D{{Key: "_id", Value: schema.Name}, {Key: "holder", Value: me}}, bson.D{{Key: "$set", Value: bson.D{{Key: "until", Value: int64(0)}}}})
	}
	if err != nil {
		return fmt.Errorf("mongodb: schema %s: %w", schema.Name, err)
	}
	return nil
}
