package mongo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/job"
)

// A process that dies in the middle of what is done under a key leaves nothing wrong. The
// steps are those of intent.go: "placed" is after the first, "noted" after the second.

var errDied = errors.New("the process died")

var ctx = context.Background()

// dying is the same store in a process that dies after a step.
func dying(s *Store, after string) *Store {
	other := *s
	other.stop = func(step string) error {
		if step == after {
			return errDied
		}
		return nil
	}
	return &other
}

// discoveries are the ways by which others come to meet an intent.
var discoveries = map[string]func(s *Store, id, twin string, k *job.Keyed) error{
	"the job is asked for": func(s *Store, id, _ string, _ *job.Keyed) error {
		_, err := s.Get(ctx, id)
		return err
	},
	"the request comes again": func(s *Store, _, _ string, k *job.Keyed) error {
		again := *k
		again.Holder = newID()
		_, _, err := s.ClaimKey(ctx, again, lease)
		return err
	},
	"a twin comes": func(s *Store, _, twin string, _ *job.Keyed) error {
		_, err := s.Submit(ctx, submission(nil, twin))
		if errors.Is(err, job.ErrTwin) {
			err = nil
		}
		return err
	},
	"the sweeper comes": func(s *Store, _, _ string, _ *job.Keyed) error {
		_, err := s.Overdue(ctx, 0, 10)
		return err
	},
}

// intents counts those that are left, and jobs that are none.
func intents(t *testing.T, s *Store) (n, hidden int64) {
	t.Helper()
	n, err := s.jobs.CountDocuments(ctx, bson.D{is("intent.at", "$gt", int64(0))})
	if err != nil {
		t.Fatal(err)
	}
	hidden, err = s.jobs.CountDocuments(ctx, bson.D{{Key: "state", Value: submitted}})
	if err != nil {
		t.Fatal(err)
	}
	return n, hidden
}

// TestSubmitStopped: whoever comes next finds the job and a key that leads to it.
func TestSubmitStopped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, step := range []string{"placed", "noted"} {
		for how, discover := range discoveries {
			k, twin := claimed(t, s), newID()
			sub := submission(k, twin)
			if _, err := dying(s, step).Submit(ctx, sub); !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			if n, hidden := intents(t, s); n != 1 || hidden != 1 {
				t.Fatalf("%d intents, %d hidden: the test stops elsewhere than it thinks", n, hidden)
			}
			// Until then nobody is told of it, and nothing of it is thrown away.
			if l, err := s.List(ctx, job.Query{Limit: 1000}); err != nil || contains(l, sub.ID) {
				t.Errorf("listed: %v", err)
			}
			if states, err := s.States(ctx, []string{sub.ID}); err != nil || !states[sub.ID].Needs(sub.ID, job.SourceKey(sub.ID)) {
				t.Errorf("its upload would be thrown away: %+v, %v", states, err)
			}
			if step == "placed" && how == "the request comes again" {
				// The key leads nowhere yet, so the request is told to wait or does it
				// anew, as if its holder had died during the upload.
				how = "the sweeper comes"
				discover = discoveries[how]
			}
			if err := discover(s, sub.ID, twin, k); err != nil {
				t.Errorf("%s, %s: %v", step, how, err)
			}
			j, err := s.Get(ctx, sub.ID)
			if err != nil || j.State != job.Queued || j.Version != 1 || leadsTo(t, s, k) != sub.ID {
				t.Errorf("%s, %s: %+v, %v; the key leads to %q", step, how, j, err, leadsTo(t, s, k))
			}
			if n, hidden := intents(t, s); n+hidden != 0 {
				t.Errorf("%s, %s: %d intents, %d hidden are left", step, how, n, hidden)
			}
			// It is a job as any other.
			if _, err := s.Claim(ctx, sub.ID, "w", lease); err != nil {
				t.Error(err)
			}
		}
	}
}

func contains(jobs []job.Job, id string) bool {
	for _, j := range jobs {
		if j.ID == id {
			return true
		}
	}
	return false
}

