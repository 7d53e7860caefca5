package jobstore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// near checks a time that the database has taken from its clock.
func near(t *testing.T, what string, got time.Time, after time.Duration) {
	t.Helper()
	if d := time.Until(got) - after; d < -time.Minute || d > time.Minute {
		t.Errorf("%s is %v, not %v from now", what, got, after)
	}
	if got.Location() != time.UTC {
		t.Errorf("%s is not in UTC", what)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("%s: want -, got +\n%s", what, d)
	}
}

// TestRoundTrip: what goes in comes out, whatever letters it is written in.
func TestRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		vbr := 0
		tags := map[string]string{}
		for _, name := range job.TagNames() {
			tags[name] = strings.Repeat("<", 4000) + "\U0001F469\u200d\U0001F680 日本語 \x00'\"\\%_?"
		}
		want := job.Job{
			ID: newID(), Owner: owner, NotifyTo: strings.Repeat("ä", 64) + "@" + strings.Repeat("x", 255),
			FileName: "🎵 'naïve' \\ \"x\"; -- 汉字 𝄞" + strings.Repeat("é", 100) + ".mp4", SourceBytes: 1 << 50, SourceSHA256: strings.Repeat("a", 64),
			Settings: job.Settings{VBR: &vbr, Rate: 44100, Lang: "de", Start: 1500 * time.Millisecond, MaxDuration: -1, Tags: tags, NoCover: true},
			Trace:    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		}
		got, err := s.Insert(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "created", got.Created, 0)
		want.State, want.Version, want.Created = job.Queued, 1, got.Created
		same(t, "inserted", got, want)
		same(t, "read", get(t, s, want.ID), want)
		if _, err := s.Insert(t.Context(), want); !errors.Is(err, job.ErrConflict) {
			t.Errorf("a second of the same ID: %v", err)
		}
		for _, j := range []job.Job{
			{ID: "x", Owner: owner},
			{ID: strings.ToUpper(newID()), Owner: owner},
			{ID: newID()},
			{ID: newID(), Owner: "a b"},
			{ID: newID(), Owner: "ä"},
			{ID: newID(), Owner: strings.Repeat("a", 65)},
		} {
			if _, err := s.Insert(t.Context(), j); err == nil {
				t.Errorf("%q of %q was kept", j.ID, j.Owner)
			}
		}
	})
}

