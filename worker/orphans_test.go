package worker_test

import (
	"bytes"
	"errors"
	"path"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// TestExpiry: the files go, then the job is expired, and in the end its row goes.
func TestExpiry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good, bad, later := r.upload(fixture(t, "phone.3gp"), job.Settings{}), r.upload(nil, job.Settings{}), r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.outlive(good)
	r.outlive(bad)
	r.handle(r.worker(), later)
	r.put(job.ResultKey(good, 7), []byte("of an attempt that lost"))
	r.holds(job.ResultKey(good, 1), job.ResultKey(good, 7), job.SourceKey(bad), job.ResultKey(later, 1))

	// A job whose files cannot be removed keeps its row, and holds up no other.
	r.faults().down("DeletePrefix " + job.ResultPrefix(good))
	s := r.sweeper(hour)
	report, err := s.Sweep(t.Context())
	if !errors.Is(err, errDown) || report.Expired != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if a, b := r.get(good).State, r.get(bad).State; a != job.Succeeded || b != job.Expired {
		t.Errorf("states %s, %s", a, b)
	}
	r.faults().clear()
	r.sweep(s, worker.Report{Expired: 1})
	r.holds(job.ResultKey(later, 1))
	if j := r.get(good); j.State != job.Expired || j.Result == nil {
		t.Errorf("%+v", j)
	}
	r.sweep(s, worker.Report{})

	r.sweep(r.sweeper(hour, func(c *worker.Config) { c.Sweep.Keep = time.Nanosecond }), worker.Report{Purged: 2})
	if _, err := r.jobs.Get(t.Context(), good); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("the row: %v", err)
	}
	if j := r.get(later); j.State != job.Succeeded {
		t.Errorf("%s", j.State)
	}
}

// TestExpiryKeepsUp: what has expired goes in one sweep while there is time, whatever the
// size of a batch, and files of several jobs at the same time; and a walk through the
// bucket goes on though no time is left for it.
func TestExpiryKeepsUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const jobs = 20
	for range jobs {
		r.outlive(r.upload(nil, job.Settings{}))
	}
	orphan := job.SourceKey(uuid.Must(uuid.NewV7()).String())
	r.put(orphan, []byte("x"))
	small := func(c *worker.Config) { c.Sweep.Batch, c.Sweep.Interval = 3, time.Minute }
	var at, most atomic.Int32
	r.faults().set("Delete", func() error {
		defer at.Add(-1)
		if n := at.Add(1); n > 1 {
			most.Store(n)
		}
		// The last of all has nobody beside it.
		for end := time.Now().Add(100 * time.Millisecond); most.Load() < 2 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	r.sweep(r.sweeper(hour, small), worker.Report{Expired: jobs})
	if most.Load() < 2 {
		t.Error("files are removed one after the other")
	}
	r.faults().clear()
	r.sweep(r.sweeper(hour, small, func(c *worker.Config) { c.Sweep.Keep = time.Nanosecond }), worker.Report{Purged: jobs})

	late := r.upload(nil, job.Settings{})
	r.outlive(late)
	r.faults().set("DeletePrefix "+job.ResultPrefix(late), func() error { time.Sleep(time.Second); return nil })
	busy := r.sweeper(hour, small, func(c *worker.Config) { c.Sweep.OrphanAge, c.Sweep.Interval = time.Nanosecond, 500*time.Millisecond })
	r.sweep(busy, worker.Report{Expired: 1, Orphans: 1})
	r.holds()
}

// TestOrphans: what no job needs is removed when it is old enough, and only then.
func TestOrphans(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	succeeded, failed, canceled, running := r.upload(fixture(t, "phone.3gp"), job.Settings{}), r.upload(nil, job.Settings{}),
		r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{})
	queued, nobody := r.upload(nil, job.Settings{}), uuid.Must(uuid.NewV7()).String()
	r.handle(r.worker(), succeeded)
	r.handle(r.worker(), failed)
	if _, err := r.jobs.Claim(t.Context(), running, "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := r.jobs.Cancel(t.Context(), canceled); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{succeeded, nobody} {
		r.put(job.SourceKey(id), []byte("x"))
	}
	for _, id := range []string{failed, canceled, running, queued, nobody} {
		r.put(job.ResultKey(id, 1), []byte("x"))
	}
	// What attempts left whose process died, and others came after them or before.
	r.put(job.ResultKey(succeeded, 0), []byte("x"))
	r.put(job.ResultKey(succeeded, 10), []byte("x"))
	r.put(job.ResultKey(running, 0), []byte("x"))
	r.put(job.ResultPrefix(succeeded)+"1.mp3.x", []byte("x"))
	r.put("elsewhere/x", []byte("x"))
	r.put("in/not-a-job", []byte("x"))
	kept := []string{
		job.ResultKey(succeeded, 1), job.SourceKey(failed), job.SourceKey(running), job.ResultKey(running, 1),
		job.SourceKey(queued), "elsewhere/x", "in/not-a-job",
	}
	gone := []string{
		job.SourceKey(succeeded), job.ResultKey(failed, 1), job.SourceKey(canceled), job.ResultKey(canceled, 1),
		job.SourceKey(nobody), job.ResultKey(nobody, 1), job.ResultKey(queued, 1),
		job.ResultKey(succeeded, 0), job.ResultKey(succeeded, 10), job.ResultKey(running, 0), job.ResultPrefix(succeeded) + "1.mp3.x",
	}
	r.sweep(r.sweeper(hour), worker.Report{})
	r.holds(append(slices.Clone(kept), gone...)...) // they are fresh

	old := func(c *worker.Config) { c.Sweep.OrphanAge = time.Nanosecond }
	// If the database does not say who needs what, all of it stays.
	r.faults().down("States")
	if _, err := r.sweeper(hour, old).Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("error %v", err)
	}
	r.faults().clear()
	r.holds(append(slices.Clone(kept), gone...)...)

	s := r.sweeper(hour, old, func(c *worker.Config) { c.Sweep.OrphanInterval = 100 * time.Millisecond })
	began := time.Now()
	r.sweep(s, worker.Report{Orphans: len(gone)})
	r.holds(kept...)

	// The next walk comes when it is time.
	r.put(job.SourceKey(nobody), []byte("x"))
	eventually(t, "another walk", func() bool {
		report, err := s.Sweep(t.Context())
		return err == nil && report.Orphans == 1
	})
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("the next walk came after %v", took)
	}
}

