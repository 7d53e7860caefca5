package testserver

import (
	"bytes"
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// OldLayout is what the Python project that this one descends from kept in MongoDB: two
// databases with GridFS, in which the files have neither names nor owners.
type OldLayout struct {
	// URL of the server, and the names of the databases.
	URL, Videos, MP3s string

	server *MongoDBServer
}

// NewOldLayout names two databases that no other caller gets. They are made when something
// is put into them.
func (s *MongoDBServer) NewOldLayout() (*OldLayout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := func() string {
		s.next++
		return s.prefix + fmt.Sprint(s.next-1)
	}
	return &OldLayout{URL: s.url, Videos: name(), MP3s: name(), server: s}, nil
}

// Put stores a file as the old services did, and returns its ID.
func (o *OldLayout) Put(ctx context.Context, database string, data []byte, opts ...options.Lister[options.GridFSUploadOptions]) (id string, err error) {
	err = o.server.do(ctx, func(c *mongo.Client) error {
		object, err := c.Database(database).GridFSBucket().UploadFromStream(ctx, "", bytes.NewReader(data), opts...)
		id = object.Hex()
		return err
	})
	return id, err
}

// Do calls f with one of the databases.
func (o *OldLayout) Do(ctx context.Context, database string, f func(*mongo.Database) error) error {
	return o.server.do(ctx, func(c *mongo.Client) error { return f(c.Database(database)) })
}

// Dump is all that the two databases hold, indexes included, as text that can be compared.
func (o *OldLayout) Dump(ctx context.Context) (string, error) {
	var out bytes.Buffer
	err := o.server.do(ctx, func(c *mongo.Client) error {
		for _, name := range []string{o.Videos, o.MP3s} {
			for _, collection := range []string{"fs.files", "fs.chunks"} {
				specs, err := c.Database(name).Collection(collection).Indexes().ListSpecifications(ctx)
				if err != nil {
					return err
				}
				for _, s := range specs {
					fmt.Fprintln(&out, name, collection, s.Name, s.KeysDocument)
				}
				cursor, err := c.Database(name).Collection(collection).Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
				if err != nil {
					return err
				}
				for cursor.Next(ctx) {
					fmt.Fprintln(&out, name, collection, cursor.Current)
				}
				if err := cursor.Err(); err != nil {
					return err
				}
			}
			all, err := c.Database(name).ListCollectionNames(ctx, bson.D{})
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, name, len(all), "collections")
		}
		return nil
	})
	return out.String(), err
}