// TestLife follows one job through everything that may happen to it.
func TestLife(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		made := insert(t, s)
		want := made
		check := func(what string, got job.Job, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			want.Version++
			same(t, what, got, want)
			same(t, what+", read again", get(t, s, got.ID), want)
		}

		j, err := s.Claim(ctx, made.ID, "worker ⚙", lease)
		near(t, "started", j.Started, 0)
		near(t, "the lease", j.LeaseUntil, lease)
		want.State, want.Attempt, want.Tries, want.Worker = job.Running, 1, 1, "worker ⚙"
		want.Started, want.LeaseUntil = j.Started, j.LeaseUntil
		check("claimed", j, err)

		err = s.Heartbeat(ctx, made.ID, 1, job.Progress{Position: time.Second, Total: time.Minute}, 2*lease)
		j = get(t, s, made.ID)
		near(t, "the longer lease", j.LeaseUntil, 2*lease)
		want.Progress, want.LeaseUntil = job.Progress{Position: time.Second, Total: time.Minute}, j.LeaseUntil
		check("heartbeat", j, err)

		j, err = s.Release(ctx, made.ID, 1, lease, &storage)
		near(t, "not before", j.NotBefore, lease)
		want.State, want.Worker, want.LeaseUntil, want.Progress = job.Queued, "", time.Time{}, job.Progress{}
		want.Failure, want.NotBefore = &storage, j.NotBefore
		check("released", j, err)

		j, err = s.Claim(ctx, made.ID, "w", lease)
		want.State, want.Attempt, want.Tries, want.Worker = job.Running, 2, 2, "w"
		want.Failure, want.NotBefore = nil, time.Time{}
		want.Started, want.LeaseUntil = j.Started, j.LeaseUntil
		check("claimed again", j, err)

		j, err = s.Release(ctx, made.ID, 2, 0, nil)
		want.State, want.Tries, want.Worker, want.LeaseUntil = job.Queued, 1, "", time.Time{}
		want.NotBefore = j.NotBefore
		check("handed back", j, err)

		j, err = s.Claim(ctx, made.ID, "w", lease)
		want.State, want.Attempt, want.Tries, want.Worker = job.Running, 3, 2, "w"
		want.NotBefore, want.Started, want.LeaseUntil = time.Time{}, j.Started, j.LeaseUntil
		check("claimed a third time", j, err)

		j, err = s.Fail(ctx, made.ID, 3, invalid, retention)
		near(t, "ended", j.Ended, 0)
		near(t, "expires", j.Expires, retention)
		want.State, want.Worker, want.LeaseUntil, want.Failure = job.Failed, "", time.Time{}, &invalid
		want.Ended, want.Expires = j.Ended, j.Expires
		check("failed", j, err)

		j, err = s.ClaimNotice(ctx, made.ID, lease)
		check("notice", j, err)
		err = s.Notified(ctx, made.ID, 3, "")
		j = get(t, s, made.ID)
		near(t, "notified", j.Notified, 0)
		want.Notified = j.Notified
		check("notified", j, err)

		j, err = s.Retry(ctx, made.ID)
		near(t, "not before", j.NotBefore, 0)
		want.State, want.Tries, want.Failure, want.NotBefore = job.Queued, 0, nil, j.NotBefore
		want.Ended, want.Expires, want.Notified = time.Time{}, time.Time{}, time.Time{}
		check("tried again", j, err)

		j, err = s.Claim(ctx, made.ID, "w", lease)
		want.State, want.Attempt, want.Tries, want.Worker = job.Running, 4, 1, "w"
		want.NotBefore, want.Started, want.LeaseUntil = time.Time{}, j.Started, j.LeaseUntil
		check("claimed a fourth time", j, err)

		j, err = s.Succeed(ctx, made.ID, 4, result, 0)
		want.State, want.Worker, want.LeaseUntil, want.Result = job.Succeeded, "", time.Time{}, &result
		want.Ended, want.Expires = j.Ended, j.Expires
		check("succeeded", j, err)
		again, err := s.Succeed(ctx, made.ID, 4, result, 0)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "said again", again, want)
		if _, err := s.Succeed(ctx, made.ID, 3, result, 0); !errors.Is(err, job.ErrLost) {
			t.Errorf("said by another attempt: %v", err)
		}

		if _, err := s.ClaimNotice(ctx, made.ID, lease); err != nil {
			t.Errorf("the notice of the new end: %v", err)
		}
		want.Version++
		j, err = s.Expire(ctx, made.ID)
		want.State, want.Expires = job.Expired, j.Expires
		check("expired", j, err)
		// Told while it expired.
		err = s.Notified(ctx, made.ID, 4, "refused")
		j = get(t, s, made.ID)
		want.Notified = j.Notified
		check("notified of what has expired", j, err)

		if err := s.Delete(ctx, made.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.Get(ctx, made.ID); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("deleted, and yet: %v", err)
		}
	})
}

// operation is one change of a job that has had n attempts, and where it leads.
type operation struct {
	name string
	to   job.State // "" if the row is removed or its state stays
	do   func(s store, id string, n int) error
}

func operations(t *testing.T) []operation {
	ctx := t.Context()
	return []operation{
		{"Claim", job.Running, func(s store, id string, n int) error { _, err := s.Claim(ctx, id, "w", lease); return err }},
		{"Succeed", job.Succeeded, func(s store, id string, n int) error {
			r := result
			r.Key = "another"
			_, err := s.Succeed(ctx, id, n, r, retention)
			return err
		}},
		{"Fail", job.Failed, func(s store, id string, n int) error {
			_, err := s.Fail(ctx, id, n, storage, retention)
			return err
		}},
		{"Release", job.Queued, func(s store, id string, n int) error {
			_, err := s.Release(ctx, id, n, 0, &storage)
			return err
		}},
		{"Requeue", job.Queued, func(s store, id string, n int) error {
			_, err := s.Requeue(ctx, id, n, storage)
			return err
		}},
		{"GiveUp", job.Failed, func(s store, id string, n int) error {
			_, err := s.GiveUp(ctx, id, n, storage, retention)
			return err
		}},
		{"Cancel", job.Canceled, func(s store, id string, n int) error { _, err := s.Cancel(ctx, id); return err }},
		{"Retry", job.Queued, func(s store, id string, n int) error { _, err := s.Retry(ctx, id); return err }},
		{"Expire", job.Expired, func(s store, id string, n int) error { _, err := s.Expire(ctx, id); return err }},
		{"Heartbeat", "", func(s store, id string, n int) error { return s.Heartbeat(ctx, id, n, job.Progress{}, lease) }},
		{"Enqueued", "", func(s store, id string, n int) error { return s.Enqueued(ctx, id, n) }},
		{"ClaimNotice", "", func(s store, id string, n int) error { _, err := s.ClaimNotice(ctx, id, lease); return err }},
		{"Notified", "", func(s store, id string, n int) error { return s.Notified(ctx, id, n, "") }},
		{"Delete", "", func(s store, id string, n int) error { return s.Delete(ctx, id) }},
	}
}

