package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestManyAndOne: one user brings many files, another one a single one after them. It is
// begun after at most two of the others', counted and not timed.
func TestManyAndOne(t *testing.T) {
	const slots, many = 1, 40
	s := embedded(t, t.TempDir(), "--concurrency", "1", "--bulk-after", "0")
	anna, ben := s.user(t, "anna@example.org"), s.user(t, "ben@example.org")
	music, err := os.ReadFile(filepath.Join("..", "..", "testdata", "waltz.m4a"))
	must(t, err)
	var g errgroup.Group
	g.SetLimit(8)
	for range many {
		g.Go(func() error {
			_, err := anna.Upload(t.Context(), "waltz.m4a", newReader(music), map[string][]string{"fresh": {"true"}, "notify": {"false"}})
			return err
		})
	}
	must(t, g.Wait())
	single, err := ben.Upload(t.Context(), "waltz.m4a", newReader(music), nil)
	must(t, err)
	single, err = ben.Follow(within(t, time.Minute), single.ID, nil)
	if err != nil || single.State != "succeeded" {
		t.Fatalf("%+v, %v", single, err)
	}
	jobs, err := anna.List(t.Context())
	must(t, err)
	between, after := 0, 0
	for _, j := range jobs {
		switch {
		case j.Started.IsZero() || j.Started.After(single.Started):
			after++
		case j.Started.After(single.Created):
			between++
		}
	}
	if between > 2*slots {
		t.Errorf("%d of the others' were begun before the single one", between)
	}
	if after < many/4 {
		t.Errorf("only %d of %d were left to begin: that was no crowd", after, many)
	}
	eventually(t, 2*time.Minute, "all are done", func() bool {
		jobs, err := anna.List(t.Context())
		must(t, err)
		done := 0
		for _, j := range jobs {
			if j.State == "succeeded" {
				done++
			}
		}
		return done == many
	})
	s.quiet(t)
}
