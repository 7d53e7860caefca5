package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// TestBucketFaults: what is wrong with the bucket is our fault: the job is tried
// again, later and later, and fails in the end.
func TestBucketFaults(t *testing.T) {
	t.Parallel()
	full := fmt.Errorf("%s: %w", secret, syscall.ENOSPC)
	for _, c := range []struct {
		method string
		err    error
	}{
		{"NewReader", errDown},
		{"Read", errDown},
		{"Read", fmt.Errorf("%s: %w", secret, io.EOF)}, // a connection that ended is no end of file
		{"Read", fmt.Errorf("%s: %w", secret, io.ErrUnexpectedEOF)},
		{"Read", context.DeadlineExceeded}, // the bucket's own
		{"Create", errDown},
		{"Create", &fs.PathError{Op: "open", Path: secret, Err: fs.ErrNotExist}}, // not the source
		{"Write", errDown},
		{"Write", fs.ErrNotExist},
		{"Commit", errDown},
		{"Committed", errDown}, // the answer was lost
		{"Create", full},
		{"Write", full},
		{"Commit", full},
	} {
		code := job.Storage
		if errors.Is(c.err, full) {
			code = job.StorageFull
		}
		t.Run(fmt.Sprint(c.method, " ", c.err), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
			w := r.worker()
			r.faults().set(c.method, func() error { return c.err })
			for try := 1; try <= 2; try++ {
				r.handle(w, id)
				j := r.get(id)
				if j.State != job.Queued || j.Tries != try || j.Failure == nil || j.Failure.Code != code || j.Failure.Detail != "" {
					t.Fatalf("after try %d: %s, %d tries, %+v", try, j.State, j.Tries, j.Failure)
				}
				// 8 s and 16 s, a quarter more or less, and the time of the test.
				want := 8 * time.Second << (try - 1)
				after := r.queue.after[0]
				if after < want*3/4 || after > want*5/4 {
					t.Errorf("again after %v, want %v", after, want)
				}
				if d := time.Until(j.NotBefore) - after; d > time.Second || d < -10*time.Second {
					t.Errorf("the row says after %v, the queue %v", time.Until(j.NotBefore), after)
				}
				r.asked(fmt.Sprintf("convert %s/%d", id, try))
				r.holds(job.SourceKey(id))
			}
			r.handle(w, id)
			if j := r.get(id); j.State != job.Failed || j.Failure.Code != code {
				t.Fatalf("after all tries: %s, %+v", j.State, j.Failure)
			}
			r.asked("notify " + id + "/3")
			r.holds(job.SourceKey(id))
		})
	}
}

// TestStorageIsBack: a fault that has gone leaves no trace.
func TestStorageIsBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	w := r.worker()
	r.faults().down("Write")
	r.handle(w, id)
	r.faults().clear()
	r.handle(w, id)
	j := r.get(id)
	if j.State != job.Succeeded || j.Failure != nil || j.Attempt != 2 {
		t.Errorf("%+v", j)
	}
	r.holds(job.ResultKey(id, 2))
}

func TestSourceMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker()
	gone := r.upload(nil, job.Settings{})
	if err := r.bucket.Delete(t.Context(), job.SourceKey(gone)); err != nil {
		t.Fatal(err)
	}
	r.handle(w, gone)
	// On S3 it can go while it is read.
	going := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().set("Read", func() error { return fs.ErrNotExist })
	r.handle(w, going)
	for _, id := range []string{gone, going} {
		if j := r.get(id); j.State != job.Failed || j.Failure.Code != job.SourceMissing {
			t.Errorf("%s, %+v", j.State, j.Failure)
		}
	}
	r.asked("notify "+gone+"/1", "notify "+going+"/1")
}

// TestLargeTags: a header frame that is out of the sink's reach.
func TestLargeTags(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Seek")
	r.handle(r.worker(), id)
	j := r.get(id)
	if j.State != job.Failed || j.Failure.Code != job.Limit || !strings.Contains(j.Failure.Detail, "no-cover") {
		t.Errorf("%s, %+v", j.State, j.Failure)
	}
	checkWords(t, j.Failure)

	// At the end of its context a sink can't seek either, and that is no fault.
	id = r.upload(fixture(t, "phone.3gp"), job.Settings{})
	ctx, cancel := context.WithCancel(t.Context())
	r.faults().set("Seek", func() error { cancel(); return context.Canceled })
	if err := r.worker().Handle(ctx, id, 0); err != nil {
		t.Fatal(err)
	}
	if j := r.get(id); j.State != job.Queued || j.Tries != 0 {
		t.Errorf("%s after %d tries, %+v", j.State, j.Tries, j.Failure)
	}
}

// TestDatabaseDownAtClaim: nobody can say what is to be done; the queue keeps the
// task.
func TestDatabaseDownAtClaim(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Claim")
	if err := r.worker().Handle(t.Context(), id, 0); !errors.Is(err, errDown) {
		t.Errorf("error %v", err)
	}
	if j := r.get(id); j.State != job.Queued || j.Attempt != 0 {
		t.Errorf("%+v", j)
	}
}

