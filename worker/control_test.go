package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// TestCancel: an attempt whose job is taken away ends within a second, and leaves
// nothing.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, deleted := range []bool{false, true} {
		name := "canceled"
		if deleted {
			name = "deleted"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.bucket.reading = crawling
			id := r.upload(pcm(120), job.Settings{})
			wait := r.during(t.Context(), r.worker(func(c *worker.Config) { c.Heartbeat = 0 }), id)
			r.running(id)
			if _, err := r.jobs.Cancel(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if deleted {
				if err := r.jobs.Delete(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			canceled := time.Now()
			if err := wait(); err != nil {
				t.Error(err)
			}
			took := time.Since(canceled)
			t.Logf("it ended after %v", took)
			if took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if !deleted && r.get(id).State != job.Canceled {
				t.Errorf("it is %s", r.get(id).State)
			}
			r.asked()
			r.holds(job.SourceKey(id))
		})
	}
}

// TestFence: a worker that was thought dead and comes back does not touch what its
// successor has made.
func TestFence(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		name := "during the successor's attempt"
		if late {
			name = "after the successor's success"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, err := mariadb.NewDatabase(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := newRigOn(t, url)
			id := r.upload(pcm(10), job.Settings{})

			// The first stops in the middle of a read, and so do its heartbeats.
			gate, stalled := make(chan struct{}), make(chan struct{})
			var once sync.Once
			stop := func() { once.Do(func() { close(stalled) }) }
			first := &bucket{Bucket: r.bucket.Bucket, faults: &faults{}}
			first.reading = func(_ context.Context, s worker.Source) worker.Source {
				return &stalling{s, 100_000, stop, gate}
			}
			cfg := r.config()
			cfg.Name, cfg.Lease, cfg.Heartbeat = "first", time.Second, 200*time.Millisecond
			beats := &store{Store: r.jobs.Store, faults: &faults{}}
			beats.set("Heartbeat", func() error {
				select {
				case <-stalled:
					<-gate
				default:
				}
				return nil
			})
			w1, err := worker.New(cfg, worker.Deps{
				Jobs: beats, Queue: r.queue, Hints: r.queue, Bucket: worker.BucketOf[worker.Source, worker.Sink](first), Convert: transcode.Convert,
			})
			if err != nil {
				t.Fatal(err)
			}
			wait1 := r.during(t.Context(), w1, id)
			<-stalled
			eventually(t, "the job counts as lost", func() bool {
				report, err := r.sweeper().Sweep(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return report.Requeued == 1
			})

			if !late {
				r.bucket.reading = func(ctx context.Context, s worker.Source) worker.Source {
					return slow{s, ctx, 16000, 20 * time.Millisecond}
				}
			}
			wait2 := r.during(t.Context(), r.worker(func(c *worker.Config) { c.Name = "second" }), id)
			if late {
				if err := wait2(); err != nil {
					t.Error(err)
				}
				close(gate)
			} else {
				r.running(id)
				close(gate)
			}
			if err := wait1(); err != nil {
				t.Error(err)
			}
			if !late {
				if err := wait2(); err != nil {
					t.Error(err)
				}
			}
			j := r.get(id)
			if j.State != job.Succeeded || j.Attempt != 2 || j.Result.Key != job.ResultKey(id, 2) || j.Result.Samples != 160000 {
				t.Errorf("%+v, %+v", j, j.Result)
			}
			r.holds(job.ResultKey(id, 2))
			notices := 0
			for _, call := range r.queue.taken() {
				if strings.HasPrefix(call, "notify") {
					notices++
				}
			}
			if notices != 1 {
				t.Errorf("%d notices", notices)
			}
		})
	}
}

