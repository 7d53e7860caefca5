package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

func (r *rig) sweep(s *worker.Sweeper, want worker.Report) {
	r.t.Helper()
	got, err := s.Sweep(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if got != want {
		r.t.Errorf("the sweep did %+v, want %+v", got, want)
	}
}

// lose claims a job for a worker that dies at once.
func (r *rig) lose(id string) {
	r.t.Helper()
	if _, err := r.jobs.Claim(r.t.Context(), id, "dead", time.Microsecond); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "its lease is over", func() bool {
		lost, err := r.jobs.Lost(r.t.Context(), 100)
		return err == nil && slices.ContainsFunc(lost, func(j job.Job) bool { return j.ID == id })
	})
}

// outlive runs a job, and waits until its files have been kept for long enough: a
// database's clock may count in milliseconds.
func (r *rig) outlive(id string) {
	r.t.Helper()
	r.handle(r.worker(func(c *worker.Config) { c.Retention = time.Microsecond }), id)
	eventually(r.t, "it may expire", func() bool {
		done, err := r.jobs.Expirable(r.t.Context(), 100)
		return err == nil && slices.ContainsFunc(done, func(j job.Job) bool { return j.ID == id })
	})
}

// TestLateSignOfLife: a worker that gives a sign of life between the sweeper's look and
// its deed keeps its job.
func TestLateSignOfLife(t *testing.T) {
	t.Parallel()
	for method, attempt := range map[string]int{"Requeue": 1, "GiveUp": 2} {
		r := newRig(t)
		id := r.upload(nil, job.Settings{})
		s := r.sweeper(hour)
		for range attempt - 1 {
			r.lose(id)
			r.sweep(s, worker.Report{Requeued: 1})
			r.asked(fmt.Sprintf("convert %s/%d", id, r.get(id).Attempt))
		}
		r.lose(id)
		r.faults().set(method, func() error {
			return r.jobs.Store.Heartbeat(r.t.Context(), id, attempt, job.Progress{}, time.Hour)
		})
		r.sweep(s, worker.Report{})
		r.asked()
		if j := r.get(id); j.State != job.Running || j.Attempt != attempt || j.Tries != 1 {
			t.Errorf("%s: %+v", method, j)
		}
	}
}

func hour(c *worker.Config) { c.Sweep.Stale = time.Hour }

// TestLostWorker: its job is queued again, which is no try, and fails when that happens
// a second time. Others of the same file do not.
func TestLostWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.sweeper(hour)
	id, other := r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{})
	r.lose(id)
	r.sweep(s, worker.Report{Requeued: 1})
	r.asked(fmt.Sprintf("convert %s/1", id))
	if j := r.get(id); j.State != job.Queued || j.Tries != 0 || j.Attempt != 1 || j.Failure.Code != job.WorkerLost {
		t.Errorf("%+v", j)
	}
	r.sweep(s, worker.Report{})
	r.asked()
	r.lose(id)
	r.sweep(s, worker.Report{Failed: 1})
	r.asked("notify " + id + "/2")
	if j := r.get(id); j.State != job.Failed || j.Failure.Code != job.Crashed || time.Until(j.Expires) < 50*time.Minute {
		t.Errorf("%+v", j)
	}
	r.holds(job.SourceKey(id), job.SourceKey(other))
	r.sweep(s, worker.Report{})
	if len(r.queue.hints) != 2 {
		t.Errorf("%d hints", len(r.queue.hints))
	}
	r.lose(other)
	r.sweep(s, worker.Report{Requeued: 1})
	if j := r.get(other); j.State != job.Queued {
		t.Errorf("a job of the same file: %+v", j)
	}
}

// TestHeartbeatWins: a worker that is only late keeps its job.
func TestHeartbeatWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(nil, job.Settings{})
	r.lose(id)
	if err := r.jobs.Heartbeat(t.Context(), id, 1, job.Progress{}, time.Minute); err != nil {
		t.Fatal(err)
	}
	r.sweep(r.sweeper(hour), worker.Report{})
	if j := r.get(id); j.State != job.Running {
		t.Errorf("%s", j.State)
	}
}

// TestRemind: the queue is told again of what waits, but not more often than Stale.
func TestRemind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(nil, job.Settings{})
	s := r.sweeper(func(c *worker.Config) { c.Sweep.Stale = 300 * time.Millisecond })
	began, reminded := time.Now(), 0
	for time.Since(began) < 1100*time.Millisecond {
		report, err := s.Sweep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		reminded += report.Reminded
	}
	calls := r.queue.taken()
	if len(calls) != reminded || reminded < 2 || reminded > 4 {
		t.Errorf("in %v, with 300 ms between them: %d times, %q", time.Since(began), reminded, calls)
	}
	for _, c := range calls {
		if c != "convert "+id+"/0" {
			t.Errorf("asked for %q", c)
		}
	}
}

