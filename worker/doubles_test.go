package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// secret stands in all errors that tests make, and in nothing that a user sees.
const secret = "dial tcp 10.9.8.7:9000"

var errDown = errors.New(secret + ": connection refused")

// faults are what a test lets go wrong, by the name of the method. A fault is called
// before the method, and an error of it is the method's answer.
type faults struct {
	mu sync.Mutex
	m  map[string]func() error
}

func (f *faults) set(method string, fault func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[string]func() error{}
	}
	f.m[method] = fault
}

func (f *faults) down(methods ...string) {
	for _, m := range methods {
		f.set(m, func() error { return errDown })
	}
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m = nil
}

func (f *faults) at(method string) error {
	f.mu.Lock()
	fault := f.m[method]
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault()
}

// times makes a fault of the first n calls.
func times(n int, err error) func() error {
	var mu sync.Mutex
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

// store is the store of jobs behind faults, and remembers the progress it was told.
type store struct {
	*jobstore.Store
	*faults

	mu       sync.Mutex
	progress []job.Progress
}

func (s *store) Claim(ctx context.Context, id, name string, lease time.Duration) (job.Job, error) {
	if err := s.at("Claim"); err != nil {
		return job.Job{}, err
	}
	j, err := s.Store.Claim(ctx, id, name, lease)
	if lost := s.at("Claimed"); lost != nil {
		return job.Job{}, lost
	}
	if err == nil {
		err = ctx.Err() // the answer of the database is not waited for
	}
	return j, err
}

func (s *store) Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error {
	if err := s.at("Heartbeat"); err != nil {
		return err
	}
	s.mu.Lock()
	s.progress = append(s.progress, p)
	s.mu.Unlock()
	return s.Store.Heartbeat(ctx, id, attempt, p, lease)
}

func (s *store) Succeed(ctx context.Context, id string, attempt int, r job.Result, retention time.Duration) (job.Job, error) {
	if err := s.at("Succeed"); err != nil {
		return job.Job{}, err
	}
	j, err := s.Store.Succeed(ctx, id, attempt, r, retention)
	if lost := s.at("Succeeded"); lost != nil {
		return job.Job{}, lost
	}
	return j, err
}

func (s *store) Fail(ctx context.Context, id string, attempt int, f job.Failure, retention time.Duration) (job.Job, error) {
	if err := s.at("Fail"); err != nil {
		return job.Job{}, err
	}
	return s.Store.Fail(ctx, id, attempt, f, retention)
}

func (s *store) Release(ctx context.Context, id string, attempt int, after time.Duration, why *job.Failure) (job.Job, error) {
	if err := s.at("Release"); err != nil {
		return job.Job{}, err
	}
	return s.Store.Release(ctx, id, attempt, after, why)
}

func (s *store) CountCrash(ctx context.Context, sha256, id string, attempt int, code job.Code) (int, error) {
	if err := s.at("CountCrash"); err != nil {
		return 0, err
	}
	return s.Store.CountCrash(ctx, sha256, id, attempt, code)
}

func (s *store) Requeue(ctx context.Context, id string, attempt int, why job.Failure) (job.Job, error) {
	if err := s.at("Requeue"); err != nil {
		return job.Job{}, err
	}
	return s.Store.Requeue(ctx, id, attempt, why)
}

func (s *store) GiveUp(ctx context.Context, id string, attempt int, why job.Failure, retention time.Duration) (job.Job, error) {
	if err := s.at("GiveUp"); err != nil {
		return job.Job{}, err
	}
	return s.Store.GiveUp(ctx, id, attempt, why, retention)
}

func (s *store) Lost(ctx context.Context, limit int) ([]job.Job, error) {
	if err := s.at("Lost"); err != nil {
		return nil, err
	}
	return s.Store.Lost(ctx, limit)
}

func (s *store) Overdue(ctx context.Context, stale time.Duration, limit int) ([]job.Job, error) {
	if err := s.at("Overdue"); err != nil {
		return nil, err
	}
	return s.Store.Overdue(ctx, stale, limit)
}

func (s *store) Untold(ctx context.Context, stale time.Duration, limit int) ([]job.Job, error) {
	if err := s.at("Untold"); err != nil {
		return nil, err
	}
	return s.Store.Untold(ctx, stale, limit)
}

func (s *store) Purge(ctx context.Context, keep time.Duration, limit int) (int, error) {
	if err := s.at("Purge"); err != nil {
		return 0, err
	}
	return s.Store.Purge(ctx, keep, limit)
}

func (s *store) States(ctx context.Context, ids []string) (map[string]job.Standing, error) {
	if err := s.at("States"); err != nil {
		return nil, err
	}
	return s.Store.States(ctx, ids)
}

// told returns the progress so far.
func (s *store) told() []job.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.progress)
}

