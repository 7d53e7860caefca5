package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/job"
)

// Waiting tells what is queued, by lane; a lane without any is missing. It looks at all
// queued jobs, so it is not for each request.
func (s *Store) Waiting(ctx context.Context) (map[job.Lane]job.Waiting, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	lanes, err := s.waiting(ctx)
	if err != nil {
		return nil, fmt.Errorf("jobstore: waiting: %w", err)
	}
	return lanes, nil
}

func (s *Store) waiting(ctx context.Context) (map[job.Lane]job.Waiting, error) {
	lanes := map[job.Lane]job.Waiting{}
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	for _, lane := range job.Lanes() {
		n, err := s.jobs.CountDocuments(ctx, inLane(lane).filter, options.Count().SetHint(byLane))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		w := job.Waiting{Jobs: n}
		// A job waits since it was made, or since it was queued again.
		for _, oldest := range []query{madeFirst(lane), againFirst(lane, now)} {
			rows, err := s.rows(ctx, oldest, 1)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				w.Oldest = max(w.Oldest, micros(now-max(r.CreatedAt, r.NotBefore)))
			}
		}
		lanes[lane] = w
	}
	return lanes, nil
}

// Census counts all jobs by state; a state without any is missing. It looks at all jobs
// that there are, so it takes the longer the more are kept.
func (s *Store) Census(ctx context.Context) (map[job.State]int64, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	states := map[job.State]int64{}
	if err := s.countStates(ctx, states); err != nil {
		return nil, fmt.Errorf("jobstore: census: %w", err)
	}
	return states, nil
}

func (s *Store) countStates(ctx context.Context, states map[job.State]int64) error {
	q := census()
	by := bson.D{{Key: "_id", Value: "$state"}, {Key: "jobs", Value: bson.D{{Key: "$sum", Value: 1}}}}
	cursor, err := s.jobs.Aggregate(ctx, mongo.Pipeline{{{Key: "$match", Value: q.filter}}, {{Key: "$group", Value: by}}}, options.Aggregate().SetHint(q.index))
	if err != nil {
		return err
	}
	var groups []struct {
		State job.State `bson:"_id"`
		Jobs  int64     `bson:"jobs"`
	}
	if err := cursor.All(ctx, &groups); err != nil {
		return err
	}
	for _, g := range groups {
		states[g.State] = g.Jobs
	}
	return nil
}
