package gateway_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// TestLanes: what is little work takes the fast lane; what there is no hurry with, or is
// one of very many, the one for bulk.
func TestLanes(t *testing.T) {
	t.Parallel()
	large := append(bytes.Clone(clip), 1)
	r := newRig(t, func(c *gateway.Config) { c.ShortBytes, c.BulkAfter = int64(len(clip)), -1 })
	lane := func(r *rig, query string, file []byte) job.Lane {
		t.Helper()
		a := r.send(t, r.request(t, "POST", "/v1/jobs"+query, "alice", bytes.NewReader(file)))
		if a.StatusCode != http.StatusAccepted {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		var j jobView
		decode(t, a, &j)
		got, err := r.jobs.Get(t.Context(), j.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.Lane
	}
	for query, want := range map[string]job.Lane{
		"?fresh": job.LaneDefault, "?fresh&duration=5:00": job.LaneShort, "?fresh&duration=5:01": job.LaneDefault,
		"?fresh&start=1:00:00&end=1:05:00": job.LaneShort, "?fresh&start=1:00&end=6:01": job.LaneDefault, "?fresh&start=60:00": job.LaneDefault,
		"?fresh&bulk": job.LaneBulk, "?fresh&bulk&duration=1": job.LaneBulk, "?fresh&bulk=no": job.LaneDefault,
	} {
		if got := lane(r, query, large); got != want {
			t.Errorf("%s of a large file: %q, want %q", query, got, want)
		}
	}
	if got := lane(r, "?fresh", clip); got != job.LaneShort {
		t.Errorf("a short one: %q", got)
	}
	contentType, body := form(field{"bulk", "", "on"}, field{"fresh", "", "on"}, field{"file", "a.mp4", string(clip)})
	var j jobView
	decode(t, r.post(t, "/v1/jobs", contentType, bytes.NewReader(body)), &j)
	if got, err := r.jobs.Get(t.Context(), j.ID); err != nil || got.Lane != job.LaneBulk {
		t.Errorf("%+v, %v", got, err)
	}
	wantProblem(t, r.post(t, "/v1/jobs?bulk=perhaps", "", bytes.NewReader(clip)), 422, "bad_setting")

	// Who has three waiting already; those of others are not counted.
	r = newRig(t, func(c *gateway.Config) { c.BulkAfter = 3 })
	for range 5 {
		r.newJob(t, "bob")
	}
	for i := range 5 {
		want := job.LaneShort
		if i >= 3 {
			want = job.LaneBulk
		}
		if got := lane(r, "?fresh", clip); got != want {
			t.Errorf("number %d: %q, want %q", i+1, got, want)
		}
	}
}
