package objstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
)

// gridBatch is what a writer holds, and sends with one call: a number of chunks.
const gridBatch = 4 * gridChunk

// gridUpload is a file being made. What has been sent can be changed until Commit: nobody
// sees it. So all of it can be written again, and nothing has to be kept back.
type gridUpload struct {
	*gridFS
	key   string
	id    bson.ObjectID
	begun bool // its document is there
	start int64
	batch []byte // what follows start
}

var errSwept = errors.New("the upload was taken for dead, and removed")

func (g *gridFS) create(_ context.Context, key string, _ int64) (output, error) {
	return &gridUpload{gridFS: g, key: key, id: bson.NewObjectID()}, nil
}

func (u *gridUpload) holds(int64) bool { return true }

func (u *gridUpload) temp() string { return gridTemp + u.id.Hex() }

func (u *gridUpload) writeAt(ctx context.Context, p []byte, at int64) (int, error) {
	n := 0
	for n < len(p) {
		place := at + int64(n)
		if place < u.start {
			m, err := u.patch(ctx, p[n:], place)
			n += m
			if err != nil {
				return n, err
			}
			continue
		}
		off := int(place - u.start)
		if off == gridBatch {
			if err := u.flush(ctx); err != nil {
				return n, err
			}
			continue
		}
		end := min(off+len(p)-n, gridBatch)
		if more := end - len(u.batch); more > 0 {
			u.batch = slices.Grow(u.batch, more)[:end]
		}
		n += copy(u.batch[off:end], p[n:])
	}
	return n, nil
}

// flush sends the batch, whose chunks are whole but for the file's last.
func (u *gridUpload) flush(ctx context.Context) error {
	if len(u.batch) == 0 {
		return nil
	}
	if err := u.begin(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var docs []any
	for at := 0; at < len(u.batch); at += gridChunk {
		data := u.batch[at:min(at+gridChunk, len(u.batch))]
		docs = append(docs, gridPiece{bson.NewObjectID(), u.id, (u.start + int64(at)) / gridChunk, data})
	}
	if _, err := u.chunks.InsertMany(ctx, docs); err != nil {
		return mongodb.Full(err)
	}
	// If it was swept meanwhile, the sweeper may not have seen these chunks.
	alive, err := u.touch(ctx, u.id, u.temp())
	if err != nil {
		return err
	}
	if !alive {
		return errors.Join(errSwept, u.eraseChunks(ctx, u.id))
	}
	u.start += int64(len(u.batch))
	u.batch = u.batch[:0]
	return nil
}

// begin makes the document, before the first chunk.
func (u *gridUpload) begin(ctx context.Context) error {
	if u.begun {
		return nil
	}
	ctx, cancel := u.db.Bound(ctx)
	defer cancel()
	now, err := u.db.Now(ctx)
	if err != nil {
		return err
	}
	at := time.UnixMicro(now)
	_, err = u.files.InsertOne(ctx, bson.D{
		{Key: "_id", Value: u.id}, {Key: "length", Value: int64(0)}, {Key: "chunkSize", Value: int32(gridChunk)}, {Key: "uploadDate", Value: at},
		{Key: "filename", Value: u.temp()}, {Key: "metadata", Value: bson.D{{Key: "pending", Value: at}}},
	})
	if err != nil {
		return mongodb.Full(err)
	}
	u.begun = true
	return nil
}

// patch changes a chunk that has been sent, as far as p reaches in it.
func (u *gridUpload) patch(ctx context.Context, p []byte, at int64) (int, error) {
	ctx, cancel := u.db.Bound(ctx)
	defer cancel()
	n, off := at/gridChunk, int(at%gridChunk)
	filter := bson.D{{Key: "files_id", Value: u.id}, {Key: "n", Value: n}}
	var piece gridPiece
	if err := u.chunks.FindOne(ctx, filter, options.FindOne().SetHint(gridByFile)).Decode(&piece); err != nil {
		return 0, err
	}
	if off >= len(piece.Data) {
		return 0, fmt.Errorf("chunk %d has %d bytes", n, len(piece.Data))
	}
	copied := copy(piece.Data[off:], p)
	if _, err := u.chunks.UpdateOne(ctx, bson.D{{Key: "_id", Value: piece.ID}}, bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: piece.Data}}}}); err != nil {
		return 0, mongodb.Full(err)
	}
	return copied, nil
}

func (u *gridUpload) commit(ctx context.Context) error {
	err := u.finish(ctx)
	if err != nil {
		u.abort()
	}
	return err
}

func (u *gridUpload) finish(ctx context.Context) error {
	size := u.start + int64(len(u.batch))
	if err := u.flush(ctx); err != nil {
		return err
	}
	if err := u.begin(ctx); err != nil { // of an empty file
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	before, err := u.revisions(ctx, u.key)
	if err != nil {
		return err
	}
	change := bson.D{
		{Key: "$set", Value: bson.D{{Key: "filename", Value: u.key}, {Key: "length", Value: size}}},
		{Key: "$currentDate", Value: bson.D{{Key: "uploadDate", Value: true}}},
	}
	if len(before) == 0 {
		change = append(change, bson.E{Key: "$unset", Value: bson.D{{Key: "metadata.pending", Value: ""}}})
	}
	r, err := u.files.UpdateOne(ctx, bson.D{{Key: "_id", Value: u.id}, {Key: "filename", Value: u.temp()}}, change)
	if err != nil {
		return mongodb.Full(err)
	}
	if r.MatchedCount == 0 {
		return errSwept
	}
	// Those that were there before are replaced. Until they are removed, the latest counts.
	for _, id := range before {
		if _, err := u.drop(ctx, id, u.key); err != nil {
			return nil // it is done; the rest is for the sweeper
		}
	}
	if len(before) > 0 {
		_ = u.finished(ctx, u.id) // or the sweeper looks once more
	}
	return nil
}

func (u *gridUpload) abort() {
	u.batch = nil
	if !u.begun {
		return
	}
	// Not the writer's context, which may be done: that is why this is called.
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	// If it has its key in spite of an error, or was swept, nothing happens.
	_, _ = u.drop(ctx, u.id, u.temp())
}
