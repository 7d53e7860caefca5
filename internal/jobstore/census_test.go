package jobstore

import (
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestCensus: jobs are counted by state and lane, and a job waits since it was made or
// queued again, and not while it may not run.
func TestCensus(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		ctx := t.Context()
		states, err1 := s.Census(ctx)
		lanes, err2 := s.Waiting(ctx)
		if len(states)+len(lanes) != 0 || err1 != nil || err2 != nil {
			t.Fatalf("of no jobs: %v, %v, %v, %v", states, lanes, err1, err2)
		}
		for _, state := range job.States() {
			in(t, s, state)
		}
		made := func(lane job.Lane, ago time.Duration) string {
			t.Helper()
			j, err := s.Insert(ctx, job.Job{ID: newID(), Owner: owner, Lane: lane})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.addJob(ctx, j.ID, "created_at", -ago.Microseconds()); err != nil {
				t.Fatal(err)
			}
			return j.ID
		}
		made(job.LaneShort, time.Hour)
		made(job.LaneShort, 2*time.Hour)
		// Made long ago, and waiting for a moment only.
		again := made(job.LaneBulk, 24*time.Hour)
		claim(t, s, again, lease)
		if _, err := s.Fail(ctx, again, 1, storage, retention); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Retry(ctx, again); err != nil {
			t.Fatal(err)
		}
		// May not run yet.
		later := made(job.LaneBulk, 48*time.Hour)
		claim(t, s, later, lease)
		if _, err := s.Release(ctx, later, 1, time.Hour, &storage); err != nil {
			t.Fatal(err)
		}

		states, err := s.Census(ctx)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "states", states, map[job.State]int64{
			job.Queued: 5, job.Running: 1, job.Succeeded: 1, job.Failed: 1, job.Canceled: 1, job.Expired: 1,
		})
		if lanes, err = s.Waiting(ctx); err != nil {
			t.Fatal(err)
		}
		for lane, want := range map[job.Lane]job.Waiting{
			job.LaneDefault: {Jobs: 1}, job.LaneShort: {Jobs: 2, Oldest: 2 * time.Hour}, job.LaneBulk: {Jobs: 2},
		} {
			got := lanes[lane]
			if d := got.Oldest - want.Oldest; got.Jobs != want.Jobs || d < 0 || d > time.Minute {
				t.Errorf("lane %q: %+v, want %+v", lane, got, want)
			}
		}
	})
}