// bucket is a bucket in a folder behind faults.
type bucket struct {
	*objstore.Bucket
	*faults

	// reading wraps the readers; nil does not.
	reading func(ctx context.Context, s worker.Source) worker.Source
}

func (b *bucket) NewReader(ctx context.Context, key string) (worker.Source, error) {
	if err := b.at("NewReader"); err != nil {
		return nil, err
	}
	r, err := b.Bucket.NewReader(ctx, key)
	if err != nil {
		return nil, err
	}
	src := worker.Source(faultySource{r, b})
	if b.reading != nil {
		src = b.reading(ctx, src)
	}
	return src, nil
}

func (b *bucket) Create(ctx context.Context, key string) (worker.Sink, error) {
	if err := b.at("Create"); err != nil {
		return nil, err
	}
	w, err := b.Bucket.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return faultySink{w, b}, nil
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	if err := b.at("Delete"); err != nil {
		return err
	}
	return b.Bucket.Delete(ctx, key)
}

func (b *bucket) DeletePrefix(ctx context.Context, prefix string) error {
	if err := b.at("DeletePrefix " + prefix); err != nil {
		return err
	}
	return b.Bucket.DeletePrefix(ctx, prefix)
}

// Objects is what the service's own adapter does.
func (b *bucket) Objects(ctx context.Context, prefix, after string, limit int) ([]worker.Object, error) {
	if err := b.at("Objects"); err != nil {
		return nil, err
	}
	found, err := b.List(ctx, prefix, after, limit)
	objects := make([]worker.Object, len(found))
	for i, o := range found {
		objects[i] = worker.Object{Key: o.Key, Age: time.Since(o.Modified)}
	}
	return objects, err
}

func (b *bucket) Mark(ctx context.Context) (string, error) {
	if err := b.at("Mark"); err != nil {
		return "", err
	}
	r, err := b.Bucket.NewReader(ctx, job.MarkKey)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

func (b *bucket) SetMark(ctx context.Context, text string) error {
	if err := b.at("SetMark"); err != nil {
		return err
	}
	w, err := b.Bucket.CreateSequential(ctx, job.MarkKey)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Commit()
}

type faultySource struct {
	worker.Source
	b *bucket
}

func (s faultySource) Read(p []byte) (int, error) {
	if err := s.b.at("Read"); err != nil {
		return 0, err
	}
	return s.Source.Read(p)
}

type faultySink struct {
	*objstore.Writer
	b *bucket
}

func (s faultySink) Write(p []byte) (int, error) {
	if err := s.b.at("Write"); err != nil {
		return 0, err
	}
	return s.Writer.Write(p)
}

func (s faultySink) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart { // the first asks where it is
		if err := s.b.at("Seek"); err != nil {
			return 0, err
		}
	}
	return s.Writer.Seek(offset, whence)
}

func (s faultySink) Commit() error {
	if err := s.b.at("Commit"); err != nil {
		return err
	}
	err := s.Writer.Commit()
	if lost := s.b.at("Committed"); lost != nil {
		return lost
	}
	return err
}

// tasks is a queue and a bus of hints that only remember, without repetitions as the
// real queue, if there are no faults.
type tasks struct {
	*faults

	mu      sync.Mutex
	calls   []string // "convert ID/ATTEMPT", "notify ID/ATTEMPT"
	after   []time.Duration
	hints   []string
	forward worker.Queue // also asked, if not nil
}

func (q *tasks) Convert(ctx context.Context, id string, attempt int, after time.Duration) error {
	if err := q.at("Convert"); err != nil {
		return err
	}
	q.mu.Lock()
	q.calls = append(q.calls, fmt.Sprintf("convert %s/%d", id, attempt))
	q.after = append(q.after, after)
	q.mu.Unlock()
	if q.forward != nil {
		return q.forward.Convert(ctx, id, attempt, after)
	}
	return nil
}

func (q *tasks) Notify(ctx context.Context, id string, attempt int) error {
	if err := q.at("Notify"); err != nil {
		return err
	}
	q.mu.Lock()
	q.calls = append(q.calls, fmt.Sprintf("notify %s/%d", id, attempt))
	q.mu.Unlock()
	if q.forward != nil {
		return q.forward.Notify(ctx, id, attempt)
	}
	return nil
}

func (q *tasks) Publish(_ context.Context, id string) error {
	if err := q.at("Publish"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hints = append(q.hints, id)
	return nil
}

// taken returns and forgets what was asked for since the last call.
func (q *tasks) taken() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	calls := q.calls
	q.calls, q.after = nil, nil
	return calls
}