// TestDatabaseDownAtEnd: a conversion is not lost because the database was away for
// a moment, or because its answer was.
func TestDatabaseDownAtEnd(t *testing.T) {
	t.Parallel()
	for method, file := range map[string]string{
		"Succeed": "phone.3gp", "Succeeded": "phone.3gp", "Fail": "media/bad-text.mp4", "Release": "phone.3gp",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.upload(fixture(t, file), job.Settings{})
			r.faults().set(method, times(3, errDown))
			if method == "Release" {
				r.faults().down("Write")
			}
			r.handle(r.worker(), id)
			j := r.get(id)
			switch method {
			case "Fail":
				if j.State != job.Failed || j.Failure.Code != job.InvalidData {
					t.Errorf("%s, %+v", j.State, j.Failure)
				}
				r.asked("notify " + id + "/1")
			case "Release":
				if j.State != job.Queued || j.Failure.Code != job.Storage {
					t.Errorf("%s, %+v", j.State, j.Failure)
				}
				r.asked("convert " + id + "/1")
			default:
				if j.State != job.Succeeded {
					t.Errorf("%s, %+v", j.State, j.Failure)
				}
				r.asked("notify " + id + "/1")
				r.holds(j.Result.Key)
			}
		})
	}
}

// TestDatabaseDownForGood: then the handler says so, not before the lease is over,
// and keeps the MP3, for the row may say that it is there.
func TestDatabaseDownForGood(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Succeed", "Heartbeat")
	began := time.Now()
	const lease = 3 * time.Second // longer than a busy machine needs for the conversion
	err := r.worker(func(c *worker.Config) { c.Lease = lease }).Handle(t.Context(), id, 0)
	if !errors.Is(err, errDown) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took < lease || took > 5*lease {
		t.Errorf("it took %v", took)
	}
	r.holds(job.ResultKey(id, 1), job.SourceKey(id))
	r.asked()

	// The rest is the sweeper's: the next attempt wins.
	r.faults().clear()
	if _, err := r.sweeper().Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.asked("convert "+id+"/1", "convert "+id+"/1") // as lost, and as overdue
	r.handle(r.worker(), id)
	if j := r.get(id); j.State != job.Succeeded || j.Result.Key != job.ResultKey(id, 2) {
		t.Errorf("%+v", j)
	}
}

// TestQueueDown: the row says it all the same; the sweeper tells the queue later.
func TestQueueDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good, bad := r.upload(fixture(t, "phone.3gp"), job.Settings{}), r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Convert", "Notify", "Publish")
	r.handle(r.worker(), good)
	r.faults().down("Commit")
	r.handle(r.worker(), bad)
	if r.get(good).State != job.Succeeded || r.get(bad).State != job.Queued {
		t.Errorf("states %s, %s", r.get(good).State, r.get(bad).State)
	}
}

// TestDeleteFails: a source that cannot be removed harms nothing.
func TestDeleteFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Delete")
	r.handle(r.worker(), id)
	if j := r.get(id); j.State != job.Succeeded {
		t.Errorf("%s", j.State)
	}
	r.asked("notify " + id + "/1")
	r.holds(job.SourceKey(id), job.ResultKey(id, 1))
}

// TestLostAtTheEnd: what an attempt made that did not win is thrown away.
func TestLostAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*rig, string) error{
		"canceled": func(r *rig, id string) error { _, err := r.jobs.Cancel(r.t.Context(), id); return err },
		"deleted": func(r *rig, id string) error {
			_, err := r.jobs.Cancel(r.t.Context(), id)
			return errors.Join(err, r.jobs.Delete(r.t.Context(), id))
		},
		"released": func(r *rig, id string) error {
			_, err := r.jobs.Store.Release(r.t.Context(), id, 1, 0, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
			var err error
			r.faults().set("Committed", func() error { err = take(r, id); return nil })
			r.handle(r.worker(func(c *worker.Config) { c.Heartbeat = c.Lease / 5 }), id)
			if err != nil {
				t.Fatal(err)
			}
			r.asked()
			r.holds(job.SourceKey(id)) // the gateway removes it, or another attempt needs it
		})
	}
}

// TestTimeout ends an attempt that takes too long, for good.
func TestTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bucket.reading = crawling
	id := r.upload(pcm(120), job.Settings{})
	began := time.Now()
	r.handle(r.worker(func(c *worker.Config) { c.Timeout = 200 * time.Millisecond }), id)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if j := r.get(id); j.State != job.Failed || j.Failure.Code != job.TimedOut || j.Failure.Detail != "" {
		t.Errorf("%s, %+v", j.State, j.Failure)
	}
	r.asked("notify " + id + "/1")
	r.holds(job.SourceKey(id))
}

// TestPanic: whatever happens within an attempt, nothing half made is left, and no
// heartbeat goes on for a job that nobody does.
func TestPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(pcm(60), job.Settings{})
	r.faults().set("Write", func() error { panic("a bug") })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone: the queue is to log it")
			}
		}()
		_ = r.worker(func(c *worker.Config) { c.Lease = time.Second }).Handle(t.Context(), id, 0)
	}()
	r.holds(job.SourceKey(id))
	r.faults().clear()
	eventually(t, "the job counts as lost", func() bool {
		report, err := r.sweeper().Sweep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return report.Requeued == 1
	})
	if j := r.get(id); j.State != job.Queued || j.Failure.Code != job.WorkerLost {
		t.Errorf("%+v", j)
	}
}

// TestLog: logs name jobs and not what is in them; the errors' inside
// stands in the log, for operators, and not in the row.
func TestLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "phone.3gp"), job.Settings{})
	r.faults().down("Commit")
	r.handle(r.worker(), id)
	r.faults().clear()
	r.handle(r.worker(), id)
	log := r.log.String()
	for _, want := range []string{"level=WARN", secret, "code=storage_unavailable", "attempt=2", "msg=succeeded", id} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not have %q", want)
		}
	}
	for _, word := range []string{"ada@example.com", "talk.mp4"} {
		if strings.Contains(log, word) {
			t.Errorf("the log has %q", word)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "out", id, "2.mp3")); err != nil {
		t.Error(err)
	}
}
