package worker

import (
	"context"
	"io"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// Deps are the parts that a worker works with; all are needed.
type Deps struct {
	Jobs   Jobs
	Queue  Queue
	Hints  Publisher
	Bucket Bucket
	// Convert is [transcode.Convert], or that of a cage.
	Convert Converter
}

// Converter converts a source. Its error is an [*transcode.Error], or a [*cage.Fault]
// if the process that converted has ended out of order.
type Converter func(ctx context.Context, dst io.Writer, src io.ReadSeeker, opts *transcode.Options) (*transcode.Result, error)

// Jobs keeps the jobs. Whoever does not hold a job (any more) is refused with an
// error that wraps [job.ErrLost].
type Jobs interface {
	Claimer
	Ender
	Quarantine
}

// Claimer takes jobs, holds them and brings them to success.
type Claimer interface {
	// Claim's error wraps [job.ErrConflict] if the job is not queued and
	// [job.ErrNotFound] if there is none.
	Claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error)
	Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error
	// Succeed is no error if it is said again.
	Succeed(ctx context.Context, id string, attempt int, r job.Result, retention time.Duration) (job.Job, error)
}

// Ender ends attempts that have not succeeded.
type Ender interface {
	Fail(ctx context.Context, id string, attempt int, f job.Failure, retention time.Duration) (job.Job, error)
	// Release queues the job again; with a nil why the attempt does not count.
	Release(ctx context.Context, id string, attempt int, after time.Duration, why *job.Failure) (job.Job, error)
}

// Quarantine keeps the files with which conversions have crashed.
type Quarantine interface {
	// CountCrash returns how many attempts at a file have crashed. One counts once.
	CountCrash(ctx context.Context, sha256, id string, attempt int, code job.Code) (int, error)
	// Crashed queues the job again; the attempt does not count as a try.
	Crashed(ctx context.Context, id string, attempt int, after time.Duration, why job.Failure) (job.Job, error)
	// Quarantined reports whether a file has crashed too often to be tried again.
	Quarantined(ctx context.Context, sha256 string) (bool, error)
}

// Queue tells workers and notifiers of a job; attempt is the number made so far.
type Queue interface {
	Convert(ctx context.Context, id string, attempt int, after time.Duration) error
	Notify(ctx context.Context, id string, attempt int) error
}

// Publisher tells that a job has changed. It may fail; nothing depends on it.
type Publisher interface {
	Publish(ctx context.Context, id string) error
}

// Source is an upload.
type Source interface {
	io.ReadSeekCloser
	// BytesRead from the bucket so far.
	BytesRead() int64
}

// Sink is an MP3 on its way into the bucket. It is there after Commit and leaves
// nothing behind after Abort, which may follow Commit and then does nothing.
type Sink interface {
	io.WriteSeeker
	Commit() error
	Abort()
}

// ObjectStore is a bucket whose readers and writers are R and W.
type ObjectStore[R Source, W Sink] interface {
	// NewReader opens an object; the error wraps [io/fs.ErrNotExist] if there is
	// none.
	NewReader(ctx context.Context, key string) (R, error)
	// Create begins an object.
	Create(ctx context.Context, key string) (W, error)
	// Delete removes an object; what is not there counts as removed.
	Delete(ctx context.Context, key string) error
}

// Bucket is where uploads and results lie. [BucketOf] makes one of anything with
// the methods of an [ObjectStore].
type Bucket struct {
	open   func(ctx context.Context, key string) (Source, error)
	create func(ctx context.Context, key string) (Sink, error)
	remove func(ctx context.Context, key string) error
}

// BucketOf returns s as a [Bucket].
func BucketOf[R Source, W Sink](s ObjectStore[R, W]) Bucket {
	return Bucket{
		open: func(ctx context.Context, key string) (Source, error) {
			r, err := s.NewReader(ctx, key)
			if err != nil {
				return nil, err
			}
			return r, nil
		},
		create: func(ctx context.Context, key string) (Sink, error) {
			w, err := s.Create(ctx, key)
			if err != nil {
				return nil, err
			}
			return w, nil
		},
		remove: s.Delete,
	}
}
