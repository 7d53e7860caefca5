package objstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
)

// gridFS is a bucket in a MongoDB database, laid out as GridFS has it: a document for each
// file, and its bytes in chunks. Other programs can read what is there.
//
// The name of the file is the key, and the document decides what there is. One that is being
// written has the name ".tmp/" and its ID; Commit gives it its key, in one step. One that is
// being removed has the name ".gone/" and its ID. As long as a file has chunks it has a
// document, so that none is ever without an owner. The field metadata.pending is the time,
// by the server's clock, since when somebody else may take care of what is unfinished.
type gridFS struct {
	db            *mongodb.DB
	files, chunks *mongo.Collection
}

const (
	gridTemp = ".tmp/"
	gridGone = ".gone/"
	// gridFirst sorts before all keys, and after those names.
	gridFirst = "0"
	// gridLast sorts after what a key can go on with.
	gridLast = "~"

	gridBucket = "fs" // as GridFS calls a bucket that has no name
	// gridChunk is the size of a chunk. GridFS's own, 255 KiB, would have a reader fetch
	// all of a video for its sound, of which there is some in every few hundred KiB.
	gridChunk = 64 << 10
	// goneFor is how long the document of an upload that was swept is kept: longer than a
	// write can be under way that began before.
	goneFor = time.Hour
	// removeTimeout bounds the removal of all chunks of a file.
	removeTimeout = 2 * time.Minute
)

// gridFile is the document of a file.
type gridFile struct {
	ID         bson.ObjectID `bson:"_id"`
	Length     int64         `bson:"length"`
	ChunkSize  int64         `bson:"chunkSize"`
	UploadDate time.Time     `bson:"uploadDate"`
	Name       string        `bson:"filename"`
	Metadata   struct {
		Pending time.Time `bson:"pending"`
	} `bson:"metadata"`
}

// gridPiece is a chunk.
type gridPiece struct {
	ID     bson.ObjectID `bson:"_id"`
	FileID bson.ObjectID `bson:"files_id"`
	N      int64         `bson:"n"`
	Data   []byte        `bson:"data"`
}

// gridURL takes the parameter bucket out of a URL.
func gridURL(raw string) (url, bucket string, err error) {
	base, query, _ := strings.Cut(raw, "?")
	bucket = gridBucket
	var rest []string
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); name == "bucket" {
			bucket = value
		} else if pair != "" {
			rest = append(rest, pair)
		}
	}
	if bucket == "" || len(bucket) > 60 || strings.Trim(bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return "", "", fmt.Errorf("the bucket is %q; it is to be of letters, digits, _ and -", bucket)
	}
	if len(rest) > 0 {
		base += "?" + strings.Join(rest, "&")
	}
	return base, bucket, mongodb.CheckURL(base)
}

func openGridFS(ctx context.Context, raw string) (*gridFS, error) {
	url, bucket, err := gridURL(raw)
	if err != nil {
		return nil, err
	}
	db, err := mongodb.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	_, err = db.Migrate(ctx, mongodb.Schema{Name: "gridfs " + bucket, Version: 1, Indexes: map[string][]mongodb.Index{
		bucket + ".files": {
			{Name: gridByName, Keys: bson.D{{Key: "filename", Value: 1}, {Key: "uploadDate", Value: 1}}},
			{Name: gridByPending, Keys: bson.D{{Key: "metadata.pending", Value: 1}}},
		},
		bucket + ".chunks": {{Name: gridByFile, Keys: bson.D{{Key: "files_id", Value: 1}, {Key: "n", Value: 1}}, Unique: true}},
	}})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &gridFS{db, db.Collection(bucket + ".files"), db.Collection(bucket + ".chunks")}, nil
}

// The indexes, by the names that the drivers give them which make the first and the last.
const (
	gridByName    = "filename_1_uploadDate_1"
	gridByPending = "metadata.pending_1"
	gridByFile    = "files_id_1_n_1"
)

func (g *gridFS) close() error { return g.db.Close() }

func (g *gridFS) ping(ctx context.Context) error { return g.db.Ping(ctx) }

func (g *gridFS) exists(ctx context.Context, key string) (bool, error) {
	ctx, cancel := g.db.Bound(ctx)
	defer cancel()
	_, err := g.find(ctx, key)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}

// find returns the file of a key: the latest, where one has just been replaced.
func (g *gridFS) find(ctx context.Context, key string) (*gridFile, error) {
	file := new(gridFile)
	err := g.files.FindOne(ctx, bson.D{{Key: "filename", Value: key}},
		options.FindOne().SetHint(gridByName).SetSort(bson.D{{Key: "uploadDate", Value: -1}})).Decode(file)
	return file, err
}

