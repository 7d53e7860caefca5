// Package fair gives the users turns: of each user at most a few jobs that wait are
// in the queue at a time, and the others wait as rows until it is their turn. So who
// brings one job waits for a few of each of the others, and not for the thousand that
// somebody brought before.
//
// It stands between the services and the two that they would otherwise use as they
// are: the store of jobs ([Jobs]) and the queue ([Queue]).
//
//	turns := fair.New(store.WithWindow(1), client, logger)
//	turns.Jobs(), turns.Queue()
//
// Whenever a place comes free, because a worker has begun a job or somebody has
// canceled one, the owner's next job gets it, the one that has waited longest. Jobs that
// run are not counted: a user who is alone has all workers. The row is the truth: what
// is missed, by a process that dies say, is made good when the sweeper asks for what is
// overdue.
package fair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/job"
)

// turnTimeout bounds what is done for the next job while another one waits for it.
const turnTimeout = 3 * time.Second

// Store gives places in the queue.
type Store interface {
	Get(ctx context.Context, id string) (job.Job, error)
	// Place gives places to a user's jobs as far as there is room, and returns them.
	Place(ctx context.Context, owner string) ([]job.Job, error)
	// WaitingOwners are some of the users after another, those who have jobs without a
	// place and room for one. last is the user to go on after, "" at the end.
	WaitingOwners(ctx context.Context, after string) (turn []string, last string, err error)
}

// Teller tells the queue of a job that has a place.
type Teller interface {
	ConvertIn(ctx context.Context, lane job.Lane, id string, attempt int, after time.Duration) error
}

// Turns decides which job is next.
type Turns struct {
	store Store
	queue Teller
	log   *slog.Logger
}

// NewTurns returns the turns of a store and a queue.
func NewTurns(store Store, queue Teller, logger *slog.Logger) *Turns {
	return &Turns{store, queue, logger}
}

// Enqueue gives the owner of a queued job his turn, or tells the queue of the job if
// it has a place already.
func (t *Turns) Enqueue(ctx context.Context, j job.Job) error {
	if j.Waits {
		return t.Next(ctx, j.Owner)
	}
	return t.queue.ConvertIn(ctx, j.Lane, j.ID, j.Attempt, 0)
}

// Next gives a user his turn: the queue is told of as many of his jobs as find a place.
func (t *Turns) Next(ctx context.Context, owner string) error {
	next, err := t.store.Place(ctx, owner)
	errs := []error{err}
	for _, j := range next {
		// One that is not told of has its place, and is overdue after a while.
		errs = append(errs, t.queue.ConvertIn(ctx, j.Lane, j.ID, j.Attempt, 0))
	}
	return errors.Join(errs...)
}

// Convert asks for an attempt at a job, not before a time from now. One that waits for
// its owner's turn gets it when it may be attempted, for which the sweeper looks.
func (t *Turns) Convert(ctx context.Context, id string, attempt int, after time.Duration) error {
	j, err := t.store.Get(ctx, id)
	switch {
	case errors.Is(err, job.ErrNotFound), err == nil && j.State != job.Queued:
		return nil // it has gone on
	case err != nil:
		return fmt.Errorf("fair: %w", err)
	case !j.Waits:
		return t.queue.ConvertIn(ctx, j.Lane, id, attempt, after)
	}
	return t.Next(ctx, j.Owner)
}

// All gives every user his turn who has missed it.
func (t *Turns) All(ctx context.Context) error {
	for after := ""; ; {
		turn, last, err := t.store.WaitingOwners(ctx, after)
		if err != nil {
			return err
		}
		for _, owner := range turn {
			if err := t.Next(ctx, owner); err != nil {
				return err
			}
		}
		if last == "" {
			return nil
		}
		after = last
	}
}

// moved gives an owner his turn after a job of his has left the queue. What fails is for
// the sweeper.
func (t *Turns) moved(ctx context.Context, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnTimeout)
	defer cancel()
	if err := t.Next(ctx, owner); err != nil {
		t.log.WarnContext(ctx, "the next job of a user could not be queued; the sweeper will do it", "user", owner, "error", err)
	}
}

// Jobs is a store whose changes give turns.
type Jobs struct {
	jobs.Store
	turns *Turns
}

// NewJobs returns a store of jobs that gives turns.
func NewJobs(store jobs.Store, turns *Turns) Jobs { return Jobs{store, turns} }

// Claim is [jobstore.Store.Claim]. The place of the job is its owner's next one's.
func (s Jobs) Claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error) {
	j, err := s.Store.Claim(ctx, id, worker, lease)
	if err == nil {
		s.turns.moved(ctx, j.Owner)
	}
	return j, err
}

// Cancel is [jobstore.Store.Cancel], likewise.
func (s Jobs) Cancel(ctx context.Context, id string) (job.Job, error) {
	j, err := s.Store.Cancel(ctx, id)
	if err == nil {
		s.turns.moved(ctx, j.Owner)
	}
	return j, err
}

// Overdue is [jobstore.Store.Overdue]. Before, all who wait get their turn.
func (s Jobs) Overdue(ctx context.Context, stale time.Duration, n int) ([]job.Job, error) {
	if err := s.turns.All(ctx); err != nil {
		return nil, err
	}
	return s.Store.Overdue(ctx, stale, n)
}

// Queue is a queue that gives turns.
type Queue struct {
	*queue.Client
	turns *Turns
}

// NewQueue returns a queue that gives turns.
func NewQueue(client *queue.Client, turns *Turns) Queue { return Queue{client, turns} }

// Convert is [Turns.Convert].
func (q Queue) Convert(ctx context.Context, id string, attempt int, after time.Duration) error {
	return q.turns.Convert(ctx, id, attempt, after)
}

// Enqueue is [Turns.Enqueue].
func (q Queue) Enqueue(ctx context.Context, j job.Job) error { return q.turns.Enqueue(ctx, j) }
