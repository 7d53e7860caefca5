package fair

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

// TestOneBehindMany: with the real queue and databases, a user who comes with one job
// behind another one's hundreds waits for at most two starts of those on each slot of a
// worker. It is measured in starts and not in seconds.
func TestOneBehindMany(t *testing.T) {
	t.Parallel()
	redis, err := testserver.Redis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := redis.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		kind            sqldb.Dialect
		workers, slots  int
		window, crowd   int
		mayStartBetween int
	}{
		{sqldb.SQLite, 1, 1, 1, 200, 2},
		{sqldb.SQLite, 1, 4, 1, 200, 8},
		{sqldb.MySQL, 2, 2, 1, 200, 8},
		{sqldb.MySQL, 1, 1, 2, 200, 2},
	} {
		// One after the other: they share the Redis, and each has a database of its own there.
		t.Run(fmt.Sprintf("%s, %d workers with %d slots", c.kind, c.workers, c.slots), func(t *testing.T) {
			url, err := redis.NewURL()
			if err != nil {
				t.Fatal(err)
			}
			at := redisconn.At(url)
			client, err := queue.Open(at)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			store := newStore(t, c.kind).WithWindow(c.window)
			turns := NewTurns(store, client, quiet)
			jobs := NewJobs(store, turns)

			finish := make(chan struct{}) // a conversion
			var mu sync.Mutex
			var started []string // owners, in the order of the starts
			handle := func(ctx context.Context, id string, _ int) error {
				// The claim and its place in the order are one, for the test.
				mu.Lock()
				j, err := jobs.Store.Claim(ctx, id, "w", lease)
				if err == nil {
					started = append(started, j.Owner)
				}
				mu.Unlock()
				if err != nil {
					return nil // it was told twice
				}
				turns.moved(ctx, j.Owner)
				<-finish // the conversion
				_, err = jobs.Succeed(ctx, j.ID, j.Attempt, job.Result{Key: "k"}, time.Hour)
				return err
			}
			count := func() int {
				mu.Lock()
				defer mu.Unlock()
				return len(started)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			for range c.workers {
				s, err := queue.NewServer(at, queue.Convert, queue.ServerConfig{Concurrency: c.slots, Grace: time.Second, Logger: quiet}, handle)
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					if err := s.Run(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			bring := func(owner string, n int) {
				for range n {
					if err := turns.Enqueue(t.Context(), submit(t, jobs, owner)); err != nil {
						t.Fatal(err)
					}
				}
			}
			bring("anna", c.crowd)
			eventually(t, "all slots are taken", func() bool { return count() == c.workers*c.slots })
			for round := range 5 {
				b := submit(t, jobs, "ben")
				mu.Lock()
				before := len(started) // what was begun until it was in the queue
				err := turns.Enqueue(t.Context(), b)
				mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
				position := -1
				eventually(t, "it is begun", func() bool {
					select {
					case finish <- struct{}{}:
					default:
					}
					mu.Lock()
					defer mu.Unlock()
					for i := before; i < len(started); i++ {
						if started[i] == "ben" {
							position = i - before
							return true
						}
					}
					return false
				})
				if position > c.mayStartBetween {
					t.Errorf("round %d: %d others were begun before it, want at most %d", round, position, c.mayStartBetween)
				}
			}
			if u, err := jobs.Usage(t.Context(), "anna", c.crowd); err != nil || u.Waiting < c.crowd/2 {
				t.Errorf("%d of them wait, %v: that was no crowd", u.Waiting, err)
			}
			close(finish)
			eventually(t, "all are done", func() bool { return count() == c.crowd+5 })
		})
	}
}
