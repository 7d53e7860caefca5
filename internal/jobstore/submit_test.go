package jobstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// submission is a job that has a twin and whose end is to be told.
func submission(id, twin string) job.Submission {
	return job.Submission{Job: job.Job{ID: id, Owner: owner, NotifyTo: notifyTo, FileName: "talk.mp4"}, Twin: twin}
}

// TestTwins: a job answers for its twins as long as it is active or has succeeded.
func TestTwins(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		if _, err := s.Twin(ctx, "none"); !errors.Is(err, job.ErrNotFound) {
			t.Error(err)
		}
		for _, state := range job.States() {
			twin := "twin of one " + string(state)
			first := reach(t, s, submission(newID(), twin), state)
			found, err := s.Twin(ctx, twin)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "the first that is "+string(state), found, first)
			if _, err := s.Submit(ctx, submission(newID(), twin)); !errors.Is(err, job.ErrTwin) {
				t.Errorf("a second: %v", err)
			}
			if _, err := s.Submit(ctx, submission(first.ID, "x")); !errors.Is(err, job.ErrConflict) {
				t.Errorf("a second of the same ID: %v", err)
			}
			joins := state.Active() || state == job.Succeeded
			if _, err := s.Join(ctx, first.ID, submission(newID(), "another")); !errors.Is(err, job.ErrConflict) {
				t.Errorf("another joins one that is %s: %v", state, err)
			}
			joined, err := s.Join(ctx, first.ID, submission(newID(), twin))
			if joins != (err == nil) || err != nil && !errors.Is(err, job.ErrConflict) {
				t.Errorf("join of one that is %s: %v", state, err)
			}
			if joins {
				first.Version++
				first.Expires = joined.Expires
				same(t, "joined", joined, first)
			}
			// Who stands alone, and who is of another user, is not found.
			if err := s.Displace(ctx, first.ID, twin); err != nil {
				t.Fatal(err)
			}
			_, err = s.Submit(ctx, submission(newID(), twin))
			if state.Active() != errors.Is(err, job.ErrTwin) || !state.Active() && err != nil {
				t.Errorf("after one that is %s was displaced: %v", state, err)
			}
			same(t, "displaced", get(t, s, first.ID), first)
		}
		for range 2 {
			insert(t, s) // without a twin any number
		}
		if _, err := s.Join(ctx, newID(), submission(newID(), "x")); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("join of nothing: %v", err)
		}
	})
}

// reach makes a job and brings it into a state.
func reach(t *testing.T, s store, sub job.Submission, state job.State) job.Job {
	t.Helper()
	j, err := s.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	switch state {
	case job.Running:
		j = claim(t, s, j.ID, lease)
	case job.Succeeded:
		j, err = s.Succeed(t.Context(), j.ID, claim(t, s, j.ID, lease).Attempt, result, retention)
	case job.Failed:
		j, err = s.Fail(t.Context(), j.ID, claim(t, s, j.ID, lease).Attempt, invalid, retention)
	case job.Canceled:
		j, err = s.Cancel(t.Context(), j.ID)
	case job.Expired:
		if _, err = s.Succeed(t.Context(), j.ID, claim(t, s, j.ID, lease).Attempt, result, 0); err == nil {
			j, err = s.Expire(t.Context(), j.ID)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestJoin: what a later submission wants is not lost.
func TestJoin(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		quiet := func(id, twin, name string) job.Submission {
			sub := submission(id, twin)
			sub.NotifyTo, sub.FileName = "", name
			return sub
		}
		join := func(id string, sub job.Submission) job.Job {
			t.Helper()
			j, err := s.Join(ctx, id, sub)
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		// While it runs: the name is the last one's, and the mail goes to who wants one.
		j := reach(t, s, quiet(newID(), "a", "first.mp4"), job.Running)
		if j = join(j.ID, quiet(newID(), "a", "")); j.FileName != "first.mp4" || j.NotifyTo != "" {
			t.Errorf("%+v", j)
		}
		if j = join(j.ID, submission(newID(), "a")); j.FileName != "talk.mp4" || j.NotifyTo != notifyTo || j.State != job.Running {
			t.Errorf("%+v", j)
		}
		other := submission(newID(), "a")
		other.NotifyTo = "eve@example.com"
		if j = join(j.ID, other); j.NotifyTo != notifyTo {
			t.Errorf("%+v", j)
		}
		j, err := s.Succeed(ctx, j.ID, j.Attempt, result, retention)
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Untold(ctx, 0, 10)
		found(t, "one end to tell", l, err, j)
		if err := s.Notified(ctx, j.ID, j.Attempt, ""); err != nil {
			t.Fatal(err)
		}
		join(j.ID, submission(newID(), "a"))
		l, err = s.Untold(ctx, 0, 10)
		found(t, "it is told once", l, err)

		// After its end: kept for as long again, and told if it never was.
		k := reach(t, s, quiet(newID(), "b", "b.mp4"), job.Succeeded)
		if err := s.addJob(ctx, k.ID, "due_at", -(retention / 2).Microseconds()); err != nil {
			t.Fatal(err)
		}
		near(t, "half-way", get(t, s, k.ID).Expires, retention/2)
		k = join(k.ID, submission(newID(), "b"))
		near(t, "joined", k.Expires, retention)
		near(t, "joined again", join(k.ID, submission(newID(), "b")).Expires, retention)
		l, err = s.Untold(ctx, lease, 10)
		found(t, "told at once", l, err, k)
		if _, err := s.ClaimNotice(ctx, k.ID, lease); err != nil {
			t.Error(err)
		}

		// One whose time has come is not joined, for its files may just be going.
		due(t, s, k.ID)
		if _, err := s.Join(ctx, k.ID, submission(newID(), "b")); !errors.Is(err, job.ErrConflict) {
			t.Errorf("one that expires: %v", err)
		}
		// A row of an older program does not say how long it is kept.
		old := reach(t, s, submission(newID(), "c"), job.Succeeded)
		if err := s.setJob(ctx, old.ID, "kept", 0); err != nil {
			t.Fatal(err)
		}
		same(t, "an older one expires as it was to", join(old.ID, submission(newID(), "c")).Expires, old.Expires)
	})
}

// TestJoinUnderKey: the key leads to the job that was joined.
func TestJoinUnderKey(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		j := reach(t, s, submission(newID(), "a"), job.Running)
		sub := submission(newID(), "a")
		sub.Key = claimKey(t, s, 1)
		if _, err := s.Submit(ctx, sub); !errors.Is(err, job.ErrTwin) {
			t.Fatal(err)
		}
		if got, err := s.Join(ctx, j.ID, sub); err != nil || got.ID != j.ID || got.Version != j.Version+1 {
			t.Fatalf("%+v, %v", got, err)
		}
		if rec, _, err := s.ClaimKey(ctx, *keyed(1, "x"), lease); err != nil || rec.JobID != j.ID {
			t.Errorf("%+v, %v", rec, err)
		}
		if _, err := s.Join(ctx, j.ID, sub); !errors.Is(err, job.ErrLost) {
			t.Errorf("twice under a key: %v", err)
		}
		if got := get(t, s, j.ID); got.Version != j.Version+1 {
			t.Errorf("joined without the key: %+v", got)
		}
	})
}

