package testserver

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// TestMongoDB: a change of one document is one step, and what was written outlives a crash
// of the server. The stores' tests are worth nothing without either.
func TestMongoDB(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := MongoDB(ctx, os.Getenv("MP3LATHE_TEST_MONGODB"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	url, err := s.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(ctx)
	c := client.Database("mp3lathe_test_steps").Collection("c")
	defer c.Database().Drop(ctx)
	for round := range 20 {
		if _, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: round}, {Key: "free", Value: true}, {Key: "n", Value: 0}}); err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				set := bson.D{{Key: "$set", Value: bson.D{{Key: "free", Value: false}, {Key: "by", Value: fmt.Sprint(i)}}}}
				err := c.FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: round}, {Key: "free", Value: true}}, set).Err()
				if err == nil {
					won.Add(1)
				} else if err != mongo.ErrNoDocuments {
					t.Error(err)
				}
				if _, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: round}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var doc struct{ N int }
		if err := c.FindOne(ctx, bson.D{{Key: "_id", Value: round}}).Decode(&doc); err != nil || won.Load() != 1 || doc.N != 16 {
			t.Fatalf("%d have won, %d of 16 were counted, %v", won.Load(), doc.N, err)
		}
	}
	if s.Real {
		return
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := c.CountDocuments(ctx, bson.D{}); err != nil || n != 20 {
		t.Errorf("%d of 20 after a crash, %v", n, err)
	}
}
