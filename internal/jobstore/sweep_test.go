package jobstore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// found checks what a search of the sweeper's finds.
func found(t *testing.T, what string, got []job.Job, err error, want ...job.Job) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	g, w := ids(got), ids(want)
	slices.Sort(g)
	slices.Sort(w)
	same(t, what, g, w)
	for _, j := range got {
		if i := slices.IndexFunc(want, func(w job.Job) bool { return w.ID == j.ID }); i >= 0 && j.State != want[i].State {
			t.Errorf("%s: %s is %s", what, j.ID, j.State)
		}
	}
}

func TestOverdue(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		a, b := insert(t, s), insert(t, s)
		in(t, s, job.Running)
		later := in(t, s, job.Running)
		if _, err := s.Release(ctx, later.ID, 1, lease, nil); err != nil {
			t.Fatal(err)
		}
		l, err := s.Overdue(ctx, lease, 10)
		found(t, "fresh", l, err)
		l, err = s.Overdue(ctx, 0, 10)
		found(t, "at once", l, err, a, b)
		l, err = s.Overdue(ctx, 0, 1)
		found(t, "the oldest", l, err, a)
		const stale = time.Second // longer than a busy machine needs for two statements
		until(t, "stale", func() bool {
			l, err := s.Overdue(ctx, stale, 10)
			return err == nil && len(l) == 2
		})
		if err := s.Enqueued(ctx, a.ID, 0); err != nil {
			t.Fatal(err)
		}
		l, err = s.Overdue(ctx, stale, 10)
		found(t, "but one", l, err, b)
		if err := s.Enqueued(ctx, b.ID, 1); !errors.Is(err, job.ErrConflict) {
			t.Errorf("of another attempt: %v", err)
		}
	})
}

// TestOverdueInTurn: who was told of longest ago comes first, and not always the same.
func TestOverdueInTurn(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		z, a := of(t, s, "zoe"), of(t, s, "anna")
		for i, want := range []job.Job{z, a} {
			if err := s.setJob(t.Context(), want.ID, "due_at", int64(1000+i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []job.Job{z, a} {
			l, err := s.Overdue(t.Context(), 0, 1)
			found(t, "the next", l, err, want)
			if err := s.Enqueued(t.Context(), want.ID, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestLost(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		in(t, s, job.Queued)
		in(t, s, job.Running)
		in(t, s, job.Failed)
		dead, alive := insert(t, s), insert(t, s)
		dead = claim(t, s, dead.ID, 30*time.Millisecond)
		alive = claim(t, s, alive.ID, 30*time.Millisecond)
		if err := s.Heartbeat(ctx, alive.ID, 1, job.Progress{}, lease); err != nil {
			t.Fatal(err)
		}
		until(t, "lost", func() bool { l, err := s.Lost(ctx, 10); return err != nil || len(l) > 0 })
		l, err := s.Lost(ctx, 10)
		found(t, "lost", l, err, dead)
		// Until it is taken away, who comes late comes in time.
		if err := s.Heartbeat(ctx, dead.ID, 1, job.Progress{}, lease); err != nil {
			t.Error(err)
		}
		l, err = s.Lost(ctx, 10)
		found(t, "found again", l, err)
	})
}

// TestTakenBack: a lost job is taken from its attempt, but from none that has given a
// sign of life since it was found.
func TestTakenBack(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		lost := func() job.Job { j := in(t, s, job.Running); due(t, s, j.ID); return get(t, s, j.ID) }
		back, err := s.Requeue(ctx, lost().ID, 1, storage)
		if err != nil || back.State != job.Queued || back.Tries != 0 || *back.Failure != storage || back.Worker != "" || back.NotBefore.After(time.Now().Add(lease/2)) {
			t.Errorf("%+v, %v", back, err)
		}
		failed, err := s.GiveUp(ctx, lost().ID, 1, storage, retention)
		if err != nil || failed.State != job.Failed || *failed.Failure != storage || failed.Expires.Before(failed.Ended.Add(retention/2)) {
			t.Errorf("%+v, %v", failed, err)
		}
		l, err := s.Untold(ctx, 0, 10)
		found(t, "to be told", l, err, failed)

		alive := lost()
		if err := s.Heartbeat(ctx, alive.ID, 1, job.Progress{}, lease); err != nil {
			t.Fatal(err)
		}
		before := get(t, s, alive.ID)
		if _, err := s.Requeue(ctx, alive.ID, 1, storage); !errors.Is(err, job.ErrLost) {
			t.Errorf("requeue of one that lives: %v", err)
		}
		if _, err := s.GiveUp(ctx, alive.ID, 1, storage, retention); !errors.Is(err, job.ErrLost) {
			t.Errorf("giving up one that lives: %v", err)
		}
		same(t, "one that lives", get(t, s, alive.ID), before)
		other := lost()
		if _, err := s.Requeue(ctx, other.ID, 2, storage); !errors.Is(err, job.ErrLost) {
			t.Errorf("of another attempt: %v", err)
		}
	})
}

func TestNotices(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		won, failed := in(t, s, job.Succeeded), in(t, s, job.Failed)
		for _, state := range []job.State{job.Queued, job.Running, job.Canceled, job.Expired} {
			in(t, s, state)
		}
		quiet, err := s.Insert(ctx, job.Job{ID: newID(), Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Succeed(ctx, quiet.ID, claim(t, s, quiet.ID, lease).Attempt, result, retention); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimNotice(ctx, quiet.ID, lease); !errors.Is(err, job.ErrConflict) {
			t.Errorf("nobody to tell: %v", err)
		}
		if err := s.Notified(ctx, quiet.ID, 1, ""); !errors.Is(err, job.ErrLost) {
			t.Errorf("nobody was told: %v", err)
		}
		untold := func(what string, stale time.Duration, want ...job.Job) {
			t.Helper()
			l, err := s.Untold(ctx, stale, 10)
			found(t, what, l, err, want...)
		}
		untold("fresh", lease)
		untold("at once", 0, won, failed)
		if _, err := s.ClaimNotice(ctx, won.ID, lease); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimNotice(ctx, won.ID, lease); !errors.Is(err, job.ErrConflict) {
			t.Errorf("leased by another: %v", err)
		}
		untold("one is being told", 0, failed)
		if err := s.ReleaseNotice(ctx, won.ID); err != nil {
			t.Fatal(err)
		}
		untold("it could not be told", 0, won, failed)
		if _, err := s.ClaimNotice(ctx, won.ID, 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		until(t, "the lease ends", func() bool { _, err := s.ClaimNotice(ctx, won.ID, lease); return err == nil })
		if err := s.Notified(ctx, won.ID, 2, ""); !errors.Is(err, job.ErrLost) {
			t.Errorf("of another attempt: %v", err)
		}
		for range 2 { // said again
			if err := s.Notified(ctx, won.ID, 1, ""); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.ClaimNotice(ctx, won.ID, lease); !errors.Is(err, job.ErrConflict) {
			t.Errorf("told already: %v", err)
		}
		if err := s.ReleaseNotice(ctx, won.ID); err != nil {
			t.Error(err)
		}
		untold("one was told", 0, failed)
		if _, err := s.Retry(ctx, failed.ID); err != nil {
			t.Fatal(err)
		}
		untold("the other goes on", 0)
		if err := s.Notified(ctx, failed.ID, 1, ""); !errors.Is(err, job.ErrLost) {
			t.Errorf("told of what goes on: %v", err)
		}
	})
}

func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		var want []job.Job
		for _, state := range []job.State{job.Succeeded, job.Failed, job.Canceled} {
			in(t, s, state)
			j := in(t, s, state)
			due(t, s, j.ID)
			want = append(want, j)
		}
		in(t, s, job.Queued)
		in(t, s, job.Running)
		l, err := s.Expirable(ctx, 10)
		found(t, "expirable", l, err, want...)
		l, err = s.Expirable(ctx, 2)
		if err != nil || len(l) != 2 {
			t.Errorf("two of them: %d, %v", len(l), err)
		}
		early := in(t, s, job.Succeeded)
		if _, err := s.Expire(ctx, early.ID); !errors.Is(err, job.ErrConflict) {
			t.Errorf("too early: %v", err)
		}
		for _, j := range want {
			after, err := s.Expire(ctx, j.ID)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "expired", after.Expires, 0)
			same(t, "what is kept of the result", after.Result, j.Result)
			same(t, "what is kept of the failure", after.Failure, j.Failure)
		}
		l, err = s.Expirable(ctx, 10)
		found(t, "all expired", l, err)

		// It counts from when they expired in fact.
		if n, err := s.Purge(ctx, time.Hour, 10); err != nil || n != 0 {
			t.Errorf("%d purged, %v", n, err)
		}
		if n, err := s.Purge(ctx, 0, 2); err != nil || n != 2 {
			t.Errorf("%d purged, %v; want 2", n, err)
		}
		fill(t, s, 250, func(int) job.State { return job.Expired })
		before, err := s.List(ctx, job.Query{Limit: jobs.MaxList})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Purge(ctx, 0, jobs.MaxList); err != nil || n != 251 {
			t.Errorf("%d purged, %v; want 251", n, err)
		}
		after, err := s.List(ctx, job.Query{Limit: jobs.MaxList})
		if err != nil || len(after) != len(before)-251 {
			t.Errorf("%d of %d are left, %v", len(after), len(before), err)
		}
	})
}

