package worker_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/departed"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// departures is a rig with owners who have deleted their accounts.
type departures struct {
	*rig
	store *departed.Store
	db    *sqldb.DB
}

func newDepartures(t *testing.T) *departures {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "jobs.db")
	r := newRigOn(t, url)
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := departed.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return &departures{r, departed.New(db), db}
}

func (d *departures) sweeper(change ...func(*worker.Config)) *worker.Sweeper {
	d.t.Helper()
	cfg := d.config()
	cfg.Sweep = worker.SweepConfig{Stale: time.Hour, OrphanAge: time.Hour, Batch: 3}
	for _, c := range change {
		c(&cfg)
	}
	s, err := worker.NewSweeper(cfg, worker.SweepDeps{Jobs: d.jobs, Queue: d.queue, Hints: d.queue, Bucket: d.bucket, Departed: d.store})
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *departures) exec(query string, args ...any) {
	d.t.Helper()
	if _, err := d.db.ExecContext(d.t.Context(), query, args...); err != nil {
		d.t.Fatal(err)
	}
}

// jobOf makes a queued job of an owner.
func (d *departures) jobOf(owner string) string {
	d.t.Helper()
	id := uuid.Must(uuid.NewV7()).String()
	d.put(job.SourceKey(id), []byte("x"))
	if _, err := d.jobs.Insert(d.t.Context(), job.Job{ID: id, Owner: owner, FileName: "x.mp4", SourceBytes: 1, SourceSHA256: "x"}); err != nil {
		d.t.Fatal(err)
	}
	return id
}

// TestDeparted: all jobs of an owner who is gone are removed with their files, whatever
// their state; a worker that runs one learns of it; nobody else loses anything.
func TestDeparted(t *testing.T) {
	t.Parallel()
	d := newDepartures(t)
	ctx := t.Context()
	other := d.jobOf("eve")
	running := d.jobOf("ada")
	if _, err := d.jobs.Claim(ctx, running, "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	d.put(job.ResultKey(running, 1), []byte("half an MP3"))
	d.jobOf("ada") // queued
	done := d.jobOf("ada")
	if _, err := d.jobs.Claim(ctx, done, "w", time.Hour); err != nil {
		t.Fatal(err)
	}
	d.put(job.ResultKey(done, 1), []byte("an MP3"))
	if _, err := d.jobs.Store.Succeed(ctx, done, 1, job.Result{Key: job.ResultKey(done, 1)}, time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 4 { // more than a batch
		if _, err := d.jobs.Store.Cancel(ctx, d.jobOf("ada")); err != nil {
			t.Fatal(err)
		}
	}
	seen := job.Act{ID: uuid.Must(uuid.NewV7()).String(), Actor: "root", Action: job.ActAudio, JobID: done, Owner: "ada"}
	if err := d.jobs.NoteAct(ctx, seen); err != nil {
		t.Fatal(err)
	}
	s := d.sweeper()
	d.rig.sweep(s, worker.Report{})
	if err := d.store.Depart(ctx, "ada"); err != nil {
		t.Fatal(err)
	}
	d.rig.sweep(s, worker.Report{Departed: 7})
	d.holds(job.SourceKey(other))
	if left, err := d.jobs.List(ctx, job.Query{Limit: 10}); err != nil || len(left) != 1 || left[0].ID != other {
		t.Errorf("%v, %v", left, err)
	}
	// What administrators saw of it can be asked for as long as of others.
	if acts, err := d.jobs.Acts(ctx, job.ActQuery{Owner: "ada"}); err != nil || len(acts) != 1 || acts[0].JobID != done {
		t.Errorf("%+v, %v", acts, err)
	}
	if err := d.jobs.Store.Heartbeat(ctx, running, 1, job.Progress{}, time.Hour); !errors.Is(err, job.ErrLost) && !errors.Is(err, job.ErrNotFound) {
		t.Errorf("the worker's heartbeat: %v", err)
	}

	// An upload that was under way becomes a job late.
	late := d.jobOf("ada")
	d.rig.sweep(s, worker.Report{}) // not looked for again so soon
	d.exec("UPDATE job_departures SET due_at = 0")
	d.rig.sweep(s, worker.Report{Departed: 1})
	if _, err := d.jobs.Get(ctx, late); !errors.Is(err, job.ErrNotFound) {
		t.Error(err)
	}
	// Less and less often, and then no more.
	for age, again := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Hour: 15 * time.Minute, 10 * 24 * time.Hour: 6 * time.Hour} {
		d.exec("UPDATE job_departures SET due_at = 0, since = "+d.db.Now()+" - ?", age.Microseconds())
		d.rig.sweep(s, worker.Report{})
		var in int64
		if err := d.db.QueryRowContext(ctx, "SELECT due_at - "+d.db.Now()+" FROM job_departures").Scan(&in); err != nil {
			t.Fatal(err)
		}
		if got := time.Duration(in) * time.Microsecond; got > again+time.Second || got < again-5*time.Second {
			t.Errorf("after %v it is looked for in %v, want %v", age, got, again)
		}
	}
	d.exec("UPDATE job_departures SET due_at = 0, since = since - ?", (31 * 24 * time.Hour).Microseconds())
	d.rig.sweep(s, worker.Report{})
	var n int
	if err := d.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM job_departures").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d are kept, %v", n, err)
	}
}

// TestDepartedFaults: what fails in the middle is done by the next sweep, and a file is
// gone before its row.
func TestDepartedFaults(t *testing.T) {
	t.Parallel()
	d := newDepartures(t)
	ctx := t.Context()
	for range 5 {
		d.jobOf("ada")
	}
	if err := d.store.Depart(ctx, "ada"); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	calls := 0
	d.faults().set("Delete", func() error {
		if calls++; calls == 3 {
			return boom
		}
		return nil
	})
	if r, err := d.sweeper().Sweep(ctx); !errors.Is(err, boom) || r.Departed != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if left, err := d.jobs.List(ctx, job.Query{Limit: 10}); err != nil || len(left) != 3 || len(d.objects()) != 3 {
		t.Errorf("%d rows and %d files, %v", len(left), len(d.objects()), err)
	}
	d.rig.sweep(d.sweeper(), worker.Report{Departed: 3}) // another process
	d.holds()

	// One that has no time goes on the next time.
	for range 5 {
		d.jobOf("eve")
	}
	if err := d.store.Depart(ctx, "eve"); err != nil {
		t.Fatal(err)
	}
	hasty := d.sweeper(func(c *worker.Config) { c.Sweep.Interval = time.Nanosecond })
	d.rig.sweep(hasty, worker.Report{})
	d.rig.sweep(d.sweeper(), worker.Report{Departed: 5})
	// Nobody is not everybody.
	keep := d.jobOf("bob")
	d.exec("INSERT INTO job_departures (owner, since, due_at) VALUES ('', 0, 0)")
	if r, err := d.sweeper().Sweep(ctx); err == nil || r.Departed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	d.holds(job.SourceKey(keep))
}