// TestRemindNotBefore: a job that waits for its next try is left alone.
func TestRemindNotBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(nil, job.Settings{})
	if _, err := r.jobs.Claim(t.Context(), id, "w", time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := r.jobs.Release(t.Context(), id, 1, time.Hour, &job.Failure{Code: job.Storage}); err != nil {
		t.Fatal(err)
	}
	r.sweep(r.sweeper(), worker.Report{})
	r.asked()
}

// TestRemindRace: a worker that begins at once, or an owner who cancels, does not
// break the sweep off.
func TestRemindRace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second, third := r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{})
	n := 0
	r.faults().set("Convert", func() (err error) {
		switch n++; n {
		case 1:
			_, err = r.jobs.Claim(t.Context(), first, "quick", time.Minute)
		case 2:
			_, err = r.jobs.Cancel(t.Context(), second)
			err = errors.Join(err, r.jobs.Delete(t.Context(), second))
		}
		return err
	})
	r.sweep(r.sweeper(), worker.Report{Reminded: 3})
	r.asked("convert "+first+"/0", "convert "+second+"/0", "convert "+third+"/0")
}

// TestFlushedRedis: with all its data lost, the queue learns of the jobs again.
func TestFlushedRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	client, redis := r.forward()
	for range 3 {
		id := r.upload(fixture(t, "media/aac-tiny.m4a"), job.Settings{})
		if err := client.Convert(t.Context(), id, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, redis)
	depth := func() int {
		d, err := client.Depth(t.Context(), queue.Convert)
		if err != nil {
			t.Fatal(err)
		}
		return d.Pending
	}
	if depth() != 0 {
		t.Fatal("Redis is not empty")
	}
	r.sweep(r.sweeper(), worker.Report{Reminded: 3})
	r.sweep(r.sweeper(), worker.Report{Reminded: 3}) // and the queue takes each once
	if d := depth(); d != 3 {
		t.Fatalf("%d tasks, want 3", d)
	}
	serve(t, redis, 0, r.worker())
	eventually(t, "all are converted", func() bool {
		done, err := r.jobs.List(t.Context(), job.Query{State: job.Succeeded, Limit: 10})
		return err == nil && len(done) == 3
	})
	for _, j := range must(r.jobs.List(t.Context(), job.Query{Limit: 10}))(t) {
		if j.Attempt != 1 {
			t.Errorf("job %s had %d attempts", j.ID, j.Attempt)
		}
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestNotices: asked for again until they are told.
func TestNotices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Notify")
	r.handle(r.worker(), id)
	r.sweep(r.sweeper(hour), worker.Report{})
	if _, err := r.sweeper().Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("error %v", err)
	}
	r.faults().clear()
	s := r.sweeper()
	r.sweep(s, worker.Report{Notices: 1})
	r.asked("notify " + id + "/1")
	if err := r.jobs.Notified(t.Context(), id, 1, ""); err != nil {
		t.Fatal(err)
	}
	r.sweep(s, worker.Report{})
	r.asked()
}

// TestPartsThatFail do not keep the others from their turn.
func TestPartsThatFail(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		"Lost": "requeued", "Overdue": "reminded", "Untold": "notices",
		"Purge": "purged", "Objects": "orphans",
	}
	for broken := range all {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			expired := r.upload(nil, job.Settings{})
			r.outlive(expired)
			r.sweep(r.sweeper(hour), worker.Report{Expired: 1})
			expiring, untold := r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{})
			r.outlive(expiring)
			r.handle(r.worker(), untold)
			lost := r.upload(nil, job.Settings{})
			r.lose(lost)
			r.upload(nil, job.Settings{}) // overdue
			r.put(job.SourceKey(uuid.Must(uuid.NewV7()).String()), []byte("x"))
			r.faults().down(broken)
			s := r.sweeper(func(c *worker.Config) { c.Sweep.OrphanAge, c.Sweep.Keep = time.Nanosecond, time.Nanosecond })
			report, err := s.Sweep(t.Context())
			if !errors.Is(err, errDown) {
				t.Errorf("error %v", err)
			}
			for what, n := range map[string]int{
				"requeued": report.Requeued, "reminded": report.Reminded, "notices": report.Notices,
				"expired": report.Expired, "purged": report.Purged, "orphans": report.Orphans,
			} {
				if (n == 0) != (all[broken] == what) {
					t.Errorf("%s: %d (%+v)", what, n, report)
				}
			}
		})
	}
}

