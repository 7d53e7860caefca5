package mongo

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// actRow is an entry of the audit log as it is kept.
type actRow struct {
	ID         string     `bson:"_id"`
	At         int64      `bson:"at"`
	Actor      string     `bson:"actor"`
	ActorEmail string     `bson:"actor_email"`
	Place      string     `bson:"place"`
	Action     job.Action `bson:"action"`
	Job        string     `bson:"job"`
	Owner      string     `bson:"owner"`
	Detail     string     `bson:"detail"`
	Once       string     `bson:"once"`
}

// NoteAct keeps what an administrator does. At is the database's time. One whose Once was
// noted before is no error, and changes nothing. It stays when the job is removed.
func (s *Store) NoteAct(ctx context.Context, a job.Act) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if err := s.noteAct(ctx, a); err != nil && !mongodb.IsDuplicate(err) {
		return fmt.Errorf("jobstore: note an act: %w", mongodb.Full(err))
	}
	return nil
}

func (s *Store) noteAct(ctx context.Context, a job.Act) error {
	a, err := jobs.Noted(a)
	if err != nil {
		return err
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	_, err = s.audit.InsertOne(ctx, actRow{a.ID, now, a.Actor, a.ActorEmail, a.Place, a.Action, a.JobID, a.Owner, a.Detail, a.Once})
	return err
}

// Acts returns what administrators did, newest first, at most [jobs.MaxList]. Before may
// name an entry that is no more, but not what cannot be the ID of one ([job.ErrNotFound]).
// Once is not told.
func (s *Store) Acts(ctx context.Context, q job.ActQuery) ([]job.Act, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	before := jobs.LastID
	if q.Before != "" {
		if before = q.Before; !job.ValidID(before) {
			return nil, fmt.Errorf("jobstore: acts before %q: %w", before, job.ErrNotFound)
		}
	}
	if !jobs.Findable(q) {
		return nil, nil
	}
	rows, err := s.acts(ctx, acts(q, before), jobs.Limit(q.Limit))
	if err != nil {
		return nil, fmt.Errorf("jobstore: acts: %w", err)
	}
	found := make([]job.Act, len(rows))
	for i, r := range rows {
		found[i] = job.Act{
			ID: r.ID, At: at(r.At), Actor: r.Actor, ActorEmail: r.ActorEmail, Place: r.Place, Action: r.Action, JobID: r.Job, Owner: r.Owner, Detail: r.Detail,
		}
	}
	return found, nil
}

func (s *Store) acts(ctx context.Context, q query, limit int) ([]actRow, error) {
	cursor, err := s.audit.Find(ctx, q.filter, options.Find().SetHint(q.index).SetSort(q.sort).SetLimit(int64(limit)).SetBatchSize(int32(limit)))
	if err != nil {
		return nil, err
	}
	var rows []actRow
	err = cursor.All(ctx, &rows)
	return rows, err
}

// PurgeActs removes entries that were noted longer than keep ago, at most n, the oldest
// first, and returns how many there were.
func (s *Store) PurgeActs(ctx context.Context, keep time.Duration, n int) (int, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	gone, err := s.purgeActs(ctx, keep, jobs.Limit(n))
	if err != nil {
		return 0, fmt.Errorf("jobstore: purge acts: %w", err)
	}
	return gone, nil
}

func (s *Store) purgeActs(ctx context.Context, keep time.Duration, n int) (int, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	rows, err := s.acts(ctx, actsBefore(now, keep.Microseconds()), n)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	r, err := s.audit.DeleteMany(ctx, bson.D{in("_id", ids...)})
	if err != nil {
		return 0, err
	}
	return int(r.DeletedCount), nil
}
