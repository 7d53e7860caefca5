package worker_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// caged makes the rig's workers convert in a cage.
func (r *rig) caged(cfg cage.Config) {
	r.t.Helper()
	if cfg.Memory == 0 {
		cfg.Memory = 256 << 20
	}
	c, err := cage.New(r.t.Context(), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	r.convert = c.Convert
}

// TestCrash: each planted fault ends its own job only, by its right code, and the
// file is quarantined at the second crash; nobody tries it a third time.
func TestCrash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.caged(cage.Config{CPU: 4 * time.Second, Silence: 10 * time.Second})
	w := r.worker()
	t.Run("each", func(t *testing.T) { r.crashes(t, w) })
	for _, key := range r.objects() { // sources of jobs that have failed stay; MP3s of theirs do not
		if id, _ := job.OwnerOfKey(key); r.get(id).State != job.Succeeded && key != job.SourceKey(id) {
			t.Errorf("%s is left", key)
		}
	}
}

func (r *rig) crashes(t *testing.T, w *worker.Worker) {
	codes := map[cage.Kind]job.Code{
		cage.Crashed: job.Crashed, cage.Forbidden: job.Crashed, cage.Lied: job.Crashed,
		cage.OutOfMemory: job.OutOfMemory, cage.TimedOut: job.TimedOut,
	}
	good := fixture(t, "phone.3gp")
	for f, kind := range planted.Faults() {
		if f == planted.Flood {
			continue // up to 4 GiB of MP3; TestFaults of package cage has it
		}
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			r := r.of(t)
			source, code := planted.Source(f, ""), codes[kind]
			opts := job.Settings{}
			id, fine := r.upload(source, opts), r.upload(good, opts)
			var g sync.WaitGroup
			g.Go(func() { r.handle(w, fine) })
			r.handle(w, id)
			g.Wait()
			if j := r.get(fine); j.State != job.Succeeded {
				t.Errorf("the job beside it: %s, %+v", j.State, j.Failure)
			}
			j := r.get(id)
			if code == job.TimedOut { // it would take as long again
				if j.State != job.Failed || j.Failure.Code != code {
					t.Fatalf("%s, %+v", j.State, j.Failure)
				}
				id = r.upload(source, opts)
			} else if j.State != job.Queued || j.Failure == nil || j.Failure.Code != code || j.Tries != 0 || j.Attempt != 1 {
				t.Fatalf("after the first crash: %s, %d tries, %+v", j.State, j.Tries, j.Failure)
			}
			r.handle(w, id)
			if j := r.get(id); j.State != job.Failed || j.Failure.Code != code || j.Failure.Detail != "" {
				t.Fatalf("after the second: %s, %+v", j.State, j.Failure)
			}
			// The same bytes, from whomever: the converter is not asked.
			id = r.upload(source, opts)
			r.handle(w, id)
			if j := r.get(id); j.State != job.Failed || j.Failure.Code != job.Quarantined {
				t.Errorf("the third: %s, %+v", j.State, j.Failure)
			}
		})
	}
}

// TestQuarantinedUnread: a quarantined file is not even opened.
func TestQuarantinedUnread(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.convert = func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
		t.Error("the file is converted")
		return nil, transcode.ErrNoAudio
	}
	id := r.upload([]byte("evil"), job.Settings{})
	for attempt := range job.QuarantineAfter {
		if _, err := r.jobs.CountCrash(t.Context(), r.get(id).SourceSHA256, id, attempt, job.Crashed); err != nil {
			t.Fatal(err)
		}
	}
	r.faults().down("NewReader")
	r.handle(r.worker(), id)
	if j := r.get(id); j.State != job.Failed || j.Failure.Code != job.Quarantined {
		t.Errorf("%s, %+v", j.State, j.Failure)
	}
	// Long after, it is given another chance.
	s := r.sweeper(func(c *worker.Config) { c.Sweep.Keep = time.Nanosecond })
	report, err := s.Sweep(t.Context())
	if err != nil || report.Pardoned != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestCrashUncounted: while the database cannot be told of a crash, the attempt is
// neither a crash nor a try too many, and the next one counts.
func TestCrashUncounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.convert = func(context.Context, io.Writer, io.ReadSeeker, *transcode.Options) (*transcode.Result, error) {
		return nil, &cage.Fault{Kind: cage.Crashed, Detail: secret}
	}
	id := r.upload([]byte("evil"), job.Settings{})
	r.faults().set("CountCrash", times(2, errDown)) // it asks again
	w := r.worker()
	r.handle(w, id)
	if j := r.get(id); j.State != job.Queued || j.Tries != 0 {
		t.Errorf("%s, %d tries, %+v", j.State, j.Tries, j.Failure)
	}
	r.handle(w, id)
	if j := r.get(id); j.State != job.Failed || j.Failure.Code != job.Crashed {
		t.Errorf("%s, %+v", j.State, j.Failure)
	}
}

// TestHandedBackFromCage: the end of the worker's process ends the child, and is no
// crash.
func TestHandedBackFromCage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.caged(cage.Config{})
	id := r.upload(planted.Source(planted.Spin, ""), job.Settings{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	if err := r.worker().Handle(ctx, id, 0); err != nil {
		t.Fatal(err)
	}
	if j := r.get(id); j.State != job.Queued || j.Tries != 0 || j.Failure != nil {
		t.Errorf("%s, %d tries, %+v", j.State, j.Tries, j.Failure)
	}
	all, err := r.jobs.Suspects(t.Context(), 10)
	if err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestOverrun: an attempt that takes longer than it may counts against its file.
func TestOverrun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.caged(cage.Config{})
	w := r.worker(func(c *worker.Config) { c.Timeout = 300 * time.Millisecond })
	var codes []job.Code
	for range 3 {
		id := r.upload(planted.Source(planted.Spin, "overrun"), job.Settings{})
		r.handle(w, id)
		codes = append(codes, r.get(id).Failure.Code)
	}
	if want := []job.Code{job.TimedOut, job.TimedOut, job.Quarantined}; !slices.Equal(codes, want) {
		t.Errorf("%q", codes)
	}
}