// revisions are the IDs of the files of a key.
func (g *gridFS) revisions(ctx context.Context, key string) ([]bson.ObjectID, error) {
	cursor, err := g.files.Find(ctx, bson.D{{Key: "filename", Value: key}}, options.Find().SetHint(gridByName).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	var found []gridFile
	err = cursor.All(ctx, &found)
	ids := make([]bson.ObjectID, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	return ids, err
}

func (g *gridFS) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	ids, err := g.revisions(ctx, key)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := g.drop(ctx, id, key); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a file, if it still has a name, and reports whether it had.
func (g *gridFS) drop(ctx context.Context, id bson.ObjectID, name string) (bool, error) {
	had, err := g.hide(ctx, id, name)
	if err != nil || !had {
		return had, err
	}
	return true, g.erase(ctx, id)
}

// hide takes its name from a file. From then on it is gone, for all.
func (g *gridFS) hide(ctx context.Context, id bson.ObjectID, name string) (bool, error) {
	return g.touch(ctx, id, name, bson.E{Key: "filename", Value: gridGone + id.Hex()})
}

// touch notes that somebody works on a file, if it has a name, and reports whether it has.
func (g *gridFS) touch(ctx context.Context, id bson.ObjectID, name string, also ...bson.E) (bool, error) {
	now, err := g.db.Now(ctx)
	if err != nil {
		return false, err
	}
	r, err := g.files.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "filename", Value: name}},
		bson.D{{Key: "$set", Value: append(bson.D{{Key: "metadata.pending", Value: time.UnixMicro(now)}}, also...)}})
	return err == nil && r.MatchedCount > 0, mongodb.Full(err)
}

// erase removes the bytes of a file that has been hidden, and then its document.
func (g *gridFS) erase(ctx context.Context, id bson.ObjectID) error {
	if err := g.eraseChunks(ctx, id); err != nil {
		return err
	}
	_, err := g.files.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "filename", Value: gridGone + id.Hex()}})
	return err
}

func (g *gridFS) eraseChunks(ctx context.Context, id bson.ObjectID) error {
	_, err := g.chunks.DeleteMany(ctx, bson.D{{Key: "files_id", Value: id}}, options.DeleteMany().SetHint(gridByFile))
	return err
}

func (g *gridFS) list(ctx context.Context, prefix, after string, limit int) ([]Object, error) {
	ctx, cancel := g.db.Bound(ctx)
	defer cancel()
	names := bson.D{{Key: "$gte", Value: max(prefix, gridFirst)}, {Key: "$gt", Value: after}, {Key: "$lt", Value: prefix + gridLast}}
	opts := options.Find().SetHint(gridByName).SetSort(bson.D{{Key: "filename", Value: 1}, {Key: "uploadDate", Value: 1}}).
		SetBatchSize(int32(min(limit+1, 1000)))
	cursor, err := g.files.Find(ctx, bson.D{{Key: "filename", Value: names}}, opts)
	if err != nil {
		return nil, err
	}
	defer cursor.Close(ctx)
	var out []Object
	for cursor.Next(ctx) {
		var f gridFile
		if err := cursor.Decode(&f); err != nil {
			return nil, err
		}
		o := Object{f.Name, f.Length, f.UploadDate}
		switch {
		case len(out) > 0 && out[len(out)-1].Key == f.Name:
			out[len(out)-1] = o // the later one
		case len(out) == limit:
			return out, nil
		case validKey(f.Name): // others may have put what they like there
			out = append(out, o)
		}
	}
	return out, cursor.Err()
}

func (g *gridFS) sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	now, err := g.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	limit := func(age time.Duration) time.Time { return time.UnixMicro(now).Add(-age) }
	cursor, err := g.files.Find(ctx, bson.D{{Key: "metadata.pending", Value: bson.D{{Key: "$lte", Value: limit(min(olderThan, goneFor))}}}},
		options.Find().SetHint(gridByPending).SetProjection(bson.D{{Key: "filename", Value: 1}, {Key: "metadata", Value: 1}}))
	if err != nil {
		return 0, err
	}
	var found []gridFile
	if err := cursor.All(ctx, &found); err != nil {
		return 0, err
	}
	n := 0
	for _, f := range found {
		since := f.Metadata.Pending
		switch {
		case strings.HasPrefix(f.Name, gridTemp) && !since.After(limit(olderThan)):
			swept, err := g.sweepUpload(ctx, &f)
			if err != nil {
				return n, err
			}
			n += swept
		case strings.HasPrefix(f.Name, gridGone) && !since.After(limit(goneFor)):
			err = g.erase(ctx, f.ID)
		case validKey(f.Name) && !since.After(limit(goneFor)):
			// It has replaced others, and its writer has died before it removed them.
			err = g.supersede(ctx, f.ID, f.Name)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// sweepUpload removes the chunks of an upload. Its document stays for a while: should its
// writer be alive after all, and just about to write a chunk, that one has an owner.
func (g *gridFS) sweepUpload(ctx context.Context, f *gridFile) (int, error) {
	hidden, err := g.hide(ctx, f.ID, f.Name)
	if err != nil || !hidden {
		return 0, err // it has been finished
	}
	return 1, g.eraseChunks(ctx, f.ID)
}

// supersede removes what a file has replaced, and notes that it did.
func (g *gridFS) supersede(ctx context.Context, id bson.ObjectID, key string) error {
	latest, err := g.find(ctx, key)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		return err
	}
	ids, err := g.revisions(ctx, key)
	if err != nil {
		return err
	}
	for _, other := range ids {
		if other != latest.ID {
			if _, err := g.drop(ctx, other, key); err != nil {
				return err
			}
		}
	}
	return g.finished(ctx, id)
}

// finished notes that nothing is to be done for a file any more.
func (g *gridFS) finished(ctx context.Context, id bson.ObjectID) error {
	_, err := g.files.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$unset", Value: bson.D{{Key: "metadata.pending", Value: ""}}}})
	return err
}
