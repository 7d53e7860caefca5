package gridimport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
)

// Names of the old databases.
type Names struct {
	Videos, MP3s string // "videos" and "mp3s" if empty
}

// File is an old file.
type File struct {
	// ID as the old project wrote it: the 24 hex digits of an ObjectID, or a text.
	ID string
	// Name that it was stored under; the old project gave none.
	Name string
	// Bytes of it, and Uploaded: when.
	Bytes    int64
	Uploaded time.Time

	id any
}

// Store is one of the old databases.
type Store struct {
	name  string
	files *mongo.Collection
	grid  *mongo.GridFSBucket
}

// Source is the old server.
type Source struct {
	Videos, MP3s *Store

	db *mongodb.DB
}

// Open opens the old databases of a server.
func Open(ctx context.Context, url string, names Names) (*Source, error) {
	db, err := mongodb.OpenServer(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("gridimport: %w", err)
	}
	store := func(name string) *Store {
		d := db.Other(name).Database
		return &Store{name, d.Collection("fs.files"), d.GridFSBucket()}
	}
	return &Source{store(cmp.Or(names.Videos, "videos")), store(cmp.Or(names.MP3s, "mp3s")), db}, nil
}

// Close closes the connection.
func (s *Source) Close() error { return s.db.Close() }

// String names the server, without the password.
func (s *Source) String() string { return s.db.String() }

// Total counts the files and their bytes.
func (s *Store) Total(ctx context.Context) (files int, bytes int64, err error) {
	cursor, err := s.files.Find(ctx, bson.D{}, options.Find().SetProjection(bson.D{{Key: "length", Value: 1}}))
	if err != nil {
		return 0, 0, fmt.Errorf("gridimport: count %s: %w", s.name, err)
	}
	defer cursor.Close(ctx)
	for cursor.Next(ctx) {
		var d struct {
			Length int64 `bson:"length"`
		}
		if err := cursor.Decode(&d); err != nil {
			return 0, 0, fmt.Errorf("gridimport: count %s: %w", s.name, err)
		}
		files++
		bytes += d.Length
	}
	if err := cursor.Err(); err != nil {
		return 0, 0, fmt.Errorf("gridimport: count %s: %w", s.name, err)
	}
	return files, bytes, nil
}

// page is how many files are asked for at a time: no cursor is open while they are copied.
const page = 100

// Each calls f with every file, in the order of their IDs, until it returns an error.
func (s *Store) Each(ctx context.Context, f func(File) error) error {
	filter := bson.D{}
	for {
		cursor, err := s.files.Find(ctx, filter, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(page))
		if err != nil {
			return fmt.Errorf("gridimport: list %s: %w", s.name, err)
		}
		var found []struct {
			ID         any       `bson:"_id"`
			Length     int64     `bson:"length"`
			UploadDate time.Time `bson:"uploadDate"`
			Name       string    `bson:"filename"`
		}
		if err := cursor.All(ctx, &found); err != nil {
			return fmt.Errorf("gridimport: list %s: %w", s.name, err)
		}
		for _, d := range found {
			file := File{ID: fmt.Sprint(d.ID), Name: d.Name, Bytes: d.Length, Uploaded: d.UploadDate, id: d.ID}
			if id, ok := d.ID.(bson.ObjectID); ok {
				file.ID = id.Hex()
				if file.Uploaded.IsZero() {
					file.Uploaded = id.Timestamp()
				}
			}
			if err := f(file); err != nil {
				return err
			}
		}
		if len(found) < page {
			return nil
		}
		filter = bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: found[len(found)-1].ID}}}}
	}
}

// find returns a file of an ID as a message has it; ok is false if there is none.
func (s *Store) find(ctx context.Context, id string) (f File, ok bool, err error) {
	ids := bson.A{id}
	if object, err := bson.ObjectIDFromHex(id); err == nil {
		ids = append(ids, object)
	}
	var d struct {
		Length int64  `bson:"length"`
		Name   string `bson:"filename"`
	}
	err = s.files.FindOne(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return File{}, false, nil
	}
	if err != nil {
		return File{}, false, fmt.Errorf("gridimport: look for %s in %s: %w", id, s.name, err)
	}
	return File{ID: id, Name: d.Name, Bytes: d.Length}, true, nil
}

// open opens a file for reading, from start to end. Chunks that are missing are an error.
func (s *Store) open(ctx context.Context, f File) (io.ReadCloser, error) {
	return s.grid.OpenDownloadStream(ctx, f.id)
}
