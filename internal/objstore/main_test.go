package objstore_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var (
	servers *storage
	server  *testserver.S3Server
	buckets atomic.Int64 // made so far
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of the tests wait: for the server, for a disk, for the next try.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(testserver.Main(m, startStorage, &servers))
}

// storage is all servers that keep objects.
type storage struct {
	s3    *testserver.S3Server
	mongo *testserver.MongoDBServer
}

func startStorage(ctx context.Context) (s *storage, err error) {
	s = new(storage)
	if s.s3, err = testserver.S3(ctx); err != nil {
		return nil, err
	}
	if s.mongo, err = testserver.MongoDB(ctx, os.Getenv("MP3LATHE_TEST_MONGODB")); err != nil {
		return nil, errors.Join(err, s.s3.Stop())
	}
	server = s.s3
	return s, nil
}

func (s *storage) Stop() error { return errors.Join(s.s3.Stop(), s.mongo.Stop()) }

func credentials() *objstore.Options {
	return &objstore.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}
}

// newURL returns the URL of an empty bucket.
func newURL(t testing.TB, kind string) string {
	t.Helper()
	if kind == "folder" {
		return "file://" + t.TempDir() + "/bucket"
	}
	if kind == "gridfs" {
		url, err := servers.mongo.NewDatabase()
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
	url, err := server.NewBucket(t.Context(), "test-"+strconv.FormatInt(buckets.Add(1), 10))
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t testing.TB, url string) *objstore.Bucket {
	t.Helper()
	b, err := objstore.OpenWith(t.Context(), url, credentials())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := objstore.Mapped(b); n != 0 {
			t.Errorf("writers have left %d bytes of memory", n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// each runs a test on every kind of bucket, at the same time.
func each(t *testing.T, test func(t *testing.T, b *objstore.Bucket)) {
	t.Parallel()
	for _, kind := range []string{"folder", "s3", "gridfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, newURL(t, kind)))
		})
	}
}

// noise returns bytes that don't repeat, the same ones for the same seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}
