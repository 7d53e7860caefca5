// Package jobs says what a store of jobs is, whatever database keeps it: SQL in package
// jobstore, MongoDB in package jobstore/mongo. The tests of package jobstore run on all of
// them. What each method does stands there, at jobstore.Store.
//
// Services that need a part of it say so themselves; this is for those who hand the whole
// on.
package jobs

import (
	"context"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// Store keeps jobs. Its methods may be called by many at a time.
type Store interface {
	Rows
	Attempts
	Keys
	Sweep
	Notices
	Turns
	Quarantine
	Usage
	Audit

	// Waiting tells what is queued, by lane.
	Waiting(ctx context.Context) (map[job.Lane]job.Waiting, error)
	// Census counts all jobs by state.
	Census(ctx context.Context) (map[job.State]int64, error)
	// WithWindow returns the same store for those who give the users turns: what it
	// queues waits for Place, which gives a place in the queue to at most so many queued
	// jobs of each user. 0 gives a place to all at once.
	WithWindow(jobs int) Store
}

// Rows makes, finds, ends and removes jobs.
type Rows interface {
	Insert(ctx context.Context, j job.Job) (job.Job, error)
	Adopt(ctx context.Context, j job.Job, retention time.Duration) (job.Job, error)
	Submit(ctx context.Context, j job.Submission) (job.Job, error)
	Twin(ctx context.Context, twin string) (job.Job, error)
	Join(ctx context.Context, id string, j job.Submission) (job.Job, error)
	Displace(ctx context.Context, id, twin string) error
	Get(ctx context.Context, id string) (job.Job, error)
	List(ctx context.Context, q job.Query) ([]job.Job, error)
	Position(ctx context.Context, id string) (int, error)
	Cancel(ctx context.Context, id string) (job.Job, error)
	Retry(ctx context.Context, id string) (job.Job, error)
	Delete(ctx context.Context, id string) error
}

// Attempts are what workers do.
type Attempts interface {
	Claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error)
	Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error
	Succeed(ctx context.Context, id string, attempt int, r job.Result, retention time.Duration) (job.Job, error)
	Fail(ctx context.Context, id string, attempt int, f job.Failure, retention time.Duration) (job.Job, error)
	Release(ctx context.Context, id string, attempt int, after time.Duration, why *job.Failure) (job.Job, error)
	Crashed(ctx context.Context, id string, attempt int, after time.Duration, why job.Failure) (job.Job, error)
}

// Keys remembers requests that have a key.
type Keys interface {
	ClaimKey(ctx context.Context, k job.Keyed, lease time.Duration) (job.KeyRecord, bool, error)
	HoldKey(ctx context.Context, k job.RequestKey, lease time.Duration) error
	AnswerKey(ctx context.Context, k job.Keyed, a job.Answer) error
	FreeKey(ctx context.Context, k job.RequestKey) error
	PurgeKeys(ctx context.Context, n int) (int, error)
	RetryOnce(ctx context.Context, id string, k *job.Keyed) (job.Job, error)
}

// Sweep finds and changes what needs something done.
type Sweep interface {
	Overdue(ctx context.Context, stale time.Duration, n int) ([]job.Job, error)
	Enqueued(ctx context.Context, id string, attempt int) error
	Lost(ctx context.Context, n int) ([]job.Job, error)
	Requeue(ctx context.Context, id string, attempt int, why job.Failure) (job.Job, error)
	GiveUp(ctx context.Context, id string, attempt int, why job.Failure, retention time.Duration) (job.Job, error)
	Untold(ctx context.Context, stale time.Duration, n int) ([]job.Job, error)
	Expirable(ctx context.Context, n int) ([]job.Job, error)
	Expire(ctx context.Context, id string) (job.Job, error)
	Purge(ctx context.Context, keep time.Duration, n int) (int, error)
	States(ctx context.Context, ids []string) (map[string]job.Standing, error)
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error)
	Unlease(ctx context.Context, name, holder string) error
	Identity(ctx context.Context) (id string, walks int64, err error)
	CountWalk(ctx context.Context) error
}

// Notices is the telling of ends.
type Notices interface {
	ClaimNotice(ctx context.Context, id string, lease time.Duration) (job.Job, error)
	Notified(ctx context.Context, id string, attempt int, failure string) error
	ReleaseNotice(ctx context.Context, id string) error
}

// Turns gives places in the queue.
type Turns interface {
	Place(ctx context.Context, owner string) ([]job.Job, error)
	WaitingOwners(ctx context.Context, after string) (turn []string, last string, err error)
}

// Quarantine keeps the files that crash.
type Quarantine interface {
	CountCrash(ctx context.Context, sha256, id string, attempt int, code job.Code) (int, error)
	Crashes(ctx context.Context, key string) (int, error)
	Quarantined(ctx context.Context, sha256 string) (bool, error)
	Suspects(ctx context.Context, n int) ([]job.Suspect, error)
	Pardon(ctx context.Context, sha256 string) error
	ForgetCrashes(ctx context.Context, keep time.Duration) (int, error)
}

// Usage is what users take up.
type Usage interface {
	Usage(ctx context.Context, owner string, most int) (job.Usage, error)
	Spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error)
	PurgeUsage(ctx context.Context) error
}

// Audit keeps what administrators did to the jobs of others.
type Audit interface {
	NoteAct(ctx context.Context, a job.Act) error
	Acts(ctx context.Context, q job.ActQuery) ([]job.Act, error)
	PurgeActs(ctx context.Context, keep time.Duration, n int) (int, error)
}

// Departures keeps whose jobs are to be removed because their accounts were deleted.
type Departures interface {
	Depart(ctx context.Context, owner string) error
	Due(ctx context.Context, limit int) ([]job.Departure, error)
	Again(ctx context.Context, owner string, after time.Duration) error
	Forget(ctx context.Context, owner string) error
}
