package jobstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// of makes a queued job of a user.
func of(t testing.TB, s store, owner string) job.Job {
	t.Helper()
	j, err := s.Insert(t.Context(), job.Job{ID: newID(), Owner: owner, Lane: job.LaneBulk})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// placed asks for places, and wants these jobs to get them.
func placed(t *testing.T, what string, s store, owner string, want ...job.Job) {
	t.Helper()
	got, err := s.Place(t.Context(), owner)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	g := ids(got)
	if len(g) == 0 {
		g = nil
	}
	same(t, what, g, append([]string(nil), ids(want)...))
	for _, j := range got {
		if now := get(t, s, j.ID); j.Waits || now.Waits || j.Lane != now.Lane || j.Version != now.Version {
			t.Errorf("%s: %+v, and now %+v", what, j, now)
		}
	}
}

// TestPlace: of each user so many have a place as the window has room for, in their
// order.
func TestPlace(t *testing.T) {
	each(t, func(t *testing.T, all store) {
		ctx := t.Context()
		s := all.window(2)
		var a []job.Job
		for range 6 {
			j := of(t, s, "anna")
			if !j.Waits || j.Lane != job.LaneBulk {
				t.Fatalf("%+v", j)
			}
			a = append(a, j)
		}
		b := of(t, s, "ben")
		placed(t, "the first", s, "anna", a[0], a[1])
		placed(t, "no room", s, "anna")
		placed(t, "another user", s, "ben", b)
		placed(t, "nobody", s, "eve")
		claim(t, s, a[0].ID, lease)
		placed(t, "one was begun", s, "anna", a[2])
		if _, err := s.Cancel(ctx, a[1].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Cancel(ctx, a[3].ID); err != nil { // it had none
			t.Fatal(err)
		}
		placed(t, "one was canceled", s, "anna", a[4])

		// What comes back is behind those that have waited longer, once it may be tried.
		back, err := s.Release(ctx, a[0].ID, 1, 0, &storage)
		if err != nil || !back.Waits {
			t.Fatalf("%+v, %v", back, err)
		}
		claim(t, s, a[2].ID, lease)
		later, err := s.Release(ctx, a[2].ID, 1, lease, &storage)
		if err != nil || !later.Waits {
			t.Fatalf("%+v, %v", later, err)
		}
		claim(t, s, a[4].ID, lease)
		placed(t, "two were begun", s, "anna", a[5], back)
		claim(t, s, a[5].ID, lease)
		claim(t, s, back.ID, lease)
		placed(t, "it is not yet time", s, "anna")
		if turn, _, err := s.WaitingOwners(ctx, ""); err != nil || slices.Contains(turn, "anna") {
			t.Errorf("it is not yet time, and it is the turn of %q: %v", turn, err)
		}
		due(t, s, a[5].ID)
		if j, err := s.Requeue(ctx, a[5].ID, 1, storage); err != nil || !j.Waits {
			t.Errorf("%+v, %v", j, err)
		}
		if _, err := s.Fail(ctx, back.ID, 2, storage, retention); err != nil {
			t.Fatal(err)
		}
		if j, err := s.Retry(ctx, back.ID); err != nil || !j.Waits {
			t.Errorf("%+v, %v", j, err)
		}

		// The sweeper tells the queue of those that have a place, and gives one to others.
		l, err := s.Overdue(ctx, 0, 10)
		found(t, "overdue", l, err, b)
		for after, want := range map[string][]string{"": {"anna"}, "anna": nil, "a": {"anna"}, "z": nil} {
			if got, last, err := s.WaitingOwners(ctx, after); err != nil || last != "" || !slices.Equal(got, want) {
				t.Errorf("after %q come %q, want %q: %q, %v", after, got, want, last, err)
			}
		}
		// Who does without a window places all.
		placed(t, "without a window", all, "anna", get(t, s, a[5].ID), get(t, s, back.ID))
		if j := of(t, all, "anna"); j.Waits {
			t.Errorf("%+v", j)
		}
	})
}

// TestWaitingOwners: of many users those are found who have room, whatever the others
// have.
func TestWaitingOwners(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		two := s.window(2)
		var want []string
		for i := range s.kind().pick(jobs.MaxList+100, jobs.MaxList+100, 100) {
			owner := fmt.Sprintf("user-%04d", i)
			of(t, two, owner)
			switch i % 50 {
			case 0: // two have a place, which is all
				of(t, s, owner)
				of(t, s, owner)
			case 1: // one has
				of(t, s, owner)
				want = append(want, owner)
			default:
				want = append(want, owner)
			}
		}
		of(t, s, "nobody-waits")
		var got []string
		for calls, after := 1, ""; ; calls++ {
			turn, last, err := two.WaitingOwners(t.Context(), after)
			if err != nil || last != "" && last <= after || calls > 2 {
				t.Fatalf("after %q, in call %d, to %q: %v", after, calls, last, err)
			}
			if got = append(got, turn...); last == "" {
				break
			}
			after = last
		}
		same(t, "turns", got, want)
	})
}

func TestPositions(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		s = s.window(1)
		position := func(what, id string, want int) {
			t.Helper()
			if n, err := s.Position(t.Context(), id); err != nil || n != want {
				t.Errorf("%s: %d, %v; want %d", what, n, err, want)
			}
		}
		var a []job.Job
		for range 5 {
			a = append(a, of(t, s, "anna"))
		}
		position("nobody has a place", a[0].ID, 1)
		placed(t, "anna", s, "anna", a[0])
		b := of(t, s, "ben")
		placed(t, "ben", s, "ben", b)
		position("the first", a[0].ID, 1)
		position("a single one behind many", b.ID, 2)
		position("the first that waits", a[1].ID, 3)
		position("the last", a[4].ID, 6)
		claim(t, s, a[0].ID, lease)
		position("begun", a[0].ID, 0)
		position("the next", b.ID, 1)
	})
}

// TestPlaces: however many ask at once, in two processes, each job gets its place once,
// and no more have one than the window has room for.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			const window = 2
			jobs := kind.pick(60, 60, 15)
			stores := []store{open(t, url).window(window), open(t, url).window(window)}
			for range jobs {
				of(t, stores[0], "anna")
			}
			var mu sync.Mutex
			var queue []string
			seen := map[string]int{}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for g := range 6 {
				s := stores[g%2]
				wg.Go(func() {
					for ctx.Err() == nil {
						next, err := s.Place(ctx, "anna")
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						for _, j := range next {
							seen[j.ID]++
							queue = append(queue, j.ID)
						}
						if len(seen) == jobs && len(queue) == 0 {
							mu.Unlock()
							return
						}
						id := ""
						if len(queue) > 0 {
							id = queue[0]
						}
						mu.Unlock()
						if there, err := s.placed(ctx); err != nil || there > window {
							t.Errorf("%d have a place, %v", there, err)
							return
						}
						if id == "" {
							continue
						}
						if _, err := s.Claim(ctx, id, "w", lease); err == nil {
							mu.Lock()
							for i := range queue {
								if queue[i] == id {
									queue = append(queue[:i], queue[i+1:]...)
									break
								}
							}
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			if len(seen) != jobs {
				t.Errorf("%d of %d have had a place", len(seen), jobs)
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("%s had %d places", id, n)
				}
			}
		})
	}
}
