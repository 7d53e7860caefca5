package fair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// line is a queue as asynq's is within a lane: first in, first out, a task once.
type line struct {
	tasks []string
	down  bool
}

func (l *line) ConvertIn(_ context.Context, _ job.Lane, id string, _ int, after time.Duration) error {
	if l.down {
		return errors.New("the queue is down")
	}
	if after > 0 {
		panic("nobody waits in the queue for his time")
	}
	if !slices.Contains(l.tasks, id) {
		l.tasks = append(l.tasks, id)
	}
	return nil
}

// waiter is a job that waits, in the model.
type waiter struct {
	owner string
	// passed is how many jobs of each other user were begun since it came, if it came
	// alone: nothing else of its owner was waiting.
	passed map[string]int
}

// machine is the real store with turns, the model of a queue, and what is expected.
type machine struct {
	window  int
	jobs    Jobs
	turns   *Turns
	line    *line
	waiting map[string]*waiter // by the ID of the job
	running []job.Job
	// lossless: the queue has neither lost a task nor refused one so far.
	lossless bool
}

func (m *machine) of(owner string) (ids []string) {
	for id, w := range m.waiting {
		if w.owner == owner {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *machine) came(j job.Job) {
	w := &waiter{owner: j.Owner}
	if len(m.of(j.Owner)) == 0 && m.lossless {
		w.passed = map[string]int{}
	}
	m.waiting[j.ID] = w
}

func (m *machine) begun(r *rapid.T, j job.Job) {
	for owner, n := range m.waiting[j.ID].passed {
		if n > m.window {
			r.Fatalf("%d jobs of %s were begun before the single one of %s", n, owner, j.Owner)
		}
	}
	delete(m.waiting, j.ID)
	for _, w := range m.waiting {
		if w.owner != j.Owner && w.passed != nil {
			w.passed[j.Owner]++
		}
	}
	m.running = append(m.running, j)
}

var owners = []string{"anna", "ben", "eve"}

// TestTurns: whatever happens, no user has more jobs in the queue than the window has
// room for; who comes with a single job waits for so many of each other user and no
// more; and after a sweep nobody waits who need not.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, window := range []int{1, 2, 3} {
		t.Run(fmt.Sprint("window ", window), func(t *testing.T) {
			t.Parallel()
			// The rows of one check are in the way of the next one's.
			n := 0
			rapid.Check(t, func(r *rapid.T) {
				if n++; n > 12 {
					return
				}
				turns(t, r, window)
			})
		})
	}
}

