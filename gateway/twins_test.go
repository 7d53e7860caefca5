package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// twinView is the answer to an upload.
type twinView struct {
	jobView
	Duplicate bool
}

// uploadAs uploads a file with a query, and returns the answer too.
func (r *rig) uploadAs(t *testing.T, user, query string, file []byte) (answer, twinView) {
	t.Helper()
	a := r.send(t, r.request(t, "POST", "/v1/jobs"+query, user, bytes.NewReader(file)))
	var j twinView
	decode(t, a, &j)
	return a, j
}

// TestTwins: the same bytes with the same settings of the same user are answered by
// the earlier job, in whatever form they come.
func TestTwins(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	mp3 := []byte("ID3 an MP3")
	join := func(what, query, id string, status int) twinView {
		t.Helper()
		queued := r.queue.last()
		a, j := r.uploadAs(t, "alice", query, clip)
		if a.StatusCode != status || j.ID != id || !j.Duplicate || a.Header.Get("Location") != "/v1/jobs/"+id {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
		if r.queue.last() != queued {
			t.Errorf("%s: it was queued again", what)
		}
		return j
	}
	part := func(what, user, query string, file []byte) string {
		t.Helper()
		a, j := r.uploadAs(t, user, query, file)
		if a.StatusCode != 202 || j.Duplicate || r.queue.last() != j.ID+":0" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
		return j.ID
	}
	id := part("the first", "alice", "?filename=a.mp4&vbr=4&title=x&notify=false", clip)
	join("queued", "?title=x&vbr=4&notify=false", id, 202)
	r.claim(t, id)
	j := join("running", "?title=x&vbr=4&filename=b.mp4", id, 202)
	if j.FileName != "b.mp4" || !j.Notify || j.State != job.Running {
		t.Errorf("%+v", j)
	}
	contentType, body := form(field{"vbr", "", "4"}, field{"title", "", "x"}, field{"file", "b.mp4", string(clip)})
	var formed twinView
	decode(t, r.post(t, "/v1/jobs", contentType, bytes.NewReader(body)), &formed)
	if formed.ID != id || !formed.Duplicate {
		t.Errorf("a form: %+v", formed)
	}
	if a := r.post(t, "/upload", contentType, bytes.NewReader(body)); a.StatusCode != 200 || a.Header.Get("Location") != "/v1/jobs/"+id {
		t.Errorf("an old form: %d %s", a.StatusCode, a.body)
	}

	others := []string{
		part("another user", "bob", "?vbr=4&title=x", clip),
		part("other bytes", "alice", "?vbr=4&title=x", append(bytes.Clone(clip), 1)),
		part("other settings", "alice", "?vbr=5&title=x", clip),
		part("a fresh one", "alice", "?vbr=4&title=x&fresh=true", clip),
		part("another fresh one", "alice", "?vbr=4&title=x&fresh", clip),
	}
	if n := r.count(t); n != len(others)+1 {
		t.Errorf("%d jobs", n)
	}
	if n := r.objects(t); n != len(others)+1 || r.pending(t) != 0 {
		t.Errorf("%d uploads, %d unfinished", n, r.pending(t))
	}
	join("not the fresh one", "?vbr=4&title=x", id, 202)

	// It succeeds, is answered with at once, and by its own DELETE it is gone.
	r.succeedAfterClaim(t, id, mp3)
	j = join("succeeded", "?vbr=4&title=x&filename=c.mp4", id, 200)
	if j.State != job.Succeeded || j.Links.Audio == "" || j.Result == nil {
		t.Errorf("%+v", j)
	}
	if a := r.do(t, "GET", j.Links.Audio, "alice"); !bytes.Equal(a.body, mp3) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := r.do(t, "DELETE", "/v1/jobs/"+id, "alice"); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	again := part("deleted", "alice", "?vbr=4&title=x", clip)

	// One that failed, was canceled, or has expired is no answer.
	r.fail(t, again, job.NoAudio)
	again = part("failed", "alice", "?vbr=4&title=x", clip)
	r.do(t, "DELETE", "/v1/jobs/"+again, "alice")
	again = part("canceled", "alice", "?vbr=4&title=x", clip)
	r.succeed(t, again, mp3)
	r.expire(t, again)
	again = part("expired", "alice", "?vbr=4&title=x", clip)
	// Nor is one whose MP3 is lost, or whose time has come.
	succeeded := r.succeed(t, again, mp3)
	if err := r.bucket.Delete(t.Context(), succeeded.Result.Key); err != nil {
		t.Fatal(err)
	}
	again = part("lost", "alice", "?vbr=4&title=x", clip)
	late := r.succeed(t, again, mp3)
	eventually(t, "its time has come", func() bool { return time.Now().After(late.Expires.Add(10 * time.Millisecond)) })
	part("due", "alice", "?vbr=4&title=x", clip)
}

// succeedAfterClaim does the work of a worker that has claimed the job.
func (r *rig) succeedAfterClaim(t *testing.T, id string, mp3 []byte) {
	t.Helper()
	j, err := r.jobs.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	key := job.ResultKey(id, j.Attempt)
	w, err := r.bucket.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(mp3)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	must(t)(r.jobs.Succeed(t.Context(), id, j.Attempt, job.Result{Key: key, Bytes: int64(len(mp3))}, time.Hour))
	if err := r.bucket.Delete(t.Context(), job.SourceKey(id)); err != nil {
		t.Fatal(err)
	}
}

// TestTwinsAtOnce: of many who upload the same at once to two gateways one makes a job,
// and nothing is left of what the others brought.
func TestTwinsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	second := newRigOf(t, nil, func(d *gateway.Deps) { d.Jobs, d.Keys, d.Bucket = r.jobs, r.jobs, gateway.BucketOf(r.bucket) })
	for round := range 5 {
		file := append(bytes.Clone(clip), byte(round))
		views := make([]twinView, 12)
		var wg sync.WaitGroup
		for i := range views {
			wg.Go(func() {
				at := []*rig{r, second}[i%2]
				a := at.send(t, at.request(t, "POST", "/v1/jobs", "alice", bytes.NewReader(file)))
				decode(t, a, &views[i])
				if a.StatusCode != 202 {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
			})
		}
		wg.Wait()
		made := 0
		for _, v := range views {
			if v.ID != views[0].ID {
				t.Errorf("%s and %s", v.ID, views[0].ID)
			}
			if !v.Duplicate {
				made++
			}
		}
		if made != 1 || r.count(t) != round+1 || r.objects(t) != round+1 || r.pending(t) != 0 {
			t.Errorf("%d made, %d jobs, %d objects, %d unfinished", made, r.count(t), r.objects(t), r.pending(t))
		}
	}
}

// TestTwinByDigest: who says what he is about to send need not send it.
func TestTwinByDigest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	sum := sha256.Sum256(clip)
	told := func(req *http.Request) {
		req.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	}
	_, first := r.uploadAs(t, "alice", "?filename=a.mp4", clip)
	var j twinView
	decode(t, r.expecting(t, told, unread{t}), &j)
	if j.ID != first.ID || !j.Duplicate {
		t.Errorf("%+v", j)
	}
	// Under a key too, and the key is good for both ways.
	keyed := func(req *http.Request) { told(req); req.Header.Set("Idempotency-Key", "k") }
	a := r.expecting(t, keyed, unread{t})
	sameAnswer(t, "by digest", a, r.expecting(t, keyed, unread{t}))
	sameAnswer(t, "by its bytes", a, r.keyedPost(t, "k", "alice", "/v1/jobs?filename=a.mp4", "", bytes.NewReader(clip)))
	wantProblem(t, r.keyedPost(t, "k", "alice", "/v1/jobs?filename=a.mp4", "", bytes.NewReader(append(bytes.Clone(clip), 1))), 422, "idempotency_key_reused")
	// Where there is none yet it has to come, and is what it was said to be.
	req := r.request(t, "POST", "/v1/jobs", "bob", bytes.NewReader(clip))
	told(req)
	req.Header.Set("Idempotency-Key", "k")
	var bobs twinView
	decode(t, r.send(t, req), &bobs)
	if bobs.Duplicate || bobs.SourceSHA256 != hex.EncodeToString(sum[:]) || r.queue.last() != bobs.ID+":0" {
		t.Errorf("%+v", bobs)
	}
	// A client that sends on is heard to the end, and told.
	req = r.request(t, "POST", "/v1/jobs", "bob", bytes.NewReader(clip))
	told(req)
	var again twinView
	decode(t, r.send(t, req), &again)
	if again.ID != bobs.ID {
		t.Errorf("%+v", again)
	}
}

