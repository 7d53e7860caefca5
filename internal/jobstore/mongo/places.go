package mongo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// Place gives a user's queued jobs places in the queue, those that have waited longest
// first, as long as the window has room, and returns them: the queue is to be told of each.
// Of two who ask at once, one gets the job. Without a window all find room, a thousand at a
// time.
func (s *Store) Place(ctx context.Context, owner string) ([]job.Job, error) {
	var placed []job.Job
	// Others may take what was seen to be free. They have told the queue then.
	for again := true; again; {
		next, err := s.turn(ctx, owner)
		if err != nil {
			return placed, fmt.Errorf("jobstore: place: %w", err)
		}
		again = false
		for _, id := range next {
			r, err := s.place(ctx, id)
			if errors.Is(err, job.ErrNotFound) {
				again = true
				continue
			}
			var j job.Job
			if err == nil {
				j, err = r.job()
			}
			if err != nil {
				return placed, fmt.Errorf("jobstore: place %s: %w", id, err)
			}
			placed = append(placed, j)
		}
	}
	return placed, nil
}

func (s *Store) place(ctx context.Context, id string) (*row, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, id, &change{
		silent: true,
		where:  queued(false),
		set:    bson.D{{Key: "placed", Value: true}, {Key: "due_at", Value: now}},
	})
}

// turn returns the jobs of a user that are next and find room. First it finds who is next,
// and then how many have a place: what others place in between are the very same jobs, and
// count. In the other order more could have a place than there is room for.
func (s *Store) turn(ctx context.Context, owner string) ([]string, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	window := cmp.Or(s.window, jobs.MaxList)
	rows, err := s.rows(ctx, waitingSince(owner, now), window)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	there, err := s.count(ctx, placedOf(owner), window)
	if err != nil {
		return nil, err
	}
	rows = rows[:min(len(rows), max(window-there, 0))]
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids, nil
}

// WaitingOwners are the users after another,
// who have a job that may be attempted, and room for it. All of them come at once: last is
// always "".
func (s *Store) WaitingOwners(ctx context.Context, after string) (turn []string, last string, err error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	if turn, err = s.waitingOwners(ctx, after); err != nil {
		return nil, "", fmt.Errorf("jobstore: waiting owners: %w", err)
	}
	return turn, "", nil
}

func (s *Store) waitingOwners(ctx context.Context, after string) ([]string, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := s.countByOwner(ctx, waitingOwners(after, now))
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	there, err := s.countByOwner(ctx, placedAfter(after))
	if err != nil {
		return nil, err
	}
	window := cmp.Or(s.window, jobs.MaxList)
	maps.DeleteFunc(waiting, func(owner string, _ int) bool { return there[owner] >= window })
	return slices.Sorted(maps.Keys(waiting)), nil
}

// countByOwner counts the jobs of a query by their users.
func (s *Store) countByOwner(ctx context.Context, q query) (map[string]int, error) {
	by := bson.D{{Key: "_id", Value: "$owner"}, {Key: "jobs", Value: bson.D{{Key: "$sum", Value: 1}}}}
	cursor, err := s.jobs.Aggregate(ctx, mongo.Pipeline{{{Key: "$match", Value: q.filter}}, {{Key: "$group", Value: by}}}, options.Aggregate().SetHint(q.index))
	if err != nil {
		return nil, err
	}
	var groups []struct {
		Owner string `bson:"_id"`
		Jobs  int    `bson:"jobs"`
	}
	if err := cursor.All(ctx, &groups); err != nil {
		return nil, err
	}
	counts := make(map[string]int, len(groups))
	for _, g := range groups {
		counts[g.Owner] = g.Jobs
	}
	return counts, nil
}
