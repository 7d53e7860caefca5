package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/rate"
	"github.com/mp3lathe/mp3lathe/job"
)

// Deps are the parts that a gateway works with. All but Departures, Limiter, Queues, Checks,
// Logger and Metrics are needed.
type Deps struct {
	Jobs   Jobs
	Keys   Keys
	Queue  Queue
	Hints  Hints
	Bucket Bucket
	Tokens Verifier
	Links  LinkVerifier
	// Departures of users. nil: the gateway does not take any.
	Departures Departures
	// Limiter counts requests. nil is no limit.
	Limiter Limiter
	// Queues is a page about the queues, for administrators, who find it at [QueuesPath].
	// nil: there is none.
	Queues http.Handler
	// Checks of /readyz, by the name of the part. nil is none.
	Checks map[string]httpapi.Check
	// Logger of requests and of what goes wrong behind them. nil logs nothing.
	Logger *slog.Logger
	// Metrics gets the gateway's counters; nil is nobody.
	Metrics prometheus.Registerer
}

// Jobs keeps the jobs. Its errors wrap [job.ErrNotFound] and [job.ErrConflict].
type Jobs interface {
	JobReader
	JobMaker
	JobEnder
	Twins
	Accountant
	Auditor
}

// JobReader finds jobs.
type JobReader interface {
	Get(ctx context.Context, id string) (job.Job, error)
	List(ctx context.Context, q job.Query) ([]job.Job, error)
	// Position of a queued job; 1 is the next.
	Position(ctx context.Context, id string) (int, error)
}

// Accountant knows what users take up.
type Accountant interface {
	// Usage counts waiting jobs up to most.
	Usage(ctx context.Context, owner string, most int) (job.Usage, error)
	// Spend counts bytes of an upload, unless it would be more than allowed for a day.
	Spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error)
	PurgeUsage(ctx context.Context) error
}

// Auditor keeps what administrators did to the jobs of others.
type Auditor interface {
	// NoteAct does nothing if an act with the same Once was noted before.
	NoteAct(ctx context.Context, a job.Act) error
	Acts(ctx context.Context, q job.ActQuery) ([]job.Act, error)
}

// JobMaker queues jobs.
type JobMaker interface {
	// Submit and RetryOnce do it under the key of the request, if it has one: the
	// error wraps [job.ErrLost] if its holder has lost it. Submit's wraps [job.ErrTwin]
	// if there is a job of the same twin.
	Submit(ctx context.Context, j job.Submission) (job.Job, error)
	RetryOnce(ctx context.Context, id string, k *job.Keyed) (job.Job, error)
	// Quarantined reports whether a file, by the SHA-256 of its bytes, is one with
	// which conversions have crashed.
	Quarantined(ctx context.Context, sha256 string) (bool, error)
}

// Twins finds the jobs that may answer later submissions.
type Twins interface {
	// Twin's error wraps [job.ErrNotFound] if there is none.
	Twin(ctx context.Context, twin string) (job.Job, error)
	// Join has a job answer a submission. The error wraps [job.ErrConflict] if it may
	// not (any more), and [job.ErrLost] as that of Submit.
	Join(ctx context.Context, id string, j job.Submission) (job.Job, error)
	// Displace keeps a job that is not active from answering.
	Displace(ctx context.Context, id, twin string) error
}

// Keys remembers requests that have a key, and what was answered to them.
type Keys interface {
	KeyHolder
	// ClaimKey gives the key to the request, or says what is known of it.
	ClaimKey(ctx context.Context, k job.Keyed, lease time.Duration) (job.KeyRecord, bool, error)
	PurgeKeys(ctx context.Context, limit int) (int, error)
}

// KeyHolder is what whoever holds a key does with it. The errors wrap [job.ErrLost] if
// he does not hold it any more.
type KeyHolder interface {
	HoldKey(ctx context.Context, k job.RequestKey, lease time.Duration) error
	AnswerKey(ctx context.Context, k job.Keyed, a job.Answer) error
	FreeKey(ctx context.Context, k job.RequestKey) error
}

// JobEnder cancels jobs that are active and removes those that are not.
type JobEnder interface {
	Cancel(ctx context.Context, id string) (job.Job, error)
	Delete(ctx context.Context, id string) error
}

// Queue tells the workers of a job.
type Queue interface {
	// Enqueue queues a job's next attempt, when it is its owner's turn.
	Enqueue(ctx context.Context, j job.Job) error
}

// Limiter counts requests by who makes them. It lets them through if it cannot.
type Limiter interface {
	Take(ctx context.Context, key string, limit rate.Limit) rate.Verdict
}

// Hints carries news that a job may have changed. They may be lost.
type Hints interface {
	Publish(ctx context.Context, id string) error
	// Subscribe calls f with the ID of each job that may have changed, and with ""
	// if any may have, until ctx is done.
	Subscribe(ctx context.Context, f func(id string)) error
}

// Verifier checks access tokens. Its errors wrap those of package token.
type Verifier interface {
	Verify(ctx context.Context, raw string) (token.Claims, error)
}

// LinkVerifier checks signed links. Its errors wrap those of package link.
type LinkVerifier interface {
	Verify(jobID, expires, signature string, now time.Time) error
}

// Writer is an object on its way into the bucket. It is there after Commit and
// leaves nothing behind after Abort, which may follow Commit and then does nothing.
type Writer interface {
	io.Writer
	Commit() error
	Abort()
}

// Reader reads an object of the bucket.
type Reader interface {
	io.ReadSeekCloser
	// Size of the object in bytes.
	Size() int64
}

// ObjectStore is a bucket whose writers and readers are W and R.
type ObjectStore[W Writer, R Reader] interface {
	ObjectOpener[W, R]
	ObjectRemover
}

// ObjectOpener makes and opens objects.
type ObjectOpener[W Writer, R Reader] interface {
	// CreateSequential begins an object that is written from beginning to end.
	CreateSequential(ctx context.Context, key string) (W, error)
	// NewReader opens an object; the error wraps [io/fs.ErrNotExist] if there is
	// none.
	NewReader(ctx context.Context, key string) (R, error)
	Exists(ctx context.Context, key string) (bool, error)
	// Ping reports whether the bucket can be reached.
	Ping(ctx context.Context) error
}

// ObjectRemover removes objects; what is not there counts as removed.
type ObjectRemover interface {
	Delete(ctx context.Context, key string) error
	DeletePrefix(ctx context.Context, prefix string) error
}

// Bucket is where uploads and results lie. [BucketOf] makes one of anything with
// the methods of an [ObjectStore].
type Bucket struct {
	create func(context.Context, string) (Writer, error)
	open   func(context.Context, string) (Reader, error)
	exists func(context.Context, string) (bool, error)
	ping   func(context.Context) error
	ObjectRemover
}

// BucketOf returns s as a [Bucket].
func BucketOf[W Writer, R Reader](s ObjectStore[W, R]) Bucket {
	return Bucket{
		create: func(ctx context.Context, key string) (Writer, error) {
			w, err := s.CreateSequential(ctx, key)
			if err != nil {
				return nil, err
			}
			return w, nil
		},
		open: func(ctx context.Context, key string) (Reader, error) {
			r, err := s.NewReader(ctx, key)
			if err != nil {
				return nil, err
			}
			return r, nil
		},
		exists:        s.Exists,
		ping:          s.Ping,
		ObjectRemover: s,
	}
}
