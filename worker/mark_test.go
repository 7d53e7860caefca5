package worker_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// eager has each sweep walk through the bucket and take all for old.
func eager(c *worker.Config) {
	c.Sweep.Stale = time.Hour
	c.Sweep.OrphanAge, c.Sweep.OrphanInterval = time.Nanosecond, time.Nanosecond
}

func sqliteURL(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "jobs.db") }

func (r *rig) identity() string {
	r.t.Helper()
	id, _, err := r.jobs.Identity(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// refuses checks that sweeps remove nothing, and say why, once.
func (r *rig) refuses(s *worker.Sweeper, why string) {
	r.t.Helper()
	before := strings.Count(r.log.String(), why)
	held := r.objects()
	for range 3 {
		r.sweep(s, worker.Report{})
	}
	r.holds(held...)
	if n := strings.Count(r.log.String(), why) - before; n != 1 {
		r.t.Errorf("%d times in the log: %s", n, why)
	}
	if !strings.Contains(r.log.String(), "database="+r.identity()) {
		r.t.Error("the log does not name the database")
	}
}

// TestMark: a sweeper removes orphans from the bucket of its database only.
func TestMark(t *testing.T) {
	t.Parallel()
	// A new bucket becomes that of the first database that walks through it.
	dir, orphan := t.TempDir(), job.SourceKey(uuid.NewString())
	first := newRigIn(t, sqliteURL(t), dir)
	s := first.sweeper(eager)
	known := first.upload(nil, job.Settings{}) // the gateway was there before the worker
	first.sweep(s, worker.Report{})
	if text := string(first.object(job.MarkKey)); text != first.identity()+" 1\n" {
		t.Errorf("mark %q", text)
	}
	first.put(orphan, []byte("x"))
	first.sweep(s, worker.Report{Orphans: 1})
	if text := string(first.object(job.MarkKey)); text != first.identity()+" 2\n" {
		t.Errorf("mark %q", text)
	}
	first.holds(job.SourceKey(known))

	// Another database takes nothing away, unfinished uploads included.
	second := newRigIn(t, sqliteURL(t), dir)
	w, err := first.bucket.Bucket.Create(t.Context(), "in/"+uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	age(t, path.Join(dir, ".tmp"))
	s = second.sweeper(eager)
	second.refuses(s, "it belongs to the database "+first.identity())

	// Nor from a bucket whose mark is lost or spoilt.
	second.mark("what is this")
	second.refuses(s, "its mark cannot be read")
	second.mark(second.identity() + " x")
	second.sweep(s, worker.Report{})
	if err := second.bucket.Bucket.Delete(t.Context(), job.MarkKey); err != nil {
		t.Fatal(err)
	}
	second.refuses(s, "holds "+job.SourceKey(known))

	// Until somebody gives it the bucket.
	second.mark(second.identity())
	second.sweep(s, worker.Report{Orphans: 2})
	second.holds()
	if !strings.Contains(second.log.String(), "the bucket is swept again") {
		t.Error("nobody says that all is well again")
	}
}

// TestRestoredDatabase: one that comes from a backup knows nothing of what has come
// since, and removes none of it.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	dir, url, backup := t.TempDir(), sqliteURL(t), filepath.Join(t.TempDir(), "backup.db")
	r := newRigIn(t, url, dir)
	s := r.sweeper(eager)
	old := r.upload(nil, job.Settings{})
	r.sweep(s, worker.Report{})
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "VACUUM INTO ?", backup); err != nil {
		t.Fatal(err)
	}
	since := r.upload(nil, job.Settings{})
	r.sweep(s, worker.Report{})

	restored := newRigIn(t, "sqlite:"+backup, dir)
	if restored.identity() != r.identity() {
		t.Fatal("a copy has another ID")
	}
	s = restored.sweeper(eager)
	restored.refuses(s, "the database is older than the bucket")
	restored.holds(job.SourceKey(old), job.SourceKey(since))
	restored.mark(restored.identity())
	restored.sweep(s, worker.Report{Orphans: 1})
	restored.holds(job.SourceKey(old))

	// A bucket that comes from a backup is no danger: it has old objects only.
	r = newRigOn(t, sqliteURL(t))
	s = r.sweeper(eager)
	for range 3 {
		r.sweep(s, worker.Report{})
	}
	r.mark(r.identity() + " 1")
	r.put(job.SourceKey(uuid.NewString()), []byte("x"))
	r.sweep(s, worker.Report{Orphans: 1})
}

// TestFirstUploads: the bucket of a new system is not a stranger's because an upload
// whose row is just being made is in it.
func TestFirstUploads(t *testing.T) {
	t.Parallel()
	r := newRigIn(t, sqliteURL(t), t.TempDir())
	s := r.sweeper(hour)
	id := uuid.Must(uuid.NewV7()).String()
	r.put(job.SourceKey(id), []byte("x"))
	r.sweep(s, worker.Report{})
	if text, err := r.bucket.Mark(t.Context()); text != "" || err != nil {
		t.Errorf("mark %q, %v", text, err)
	}
	if _, err := r.jobs.Insert(t.Context(), job.Job{ID: id, Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	r.sweep(s, worker.Report{})
	if text, err := r.bucket.Mark(t.Context()); text != r.identity()+" 1\n" || err != nil {
		t.Errorf("mark %q, %v", text, err)
	}
	if strings.Contains(r.log.String(), "ERROR") {
		t.Error("there was something to tell")
	}
}

// TestMarkFaults: whoever cannot find out whose the bucket is removes nothing, and asks
// again in the next sweep.
func TestMarkFaults(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Mark", "SetMark", "Objects", "States"} {
		dir := t.TempDir()
		r := newRigIn(t, sqliteURL(t), dir)
		s := r.sweeper(hour, func(c *worker.Config) { c.Sweep.OrphanAge = time.Nanosecond })
		if method != "Objects" && method != "States" { // of an unmarked bucket
			r.mark(r.identity())
			r.put(job.SourceKey(uuid.NewString()), []byte("x"))
		} else {
			r.upload(nil, job.Settings{})
		}
		held := r.objects()
		r.faults().down(method)
		if _, err := s.Sweep(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%s: %v", method, err)
		}
		r.holds(held...)
		r.faults().clear()
		if _, err := s.Sweep(t.Context()); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		if _, err := os.Stat(filepath.Join(dir, job.MarkKey)); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}
