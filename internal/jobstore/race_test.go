package jobstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestOneClaim: of many who want a job one gets it.
func TestOneClaim(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		for range 5 {
			id := insert(t, s).ID
			var won atomic.Int32
			var wg sync.WaitGroup
			for i := range 32 {
				wg.Go(func() {
					switch j, err := s.Claim(t.Context(), id, fmt.Sprint("w", i), lease); {
					case err == nil:
						won.Add(1)
						if j.Attempt != 1 || j.Worker != fmt.Sprint("w", i) {
							t.Errorf("w%d has got attempt %d of %s", i, j.Attempt, j.Worker)
						}
					case !errors.Is(err, job.ErrConflict):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := won.Load(); n != 1 {
				t.Errorf("%d have got it", n)
			}
		}
	})
}

// TestOneNotice and one lease, likewise.
func TestOneNotice(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		id := in(t, s, job.Succeeded).ID
		var notices, leases atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if _, err := s.ClaimNotice(t.Context(), id, lease); err == nil {
					notices.Add(1)
				} else if !errors.Is(err, job.ErrConflict) {
					t.Error(err)
				}
				if ok, err := s.Lease(t.Context(), "sweep", fmt.Sprint(i), lease); err != nil {
					t.Error(err)
				} else if ok {
					leases.Add(1)
				}
			})
		}
		wg.Wait()
		if notices.Load() != 1 || leases.Load() != 1 {
			t.Errorf("%d notices, %d leases", notices.Load(), leases.Load())
		}
	})
}

// tally is what the callers of one job were told.
type tally struct {
	mu      sync.Mutex
	changes int64        // that were said to have happened
	claims  map[int]bool // attempts that were given out
	gone    int          // attempts that were lost before they were given out
	ends    int          // successes, failures, cancels
	retries int
}

// TestRaces: workers, owners and sweepers of two processes do what they like to a
// few jobs. In the end each row must be what the answers add up to: a change that
// got lost, or one that was refused and made all the same, shows in its version.
func TestRaces(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			races(t, open(t, url), open(t, url))
		})
	}
}

func races(t *testing.T, s, other store) {
	jobs := make([]string, 6)
	tallies := map[string]*tally{}
	for i := range jobs {
		jobs[i] = newID()
		if _, err := s.Submit(t.Context(), submission(jobs[i], jobs[i])); err != nil {
			t.Fatal(err)
		}
		tallies[jobs[i]] = &tally{claims: map[int]bool{}}
	}
	rounds := s.kind().pick(150, 100, 60)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for g := range 8 {
		store := []store{s, other}[g%2]
		wg.Go(func() { meddle(t, ctx, store, jobs, tallies, rounds) })
	}
	// Nobody ever sees a version go back.
	watched := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		seen := map[string]int64{}
		for {
			select {
			case <-watched:
				return
			case <-time.After(time.Millisecond):
			}
			for _, id := range jobs {
				j, err := s.Get(ctx, id)
				if err != nil || j.Version < seen[id] {
					t.Errorf("version %d after %d, %v", j.Version, seen[id], err)
					return
				}
				seen[id] = j.Version
			}
		}
	})
	wg.Wait()
	close(watched)
	watcher.Wait()
	for _, id := range jobs {
		j, n := get(t, s, id), tallies[id]
		if j.Version != 1+n.changes {
			t.Errorf("version %d after %d changes", j.Version, n.changes)
		}
		if j.Attempt != len(n.claims)+n.gone {
			t.Errorf("attempt %d after %d claims", j.Attempt, len(n.claims)+n.gone)
		}
		open := 0
		if j.State.Ended() {
			open = 1
		}
		if n.ends != n.retries+open {
			t.Errorf("%d ends, %d retries, and it is %s", n.ends, n.retries, j.State)
		}
	}
}

func meddle(t *testing.T, ctx context.Context, s store, jobs []string, tallies map[string]*tally, rounds int) {
	held := map[string]int{} // attempts that this one was given, lost or not
	for range rounds {
		id := jobs[rand.N(len(jobs))]
		n, attempt := tallies[id], held[id]
		var err error
		var note func() // under n's lock
		final := false
		end, retry := func() { n.ends++ }, func() { n.retries++ }
		switch rand.N(11) {
		case 0, 1, 2:
			var j job.Job
			switch j, err = s.Claim(ctx, id, "w", lease); {
			case err == nil:
				held[id] = j.Attempt
				note = func() {
					if n.claims[j.Attempt] {
						t.Errorf("attempt %d was given out twice", j.Attempt)
					}
					n.claims[j.Attempt] = true
				}
			case errors.Is(err, job.ErrLost): // begun, and canceled at once
				err, note = nil, func() { n.gone++ }
			}
		case 3, 4:
			err = s.Heartbeat(ctx, id, attempt, job.Progress{Position: time.Second}, lease)
		case 5:
			r := job.Result{Key: fmt.Sprint(rand.Uint64())}
			_, err = s.Succeed(ctx, id, attempt, r, retention)
			note, final = end, true
		case 6:
			_, err = s.Fail(ctx, id, attempt, storage, retention)
			note = end
		case 7:
			_, err = s.Release(ctx, id, attempt, 0, nil)
		case 8:
			_, err = s.Cancel(ctx, id)
			note, final = end, true
		case 9:
			_, err = s.Retry(ctx, id)
			note = retry
		case 10:
			_, err = s.Join(ctx, id, submission(newID(), id))
		}
		switch {
		case err == nil:
			n.mu.Lock()
			n.changes++
			if note != nil {
				note()
			}
			n.mu.Unlock()
			if final { // it cannot be retried, and the race goes on all the same
				reset(t, s, id)
				n.mu.Lock()
				n.changes++
				retry()
				n.mu.Unlock()
			}
		case !errors.Is(err, job.ErrConflict) && !errors.Is(err, job.ErrLost):
			t.Error(err)
		}
	}
}

// reset makes a success, or a canceled job, a queued one again, which no method of the
// store does.
func reset(t *testing.T, s store, id string) {
	t.Helper()
	if err := s.reset(t.Context(), id); err != nil {
		t.Error(err)
	}
}
