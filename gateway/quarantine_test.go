package gateway_test

import (
	"bytes"
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestQuarantine: a file that has crashed the converter twice is refused at once, by
// its bytes, and nothing of it is kept.
func TestQuarantine(t *testing.T) {
	r := newRig(t, nil)
	evil := append(append([]byte(nil), clip...), "evil"...)
	a := r.upload(t, "alice", evil)
	var j jobView
	decode(t, a, &j)
	for attempt := range job.QuarantineAfter {
		if _, err := r.jobs.CountCrash(t.Context(), j.SourceSHA256, j.ID, attempt, job.Crashed); err != nil {
			t.Fatal(err)
		}
	}
	r.fail(t, j.ID, job.Crashed)
	if a := r.do(t, "DELETE", "/v1/jobs/"+j.ID, "alice"); a.StatusCode != 204 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for _, user := range []string{"alice", "bob"} {
		a := r.send(t, r.request(t, "POST", "/v1/jobs", user, bytes.NewReader(evil)))
		var p struct{ Code, Detail string }
		decode(t, a, &p)
		if a.StatusCode != 422 || p.Code != "quarantined" || p.Detail == "" {
			t.Errorf("%s: %d %s", user, a.StatusCode, a.body)
		}
	}
	r.nothingLeft(t)
	r.upload(t, "alice", clip) // another file is taken
}
