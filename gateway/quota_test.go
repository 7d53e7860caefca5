package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// wantQuota checks the problem of a quota that is used up.
func wantQuota(t *testing.T, what string, a answer, status int, code string, used, allowed int64) {
	t.Helper()
	var p struct {
		Code  string
		Quota struct {
			Used, Allowed int64
			Unit          string
		}
	}
	decode(t, a, &p)
	unit := "bytes"
	if code == "quota_jobs" {
		unit = "jobs"
	}
	if a.StatusCode != status || p.Code != code || p.Quota.Used != used || p.Quota.Allowed != allowed || p.Quota.Unit != unit {
		t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
	}
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); status == 429 && (err != nil || n < 1 || n > 86400) || status != 429 && err == nil {
		t.Errorf("%s: Retry-After %q", what, a.Header.Get("Retry-After"))
	}
}

// ways are those in which a file can come.
func (r *rig) ways(t *testing.T, file []byte) map[string]func(user string) answer {
	contentType, body := form(field{"fresh", "", "on"}, field{"file", "a.mp4", string(file)})
	post := func(path, contentType string, body io.Reader) func(user string) answer {
		return func(user string) answer {
			t.Helper()
			req := r.request(t, "POST", path, user, body)
			req.Header.Set("Content-Type", contentType)
			return r.send(t, req)
		}
	}
	return map[string]func(user string) answer{
		"raw":            post("/v1/jobs?fresh", "video/mp4", bytes.NewReader(file)),
		"raw in chunks":  post("/v1/jobs?fresh", "video/mp4", struct{ io.Reader }{bytes.NewReader(file)}),
		"form":           post("/v1/jobs", contentType, bytes.NewReader(body)),
		"form in chunks": post("/v1/jobs", contentType, struct{ io.Reader }{bytes.NewReader(body)}),
		"old":            post("/upload", contentType, bytes.NewReader(body)),
	}
}

func TestQuotaJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.Quota.Waiting = 2 })
	first, second := r.newJob(t, "alice").ID, r.newJob(t, "alice").ID
	for what, send := range r.ways(t, clip) {
		wantQuota(t, what, send("alice"), 429, "quota_jobs", 2, 2)
	}
	wantQuota(t, "before the body", r.expecting(t, func(*http.Request) {}, unread{t}), 429, "quota_jobs", 2, 2)
	// What is known before it comes to be an earlier job's is no job more.
	r.newJob(t, "bob")
	_, made := r.uploadAs(t, "bob", "", clip)
	sum := sha256.Sum256(clip)
	req := r.request(t, "POST", "/v1/jobs", "bob", bytes.NewReader(clip))
	req.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	var again twinView
	decode(t, r.send(t, req), &again)
	if again.ID != made.ID || !again.Duplicate {
		t.Errorf("%+v, want %s", again, made.ID)
	}
	// What runs does not wait.
	r.claim(t, first)
	r.newJob(t, "alice")
	// A job that is tried again waits too.
	j2 := must(t)(r.jobs.Get(t.Context(), first))
	must(t)(r.jobs.Fail(t.Context(), first, j2.Attempt, job.Failure{Code: job.Storage}, time.Hour))
	wantQuota(t, "retry", r.do(t, "POST", "/v1/jobs/"+first+"/retry", "alice"), 429, "quota_jobs", 2, 2)
	r.do(t, "DELETE", "/v1/jobs/"+second, "alice")
	if a := r.do(t, "POST", "/v1/jobs/"+first+"/retry", "alice"); a.StatusCode != 202 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	// A refusal is not kept: the same request may succeed later.
	wantQuota(t, "under a key", r.keyedPost(t, "k", "alice", "/v1/jobs?fresh", "", bytes.NewReader(clip)), 429, "quota_jobs", 2, 2)
	r.claim(t, first)
	if a := r.keyedPost(t, "k", "alice", "/v1/jobs?fresh", "", bytes.NewReader(clip)); a.StatusCode != 202 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestQuotaBytes(t *testing.T) {
	t.Parallel()
	size := int64(len(clip))
	for code, set := range map[string]func(*gateway.Quota, int64){
		"quota_daily":  func(q *gateway.Quota, n int64) { q.DailyBytes = n },
		"quota_stored": func(q *gateway.Quota, n int64) { q.StoredBytes = n },
	} {
		status := map[string]int{"quota_daily": 429, "quota_stored": 403}[code]
		r := newRig(t, func(c *gateway.Config) { set(&c.Quota, 2*size+100) })
		for what, send := range r.ways(t, clip) {
			user := fmt.Sprintf("user%x", what)
			for range 2 {
				if a := send(user); a.StatusCode >= 300 {
					t.Fatalf("%s, %s: %d %s", code, what, a.StatusCode, a.body)
				}
				send = r.ways(t, clip)[what]
			}
			wantQuota(t, what, send(user), status, code, 2*size, 2*size+100)
		}
		alice := func(n int64) answer {
			t.Helper()
			a, _ := r.uploadAs(t, "alice", "?fresh", clip[:n])
			return a
		}
		for _, n := range []int64{size, size, 100} {
			if a := alice(n); a.StatusCode != 202 {
				t.Fatalf("%d bytes: %d %s", n, a.StatusCode, a.body)
			}
		}
		wantQuota(t, "one more", alice(30), status, code, 2*size+100, 2*size+100)
		wantQuota(t, "before the body", r.expecting(t, func(*http.Request) {}, unread{t}), status, code, 2*size+100, 2*size+100)
		if r.pending(t) != 0 || r.objects(t) != 13 {
			t.Errorf("%d unfinished, %d objects", r.pending(t), r.objects(t))
		}
	}
	// A job that has gone makes room in the bucket, and none in the day.
	r := newRig(t, func(c *gateway.Config) { c.Quota = gateway.Quota{DailyBytes: 2*size + 100, StoredBytes: size + 100} })
	id := r.newJob(t, "alice").ID
	a, _ := r.uploadAs(t, "alice", "?fresh", clip)
	wantQuota(t, "full", a, 403, "quota_stored", size, size+100)
	r.succeed(t, id, []byte("an MP3")) // in place of the upload
	r.newJob(t, "alice")
	a, _ = r.uploadAs(t, "alice", "?fresh", clip)
	wantQuota(t, "full again", a, 403, "quota_stored", size+6, size+100)
	jobs, err := r.jobs.List(t.Context(), job.Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		r.do(t, "DELETE", "/v1/jobs/"+j.ID, "alice")
	}
	a, _ = r.uploadAs(t, "alice", "?fresh", clip)
	wantQuota(t, "the day", a, 429, "quota_daily", 2*size, 2*size+100)
}