// TestWalk: pages follow one another, a walk that takes too long goes on in the next
// sweep, and what cannot be removed holds up nothing.
func TestWalk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	keep := r.upload(nil, job.Settings{})
	for range 7 {
		id := uuid.Must(uuid.NewV7()).String()
		r.put(job.SourceKey(id), []byte("x"))
		r.put(job.ResultKey(id, 1), []byte("x"))
	}
	small := func(c *worker.Config) { c.Sweep.OrphanAge, c.Sweep.Batch = time.Nanosecond, 3 }

	// The first page takes longer than an interval.
	tired := r.sweeper(hour, small, func(c *worker.Config) { c.Sweep.Interval = 200 * time.Millisecond })
	pages := 0
	r.faults().set("Objects", func() error {
		if pages++; pages == 1 {
			time.Sleep(250 * time.Millisecond)
		}
		return nil
	})
	report, err := tired.Sweep(t.Context())
	if err != nil || pages != 1 || report.Orphans < 2 {
		t.Errorf("%d pages, %+v, %v", pages, report, err)
	}
	removed := report.Orphans
	for deadline := time.Now().Add(time.Minute); removed < 14 && time.Now().Before(deadline); {
		if report, err = tired.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		removed += report.Orphans
	}
	r.holds(job.SourceKey(keep))

	stuck := r.sweeper(hour, small)
	for range 7 {
		r.put(job.SourceKey(uuid.Must(uuid.NewV7()).String()), []byte("x"))
	}
	r.faults().set("Delete", times(1, errDown))
	if report, err = stuck.Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("%+v, %v", report, err)
	}
	removed = report.Orphans
	if report, err = stuck.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if removed += report.Orphans; removed != 6 {
		t.Errorf("%d removed, want all but one", removed)
	}
}

// TestUnfinishedUploads: what a killed process left of an object is removed when no
// writer can be that slow.
func TestUnfinishedUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w, err := r.bucket.Bucket.Create(t.Context(), "in/"+uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
		t.Fatal(err)
	}
	r.sweep(r.sweeper(hour, func(c *worker.Config) { c.Sweep.OrphanAge = time.Nanosecond }), worker.Report{})
	r.holds(".tmp")
	age(t, path.Join(r.dir, ".tmp"))
	r.sweep(r.sweeper(hour), worker.Report{Orphans: 1})
	r.holds()
}
