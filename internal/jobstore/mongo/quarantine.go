package mongo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// suspectRow is a file that has crashed.
type suspectRow struct {
	SHA256  string `bson:"_id"`
	Crashes int    `bson:"crashes"`
	Code    string `bson:"code"`
	Attempt string `bson:"attempt"` // the last that was counted: job/number
	LastAt  int64  `bson:"last_at"`
}

// CountCrash notes that an attempt has crashed, by what it is to be counted by: the bytes
// of its file ([job.Job.CrashKey]), or the ID of its job. It returns how many have. One
// attempt counts once, even if this is said again.
func (s *Store) CountCrash(ctx context.Context, sha256, id string, attempt int, code job.Code) (int, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	by := id + "/" + strconv.Itoa(attempt)
	n, err := s.countCrash(ctx, sha256, by, code)
	if err != nil {
		return 0, fmt.Errorf("jobstore: count a crash of %s: %w", by, err)
	}
	return n, nil
}

func (s *Store) countCrash(ctx context.Context, sha256, by string, code job.Code) (int, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	for {
		counted := new(suspectRow)
		err := s.quarantine.FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: sha256}, is("attempt", "$ne", by)}, bson.D{
			{Key: "$inc", Value: bson.D{{Key: "crashes", Value: 1}}},
			{Key: "$set", Value: bson.D{{Key: "code", Value: code}, {Key: "attempt", Value: by}, {Key: "last_at", Value: now}}},
		}, options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(counted)
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return counted.Crashes, err
		}
		_, err = s.quarantine.InsertOne(ctx, &suspectRow{SHA256: sha256, Crashes: 1, Code: string(code), Attempt: by, LastAt: now})
		if !mongodb.IsDuplicate(err) {
			return 1, err
		}
		// It has appeared just now, or this attempt was counted before.
		there, err := s.suspect(ctx, sha256)
		if err != nil || there.Attempt == by {
			return there.Crashes, err
		}
	}
}

// suspect reads what is known of a file; nothing if it has not crashed.
func (s *Store) suspect(ctx context.Context, sha256 string) (suspectRow, error) {
	var r suspectRow
	err := s.quarantine.FindOne(ctx, bson.D{{Key: "_id", Value: sha256}}).Decode(&r)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = nil
	}
	return r, err
}

// Crashes returns how many attempts at a file or of a job have crashed.
func (s *Store) Crashes(ctx context.Context, key string) (int, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	r, err := s.suspect(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("jobstore: crashes: %w", err)
	}
	return r.Crashes, nil
}

// Quarantined reports whether a file has crashed so often that it is refused.
func (s *Store) Quarantined(ctx context.Context, sha256 string) (bool, error) {
	n, err := s.Crashes(ctx, sha256)
	return job.Suspect{Crashes: n}.Quarantined(), err
}

// Suspects returns the files that have crashed, the last ones first.
func (s *Store) Suspects(ctx context.Context, n int) ([]job.Suspect, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	cursor, err := s.quarantine.Find(ctx, bson.D{is("last_at", "$gt", int64(0))}, options.Find().SetHint(byLast).
		SetSort(bson.D{{Key: "last_at", Value: -1}}).SetLimit(int64(jobs.Limit(n))))
	var rows []suspectRow
	if err == nil {
		err = cursor.All(ctx, &rows)
	}
	if err != nil {
		return nil, fmt.Errorf("jobstore: suspects: %w", err)
	}
	all := make([]job.Suspect, len(rows))
	for i, r := range rows {
		all[i] = job.Suspect{SHA256: r.SHA256, Crashes: r.Crashes, Code: job.Code(r.Code), Last: at(r.LastAt)}
	}
	return all, nil
}

// Pardon forgets the crashes of a file; [job.ErrNotFound] if there were none.
func (s *Store) Pardon(ctx context.Context, sha256 string) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	r, err := s.quarantine.DeleteOne(ctx, bson.D{{Key: "_id", Value: sha256}})
	if err == nil && r.DeletedCount == 0 {
		err = job.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("jobstore: pardon %s: %w", sha256, err)
	}
	return nil
}

// ForgetCrashes forgets those of files that have not crashed for a while: the converter may
// be a better one by now. It returns how many there were.
func (s *Store) ForgetCrashes(ctx context.Context, keep time.Duration) (int, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	n, err := s.forgetCrashes(ctx, keep)
	if err != nil {
		return 0, fmt.Errorf("jobstore: forget crashes: %w", err)
	}
	return n, nil
}

func (s *Store) forgetCrashes(ctx context.Context, keep time.Duration) (int, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	r, err := s.quarantine.DeleteMany(ctx, bson.D{is("last_at", "$lte", now-keep.Microseconds())})
	if err != nil {
		return 0, err
	}
	return int(r.DeletedCount), nil
}
