package jobstore

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/job"
)

// model is a job as the documentation has it.
type model struct {
	id             string
	state          job.State
	attempt, tries int
	version        int64
	failure        *job.Failure
	result         string // the key of it
	leased, told   bool   // its notice
	twin           string
	displaced      bool
}

// machine runs the same operations on a store and on models.
type machine struct {
	s    store
	t    *testing.T
	jobs []*model
}

func (m *machine) insert() {
	j := &model{id: newID(), state: job.Queued, version: 1}
	j.twin = j.id
	if _, err := m.s.Submit(m.t.Context(), submission(j.id, j.twin)); err != nil {
		m.t.Fatal(err)
	}
	m.jobs = append(m.jobs, j)
}

// pick draws a job, and an attempt of it, most often the last.
func (m *machine) pick(r *rapid.T) (*model, int) {
	if len(m.jobs) == 0 {
		m.insert()
	}
	j := rapid.SampledFrom(m.jobs).Draw(r, "job")
	return j, max(j.attempt-rapid.SampledFrom([]int{0, 0, 0, 0, 1, -1}).Draw(r, "behind"), 0)
}

// expect compares an answer with what the model says.
func (m *machine) expect(r *rapid.T, what string, err error, ok bool, otherwise error) bool {
	if ok && err != nil || !ok && !errors.Is(err, otherwise) {
		r.Fatalf("%s: %v; want %t, or %v", what, err, ok, otherwise)
	}
	return ok
}