// TestSubmitLost: a submission whose key was lost meanwhile is none.
func TestSubmitLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for how, discover := range discoveries {
		k, twin := claimed(t, s), newID()
		sub := submission(k, twin)
		if _, err := dying(s, "placed").Submit(ctx, sub); !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		set := bson.D{{Key: "$set", Value: bson.D{{Key: "held_until", Value: int64(1)}}}}
		if _, err := s.keys.UpdateOne(ctx, bson.D{{Key: "_id", Value: keyID(k.RequestKey)}}, set); err != nil {
			t.Fatal(err)
		}
		other := *k
		other.Holder = newID()
		if _, ok, err := s.ClaimKey(ctx, other, lease); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := discover(s, sub.ID, twin, k); err != nil && !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%s: %v", how, err)
		}
		if how == "the request comes again" {
			if _, err := s.Overdue(ctx, 0, 10); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Get(ctx, sub.ID); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%s: %v", how, err)
		}
		if n, hidden := intents(t, s); n+hidden != 0 {
			t.Errorf("%s: %d intents, %d hidden are left", how, n, hidden)
		}
		// The one who has the key now can use it.
		if j := made(t, s, submission(&other, newID())); leadsTo(t, s, k) != j.ID {
			t.Errorf("%s: the key leads to %q", how, leadsTo(t, s, k))
		}
	}
}

// TestRetryStopped: until the retry is carried out the job stays as it is, whoever would
// change it; then it is queued, once.
func TestRetryStopped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	after := map[string]func(id string) error{
		"asked for":    func(string) error { return nil },
		"deleted":      func(id string) error { return s.Delete(ctx, id) },
		"retried":      func(id string) error { _, err := s.Retry(ctx, id); return err },
		"expired":      func(id string) error { _, err := s.Expire(ctx, id); return err },
		"found by key": nil,
	}
	for _, step := range []string{"placed", "noted"} {
		for how, do := range after {
			k, j := claimed(t, s), failedJob(t, s)
			if _, err := dying(s, step).RetryOnce(ctx, j.ID, k); !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			due := bson.D{{Key: "$set", Value: bson.D{{Key: "due_at", Value: int64(1)}}}}
			if _, err := s.jobs.UpdateOne(ctx, bson.D{{Key: "_id", Value: j.ID}}, due); err != nil {
				t.Fatal(err)
			}
			switch {
			case do == nil && step == "noted":
				if leadsTo(t, s, k) != j.ID {
					t.Errorf("the key leads to %q", leadsTo(t, s, k))
				}
			case do == nil || how == "asked for":
				if _, err := s.Overdue(ctx, 0, 10); err != nil {
					t.Fatal(err)
				}
			default:
				// The retry was before, so all of these come too late.
				if err := do(j.ID); !errors.Is(err, job.ErrConflict) {
					t.Errorf("%s, %s: %v", step, how, err)
				}
			}
			got, err := s.Get(ctx, j.ID)
			if err != nil || got.State != job.Queued || got.Version != j.Version+1 || leadsTo(t, s, k) != j.ID {
				t.Errorf("%s, %s: %+v, %v; the key leads to %q", step, how, got, err, leadsTo(t, s, k))
			}
			if n, hidden := intents(t, s); n+hidden != 0 {
				t.Errorf("%s, %s: %d intents, %d hidden are left", step, how, n, hidden)
			}
		}
	}
}

// TestRetryLost: a retry whose key was lost leaves the job as it was.
func TestRetryLost(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k, j := claimed(t, s), failedJob(t, s)
	if _, err := dying(s, "placed").RetryOnce(ctx, j.ID, k); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if err := s.FreeKey(ctx, k.RequestKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Overdue(ctx, 0, 10); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, j.ID); err != nil || got.State != job.Failed || got.Version != j.Version {
		t.Errorf("%+v, %v", got, err)
	}
	if err := s.Delete(ctx, j.ID); err != nil {
		t.Error(err)
	}
}