// TestManyWorkers: of many who are told of the same jobs each is done by one.
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	url, err := mariadb.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, url)
	var ids []string
	for range 5 {
		ids = append(ids, r.upload(fixture(t, "media/aac-tiny.m4a"), job.Settings{}))
	}
	var all sync.WaitGroup
	for range 4 {
		w := r.worker()
		all.Go(func() {
			for _, id := range ids {
				if err := w.Handle(t.Context(), id, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var want []string
	for _, id := range ids {
		if j := r.get(id); j.State != job.Succeeded || j.Attempt != 1 {
			t.Errorf("%+v", j)
		}
		want = append(want, job.ResultKey(id, 1))
	}
	r.holds(want...)
	if n := len(r.queue.taken()); n != len(ids) {
		t.Errorf("%d notices", n)
	}
}

// TestLease: a long attempt holds its job by heartbeats.
func TestLease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bucket.reading = slowly
	id := r.upload(pcm(80), job.Settings{}) // almost two seconds
	w := r.worker(func(c *worker.Config) { c.Lease, c.Heartbeat = 600*time.Millisecond, 50*time.Millisecond })
	wait := r.during(t.Context(), w, id)
	r.running(id)
	began := time.Now()
	for r.get(id).State == job.Running {
		if lost, err := r.jobs.Lost(t.Context(), 10); err != nil || len(lost) > 0 {
			t.Fatalf("lost: %+v, %v", lost, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(began); took < 1200*time.Millisecond {
		t.Fatalf("the attempt was over after %v; the test wants two leases", took)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	if j := r.get(id); j.State != job.Succeeded || j.Attempt != 1 {
		t.Errorf("%+v", j)
	}
}

// TestHeartbeatsFail: a database that is away for a moment does no harm; one that is
// away, or hangs, for as long as the lease lasts ends the attempt.
func TestHeartbeatsFail(t *testing.T) {
	t.Parallel()
	lease := func(c *worker.Config) { c.Lease, c.Heartbeat = 500*time.Millisecond, 20*time.Millisecond }
	t.Run("for a moment", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.bucket.reading = slowly
		id := r.upload(pcm(20), job.Settings{})
		r.faults().set("Heartbeat", times(5, errDown))
		r.handle(r.worker(lease), id)
		if j := r.get(id); j.State != job.Succeeded {
			t.Errorf("%s, %+v", j.State, j.Failure)
		}
		if n := strings.Count(r.log.String(), "a heartbeat failed"); n != 1 {
			t.Errorf("that a heartbeat failed is logged %d times", n)
		}
	})
	ended := func(t *testing.T, r *rig, id string, wait func() error) {
		t.Helper()
		broken := time.Now()
		if err := wait(); err != nil {
			t.Error(err)
		}
		took := time.Since(broken)
		t.Logf("it ended after %v", took)
		if took < 300*time.Millisecond || took > 5*time.Second {
			t.Errorf("it ended after %v, with a lease of 500 ms", took)
		}
		r.holds(job.SourceKey(id))
		if !strings.Contains(r.log.String(), "its lease ran out") {
			t.Error("the log does not say why")
		}
	}
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.bucket.reading = crawling
		id := r.upload(pcm(120), job.Settings{})
		wait := r.during(t.Context(), r.worker(lease), id)
		r.running(id)
		r.faults().down("Heartbeat", "Release", "Fail", "Succeed")
		ended(t, r, id, wait)
	})
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.bucket.reading = crawling
		id := r.upload(pcm(120), job.Settings{})
		hanging := &hangs{store: r.jobs, hang: make(chan struct{})}
		cfg := r.config()
		lease(&cfg)
		w, err := worker.New(cfg, worker.Deps{
			Jobs: hanging, Queue: r.queue, Hints: r.queue, Bucket: worker.BucketOf[worker.Source, worker.Sink](r.bucket), Convert: transcode.Convert,
		})
		if err != nil {
			t.Fatal(err)
		}
		wait := r.during(t.Context(), w, id)
		r.running(id)
		close(hanging.hang)
		ended(t, r, id, wait)
	})
}

// hangs is a store whose heartbeats are never answered from some time on.
type hangs struct {
	*store
	hang chan struct{}
}

func (h *hangs) Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error {
	select {
	case <-h.hang:
		<-ctx.Done()
		return ctx.Err()
	default:
		return h.store.Heartbeat(ctx, id, attempt, p, lease)
	}
}

// serve runs a queue's server with a worker until stop is called.
func serve(t *testing.T, at redisconn.Address, grace time.Duration, w *worker.Worker) (stop func() error) {
	t.Helper()
	s, err := queue.NewServer(at, queue.Convert, queue.ServerConfig{Grace: grace, Logger: discard}, w.Handle)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// TestShutdown: a job under way is handed back and not counted, and another worker
// begins it at once; with enough grace it is finished.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		grace time.Duration
	}{{"without grace", -1}, {"with grace", 10 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			client, redis := r.forward()
			r.bucket.reading = slowly
			id := r.upload(pcm(30), job.Settings{})
			if err := client.Convert(t.Context(), id, 0, 0); err != nil {
				t.Fatal(err)
			}
			stop := serve(t, redis, c.grace, r.worker(func(c *worker.Config) { c.Name = "first" }))
			r.running(id)
			began := time.Now()
			if err := stop(); err != nil {
				t.Error(err)
			}
			t.Logf("it stopped after %v", time.Since(began))
			j := r.get(id)
			if c.grace > 0 {
				if j.State != job.Succeeded || j.Attempt != 1 {
					t.Errorf("%+v", j)
				}
				r.holds(job.ResultKey(id, 1))
				return
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to stop", took)
			}
			if j.State != job.Queued || j.Attempt != 1 || j.Tries != 0 || j.Failure != nil || j.Worker != "" {
				t.Errorf("handed back: %+v", j)
			}
			r.asked("convert " + id + "/1")
			r.holds(job.SourceKey(id))
			serve(t, redis, 0, r.worker(func(c *worker.Config) { c.Name = "second" }))
			eventually(t, "another worker finishes it", func() bool { return r.get(id).State == job.Succeeded })
			if j := r.get(id); j.Attempt != 2 || j.Tries != 1 {
				t.Errorf("%+v", j)
			}
			eventually(t, "the source is removed", func() bool { return len(r.objects()) == 1 })
			r.holds(job.ResultKey(id, 2))
		})
	}
}