// TestQuotaAtOnce: of many who come at once so many get in as there is room for.
func TestQuotaAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.Quota.DailyBytes = 3*int64(len(clip)) + 5 })
	answers := make([]answer, 10)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = r.send(t, r.request(t, "POST", "/v1/jobs?fresh", "alice", bytes.NewReader(clip)))
		})
	}
	wg.Wait()
	taken := 0
	for _, a := range answers {
		switch a.StatusCode {
		case 202:
			taken++
		default:
			wantProblem(t, a, 429, "quota_daily")
		}
	}
	if taken != 3 || r.count(t) != 3 || r.objects(t) != 3 || r.pending(t) != 0 {
		t.Errorf("%d taken, %d jobs, %d objects, %d unfinished", taken, r.count(t), r.objects(t), r.pending(t))
	}
}

// TestQuotaTrouble: who cannot be asked is down, and says so before the body has come.
func TestQuotaTrouble(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.Quota.DailyBytes = 1 << 40 })
	r.faults.set("Usage", down)
	wantProblem(t, r.expecting(t, func(*http.Request) {}, unread{t}), 503, "unavailable")
	id := "018f0000-0000-7000-8000-000000000001"
	wantProblem(t, r.do(t, "POST", "/v1/jobs/"+id+"/retry", "alice"), 404, "not_found")
	r.faults.set("Usage", nil)
	r.faults.set("Spend", down)
	wantProblem(t, r.post(t, "/v1/jobs", "", bytes.NewReader(clip)), 503, "unavailable")
	r.nothingLeft(t)
}

// TestQuotaOfUser: what a user's token says counts for him, and nobody else.
func TestQuotaOfUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) {
		c.Quota = gateway.Quota{Waiting: 3, DailyBytes: 1, StoredBytes: int64(len(clip)) + 1}
	})
	first := r.newJob(t, "scrooge").ID
	a, _ := r.uploadAs(t, "scrooge", "?fresh", clip)
	wantQuota(t, "a second job", a, 429, "quota_jobs", 1, 1)
	r.claim(t, first)
	a, _ = r.uploadAs(t, "scrooge", "?fresh", clip)
	wantQuota(t, "what the token does not say", a, 403, "quota_stored", int64(len(clip)), int64(len(clip))+1)
	a, _ = r.uploadAs(t, "alice", "", clip)
	wantQuota(t, "another user", a, 429, "quota_daily", 0, 1)
}
