package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mp3lathe/mp3lathe/job"
)

// A sweeper on the wrong database would take every object in the bucket for an orphan.
// So the bucket says in an object, its mark, which database it belongs to, and how many
// walks that had counted when it last walked through it. A database that was restored
// from a backup has counted fewer: it misses the rows of newer objects.

// mark is what stands in the object: "ID WALKS", or "ID" by hand.
type mark struct {
	database string
	walks    int64
}

func (m mark) String() string { return fmt.Sprintf("%s %d\n", m.database, m.walks) }

func parseMark(s string) (m mark, ok bool) {
	id, walks, counted := strings.Cut(strings.TrimSpace(s), " ")
	m.database = id
	if counted {
		var err error
		if m.walks, err = strconv.ParseInt(walks, 10, 64); err != nil {
			return mark{}, false
		}
	}
	return m, job.ValidID(id)
}

// errUnsure means that it is too early to tell whose a bucket is: what is in it may get
// its row at any moment.
var errUnsure = errors.New("whose the bucket is cannot be told yet")

// owns reports whether the objects in the bucket are this database's to remove, and
// marks the bucket. A bucket without a mark is taken if there is nothing in it that the
// database does not know. Why one is not is logged when it becomes known.
func (s *Sweeper) owns(ctx context.Context) (bool, error) {
	id, walks, err := s.deps.Jobs.Identity(ctx)
	if err != nil {
		return false, err
	}
	text, err := s.deps.Bucket.Mark(ctx)
	if err != nil {
		return false, err
	}
	m, readable := parseMark(text)
	why := ""
	switch {
	case text == "":
		unknown, err := s.unknown(ctx)
		if err != nil {
			return false, err
		}
		if unknown != "" {
			why = "it has no mark, and holds " + unknown + ", of which this database knows nothing"
		}
	case !readable:
		why = "its mark cannot be read"
	case m.database != id:
		why = "it belongs to the database " + m.database
	case m.walks > walks:
		why = "the database is older than the bucket, as after a restore"
	}
	if why != "" {
		if why != s.refused {
			s.log.Error("the sweeper removes nothing from the bucket: see \"Whose the bucket is\" in docs/running.md",
				"why", why, "database", id, "mark", job.MarkKey)
		}
		s.refused = why
		return false, nil
	}
	if s.refused != "" {
		s.refused = ""
		s.log.Info("the bucket is swept again", "database", id)
	}
	// In this order the mark is never ahead of its own database.
	if err := s.deps.Jobs.CountWalk(ctx); err != nil {
		return false, err
	}
	return true, s.deps.Bucket.SetMark(ctx, mark{id, walks + 1}.String())
}

// unknown returns the key of an object that belongs to a job without a row, or "". If
// all of those are younger than an orphan, the error is errUnsure.
func (s *Sweeper) unknown(ctx context.Context) (string, error) {
	young := false
	for _, prefix := range folders() {
		for after := ""; ; {
			page, err := s.deps.Bucket.Objects(ctx, prefix, after, s.cfg.Sweep.Batch)
			if err != nil {
				return "", err
			}
			// Also those of a clock that is ahead of ours.
			owners, ids := ownersOf(page, math.MinInt64)
			states, err := s.deps.Jobs.States(ctx, ids)
			if err != nil {
				return "", err
			}
			for _, o := range page {
				id, owned := owners[o.Key]
				if _, known := states[id]; known || !owned {
					continue
				}
				if o.Age >= s.cfg.Sweep.OrphanAge {
					return o.Key, nil
				}
				young = true
			}
			if len(page) < s.cfg.Sweep.Batch {
				break
			}
			after = page[len(page)-1].Key
		}
	}
	if young {
		return "", errUnsure
	}
	return "", nil
}