func (m *machine) actions() map[string]func(*rapid.T) {
	ctx := m.t.Context()
	return map[string]func(*rapid.T){
		"insert": func(r *rapid.T) {
			if len(m.jobs) < 4 {
				m.insert()
			}
		},
		"claim": func(r *rapid.T) {
			j, _ := m.pick(r)
			got, err := m.s.Claim(ctx, j.id, "w", lease)
			if m.expect(r, "claim", err, j.state == job.Queued, job.ErrConflict) {
				j.state, j.failure = job.Running, nil
				j.attempt++
				j.tries++
				j.version++
				if got.Attempt != j.attempt {
					r.Fatalf("attempt %d, want %d", got.Attempt, j.attempt)
				}
			}
		},
		"heartbeat": func(r *rapid.T) {
			j, n := m.pick(r)
			err := m.s.Heartbeat(ctx, j.id, n, job.Progress{}, lease)
			if m.expect(r, "heartbeat", err, j.state == job.Running && n == j.attempt, job.ErrLost) {
				j.version++
			}
		},
		"succeed": func(r *rapid.T) {
			j, n := m.pick(r)
			key := rapid.SampledFrom([]string{"a", "b"}).Draw(r, "key")
			_, err := m.s.Succeed(ctx, j.id, n, job.Result{Key: key}, retention)
			again := j.state == job.Succeeded && n == j.attempt && key == j.result
			if m.expect(r, "succeed", err, again || j.state == job.Running && n == j.attempt, job.ErrLost) && !again {
				j.state, j.result = job.Succeeded, key
				j.version++
			}
		},
		"fail": func(r *rapid.T) {
			j, n := m.pick(r)
			_, err := m.s.Fail(ctx, j.id, n, invalid, retention)
			if m.expect(r, "fail", err, j.state == job.Running && n == j.attempt, job.ErrLost) {
				j.state, j.failure = job.Failed, &invalid
				j.version++
			}
		},
		"release": func(r *rapid.T) {
			j, n := m.pick(r)
			var why *job.Failure
			if rapid.Bool().Draw(r, "failed") {
				why = &storage
			}
			_, err := m.s.Release(ctx, j.id, n, 0, why)
			if m.expect(r, "release", err, j.state == job.Running && n == j.attempt, job.ErrLost) {
				j.state, j.failure = job.Queued, why
				j.version++
				if why == nil {
					j.tries--
				}
			}
		},
		"crash": func(r *rapid.T) {
			j, n := m.pick(r)
			_, err := m.s.Crashed(ctx, j.id, n, 0, crashed)
			if m.expect(r, "crash", err, j.state == job.Running && n == j.attempt, job.ErrLost) {
				j.state, j.failure = job.Queued, &crashed
				j.version++
				j.tries--
			}
		},
		"cancel": func(r *rapid.T) {
			j, _ := m.pick(r)
			_, err := m.s.Cancel(ctx, j.id)
			if m.expect(r, "cancel", err, j.state.Active(), job.ErrConflict) {
				j.state, j.failure = job.Canceled, nil
				j.version++
			}
		},
		"retry": func(r *rapid.T) {
			j, _ := m.pick(r)
			_, err := m.s.Retry(ctx, j.id)
			if m.expect(r, "retry", err, j.state == job.Failed, job.ErrConflict) {
				j.state, j.failure, j.tries, j.leased, j.told = job.Queued, nil, 0, false, false
				j.version++
			}
		},
		"expire": func(r *rapid.T) {
			j, _ := m.pick(r)
			ok := j.state.Ended() && j.state != job.Expired
			if ok {
				due(m.t, m.s, j.id)
			}
			_, err := m.s.Expire(ctx, j.id)
			if m.expect(r, "expire", err, ok, job.ErrConflict) {
				j.state, j.leased = job.Expired, false
				j.version++
			}
		},
		"submit a twin": func(r *rapid.T) {
			j, _ := m.pick(r)
			twin := submission(newID(), j.twin)
			_, err := m.s.Submit(ctx, twin)
			if m.expect(r, "submit a twin", err, j.displaced, job.ErrTwin) {
				j.twin = newID() // another has that now
				m.jobs = append(m.jobs, &model{id: twin.ID, state: job.Queued, version: 1, twin: twin.Twin})
			}
		},
		"join": func(r *rapid.T) {
			j, _ := m.pick(r)
			_, err := m.s.Join(ctx, j.id, submission(newID(), j.twin))
			if m.expect(r, "join", err, !j.displaced && (j.state.Active() || j.state == job.Succeeded), job.ErrConflict) {
				j.version++
			}
		},
		"displace": func(r *rapid.T) {
			j, _ := m.pick(r)
			if err := m.s.Displace(ctx, j.id, j.twin); err != nil {
				r.Fatal(err)
			}
			j.displaced = j.displaced || !j.state.Active()
		},
		"claim notice": func(r *rapid.T) {
			j, _ := m.pick(r)
			_, err := m.s.ClaimNotice(ctx, j.id, lease)
			ok := (j.state == job.Succeeded || j.state == job.Failed) && !j.leased && !j.told
			if m.expect(r, "claim notice", err, ok, job.ErrConflict) {
				j.leased = true
				j.version++
			}
		},
		"release notice": func(r *rapid.T) {
			j, _ := m.pick(r)
			if err := m.s.ReleaseNotice(ctx, j.id); err != nil {
				r.Fatal(err)
			}
			if j.leased {
				j.leased = false
				j.version++
			}
		},
		"notified": func(r *rapid.T) {
			j, n := m.pick(r)
			err := m.s.Notified(ctx, j.id, n, "")
			tellable := slices.Contains(allowed["Notified"], j.state) && n == j.attempt
			if m.expect(r, "notified", err, tellable, job.ErrLost) && !j.told {
				j.told, j.leased = true, false
				j.version++
			}
		},
		"delete": func(r *rapid.T) {
			j, _ := m.pick(r)
			err := m.s.Delete(ctx, j.id)
			if m.expect(r, "delete", err, j.state.Ended(), job.ErrConflict) {
				m.jobs = slices.DeleteFunc(m.jobs, func(x *model) bool { return x == j })
			}
		},
		"": func(r *rapid.T) {
			for _, j := range m.jobs {
				got, err := m.s.Get(ctx, j.id)
				if err != nil {
					r.Fatal(err)
				}
				key := ""
				if got.Result != nil {
					key = got.Result.Key
				}
				if got.State != j.state || got.Attempt != j.attempt || got.Tries != j.tries || got.Version != j.version ||
					key != j.result || (got.Failure == nil) != (j.failure == nil) || got.Failure != nil && *got.Failure != *j.failure ||
					!got.Notified.IsZero() != j.told || got.Started.IsZero() != (j.attempt == 0) || got.Ended.IsZero() == j.state.Ended() {
					r.Fatalf("the row is %+v\nthe model %+v", got, j)
				}
			}
		},
	}
}

func TestModel(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		// On a server a round trip costs more.
		checks := s.kind().pick(40, 15, 8)
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			if n++; n > checks {
				return
			}
			m := &machine{s: s, t: t}
			r.Repeat(m.actions())
		})
	})
}
