package objstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// What a reader of a file in GridFS fetches and keeps, in bytes.
const (
	gridAhead = 1 << 20 // at most, in reading on
	gridKeep  = 2 << 20
)

// gridDownload is a file being read: chunk by chunk as it is asked for, and in reading on
// more and more of them at a time.
type gridDownload struct {
	*gridFS
	file gridFile
	got  int64 // bytes fetched

	kept  map[int64]*keptChunk // by their numbers
	clock int64
	next  int64 // the chunk behind what was fetched last
	run   int64 // chunks fetched in reading on so far
}

type keptChunk struct {
	data []byte
	used int64 // the reader's clock at its last use
}

func (g *gridFS) open(ctx context.Context, key string) (input, error) {
	ctx, cancel := g.db.Bound(ctx)
	defer cancel()
	file, err := g.find(ctx, key)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	if file.ChunkSize <= 0 || file.Length < 0 {
		return nil, fmt.Errorf("its document tells of %d bytes in chunks of %d", file.Length, file.ChunkSize)
	}
	return &gridDownload{gridFS: g, file: *file, kept: map[int64]*keptChunk{}, next: -1}, nil
}

func (d *gridDownload) size() int64    { return d.file.Length }
func (d *gridDownload) fetched() int64 { return d.got }
func (d *gridDownload) close() error   { d.kept = nil; return nil }

func (d *gridDownload) readAt(ctx context.Context, p []byte, at int64) (int, error) {
	n := at / d.file.ChunkSize
	c := d.kept[n]
	if c == nil {
		if err := d.load(ctx, n, (at+int64(len(p))-1)/d.file.ChunkSize); err != nil {
			return 0, err
		}
		c = d.kept[n]
	}
	d.clock++
	c.used = d.clock
	return copy(p, c.data[at%d.file.ChunkSize:]), nil
}

// load fetches chunks: those from first to last, or in reading on half as many as have been
// fetched so, if that is more. Those that are kept already end it.
func (d *gridDownload) load(ctx context.Context, first, last int64) error {
	if first != d.next {
		d.run = 0
	}
	most := max(gridAhead/d.file.ChunkSize, 1)
	count := min(max(last-first+1, d.run/2), most)
	count = min(count, (d.file.Length-1)/d.file.ChunkSize+1-first)
	for n := first + 1; n < first+count; n++ {
		if d.kept[n] != nil {
			count = n - first
		}
	}
	d.evict(count)
	if err := d.fetch(ctx, first, count); err != nil {
		return err
	}
	d.next, d.run = first+count, d.run+count
	return nil
}

// evict makes room for some chunks: those go that were used the longest ago.
func (d *gridDownload) evict(count int64) {
	room := max(gridKeep/d.file.ChunkSize, 1)
	for int64(len(d.kept))+count > room && len(d.kept) > 0 {
		oldest := int64(-1)
		for n, c := range d.kept {
			if oldest < 0 || c.used < d.kept[oldest].used {
				oldest = n
			}
		}
		delete(d.kept, oldest)
	}
}

// fetch fetches chunks, and checks that each is what it is to be.
func (d *gridDownload) fetch(ctx context.Context, first, count int64) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	numbers := bson.D{{Key: "$gte", Value: first}, {Key: "$lt", Value: first + count}}
	cursor, err := d.chunks.Find(ctx, bson.D{{Key: "files_id", Value: d.file.ID}, {Key: "n", Value: numbers}},
		options.Find().SetHint(gridByFile).SetSort(bson.D{{Key: "n", Value: 1}}).SetBatchSize(int32(count)).SetLimit(count))
	if err != nil {
		return err
	}
	var pieces []gridPiece
	if err := cursor.All(ctx, &pieces); err != nil {
		return err
	}
	for i := range count {
		n := first + i
		if i >= int64(len(pieces)) || pieces[i].N != n {
			return fmt.Errorf("chunk %d is not there: the object was removed while it was read", n)
		}
		data := pieces[i].Data
		if want := min(d.file.ChunkSize, d.file.Length-n*d.file.ChunkSize); int64(len(data)) != want {
			return fmt.Errorf("chunk %d has %d bytes, and should have %d", n, len(data), want)
		}
		d.got += int64(len(data))
		d.clock++
		d.kept[n] = &keptChunk{data, d.clock}
	}
	return nil
}
