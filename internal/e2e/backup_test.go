package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/app/workers"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// TestBackup: a fleet is restored from a dump of its database and a copy of its bucket,
// without its Redis, and goes on, as docs/operations.md tells: jobs that waited, ran and
// were done at the time of the dump, with a bucket that was copied before it, after it,
// and both.
func TestBackup(t *testing.T) {
	t.Parallel()
	ctx := within(t, 8*time.Minute)
	b := &backups{t: t, on: stores(t, ctx), authKey: newAuthKey(t)}
	live := b.start(ctx, b.on.database, b.on.bucket)
	c := live.user(t, "anna@example.org")
	b.token = c.Token

	long, err := os.ReadFile(looped(t, 11))
	must(t, err)
	upload := func(settings map[string][]string) string {
		j, err := c.Upload(ctx, "melody.mp4", bytes.NewReader(long), settings)
		must(t, err)
		return j.ID
	}
	done := upload(map[string][]string{"vbr": {"4"}})
	b.follow(ctx, c, done)
	running := upload(nil)
	eventually(t, time.Minute, "it runs", func() bool { j, err := c.Get(ctx, running); must(t, err); return j.State == "running" })
	// As it is now, until all has been copied.
	must(t, live.worker.cmd.Process.Signal(syscall.SIGSTOP))
	waiting := []string{upload(map[string][]string{"title": {"one"}}), upload(map[string][]string{"title": {"two"}})}

	before := b.newBucket(ctx, "before")
	b.copy(ctx, b.on.bucket, before)
	dump, err := b.on.maria.Dump(ctx, b.on.database)
	must(t, err)
	must(t, live.worker.cmd.Process.Signal(syscall.SIGCONT))

	later := upload(map[string][]string{"title": {"three"}})
	all := append([]string{done, running, later}, waiting...)
	mp3s := map[string][]byte{}
	for _, id := range all {
		mp3s[id] = b.follow(ctx, c, id)
	}
	live.stop()
	laterDump, err := b.on.maria.Dump(ctx, b.on.database)
	must(t, err)
	after, both := b.newBucket(ctx, "after"), b.newBucket(ctx, "both")
	b.copy(ctx, b.on.bucket, after)
	b.copy(ctx, before, both)
	b.copy(ctx, b.on.bucket, both)

	// The bucket was copied before the dump and, adding to the copy, after it again.
	t.Run("both", func(t *testing.T) {
		r := b.restore(ctx, t, dump, both, true)
		for _, id := range append([]string{done, running}, waiting...) {
			if mp3 := b.follow(ctx, r.anna, id); !bytes.Equal(mp3, mp3s[id]) {
				t.Errorf("%s became another MP3", id)
			}
		}
		r.missing(ctx, later)
		r.stop()
		// What the database knows nothing of stays, until the bucket is adopted.
		r.sweep(ctx)
		if !slices.Contains(r.keys(ctx), job.ResultKey(later, 1)) {
			t.Error("the file of a job that was made after the dump is gone")
		}
		r.adopt(ctx)
		r.sweep(ctx)
		r.has(ctx, job.ResultKey(done, 1), job.ResultKey(running, 2), job.ResultKey(waiting[0], 1), job.ResultKey(waiting[1], 1))
	})

	// The copy is newer than the dump: what was done between them is lost.
	t.Run("after", func(t *testing.T) {
		r := b.restore(ctx, t, dump, after, true)
		if mp3 := b.follow(ctx, r.anna, done); !bytes.Equal(mp3, mp3s[done]) {
			t.Error("what was done at the time of the dump is another MP3")
		}
		for _, id := range append([]string{running}, waiting...) {
			j, err := r.anna.Follow(ctx, id, nil)
			must(t, err)
			if j.State != "failed" || j.Failure.Code != string(job.SourceMissing) {
				t.Errorf("%s, whose upload is gone, ended as %s: %+v", id, j.State, j.Failure)
			}
		}
		r.missing(ctx, later)
		again, err := r.anna.Upload(ctx, "melody.mp4", bytes.NewReader(long), nil)
		must(t, err)
		if mp3 := b.follow(ctx, r.anna, again.ID); again.Duplicate || !bytes.Equal(mp3, mp3s[running]) {
			t.Errorf("the same file, once more, is no new job: %+v", again)
		}
	})

	// The copy is older than the dump: what came or was done between them is lost. The
	// database knows of all that is in the bucket, which is its own.
	t.Run("before", func(t *testing.T) {
		r := b.restore(ctx, t, laterDump, before, false)
		if mp3 := b.follow(ctx, r.anna, done); !bytes.Equal(mp3, mp3s[done]) {
			t.Error("what was done at the time of the copy is another MP3")
		}
		for _, id := range append([]string{running, later}, waiting...) {
			_, err := r.anna.Audio(ctx, id)
			if problem := new(client.Error); !errors.As(err, &problem) || problem.Code != "audio_gone" {
				t.Errorf("the MP3 of %s, which is gone: %v", id, err)
			}
		}
		again, err := r.anna.Upload(ctx, "melody.mp4", bytes.NewReader(long), nil)
		must(t, err)
		if mp3 := b.follow(ctx, r.anna, again.ID); again.Duplicate || !bytes.Equal(mp3, mp3s[running]) {
			t.Errorf("the same file, once more, is no new job: %+v", again)
		}
		r.stop()
		r.sweep(ctx)
		r.has(ctx, job.ResultKey(done, 1), job.ResultKey(again.ID, 1))
	})
}

