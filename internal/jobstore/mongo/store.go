package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// maxTries of what others may come between.
const maxTries = 20

// errBusy means that others have come between each time.
var errBusy = errors.New("others change it again and again")

// Store keeps jobs. Its methods may be called by many at a time.
type Store struct {
	db     *mongodb.DB
	window int

	jobs, keys, leases, database, quarantine, usage, audit *mongo.Collection

	// stop is for tests that end a process between two steps: an error of it is that end.
	stop func(step string) error
}

var _ jobs.Store = (*Store)(nil)

// New returns the store in a database that [Migrate] has prepared.
func New(db *mongodb.DB) *Store {
	return &Store{
		db: db, jobs: db.Collection(jobsName), keys: db.Collection(keysName), leases: db.Collection(leasesName),
		database: db.Collection(databaseName), quarantine: db.Collection(quarantineName), usage: db.Collection(usageName), audit: db.Collection(auditName),
		stop: func(string) error { return nil },
	}
}

// WithWindow implements [jobs.Store].
func (s *Store) WithWindow(window int) jobs.Store {
	other := *s
	other.window = window
	return &other
}

// Get returns a job; [job.ErrNotFound] if there is none.
func (s *Store) Get(ctx context.Context, id string) (job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	j, err := s.get(ctx, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: get %s: %w", id, err)
	}
	return j, nil
}

func (s *Store) get(ctx context.Context, id string) (job.Job, error) {
	r, err := s.row(ctx, id)
	if err != nil {
		return job.Job{}, err
	}
	return r.job()
}

// row reads the row of a job. One of which it is not yet decided whether there is one is
// decided on.
func (s *Store) row(ctx context.Context, id string) (*row, error) {
	for range maxTries {
		r, err := s.raw(ctx, id)
		if err != nil || r.State != submitted {
			return r, err
		}
		if err := s.carryOut(ctx, r); err != nil {
			return nil, err
		}
	}
	return nil, errBusy
}

// raw reads a row as it is.
func (s *Store) raw(ctx context.Context, id string) (*row, error) {
	if !job.ValidID(id) {
		return nil, job.ErrNotFound
	}
	return decode(s.jobs.FindOne(ctx, bson.D{{Key: "_id", Value: id}}))
}

// decode reads the row that was found; [job.ErrNotFound] if there is none.
func decode(found *mongo.SingleResult) (*row, error) {
	r := new(row)
	err := found.Decode(r)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, job.ErrNotFound
	}
	if err != nil {
		return nil, mongodb.Full(err)
	}
	return r, nil
}

// List returns jobs, newest first, at most [jobs.MaxList]. Before may name a job that is no
// more, but not what cannot be the ID of one ([job.ErrNotFound]).
func (s *Store) List(ctx context.Context, q job.Query) ([]job.Job, error) {
	before := jobs.LastID
	if q.Before != "" {
		if before = q.Before; !job.ValidID(before) {
			return nil, fmt.Errorf("jobstore: list before %q: %w", before, job.ErrNotFound)
		}
	}
	if q.Owner != "" && !jobs.ValidOwner(q.Owner) || q.State != "" && !q.State.Valid() {
		return nil, nil
	}
	found, err := s.find(ctx, list(q.Owner, q.State, before), jobs.Limit(q.Limit))
	if err != nil {
		return nil, fmt.Errorf("jobstore: list: %w", err)
	}
	return found, nil
}

// find returns the jobs of a query, at most limit.
func (s *Store) find(ctx context.Context, q query, limit int) ([]job.Job, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	rows, err := s.rows(ctx, q, limit)
	if err != nil {
		return nil, err
	}
	found := make([]job.Job, len(rows))
	for i := range rows {
		if found[i], err = rows[i].job(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s *Store) rows(ctx context.Context, q query, limit int) ([]row, error) {
	opts := options.Find().SetHint(q.index).SetLimit(int64(limit)).SetBatchSize(int32(limit))
	if q.sort != nil {
		opts.SetSort(q.sort)
	}
	cursor, err := s.jobs.Find(ctx, q.filter, opts)
	if err != nil {
		return nil, err
	}
	var rows []row
	err = cursor.All(ctx, &rows) // it closes the cursor
	return rows, err
}

// count counts what a query finds, up to most.
func (s *Store) count(ctx context.Context, q query, most int) (int, error) {
	n, err := s.jobs.CountDocuments(ctx, q.filter, options.Count().SetHint(q.index).SetLimit(int64(most)))
	return int(n), err
}

// Position is the place of a queued job: 1 is the next, [jobs.MaxPosition] that or worse.
// See jobstore.Store.
func (s *Store) Position(ctx context.Context, id string) (int, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	n, err := s.position(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("jobstore: position of %s: %w", id, err)
	}
	return min(n, jobs.MaxPosition), nil
}

func (s *Store) position(ctx context.Context, id string) (int, error) {
	const most = jobs.MaxPosition - 1
	r, err := s.row(ctx, id)
	switch {
	case err != nil || r.State != string(job.Queued):
		return 0, err
	case r.Placed:
		n, err := s.count(ctx, placedBefore(id), most)
		return 1 + n, err
	}
	placed, err := s.count(ctx, placed(), most)
	if err != nil {
		return 0, err
	}
	n, err := s.count(ctx, waitingBefore(r.Owner, id), most)
	return 1 + placed + n, err
}

// Cancel ends a job that is queued or running; one that has ended is refused
// ([job.ErrConflict]). It expires after [jobs.CanceledRetention].
func (s *Store) Cancel(ctx context.Context, id string) (job.Job, error) {
	j, err := s.settle(ctx, id, func(now int64) change {
		return change{
			where: bson.D{in("state", job.Queued, job.Running)},
			set: append(idle(), bson.D{
				{Key: "state", Value: job.Canceled}, {Key: "failure_code", Value: ""}, {Key: "failure_detail", Value: ""}, {Key: "not_before", Value: int64(0)},
				{Key: "ended_at", Value: now}, {Key: "due_at", Value: now + jobs.CanceledRetention.Microseconds()}, {Key: "stored", Value: int64(0)},
			}...),
		}
	})
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: cancel %s: %w", id, err)
	}
	return j, nil
}

// Delete removes the row of a job that has ended; another is refused ([job.ErrConflict]).
func (s *Store) Delete(ctx context.Context, id string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	err := s.again(ctx, id, func() (bool, error) {
		r, err := s.jobs.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}, in("state", job.Succeeded, job.Failed, job.Canceled, job.Expired), noIntent()})
		return err == nil && r.DeletedCount > 0, err
	})
	if err != nil {
		return fmt.Errorf("jobstore: delete %s: %w", id, err)
	}
	return nil
}

// Retry queues a job again that has failed, as if it were new, but for the attempts that
// it has had; another is refused ([job.ErrConflict]).
func (s *Store) Retry(ctx context.Context, id string) (job.Job, error) {
	return s.RetryOnce(ctx, id, nil)
}
