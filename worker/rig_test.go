package worker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// rig is a worker's surroundings: a real store and a real bucket, on disk and behind
// faults, and a queue that remembers.
type rig struct {
	t      testing.TB
	jobs   *store
	bucket *bucket
	queue  *tasks
	dir    string // of the bucket
	// convert is what the workers convert with.
	convert worker.Converter
	log     *testserver.Output
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOn(t, "sqlite:"+filepath.Join(t.TempDir(), "jobs.db"))
}

func newRigOn(t testing.TB, url string) *rig {
	t.Helper()
	r := newRigIn(t, url, t.TempDir())
	id, _, err := r.jobs.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.mark(id) // as after a first walk
	return r
}

// mark makes a bucket that of a database.
func (r *rig) mark(text string) {
	r.t.Helper()
	if err := r.bucket.SetMark(r.t.Context(), text); err != nil {
		r.t.Fatal(err)
	}
}

// newRigIn is a rig whose bucket, in a folder, may have had another before.
func newRigIn(t testing.TB, url, dir string) *rig {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := jobstore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	b, err := objstore.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	f := &faults{}
	r := &rig{
		t: t, dir: dir, log: &testserver.Output{}, convert: transcode.Convert,
		jobs:   &store{Store: jobstore.New(db), faults: f},
		bucket: &bucket{Bucket: b, faults: f},
		queue:  &tasks{faults: f},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// of is the rig for a test within its test.
func (r *rig) of(t *testing.T) *rig {
	sub := *r
	sub.t = t
	return &sub
}

// faults of all parts.
func (r *rig) faults() *faults { return r.jobs.faults }

// config suits tests: short times.
func (r *rig) config() worker.Config {
	return worker.Config{
		Name: "w", Lease: 10 * time.Second, Heartbeat: 20 * time.Millisecond, Retention: time.Hour,
		Backoff: 8 * time.Second, MaxTries: 3,
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (r *rig) worker(change ...func(*worker.Config)) *worker.Worker {
	r.t.Helper()
	cfg := r.config()
	for _, c := range change {
		c(&cfg)
	}
	w, err := worker.New(cfg, worker.Deps{
		Jobs: r.jobs, Queue: r.queue, Hints: r.queue, Bucket: worker.BucketOf[worker.Source, worker.Sink](r.bucket), Convert: r.convert,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *rig) sweeper(change ...func(*worker.Config)) *worker.Sweeper {
	r.t.Helper()
	cfg := r.config()
	cfg.Sweep = worker.SweepConfig{Stale: time.Nanosecond, OrphanAge: time.Hour}
	for _, c := range change {
		c(&cfg)
	}
	s, err := worker.NewSweeper(cfg, worker.SweepDeps{Jobs: r.jobs, Queue: r.queue, Hints: r.queue, Bucket: r.bucket})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// put stores an object.
func (r *rig) put(key string, data []byte) {
	r.t.Helper()
	w, err := r.bucket.Bucket.CreateSequential(r.t.Context(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		r.t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		r.t.Fatal(err)
	}
}

// upload makes a queued job of a file.
func (r *rig) upload(data []byte, s job.Settings) string {
	r.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	r.put(job.SourceKey(id), data)
	sum := sha256.Sum256(data)
	_, err := r.jobs.Insert(r.t.Context(), job.Job{
		ID: id, Owner: "ada", NotifyTo: "ada@example.com", FileName: "talk.mp4",
		SourceBytes: int64(len(data)), SourceSHA256: hex.EncodeToString(sum[:]), Settings: s,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) get(id string) job.Job {
	r.t.Helper()
	j, err := r.jobs.Get(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

func (r *rig) handle(w *worker.Worker, id string) {
	r.t.Helper()
	if err := w.Handle(r.t.Context(), id, 0); err != nil {
		r.t.Fatalf("handle: %v", err)
	}
}

// objects are the keys in the bucket, but for its mark; an unfinished one counts as
// ".tmp".
func (r *rig) objects() []string {
	r.t.Helper()
	all, err := r.bucket.List(r.t.Context(), "", "", 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	keys := []string{}
	for _, o := range all {
		if o.Key != job.MarkKey {
			keys = append(keys, o.Key)
		}
	}
	unfinished, err := os.ReadDir(filepath.Join(r.dir, ".tmp"))
	if err != nil {
		r.t.Fatal(err)
	}
	for range unfinished {
		keys = append(keys, ".tmp")
	}
	slices.Sort(keys)
	return keys
}

// holds checks what is in the bucket.
func (r *rig) holds(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	if got := r.objects(); !slices.Equal(got, want) {
		r.t.Errorf("the bucket holds %q, want %q", got, want)
	}
}

// asked checks what the queue was asked for since the last call.
func (r *rig) asked(want ...string) {
	r.t.Helper()
	if got := r.queue.taken(); !slices.Equal(got, want) {
		r.t.Errorf("the queue was asked for %q, want %q", got, want)
	}
}

// object returns the bytes of an object.
func (r *rig) object(key string) []byte {
	r.t.Helper()
	src, err := r.bucket.Bucket.NewReader(r.t.Context(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	defer src.Close()
	b, err := io.ReadAll(src)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// forward makes a rig's tasks go to a queue of its own too, on the Redis inside.
func (r *rig) forward() (*queue.Client, redisconn.Address) {
	r.t.Helper()
	redis := embedded.Redis()
	r.t.Cleanup(redis.Close)
	client, err := queue.Open(redis.Address())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = client.Close() })
	r.queue.forward = client
	return client, redis.Address()
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// during runs Handle beside the test; the result can be waited for.
func (r *rig) during(ctx context.Context, w *worker.Worker, id string) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- w.Handle(ctx, id, 0) }()
	return func() error {
		r.t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(15 * time.Second):
			r.t.Fatal("the handler does not return")
			return nil
		}
	}
}

// running waits until an attempt has begun and made some progress.
func (r *rig) running(id string) {
	r.t.Helper()
	eventually(r.t, "the attempt is under way", func() bool { return r.get(id).Progress.Position > 0 })
}

// age makes the files in a folder two days old.
func age(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, e := range entries {
		if err := os.Chtimes(filepath.Join(dir, e.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
}

// flush empties a Redis.
func flush(t testing.TB, at redisconn.Address) {
	t.Helper()
	opt, err := at.Options()
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opt)
	defer c.Close()
	if err := c.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}