// TestTwinTrouble: what is down when a twin is looked for, and who moves meanwhile.
func TestTwinTrouble(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	post := func() answer {
		t.Helper()
		return r.send(t, r.request(t, "POST", "/v1/jobs", "alice", bytes.NewReader(clip)))
	}
	_, first := r.uploadAs(t, "alice", "", clip)
	for _, method := range []string{"Twin", "Join"} {
		r.faults.set(method, down)
		wantProblem(t, post(), 503, "unavailable")
		r.faults.set(method, nil)
	}
	r.succeed(t, first.ID, []byte("mp3"))
	r.faults.set("Exists", down)
	wantProblem(t, post(), 503, "unavailable")
	r.faults.set("Exists", nil)
	if n := r.pending(t); n != 0 || r.objects(t) != 2 { // it was not the worker who removed its upload
		t.Errorf("%d unfinished, %d objects", n, r.objects(t))
	}
	// It is canceled just as it is to be joined.
	_, second := r.uploadAs(t, "bob", "", clip)
	canceled := false
	r.faults.set("Join", func() error {
		if !canceled {
			canceled = true
			if _, err := r.jobs.Cancel(context.Background(), second.ID); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	_, third := r.uploadAs(t, "bob", "", clip)
	if third.ID == second.ID || third.Duplicate {
		t.Errorf("%+v", third)
	}
	// And over and over.
	r.faults.set("Join", func() error { return fmt.Errorf("a test: %w", job.ErrConflict) })
	wantProblem(t, r.send(t, r.request(t, "POST", "/v1/jobs", "bob", bytes.NewReader(clip))), 409, "conflict")
	r.faults.set("Join", func() error { return fmt.Errorf("a test: %w", job.ErrLost) })
	wantProblem(t, r.keyedPost(t, "k", "bob", "/v1/jobs", "", bytes.NewReader(clip)), 409, "idempotency_key_in_use")
}

// TestKeep: a wish for how long the files are kept is the job's, and part of what is the
// same.
func TestKeep(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, first := r.uploadAs(t, "alice", "?keep=2:00", clip)
	j := r.claim(t, first.ID)
	j = must(t)(r.jobs.Succeed(t.Context(), j.ID, j.Attempt, job.Result{Key: "k"}, time.Hour))
	if d := time.Until(j.Expires); d < time.Minute || d > 2*time.Minute {
		t.Errorf("it expires in %v", d)
	}
	if _, other := r.uploadAs(t, "alice", "?keep=3m", clip); other.Duplicate {
		t.Errorf("%+v", other)
	}
	for _, bad := range []string{"59", "-1", "soon", ""} {
		wantProblem(t, r.post(t, "/v1/jobs?keep="+bad, "", bytes.NewReader(clip)), 422, "bad_setting")
	}
}