// refusals are what the operations say of a job that is not in their state.
var refusals = map[string]error{
	"Claim": job.ErrConflict, "Succeed": job.ErrLost, "Fail": job.ErrLost, "Release": job.ErrLost,
	"Requeue": job.ErrLost, "GiveUp": job.ErrLost,
	"Cancel": job.ErrConflict, "Retry": job.ErrConflict, "Expire": job.ErrConflict, "Heartbeat": job.ErrLost,
	"Enqueued": job.ErrConflict, "ClaimNotice": job.ErrConflict, "Notified": job.ErrLost, "Delete": job.ErrConflict,
}

// allowed are the states that an operation accepts.
var allowed = map[string][]job.State{
	"Claim": {job.Queued}, "Succeed": {job.Running}, "Fail": {job.Running}, "Release": {job.Running},
	"Requeue": {job.Running}, "GiveUp": {job.Running},
	"Cancel": {job.Queued, job.Running}, "Retry": {job.Failed},
	"Expire":    {job.Succeeded, job.Failed, job.Canceled},
	"Heartbeat": {job.Running}, "Enqueued": {job.Queued},
	"ClaimNotice": {job.Succeeded, job.Failed}, "Notified": {job.Succeeded, job.Failed, job.Expired},
	"Delete": {job.Succeeded, job.Failed, job.Canceled, job.Expired},
}

// TestStates applies every operation to every state.
func TestStates(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		for _, op := range operations(t) {
			for _, state := range job.States() {
				name := op.name + " of " + string(state)
				before := in(t, s, state)
				switch {
				case op.name == "Expire" && before.State.Ended(), lapses[op.name] && state == job.Running:
					due(t, s, before.ID)
				}
				err := op.do(s, before.ID, before.Attempt)
				after, getErr := s.Get(t.Context(), before.ID)
				if !slices.Contains(allowed[op.name], state) {
					if !errors.Is(err, refusals[op.name]) {
						t.Errorf("%s: %v, want %v", name, err, refusals[op.name])
					}
					before.Expires = after.Expires // due has changed it
					same(t, name, after, before)
					continue
				}
				switch {
				case err != nil:
					t.Errorf("%s: %v", name, err)
				case op.name == "Delete":
					if !errors.Is(getErr, job.ErrNotFound) {
						t.Errorf("%s: %v", name, getErr)
					}
				case after.State != cmp.Or(op.to, state):
					t.Errorf("%s: it is %s now", name, after.State)
				case op.to != "" && !state.To(op.to):
					t.Errorf("%s goes where package job sees no way", name)
				case after.Version != before.Version+1:
					t.Errorf("%s: version %d after %d", name, after.Version, before.Version)
				}
			}
		}
	})
}

// lapses are the operations that want the lease to have passed.
var lapses = map[string]bool{"Requeue": true, "GiveUp": true}

// due makes the files of an ended job expire now, and the lease of a running one pass.
func due(t testing.TB, s store, id string) {
	t.Helper()
	if err := s.setJob(t.Context(), id, "due_at", 1); err != nil {
		t.Fatal(err)
	}
}

// TestNoSuchJob: what there is not, and what cannot be.
func TestNoSuchJob(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		for _, id := range []string{newID(), "", "x", "' OR 1=1", strings.Repeat("é", 18), strings.ToUpper(newID())} {
			for _, op := range operations(t) {
				want := job.ErrNotFound
				if refusals[op.name] == job.ErrLost && op.name != "Notified" {
					want = job.ErrLost
				}
				if err := op.do(s, id, 0); !errors.Is(err, want) {
					t.Errorf("%s of %q: %v", op.name, id, err)
				}
			}
			if _, err := s.Get(t.Context(), id); !errors.Is(err, job.ErrNotFound) {
				t.Errorf("Get of %q: %v", id, err)
			}
			if _, err := s.Position(t.Context(), id); !errors.Is(err, job.ErrNotFound) {
				t.Errorf("Position of %q: %v", id, err)
			}
			if err := s.ReleaseNotice(t.Context(), id); err != nil {
				t.Errorf("ReleaseNotice of %q: %v", id, err)
			}
		}
	})
}