// TestOneOfTwins: of many who submit the same at once, in two processes, one makes a
// job, and the others join it.
func TestOneOfTwins(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			stores := []store{open(t, url), open(t, url)}
			for round := range 5 {
				twin := fmt.Sprint("round ", round)
				if round%2 == 1 { // one that has to make room first
					reach(t, stores[0], submission(newID(), twin), job.Failed)
				}
				var made atomic.Int32
				ids := make([]string, 12)
				var wg sync.WaitGroup
				for g := range ids {
					wg.Go(func() {
						s := stores[g%2]
						for tries := 0; ids[g] == "" && tries < 20; tries++ {
							sub := submission(newID(), twin)
							j, err := s.Submit(t.Context(), sub)
							if err == nil {
								made.Add(1)
								ids[g] = j.ID
								return
							}
							if !errors.Is(err, job.ErrTwin) {
								t.Error(err)
							}
							old, err := s.Twin(t.Context(), twin)
							if err != nil {
								continue
							}
							if err := s.Displace(t.Context(), old.ID, twin); err != nil {
								t.Error(err)
							}
							if j, err := s.Join(t.Context(), old.ID, sub); err == nil {
								ids[g] = j.ID
							}
						}
					})
				}
				wg.Wait()
				for _, id := range ids {
					if id != ids[0] || id == "" {
						t.Errorf("round %d: %v", round, ids)
						break
					}
				}
				if made.Load() != 1 {
					t.Errorf("round %d: %d were made", round, made.Load())
				}
				if j := get(t, stores[0], ids[0]); j.Version != 12 || time.Since(j.Created) > time.Hour {
					t.Errorf("round %d: %+v", round, j)
				}
			}
		})
	}
}

// TestKeep: an owner may have files removed earlier, not later.
func TestKeep(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		for wish, want := range map[time.Duration]time.Duration{0: retention, retention / 2: retention / 2, 2 * retention: retention} {
			running := func() job.Job {
				sub := submission(newID(), newID())
				sub.Keep = wish
				return reach(t, s, sub, job.Running)
			}
			won := running()
			won, err := s.Succeed(ctx, won.ID, 1, result, retention)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "a success", won.Expires, want)
			lost := running()
			if lost, err = s.Fail(ctx, lost.ID, 1, storage, retention); err != nil {
				t.Fatal(err)
			}
			near(t, "a failure", lost.Expires, want)
			given := running()
			due(t, s, given.ID)
			if given, err = s.GiveUp(ctx, given.ID, 1, storage, retention); err != nil {
				t.Fatal(err)
			}
			near(t, "given up", given.Expires, want)
		}
		// Joined, it is kept for as long again as its own owner wished.
		sub := submission(newID(), "x")
		sub.Keep = retention / 2
		j := reach(t, s, sub, job.Succeeded)
		if j, err := s.Join(ctx, j.ID, sub); err != nil {
			t.Error(err)
		} else {
			near(t, "joined", j.Expires, retention/2)
		}
	})
}
