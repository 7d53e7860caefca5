package mongo

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
)

func theDatabase() bson.D { return bson.D{{Key: "_id", Value: "one"}} }

func (s *Store) identity(ctx context.Context) (string, int64, error) {
	for {
		var row struct {
			Database string `bson:"database"`
			Walks    int64  `bson:"walks"`
		}
		err := s.database.FindOne(ctx, theDatabase()).Decode(&row)
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return row.Database, row.Walks, err
		}
		_, err = s.database.InsertOne(ctx, append(theDatabase(), bson.E{Key: "database", Value: uuid.NewString()}, bson.E{Key: "walks", Value: int64(0)}))
		if err != nil && !mongodb.IsDuplicate(err) { // else somebody else was quicker
			return "", 0, err
		}
	}
}