// backups are what a test of backups works with.
type backups struct {
	t       *testing.T
	on      servers
	authKey string
	token   string // that was given before the dump
}

// restored is a fleet on a database and a bucket.
type restored struct {
	*system
	t                *testing.T
	b                *backups
	worker           *service
	anna             *client.Client
	database, bucket string
}

// start starts auth, a gateway and a worker that converts one file at a time.
func (b *backups) start(ctx context.Context, database, bucket string) *restored {
	t := b.t
	dir := t.TempDir()
	front, behind := freeAddress(t), freeAddress(t)
	env := []string{
		"MP3LATHE_DATABASE_FILE=" + newFile(t, dir, "database", database), "MP3LATHE_REDIS=" + b.on.redis.URL,
		"MP3LATHE_BUCKET=" + bucket, "MP3LATHE_S3_ACCESS_KEY=" + b.on.s3.AccessKey, "MP3LATHE_S3_SECRET_KEY=" + b.on.s3.SecretKey,
		"MP3LATHE_PUBLIC_URL=http://" + front, "MP3LATHE_LINK_KEY=" + linkKey,
		"MP3LATHE_SWEEP_INTERVAL=500ms", "MP3LATHE_SWEEP_STALE=2s", "MP3LATHE_CONCURRENCY=1", "MP3LATHE_PARALLELISM=2",
	}
	r := &restored{system: &system{url: "http://" + front}, t: t, b: b, database: database, bucket: bucket}
	r.worker = run(t, "worker", env)
	r.services = []*service{
		run(t, "auth", env, "--listen", behind, "--auth-key-file", newFile(t, dir, "auth.key", b.authKey)),
		run(t, "gateway", env, "--listen", front, "--auth-url", "http://"+behind), r.worker,
	}
	r.wait(t)
	return r
}

// restore starts a fleet on a new database with what was dumped, and an empty Redis. anew
// gives the database a new identity, as one does to keep the sweeper from the bucket.
func (b *backups) restore(ctx context.Context, t *testing.T, dump []byte, bucket string, anew bool) *restored {
	must(t, b.on.redis.Wipe(ctx))
	database, err := b.on.maria.NewDatabase(ctx)
	must(t, err)
	must(t, b.on.maria.Load(ctx, database, dump))
	if anew {
		must(t, b.on.maria.Load(ctx, database, []byte("DELETE FROM job_database;")))
	}
	inner := *b
	inner.t = t
	r := inner.start(ctx, database, bucket)
	// A session from before goes on, and passwords are what they were.
	r.anna = &client.Client{Base: r.url, Token: b.token}
	_, err = r.anna.List(ctx)
	must(t, err)
	must(t, r.anna.Login(ctx, "anna@example.org", password))
	return r
}