// TestShutdownAtTheEnd: whoever has an MP3 when he is to stop delivers it.
func TestShutdownAtTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	ctx, cancel := context.WithCancelCause(t.Context())
	r.faults().set("Committed", func() error { cancel(errors.New("enough")); return nil })
	if err := r.worker().Handle(ctx, id, 0); err != nil {
		t.Fatal(err)
	}
	if j := r.get(id); j.State != job.Succeeded {
		t.Errorf("%s", j.State)
	}
	r.asked("notify " + id + "/1")
	r.holds(job.ResultKey(id, 1))
}

// TestShutdownAtTheBeginning: a claim whose answer comes when the process is about to end
// is heard, and the job handed back: it need not wait until its lease passes.
func TestShutdownAtTheBeginning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	ctx, cancel := context.WithCancelCause(t.Context())
	r.faults().set("Claimed", func() error { cancel(errors.New("enough")); return nil })
	if err := r.worker().Handle(ctx, id, 0); err != nil {
		t.Fatal(err)
	}
	if j := r.get(id); j.State != job.Queued || j.Attempt != 1 || j.Tries != 0 {
		t.Errorf("%+v", j)
	}
	r.asked("convert " + id + "/1")
	// Once it is over nothing is begun.
	other := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	if err := r.worker().Handle(ctx, other, 0); err == nil {
		t.Error("done, though it was over")
	}
	if j := r.get(other); j.State != job.Queued || j.Attempt != 0 {
		t.Errorf("%+v", j)
	}
}
