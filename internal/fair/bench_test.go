package fair

import (
	"fmt"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// BenchmarkTurn is what the store costs a job that is queued, begun and ended, without
// turns and with them, for a user who has so many waiting beside it.
func BenchmarkTurn(b *testing.B) {
	for _, kind := range []sqldb.Dialect{sqldb.SQLite, sqldb.MySQL} {
		for _, c := range []struct{ window, waiting int }{{0, 0}, {1, 0}, {1, 1000}} {
			b.Run(fmt.Sprintf("%s, window %d, %d waiting", kind, c.window, c.waiting), func(b *testing.B) {
				store := newStore(b, kind).WithWindow(c.window)
				l := &line{}
				turns := NewTurns(store, l, quiet)
				jobs := NewJobs(store, turns)
				for range c.waiting {
					submit(b, jobs, "anna")
				}
				for b.Loop() {
					if err := turns.Enqueue(b.Context(), submit(b, jobs, "anna")); err != nil {
						b.Fatal(err)
					}
					id := l.tasks[0]
					l.tasks = l.tasks[1:]
					j, err := jobs.Claim(b.Context(), id, "w", lease)
					if err == nil {
						_, err = jobs.Succeed(b.Context(), j.ID, j.Attempt, job.Result{Key: "k"}, time.Hour)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