func TestStatesOf(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		want := map[string]job.Standing{}
		ask := []string{"", "x", "in/y", newID()}
		for _, state := range job.States() {
			j := in(t, s, state)
			want[j.ID] = job.Standing{State: state, Attempt: j.Attempt}
			ask = append(ask, j.ID, j.ID)
		}
		got, err := s.States(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "a few", got, want)
		fill(t, s, 250, func(int) job.State { return job.Canceled })
		l, err := s.List(t.Context(), job.Query{Limit: jobs.MaxList})
		if err != nil {
			t.Fatal(err)
		}
		if got, err = s.States(t.Context(), ids(l)); err != nil || len(got) != 256 {
			t.Errorf("%d, %v", len(got), err)
		}
		if got, err = s.States(t.Context(), nil); err != nil || len(got) != 0 {
			t.Errorf("of none: %d, %v", len(got), err)
		}
	})
}

func TestLease(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		take := func(name, holder string, ttl time.Duration, want bool) {
			t.Helper()
			if ok, err := s.Lease(t.Context(), name, holder, ttl); err != nil || ok != want {
				t.Errorf("%s takes %s: %t, %v", holder, name, ok, err)
			}
		}
		take("sweep", "a", lease, true)
		take("sweep", "a", lease, true)
		take("sweep", "b", lease, false)
		take("other", "b", lease, true)
		for _, holder := range []string{"b", "a", "a"} {
			if err := s.Unlease(t.Context(), "sweep", holder); err != nil {
				t.Error(err)
			}
			take("sweep", "b", 20*time.Millisecond, holder == "a")
		}
		until(t, "the lease passes", func() bool { ok, err := s.Lease(t.Context(), "sweep", "c", lease); return ok && err == nil })
		take("sweep", "b", lease, false)
	})
}
