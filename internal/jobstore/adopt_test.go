package jobstore

import (
	"errors"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestAdopt: what was done elsewhere is a job as any other that has succeeded, and nobody
// is told of it.
func TestAdopt(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		made := time.Date(2021, 2, 3, 4, 5, 6, 7000, time.UTC)
		want := job.Job{ID: newID(), Owner: owner, NotifyTo: notifyTo, FileName: "old.mp4", SourceBytes: 9, Created: made, Result: &result}
		got, err := s.Adopt(ctx, want, retention)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "ended", got.Ended, 0)
		near(t, "expires", got.Expires, retention)
		want.NotifyTo, want.State, want.Attempt, want.Tries, want.Version = "", job.Succeeded, 1, 1, 1
		want.Started, want.Ended, want.Expires = got.Started, got.Ended, got.Expires
		same(t, "adopted", got, want)
		same(t, "read", get(t, s, want.ID), want)
		if _, err := s.Adopt(ctx, want, retention); !errors.Is(err, job.ErrConflict) {
			t.Errorf("a second time: %v", err)
		}
		if l, err := s.Untold(ctx, 0, 10); err != nil || len(l) != 0 {
			t.Errorf("to be told: %v, %v", l, err)
		}
		if u, err := s.Usage(ctx, owner, 10); err != nil || u.Stored != result.Bytes || u.Waiting != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		due(t, s, want.ID)
		if _, err := s.Expire(ctx, want.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.Adopt(ctx, job.Job{ID: "x", Owner: owner, Result: &result}, retention); err == nil {
			t.Error("what is no ID is taken")
		}
	})
}