func turns(t *testing.T, r *rapid.T, window int) {
	ctx := context.WithoutCancel(t.Context())
	store := newStore(t, sqldb.SQLite).WithWindow(window)
	m := &machine{window: window, line: &line{}, waiting: map[string]*waiter{}, lossless: true}
	m.turns = NewTurns(store, m.line, quiet)
	m.jobs = NewJobs(store, m.turns)
	enqueue := func(j job.Job) {
		if err := m.turns.Enqueue(ctx, j); (err != nil) && !m.line.down {
			r.Fatal(err)
		}
	}
	sweep := func() {
		l, err := m.jobs.Overdue(ctx, 0, 1000)
		if m.line.down {
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		for _, j := range l {
			if err := m.turns.Convert(ctx, j.ID, j.Attempt, 0); err != nil {
				r.Fatal(err)
			}
		}
	}
	faults := rapid.Bool().Draw(r, "faults")
	r.Repeat(map[string]func(*rapid.T){
		"submit": func(r *rapid.T) {
			j := submit(t, m.jobs, rapid.SampledFrom(owners).Draw(r, "owner"))
			m.came(j)
			enqueue(j)
		},
		"submit many": func(r *rapid.T) {
			owner := rapid.SampledFrom(owners).Draw(r, "owner")
			for range rapid.IntRange(2, 12).Draw(r, "n") {
				j := submit(t, m.jobs, owner)
				m.came(j)
				enqueue(j)
			}
		},
		"begin": func(r *rapid.T) {
			if len(m.line.tasks) == 0 || m.line.down {
				return
			}
			id := m.line.tasks[0]
			m.line.tasks = m.line.tasks[1:]
			j, err := m.jobs.Claim(ctx, id, "w", lease)
			if (err == nil) != (m.waiting[id] != nil) {
				r.Fatalf("begin %s: %v; it waits: %v", id, err, m.waiting[id])
			}
			if err == nil {
				m.begun(r, j)
			}
		},
		"succeed": func(r *rapid.T) {
			if len(m.running) > 0 {
				j := m.running[0]
				m.running = m.running[1:]
				if _, err := m.jobs.Succeed(ctx, j.ID, j.Attempt, job.Result{Key: "k"}, time.Hour); err != nil {
					r.Fatal(err)
				}
			}
		},
		"hand back": func(r *rapid.T) {
			if len(m.running) > 0 {
				j := m.running[0]
				m.running = m.running[1:]
				j, err := m.jobs.Release(ctx, j.ID, j.Attempt, 0, nil)
				if err != nil {
					r.Fatal(err)
				}
				m.came(j)
				if err := m.turns.Convert(ctx, j.ID, j.Attempt, 0); err != nil && !m.line.down {
					r.Fatal(err)
				}
			}
		},
		"die between row and queue": func(r *rapid.T) {
			if faults {
				m.came(submit(t, m.jobs, rapid.SampledFrom(owners).Draw(r, "owner")))
				m.lost()
			}
		},
		"fail and try later": func(r *rapid.T) {
			if faults && len(m.running) > 0 {
				j := m.running[0]
				m.running = m.running[1:]
				later := rapid.SampledFrom([]time.Duration{1, time.Hour}).Draw(r, "later") // 1 has come at the sweep
				j, err := m.jobs.Release(ctx, j.ID, j.Attempt, later, &job.Failure{Code: job.Storage})
				if err != nil {
					r.Fatal(err)
				}
				if later == 1 {
					m.came(j)
				}
				m.lost()
				if err := m.turns.Convert(ctx, j.ID, j.Attempt, later); err != nil && !m.line.down {
					r.Fatal(err)
				}
			}
		},
		"cancel": func(r *rapid.T) {
			if ids := m.of(rapid.SampledFrom(owners).Draw(r, "owner")); len(ids) > 0 {
				id := rapid.SampledFrom(ids).Draw(r, "job")
				if _, err := m.jobs.Cancel(ctx, id); err != nil {
					r.Fatal(err)
				}
				delete(m.waiting, id)
			}
		},
		"lose a task": func(r *rapid.T) {
			if faults && len(m.line.tasks) > 0 {
				i := rapid.IntRange(0, len(m.line.tasks)-1).Draw(r, "i")
				m.line.tasks = slices.Delete(m.line.tasks, i, i+1)
				m.lost()
			}
		},
		"lose all": func(*rapid.T) {
			if faults {
				m.line.tasks = nil
				m.lost()
			}
		},
		"down": func(*rapid.T) {
			if faults {
				m.line.down = true
				m.lost()
			}
		},
		"up": func(*rapid.T) { m.line.down = false },
		"sweep": func(r *rapid.T) {
			sweep()
			if m.line.down {
				return
			}
			// Everybody has as many in the queue as he may.
			for _, owner := range owners {
				mine := m.of(owner)
				told := 0
				for _, id := range mine {
					if slices.Contains(m.line.tasks, id) {
						told++
					}
				}
				if want := min(len(mine), m.window); told != want {
					r.Fatalf("%d of the %d jobs of %s are in the queue, want %d", told, len(mine), owner, want)
				}
			}
		},
		"": func(r *rapid.T) {
			inLine := map[string]int{}
			for _, id := range m.line.tasks {
				if w := m.waiting[id]; w != nil {
					inLine[w.owner]++
				}
			}
			for owner, n := range inLine {
				if n > m.window {
					r.Fatalf("%d jobs of %s are in the queue", n, owner)
				}
			}
			// As long as nothing is lost, nobody waits for a sweep.
			if m.lossless {
				for _, owner := range owners {
					if mine := len(m.of(owner)); inLine[owner] != min(mine, m.window) {
						r.Fatalf("%d of the %d jobs of %s are in the queue", inLine[owner], mine, owner)
					}
				}
			}
		},
	})
	// In the end all come to their turn.
	m.line.down = false
	for tries := 0; len(m.waiting) > 0; tries++ {
		if tries > 1000 {
			r.Fatalf("%d jobs wait for ever", len(m.waiting))
		}
		if len(m.line.tasks) == 0 {
			sweep()
			continue
		}
		id := m.line.tasks[0]
		m.line.tasks = m.line.tasks[1:]
		if j, err := m.jobs.Claim(ctx, id, "w", lease); err == nil {
			m.begun(r, j)
		}
	}
}

// lost: from here on the order is not that in which jobs came.
func (m *machine) lost() {
	m.lossless = false
	for _, w := range m.waiting {
		w.passed = nil
	}
}