// stop ends the services.
func (r *restored) stop() {
	for _, s := range slices.Backward(r.services) {
		s.stop(r.t)
	}
}

// follow waits for the success of a job and returns the MP3.
func (b *backups) follow(ctx context.Context, c *client.Client, id string) []byte {
	b.t.Helper()
	j, err := c.Follow(ctx, id, nil)
	must(b.t, err)
	if j.State != "succeeded" {
		b.t.Fatalf("%s ended as %s: %+v", id, j.State, j.Failure)
	}
	mp3, err := readAll(c.Audio(ctx, id))
	must(b.t, err)
	return mp3
}

// missing checks that nothing is known of a job.
func (r *restored) missing(ctx context.Context, id string) {
	r.t.Helper()
	_, err := r.anna.Get(ctx, id)
	if problem := new(client.Error); !errors.As(err, &problem) || problem.Status != 404 {
		r.t.Errorf("a job that was made after the dump: %v", err)
	}
}

func (b *backups) open(ctx context.Context, url string) *objstore.Bucket {
	bucket, err := objstore.OpenWith(ctx, url, &objstore.Options{AccessKey: b.on.s3.AccessKey, SecretKey: b.on.s3.SecretKey})
	must(b.t, err)
	b.t.Cleanup(func() { must(b.t, bucket.Close()) })
	return bucket
}

func (b *backups) newBucket(ctx context.Context, name string) string {
	url, err := b.on.s3.NewBucket(ctx, name)
	must(b.t, err)
	return url
}

// copy adds to a copy of a bucket what is in it now. It removes nothing.
func (b *backups) copy(ctx context.Context, from, to string) {
	src, dst := b.open(ctx, from), b.open(ctx, to)
	objects, err := src.List(ctx, "", "", 1000)
	must(b.t, err)
	for _, o := range objects {
		r, err := src.NewReader(ctx, o.Key)
		must(b.t, err)
		w, err := dst.CreateSequential(ctx, o.Key)
		must(b.t, err)
		_, err = io.Copy(w, r)
		must(b.t, errors.Join(err, r.Close(), w.Commit()))
	}
}

// sweep sweeps as a worker does, with all objects old enough to be removed.
func (r *restored) sweep(ctx context.Context) {
	db := r.db(ctx)
	defer db.Close()
	sweeper, err := worker.NewSweeper(
		worker.Config{Sweep: worker.SweepConfig{OrphanAge: time.Nanosecond, Interval: time.Minute, Stale: time.Hour}},
		worker.SweepDeps{Jobs: jobstore.New(db), Queue: nowhere{}, Hints: nowhere{}, Bucket: workers.SweepBucket(r.b.open(ctx, r.bucket))})
	must(r.t, err)
	_, err = sweeper.Sweep(ctx)
	must(r.t, err)
}

func (r *restored) db(ctx context.Context) *sqldb.DB {
	db, err := sqldb.Open(ctx, r.database)
	must(r.t, err)
	return db
}

// adopt writes into the bucket that it is the database's.
func (r *restored) adopt(ctx context.Context) {
	db := r.db(ctx)
	defer db.Close()
	var id string
	must(r.t, db.QueryRowContext(ctx, "SELECT id FROM job_database").Scan(&id))
	w, err := r.b.open(ctx, r.bucket).CreateSequential(ctx, job.MarkKey)
	must(r.t, err)
	_, err = io.WriteString(w, id)
	must(r.t, errors.Join(err, w.Commit()))
}

// keys are those of all objects of jobs.
func (r *restored) keys(ctx context.Context) (keys []string) {
	objects, err := r.b.open(ctx, r.bucket).List(ctx, "", "", 1000)
	must(r.t, err)
	for _, o := range objects {
		if o.Key != job.MarkKey {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// has checks that the bucket holds these objects, and no others.
func (r *restored) has(ctx context.Context, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	if got := r.keys(ctx); !slices.Equal(got, want) {
		r.t.Errorf("the bucket holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
