package jobstore

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestUsage: what a user takes up is that of his rows, and of what has come today.
func TestUsage(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		check := func(what, who string, waiting int, stored, today int64) {
			t.Helper()
			u, err := s.Usage(ctx, who, 3)
			if err != nil || u.Waiting != waiting || u.Stored != stored || u.Today != today || u.Day <= 0 || u.Day > 24*time.Hour {
				t.Errorf("%s: %+v, %v; want %d waiting, %d stored, %d today", what, u, err, waiting, stored, today)
			}
		}
		check("nothing", "anna", 0, 0, 0)
		made := map[job.State]job.Job{}
		for _, state := range job.States() {
			sub := submission(newID(), "")
			sub.Owner, sub.SourceBytes = string(state), 1000
			made[state] = reach(t, s, sub, state)
		}
		for state, want := range map[job.State]int64{
			job.Queued: 1000, job.Running: 1000, job.Failed: 1000, job.Succeeded: result.Bytes, job.Canceled: 0, job.Expired: 0,
		} {
			waiting := 0
			if state == job.Queued {
				waiting = 1
			}
			check(string(state), string(state), waiting, want, 0)
		}
		for _, j := range made {
			_, _ = s.Cancel(ctx, j.ID)
			if err := s.Delete(ctx, j.ID); err != nil {
				t.Fatal(err)
			}
			check("removed", j.Owner, 0, 0, 0)
		}
		for range 5 {
			sub := submission(newID(), "")
			sub.Owner, sub.SourceBytes = "anna", 100
			reach(t, s, sub, job.Queued)
		}
		check("more than are counted", "anna", 3, 500, 0)

		spend := func(who string, bytes, allowed int64, want bool) {
			t.Helper()
			if ok, err := s.Spend(ctx, who, bytes, allowed); err != nil || ok != want {
				t.Errorf("%s spends %d of %d: %t, %v", who, bytes, allowed, ok, err)
			}
		}
		spend("anna", 11, 10, false)
		spend("anna", 6, 10, true)
		spend("anna", 5, 10, false)
		spend("anna", 4, 10, true)
		spend("anna", 1, 10, false)
		spend("ben", 1<<40, 1<<62, true)
		check("spent", "anna", 3, 500, 10)
		check("another", "ben", 0, 0, 1<<40)
		if err := s.yesterday(ctx); err != nil {
			t.Fatal(err)
		}
		check("tomorrow", "anna", 3, 500, 0)
		spend("anna", 10, 10, true)
		if err := s.yesterday(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.PurgeUsage(ctx); err != nil {
			t.Fatal(err)
		}
		if days, err := s.days(ctx); err != nil || days != 1 {
			t.Errorf("%d days are left, %v", days, err)
		}
	})
}

// TestSpendAtOnce: of many who spend at once, in two processes, so many may as is
// allowed, to the byte.
func TestSpendAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			stores := []store{open(t, url), open(t, url)}
			var spent atomic.Int64
			var wg sync.WaitGroup
			for g := range 16 {
				wg.Go(func() {
					for range 10 {
						ok, err := stores[g%2].Spend(t.Context(), "anna", 7, 500)
						if err != nil {
							t.Error(err)
						}
						if ok {
							spent.Add(7)
						}
					}
				})
			}
			wg.Wait()
			if u, err := stores[0].Usage(t.Context(), "anna", 1); err != nil || spent.Load() != 497 || u.Today != 497 {
				t.Errorf("%d spent, %+v, %v", spent.Load(), u, err)
			}
		})
	}
}
