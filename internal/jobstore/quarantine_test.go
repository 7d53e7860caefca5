package jobstore

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestQuarantine: a file is refused after the second attempt that crashed, each of
// which counts once, until it is pardoned or forgotten.
func TestQuarantine(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx, id, hash := t.Context(), newID(), strings.Repeat("0", 32)+strings.ReplaceAll(newID(), "-", "")
		quarantined := func() bool {
			t.Helper()
			ok, err := s.Quarantined(ctx, hash)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		for i, c := range []struct {
			attempt, want int
			code          job.Code
		}{{1, 1, job.Crashed}, {1, 1, job.Crashed}, {2, 2, job.OutOfMemory}, {2, 2, job.OutOfMemory}, {3, 3, job.TimedOut}} {
			n, err := s.CountCrash(ctx, hash, id, c.attempt, c.code)
			if n != c.want || err != nil {
				t.Fatalf("crash %d: %d, %v", i, n, err)
			}
			if quarantined() != (n >= 2) {
				t.Errorf("after %d crashes it is quarantined: %t", n, quarantined())
			}
		}
		all, err := s.Suspects(ctx, 10)
		if err != nil || len(all) != 1 || !all[0].Quarantined() {
			t.Fatalf("%+v, %v", all, err)
		}
		near(t, "the last crash", all[0].Last, 0)
		all[0].Last = time.Time{}
		same(t, "the suspect", all[0], job.Suspect{SHA256: hash, Crashes: 3, Code: job.TimedOut})

		if n, err := s.ForgetCrashes(ctx, time.Hour); n != 0 || err != nil {
			t.Errorf("%d forgotten too early, %v", n, err)
		}
		if err := s.Pardon(ctx, hash); err != nil || quarantined() {
			t.Errorf("the pardon: %v", err)
		}
		if err := s.Pardon(ctx, hash); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("a second pardon: %v", err)
		}
		if _, err := s.CountCrash(ctx, hash, id, 4, job.Crashed); err != nil {
			t.Fatal(err)
		}
		if n, err := s.ForgetCrashes(ctx, -time.Minute); n != 1 || err != nil {
			t.Errorf("%d forgotten, %v", n, err)
		}
	})
}

// TestCrashRace: many at the same time, and none is lost.
func TestCrashRace(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		hash := strings.ReplaceAll(newID()+newID(), "-", "")
		var g sync.WaitGroup
		for i := range 8 {
			g.Go(func() {
				if _, err := s.CountCrash(t.Context(), hash, newID(), i, job.Crashed); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		if all, err := s.Suspects(t.Context(), 1); err != nil || len(all) != 1 || all[0].Crashes != 8 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