// TestStaleAttempt: what an attempt does that has lost the job is refused.
func TestStaleAttempt(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		stale := func(what, id string, attempt int) {
			t.Helper()
			before, beforeErr := s.Get(ctx, id)
			_, succeed := s.Succeed(ctx, id, attempt, job.Result{Key: "stale"}, retention)
			_, fail := s.Fail(ctx, id, attempt, storage, retention)
			_, release := s.Release(ctx, id, attempt, 0, nil)
			for _, err := range []error{s.Heartbeat(ctx, id, attempt, job.Progress{}, lease), succeed, fail, release} {
				if !errors.Is(err, job.ErrLost) {
					t.Errorf("%s: %v", what, err)
				}
			}
			after, afterErr := s.Get(ctx, id)
			same(t, what, after, before)
			if (beforeErr == nil) != (afterErr == nil) {
				t.Errorf("%s: %v, %v", what, beforeErr, afterErr)
			}
		}
		j := in(t, s, job.Running)
		if _, err := s.Release(ctx, j.ID, 1, 0, &storage); err != nil {
			t.Fatal(err)
		}
		stale("released", j.ID, 1)
		claim(t, s, j.ID, lease)
		stale("claimed by another", j.ID, 1)
		stale("not yet claimed", j.ID, 3)
		if _, err := s.Cancel(ctx, j.ID); err != nil {
			t.Fatal(err)
		}
		stale("canceled", j.ID, 2)
		if err := s.Delete(ctx, j.ID); err != nil {
			t.Fatal(err)
		}
		stale("deleted", j.ID, 2)
	})
}

// TestPaging: pages hold each job once while others come and go.
func TestPaging(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		var want, others []string
		other := newID()
		for i := range 45 {
			want = append(want, insert(t, s).ID)
			if i%5 == 0 {
				j, err := s.Insert(t.Context(), job.Job{ID: newID(), Owner: other})
				if err != nil {
					t.Fatal(err)
				}
				others = append(others, j.ID)
			}
		}
		slices.Reverse(want)
		var got []string
		for before := ""; ; {
			page, err := s.List(t.Context(), job.Query{Owner: owner, Before: before, Limit: 7})
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, ids(page)...); len(page) < 7 {
				break
			}
			before = page[6].ID
			insert(t, s)
			// The cursor may name what is gone.
			if _, err := s.Cancel(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), before); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "pages", got, want)

		count := func(q job.Query) int {
			t.Helper()
			q.Limit = 100
			l, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			return len(l)
		}
		in(t, s, job.Failed)
		all := count(job.Query{})
		if n := count(job.Query{Owner: other}); n != len(others) {
			t.Errorf("%d of the other's", n)
		}
		if n := count(job.Query{Owner: owner, State: job.Failed}); n != 1 {
			t.Errorf("%d failed", n)
		}
		if n := count(job.Query{State: job.Queued}); n != all-1 {
			t.Errorf("%d queued of %d", n, all)
		}
		if n := count(job.Query{Owner: other + " "}) + count(job.Query{Owner: strings.ToUpper(other)}) +
			count(job.Query{State: "odd"}) + count(job.Query{Owner: "é"}); n != 0 {
			t.Errorf("%d of nobody's", n)
		}
		if _, err := s.List(t.Context(), job.Query{Before: "~"}); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("an impossible cursor: %v", err)
		}
		if l, err := s.List(t.Context(), job.Query{}); err != nil || len(l) != 1 {
			t.Errorf("without a limit: %d, %v", len(l), err)
		}
	})
}

func TestPosition(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		position := func(id string, want int) {
			t.Helper()
			if n, err := s.Position(t.Context(), id); err != nil || n != want {
				t.Errorf("%d, %v; want %d", n, err, want)
			}
		}
		a, b, c := insert(t, s), insert(t, s), insert(t, s)
		position(a.ID, 1)
		position(c.ID, 3)
		claim(t, s, b.ID, lease)
		position(b.ID, 0)
		position(c.ID, 2)
		fill(t, s, 2*jobs.MaxPosition, func(int) job.State { return job.Queued })
		last := insert(t, s)
		position(last.ID, jobs.MaxPosition)
	})
}

// TestReopen: the rows of a file that was closed are there.
func TestReopen(t *testing.T) {
	t.Parallel()
	url := newURL(t, sqlite)
	first := open(t, url)
	want := []job.Job{in(t, first, job.Succeeded), in(t, first, job.Running), in(t, first, job.Queued)}
	first.close(t)
	second := open(t, url)
	for _, j := range want {
		same(t, fmt.Sprint("a job that is ", j.State), get(t, second, j.ID), j)
	}
	insert(t, second)
}

// What was promised, or decides over files, waits for the disk.
func TestDurable(t *testing.T) {
	t.Parallel()
	s := openSQL(t, newURL(t, sqlite))
	q := &s.q
	for _, query := range []string{q.insert, q.cancel, q.retry, q.remove, q.succeed, q.fail, q.release, q.expire, q.notified, q.purge, q.keyJob, q.join} {
		if s.relaxed[query] {
			t.Errorf("a power cut may undo %s", query)
		}
	}
}
