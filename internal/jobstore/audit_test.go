package jobstore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

func act(actor, owner, id string) job.Act {
	return job.Act{ID: newID(), Actor: actor, ActorEmail: actor + "@example.com", Place: "192.0.2.7", Action: job.ActView, JobID: id, Owner: owner, Detail: "Ä 🎵"}
}

func note(t testing.TB, s store, a job.Act) job.Act {
	t.Helper()
	if err := s.NoteAct(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func actsOf(t testing.TB, s store, q job.ActQuery) []job.Act {
	t.Helper()
	q.Limit = cmp.Or(q.Limit, 100)
	acts, err := s.Acts(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return acts
}

// TestActs: what is noted is found, newest first, page by page, by each of what it tells
// of and by several; and it is there when its job is not.
func TestActs(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		j := in(t, s, job.Failed)
		var all []job.Act
		for i := range 12 {
			actor, of, id := fmt.Sprint("root", i%2), fmt.Sprint("owner", i%3), newID()
			if i%4 == 0 {
				of, id = j.Owner, j.ID
			}
			all = append(all, note(t, s, act(actor, of, id)))
		}
		list := act("root0", "", "")
		list.Action, list.Detail = job.ActList, strings.Repeat("ä", 1000)
		note(t, s, list)
		list.Detail = strings.Repeat("ä", 250) // 500 bytes
		all = append(all, list)
		slices.Reverse(all)

		for _, q := range []job.ActQuery{
			{}, {Actor: "root0"}, {Owner: "owner2"}, {JobID: j.ID}, {Actor: "root1", Owner: "owner2"}, {Actor: "root0", JobID: j.ID}, {JobID: j.ID, Owner: j.Owner},
			{JobID: j.ID, Owner: "owner1"}, {Actor: "root1", JobID: j.ID}, {Actor: "nobody"}, {Owner: "owner"}, {JobID: newID()},
			{Actor: "' OR 1=1"}, {Owner: "owner2 "}, {JobID: "\x00ä"},
		} {
			var want []job.Act
			for _, a := range all {
				if (q.Actor == "" || q.Actor == a.Actor) && (q.Owner == "" || q.Owner == a.Owner) && (q.JobID == "" || q.JobID == a.JobID) {
					want = append(want, a)
				}
			}
			var got []job.Act
			for q.Limit = 2; ; q.Before = got[len(got)-1].ID {
				page := actsOf(t, s, q)
				for _, a := range page {
					near(t, "noted", a.At, 0)
					a.At = time.Time{}
					got = append(got, a)
				}
				if len(page) < q.Limit {
					break
				}
			}
			same(t, fmt.Sprintf("%+v", q), got, want)
		}
		if _, err := s.Acts(t.Context(), job.ActQuery{Before: "x"}); !errors.Is(err, job.ErrNotFound) {
			t.Error(err)
		}

		if err := s.Delete(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		if n := len(actsOf(t, s, job.ActQuery{JobID: j.ID})); n != 3 {
			t.Errorf("%d entries of the job that was removed", n)
		}
	})
}

// TestActOnce: what has the text of another is that one, whoever comes first.
func TestActOnce(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		first := act("root", owner, newID())
		first.Once = strings.Repeat("f", 64)
		note(t, s, first)
		again := act("other", owner, newID())
		again.Once = first.Once
		note(t, s, again)
		if acts := actsOf(t, s, job.ActQuery{}); len(acts) != 1 || acts[0].ID != first.ID || acts[0].Actor != "root" {
			t.Errorf("%+v", acts)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				a := act("root", owner, newID())
				a.Once = "together"
				if err := s.NoteAct(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		note(t, s, act("root", owner, newID())) // without a text, each is its own
		note(t, s, act("root", owner, newID()))
		if n := len(actsOf(t, s, job.ActQuery{})); n != 4 {
			t.Errorf("%d entries, want 4", n)
		}
	})
}

// TestActOfNobody: what does not say who did what is not kept.
func TestActOfNobody(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		for name, change := range map[string]func(*job.Act){
			"no ID": func(a *job.Act) { a.ID = "" }, "nobody": func(a *job.Act) { a.Actor = "" }, "nothing": func(a *job.Act) { a.Action = "" },
			"no job": func(a *job.Act) { a.JobID = "x" }, "no user": func(a *job.Act) { a.Owner = "a b" }, "a long text": func(a *job.Act) { a.Once = strings.Repeat("x", 65) },
		} {
			a := act("root", owner, newID())
			change(&a)
			if err := s.NoteAct(t.Context(), a); err == nil {
				t.Errorf("%s: it is noted", name)
			}
		}
		if acts := actsOf(t, s, job.ActQuery{}); len(acts) != 0 {
			t.Errorf("%+v", acts)
		}
	})
}

// TestPurgeActs: what is old enough goes, the oldest first, so many at a time.
func TestPurgeActs(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		var want []string
		for range 5 {
			want = append(want, note(t, s, act("root", owner, newID())).ID)
		}
		purge := func(keep time.Duration, n, gone int) {
			t.Helper()
			if got, err := s.PurgeActs(t.Context(), keep, n); err != nil || got != gone {
				t.Errorf("%d are gone, want %d, %v", got, gone, err)
			}
		}
		purge(time.Hour, 10, 0)
		purge(-time.Minute, 2, 2)
		var left []string
		for _, a := range actsOf(t, s, job.ActQuery{}) {
			left = append(left, a.ID)
		}
		slices.Reverse(left)
		same(t, "what is left", left, want[2:])
		purge(-time.Minute, 10, 3)
		purge(-time.Minute, 10, 0)
	})
}