// TestForgottenActs: entries of the audit log go when they are old enough, however many
// batches they are; by default they stay.
func TestForgottenActs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 5 {
		a := job.Act{ID: uuid.Must(uuid.NewV7()).String(), Actor: "root", Action: job.ActList}
		if err := r.jobs.NoteAct(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	left := func() int {
		t.Helper()
		acts, err := r.jobs.Acts(t.Context(), job.ActQuery{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		return len(acts)
	}
	for _, keep := range []time.Duration{0, time.Hour} {
		r.sweep(r.sweeper(func(c *worker.Config) { c.Sweep.AuditRetention = keep }), worker.Report{})
		if n := left(); n != 5 {
			t.Errorf("%d are left of 5 that are kept for %v", n, keep)
		}
	}
	r.sweep(r.sweeper(func(c *worker.Config) { c.Sweep.AuditRetention, c.Sweep.Batch = time.Nanosecond, 2 }), worker.Report{Forgotten: 5})
	if n := left(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// TestSweepAtOnce: what two sweepers do at the same time is done once.
func TestSweepAtOnce(t *testing.T) {
	t.Parallel()
	url, err := mariadb.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, url)
	const n = 10
	var lost, last, ended []string
	for range n {
		a, b, c := r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{}), r.upload(nil, job.Settings{})
		r.lose(a)
		if _, err := r.jobs.CountCrash(t.Context(), b, b, 0, job.Crashed); err != nil {
			t.Fatal(err)
		}
		r.lose(b)
		r.outlive(c)
		lost, last, ended = append(lost, a), append(last, b), append(ended, c)
		r.put(job.SourceKey(uuid.Must(uuid.NewV7()).String()), []byte("x"))
	}
	r.queue.taken()
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		total worker.Report
	)
	for range 3 {
		s := r.sweeper(hour, func(c *worker.Config) { c.Sweep.OrphanAge = time.Nanosecond })
		all.Go(func() {
			report, err := s.Sweep(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total.Requeued += report.Requeued
			total.Failed += report.Failed
			total.Expired += report.Expired
		})
	}
	all.Wait()
	if want := (worker.Report{Requeued: n, Failed: n, Expired: n}); total != want {
		t.Errorf("together they did %+v, want %+v", total, want)
	}
	calls := r.queue.taken()
	if len(calls) != 2*n {
		t.Errorf("the queue was asked %d times, want %d", len(calls), 2*n)
	}
	for i := range n {
		if a, b, c := r.get(lost[i]), r.get(last[i]), r.get(ended[i]); a.State != job.Queued || a.Tries != 0 || b.State != job.Failed || c.State != job.Expired {
			t.Errorf("states %s (%d tries), %s, %s", a.State, a.Tries, b.State, c.State)
		}
	}
	for _, key := range r.objects() {
		id, _ := job.OwnerOfKey(key)
		if !slices.Contains(lost, id) && !slices.Contains(last, id) {
			t.Errorf("left: %s", key)
		}
	}
}

// leases notes who asks for the lease and who sweeps.
type leases struct {
	*store
	mu     sync.Mutex
	asked  map[string]int
	swept  map[string]int
	holder string // the last who got it
}

func (l *leases) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	ok, err := l.store.Lease(ctx, name, holder, ttl)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[holder]++
	if ok {
		l.swept[holder]++
		l.holder = holder
	}
	return ok, err
}

func (l *leases) counts(of map[string]int, name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return of[name]
}

// TestOneSweeper: of many sweepers one sweeps, until it ends or dies.
func TestOneSweeper(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := &leases{store: r.jobs, asked: map[string]int{}, swept: map[string]int{}}
	start := func(name string, jobs worker.SweepJobs, interval time.Duration) (stop func()) {
		cfg := r.config()
		cfg.Name = name
		cfg.Sweep = worker.SweepConfig{Interval: interval, Stale: time.Hour}
		s, err := worker.NewSweeper(cfg, worker.SweepDeps{Jobs: jobs, Queue: r.queue, Hints: r.queue, Bucket: r.bucket})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		stop = sync.OnceFunc(func() { cancel(); <-done })
		t.Cleanup(stop)
		return stop
	}
	stopFirst := start("first", l, 10*time.Second) // a lease of half a minute
	eventually(t, "the first sweeps", func() bool { return l.counts(l.swept, "first") > 0 })
	stopSecond := start("second", l, 20*time.Millisecond)
	eventually(t, "the second asks", func() bool { return l.counts(l.asked, "second") > 5 })
	if n := l.counts(l.swept, "second"); n != 0 {
		t.Errorf("the second swept %d times beside the first", n)
	}

	// One that stops gives the lease back.
	stopFirst()
	began := time.Now()
	eventually(t, "the second sweeps", func() bool { return l.counts(l.swept, "second") > 0 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after the end of the first it took %v", took)
	}
	stopSecond()

	// One that dies does not: another waits for the end of the lease.
	if ok, err := r.jobs.Lease(t.Context(), "sweeper", "dead", 400*time.Millisecond); !ok || err != nil {
		t.Fatal(ok, err)
	}
	began = time.Now()
	id := r.upload(nil, job.Settings{})
	r.lose(id)
	start("third", l, 20*time.Millisecond)
	eventually(t, "the third sweeps", func() bool { return r.get(id).State == job.Queued })
	if took := time.Since(began); took < 350*time.Millisecond {
		t.Errorf("it took over after %v", took)
	}

	// A database that is away ends nothing.
	r.faults().down("Lost", "Overdue")
	swept := l.counts(l.swept, "third")
	eventually(t, "sweeping goes on", func() bool { return l.counts(l.swept, "third") > swept+3 })
	if !strings.Contains(r.log.String(), "a sweep was not finished") {
		t.Error("nothing is logged")
	}
}
