package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
)

// What only GridFS has.

// database opens the database of a bucket's URL as any other program does.
func database(t testing.TB, url string) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	_, name, _ := strings.Cut(strings.TrimPrefix(url, "mongodb://"), "/")
	name, _, _ = strings.Cut(name, "?")
	return client.Database(name)
}

func count(t testing.TB, db *mongo.Database, collection string) int64 {
	t.Helper()
	n, err := db.Collection(collection).CountDocuments(context.Background(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The driver's own GridFS reads what we write, and the other way round, whatever the size
// of the chunks.
func TestGridFSOthers(t *testing.T) {
	t.Parallel()
	url := newURL(t, "gridfs")
	b, db := open(t, url), database(t, url)
	theirs := db.GridFSBucket()
	for _, n := range []int{0, 1, 64 << 10, 200_000, 1 << 20} {
		data := noise(30, n)
		put(t, b, "out/1", data)
		var got bytes.Buffer
		if _, err := theirs.DownloadToStreamByName(t.Context(), "out/1", &got); err != nil || !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%d bytes: they read %d, %v", n, got.Len(), err)
		}
		for _, chunk := range []int32{1 << 10, 255 << 10} {
			if n/int(chunk) > 200 {
				continue // FerretDB takes half a minute for a thousand chunks
			}
			key := "in/x"
			opts := options.GridFSUpload().SetChunkSizeBytes(chunk)
			id, err := theirs.UploadFromStream(t.Context(), key, bytes.NewReader(data), opts)
			if err != nil {
				t.Fatal(err)
			}
			want(t, b, key, data)
			if err := b.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if err := theirs.Delete(t.Context(), id); !errors.Is(err, mongo.ErrFileNotFound) {
				t.Errorf("it is not gone: %v", err)
			}
		}
	}
}

// A range fetches the chunks that it lies in, and no others; in reading on, few calls fetch
// all, once.
func TestGridFSRanges(t *testing.T) {
	t.Parallel()
	const chunk = 64 << 10
	b := open(t, newURL(t, "gridfs"))
	data := noise(31, 40*chunk+100)
	put(t, b, "in/1", data)
	for _, c := range []struct{ at, n, chunks int }{
		{0, 1, 1}, {5*chunk - 1, 1, 1}, {5*chunk - 1, 2, 2}, {10 * chunk, chunk, 1}, {10*chunk + 1, chunk, 2}, {20 * chunk, 4 * chunk, 4},
	} {
		r := reader(t, b)
		p := make([]byte, c.n)
		readAt(t, r, p, int64(c.at))
		if !bytes.Equal(p, data[c.at:c.at+c.n]) || r.BytesRead() != int64(c.chunks*chunk) {
			t.Errorf("%d bytes at %d: %d fetched, which are not %d chunks", c.n, c.at, r.BytesRead(), c.chunks)
		}
	}
	r := reader(t, b)
	if n, err := io.Copy(io.Discard, struct{ io.Reader }{r}); n != int64(len(data)) || err != nil || r.BytesRead() != n {
		t.Errorf("%d of %d, %d fetched, %v", n, len(data), r.BytesRead(), err)
	}
	// An index at the end and sound at the start, by turns, are fetched once each.
	r = reader(t, b)
	p := make([]byte, 4<<10)
	for i := range 16 {
		readAt(t, r, p, int64(i*len(p)))
		readAt(t, r, p, int64(39*chunk+i*len(p)))
	}
	if r.BytesRead() != 2*chunk {
		t.Errorf("%d bytes fetched by turns, of two chunks", r.BytesRead())
	}
}

// A writer that died leaves nothing that anybody sees; the sweeper removes its chunks at
// once, and the last of it after a while, in which a write that was under way can end.
func TestGridFSDied(t *testing.T) {
	t.Parallel()
	url := newURL(t, "gridfs")
	b, db := open(t, url), database(t, url)
	ctx := context.Background()
	put(t, b, "in/2", []byte("stays"))
	w, err := b.Create(ctx, "in/1") // and nobody ends it
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, b, ""); !slices.Equal(got, []string{"in/2"}) {
		t.Errorf("visible: %v", got)
	}
	if n := count(t, db, "fs.chunks"); n != 1+12 {
		t.Fatalf("%d chunks: the writer has sent none, or all", n)
	}
	sweep := func(age time.Duration, want int) {
		t.Helper()
		if n, err := b.SweepUploads(ctx, age); n != want || err != nil {
			t.Errorf("swept %d, %v; want %d", n, err, want)
		}
	}
	sweep(time.Hour, 0)
	sweep(0, 1)
	if n := count(t, db, "fs.chunks"); n != 1 {
		t.Errorf("%d chunks are left", n)
	}
	// The writer is alive after all, and finds out.
	if _, err := w.Write(make([]byte, 1<<20)); err == nil {
		t.Error("it writes on")
	}
	if n := count(t, db, "fs.chunks"); n != 1 {
		t.Errorf("%d chunks are left", n)
	}
	// What it had written just before it died is found an hour later.
	files := db.Collection("fs.files")
	gone := bson.D{{Key: "filename", Value: bson.D{{Key: "$ne", Value: "in/2"}}}}
	var doc struct {
		ID bson.ObjectID `bson:"_id"`
	}
	if err := files.FindOne(ctx, gone).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	stray := bson.D{{Key: "files_id", Value: doc.ID}, {Key: "n", Value: int64(77)}, {Key: "data", Value: []byte("x")}}
	if _, err := db.Collection("fs.chunks").InsertOne(ctx, stray); err != nil {
		t.Fatal(err)
	}
	sweep(24*time.Hour, 0)
	if n := count(t, db, "fs.files"); n != 2 {
		t.Errorf("%d documents: its own went too early", n)
	}
	old := bson.D{{Key: "$set", Value: bson.D{{Key: "metadata.pending", Value: time.Now().Add(-2 * time.Hour)}}}}
	if _, err := files.UpdateOne(ctx, gone, old); err != nil {
		t.Fatal(err)
	}
	sweep(24*time.Hour, 0)
	if n, m := count(t, db, "fs.files"), count(t, db, "fs.chunks"); n != 1 || m != 1 {
		t.Errorf("%d documents and %d chunks are left", n, m)
	}
	want(t, b, "in/2", []byte("stays"))
}

// Abort, Delete and a Commit that replaces leave nothing, but for what was written.
func TestGridFSLeavesNothing(t *testing.T) {
	t.Parallel()
	url := newURL(t, "gridfs")
	b, db := open(t, url), database(t, url)
	for i := range 3 {
		put(t, b, "in/1", noise(uint64(i), 100_000))
	}
	want(t, b, "in/1", noise(2, 100_000))
	if n, m := count(t, db, "fs.files"), count(t, db, "fs.chunks"); n != 1 || m != 2 {
		t.Errorf("%d documents and %d chunks of one object", n, m)
	}
	w, err := b.Create(t.Context(), "in/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if err := b.Delete(t.Context(), "in/1"); err != nil {
		t.Fatal(err)
	}
	if n, m := count(t, db, "fs.files"), count(t, db, "fs.chunks"); n+m != 0 {
		t.Errorf("%d documents and %d chunks are left", n, m)
	}
}

// One that died while it replaced an object has replaced it; what it left goes.
func TestGridFSReplaceDied(t *testing.T) {
	t.Parallel()
	url := newURL(t, "gridfs")
	b, db := open(t, url), database(t, url)
	ctx := context.Background()
	files := db.Collection("fs.files")
	put(t, b, "meta/x", []byte("old"))
	// As it is between the two steps of Commit.
	theirs := db.GridFSBucket()
	pending := time.Now().Add(-2 * time.Hour)
	opts := options.GridFSUpload().SetMetadata(bson.D{{Key: "pending", Value: pending}})
	if _, err := theirs.UploadFromStream(ctx, "meta/x", strings.NewReader("new"), opts); err != nil {
		t.Fatal(err)
	}
	if n, err := files.CountDocuments(ctx, bson.D{{Key: "filename", Value: "meta/x"}}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	want(t, b, "meta/x", []byte("new"))
	if l, err := b.List(ctx, "meta/", "", 10); err != nil || len(l) != 1 || l[0].Bytes != 3 {
		t.Errorf("%v, %v", l, err)
	}
	if n, err := b.SweepUploads(ctx, 24*time.Hour); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	want(t, b, "meta/x", []byte("new"))
	if n, m := count(t, db, "fs.files"), count(t, db, "fs.chunks"); n != 1 || m != 1 {
		t.Errorf("%d documents and %d chunks of one object", n, m)
	}
	if n, err := files.CountDocuments(ctx, bson.D{{Key: "metadata.pending", Value: bson.D{{Key: "$gt", Value: time.Unix(0, 0)}}}}); n != 0 || err != nil {
		t.Errorf("%d wait for the sweeper, %v", n, err)
	}
}

// What is removed or damaged while it is read is an error, and never a shorter object.
func TestGridFSBroken(t *testing.T) {
	t.Parallel()
	url := newURL(t, "gridfs")
	b, db := open(t, url), database(t, url)
	chunks := db.Collection("fs.chunks")
	for what, damage := range map[string]func() error{
		"removed": func() error { return b.Delete(t.Context(), "in/1") },
		"a chunk is missing": func() error {
			_, err := chunks.DeleteOne(t.Context(), bson.D{{Key: "n", Value: int64(3)}})
			return err
		},
		"a chunk is short": func() error {
			_, err := chunks.UpdateOne(t.Context(), bson.D{{Key: "n", Value: int64(4)}}, bson.D{{Key: "$set", Value: bson.D{{Key: "data", Value: []byte("x")}}}})
			return err
		},
	} {
		put(t, b, "in/1", noise(32, 500_000))
		r := reader(t, b)
		p := make([]byte, 1000)
		readAt(t, r, p, 0)
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %d bytes and no error", what, n)
		}
		if err := b.Delete(t.Context(), "in/1"); err != nil {
			t.Fatal(err)
		}
	}
}

// Two buckets of one database do not meet, and a URL names no password in an error.
func TestGridFSURLs(t *testing.T) {
	t.Parallel()
	url := newURL(t, "gridfs")
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	one, other := open(t, url), open(t, url+sep+"bucket=other")
	put(t, one, "in/1", []byte("one"))
	if ok, err := other.Exists(t.Context(), "in/1"); ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	for _, bad := range []string{"mongodb://u:geheim@h", "mongodb://u:geheim@h/x?bucket=", "mongodb://u:geheim@h/x?bucket=a.b", "mongodb://u:ge:heim@h/x"} {
		if err := objstore.CheckURL(t.Context(), bad, nil); err == nil || strings.Contains(err.Error(), "heim") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, good := range []string{"mongodb://u:geheim@h1:1,h2:2/x?bucket=mp3&replicaSet=r", "mongodb+srv://u:geheim@h.example.org/x?bucket=mp3"} {
		if err := objstore.CheckURL(t.Context(), good, nil); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	// No server, and no password in what is said of it.
	if b, err := objstore.Open(t.Context(), "mongodb://u:geheim@127.0.0.1:1/x?serverSelectionTimeoutMS=300"); err == nil {
		b.Close()
		t.Error("opened")
	} else if strings.Contains(err.Error(), "geheim") {
		t.Error(err)
	}
}