// TestJoinStopped: what a later submission wants is not lost, whatever becomes of the job
// before the join is carried out.
func TestJoinStopped(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, step := range []string{"placed", "noted"} {
		for _, end := range []job.State{job.Running, job.Succeeded, job.Failed, job.Canceled} {
			k, twin := claimed(t, s), newID()
			quiet := submission(nil, twin)
			quiet.NotifyTo = ""
			j := made(t, s, quiet)
			if _, err := s.Claim(ctx, j.ID, "w", lease); err != nil {
				t.Fatal(err)
			}
			later := submission(k, twin)
			later.FileName = "later.mp4"
			if _, err := dying(s, step).Join(ctx, j.ID, later); !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			var err error
			switch end {
			case job.Succeeded:
				_, err = s.Succeed(ctx, j.ID, 1, job.Result{Key: "k"}, retention)
			case job.Failed:
				_, err = s.Fail(ctx, j.ID, 1, job.Failure{Code: job.NoAudio}, retention)
			case job.Canceled:
				_, err = s.Cancel(ctx, j.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Overdue(ctx, 0, 10); err != nil {
				t.Fatal(err)
			}
			got, err := s.Get(ctx, j.ID)
			if err != nil || got.State != end || got.FileName != "later.mp4" || got.NotifyTo != later.NotifyTo || leadsTo(t, s, k) != j.ID {
				t.Errorf("%s, %s: %+v, %v; the key leads to %q", step, end, got, err, leadsTo(t, s, k))
			}
			untold, err := s.Untold(ctx, 0, 100)
			if err != nil || contains(untold, j.ID) != (end == job.Succeeded || end == job.Failed) {
				t.Errorf("%s, %s: to be told: %t, %v", step, end, contains(untold, j.ID), err)
			}
			if n, hidden := intents(t, s); n+hidden != 0 {
				t.Errorf("%s, %s: %d intents, %d hidden are left", step, end, n, hidden)
			}
		}
	}
}

// TestIntentRace: many carry out the same intents at once, their maker among them, and
// each happens once. In the end keys and jobs say the same.
func TestIntentRace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	rounds := 12
	if server.Real {
		rounds = 100
	}
	for round := range rounds {
		twin := fmt.Sprint("round ", round)
		var keys []*job.Keyed
		for range 4 {
			keys = append(keys, claimed(t, s))
		}
		var wg sync.WaitGroup
		for i, k := range keys {
			who := s
			if i%2 == 1 {
				who = dying(s, []string{"placed", "noted"}[round%2])
			}
			wg.Go(func() {
				for range 10 {
					sub := submission(k, twin)
					_, err := who.Submit(ctx, sub)
					if err == nil || errors.Is(err, errDied) || errors.Is(err, job.ErrLost) {
						return
					}
					if !errors.Is(err, job.ErrTwin) {
						t.Error(err)
						return
					}
					old, err := who.Twin(ctx, twin)
					if err == nil {
						_, err = who.Join(ctx, old.ID, sub)
					}
					if err == nil || errors.Is(err, errDied) || errors.Is(err, job.ErrLost) {
						return
					}
				}
				t.Error("neither submitted nor joined")
			})
			wg.Go(func() {
				for range 3 {
					if _, err := s.Overdue(ctx, 0, 100); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if _, err := s.Overdue(ctx, 0, 100); err != nil {
			t.Fatal(err)
		}
		if n, hidden := intents(t, s); n+hidden != 0 {
			t.Errorf("%d intents, %d hidden are left", n, hidden)
		}
		j, err := s.Twin(ctx, twin)
		if err != nil {
			t.Fatal(err)
		}
		led := 0
		for _, k := range keys {
			row, err := s.key(ctx, k.RequestKey)
			if err != nil {
				t.Fatal(err)
			}
			if row.Job == j.ID {
				led++
			} else if row.Job != "" {
				t.Errorf("a key leads to %s, and the job is %s", row.Job, j.ID)
			}
		}
		// One made it, and each other one joined it once.
		if j.Version != int64(led) || led == 0 {
			t.Errorf("%d keys lead to the job, whose version is %d", led, j.Version)
		}
	}
}

// TestJoinedMeanwhile: an end that is decided on while somebody joins, who wants to be told
// of it, is told.
func TestJoinedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	twin := newID()
	quiet := submission(nil, twin)
	quiet.NotifyTo = ""
	j := made(t, s, quiet)
	if _, err := s.Claim(ctx, j.ID, "w", lease); err != nil {
		t.Fatal(err)
	}
	slow, joined := *s, false
	slow.stop = func(step string) error {
		if step != "decided" || joined {
			return nil
		}
		joined = true
		_, err := s.Join(ctx, j.ID, submission(nil, twin))
		return err
	}
	if _, err := slow.Succeed(ctx, j.ID, 1, job.Result{Key: "k"}, retention); err != nil || !joined {
		t.Fatal(joined, err)
	}
	if l, err := s.Untold(ctx, 0, 10); err != nil || !contains(l, j.ID) {
		t.Errorf("nobody is told: %v, %v", l, err)
	}
}
