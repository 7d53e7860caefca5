package gateway_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/job"
)

type listView struct {
	Jobs []jobView `json:"jobs"`
	Next string    `json:"next_cursor"`
}

func TestList(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var ids []string // alice's, newest first
	for range 7 {
		ids = append([]string{r.newJob(t, "alice").ID}, ids...)
		r.newJob(t, "bob")
	}
	r.succeed(t, ids[2], []byte("mp3"))
	for _, limit := range []int{1, 2, 3, 7, 8, 100} {
		var got []string
		cursor := ""
		for pages := 0; ; pages++ {
			var l listView
			a := r.do(t, "GET", fmt.Sprintf("/v1/jobs?limit=%d&cursor=%s", limit, cursor), "alice")
			decode(t, a, &l)
			if len(l.Jobs) > limit || len(l.Jobs) == 0 || pages > 7 {
				t.Fatalf("limit %d: page %s", limit, a.body)
			}
			for _, j := range l.Jobs {
				got = append(got, j.ID)
			}
			if cursor = l.Next; cursor == "" {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("limit %d: %v, want %v", limit, got, ids)
		}
	}
	var l listView
	decode(t, r.do(t, "GET", "/v1/jobs?state=succeeded", "alice"), &l)
	if len(l.Jobs) != 1 || l.Jobs[0].ID != ids[2] || l.Jobs[0].Links.Audio == "" {
		t.Errorf("succeeded: %+v", l)
	}
	a := r.do(t, "GET", "/v1/jobs", "carol")
	if decode(t, a, &l); len(l.Jobs) != 0 || !strings.Contains(string(a.body), `"jobs":[]`) {
		t.Errorf("nobody's jobs: %s", a.body)
	}
	l = listView{}
	decode(t, r.do(t, "GET", "/v1/jobs?all=true", "root"), &l)
	if len(l.Jobs) != 14 || l.Jobs[0].Owner != "user-bob" {
		t.Errorf("all: %+v", l)
	}
	l = listView{}
	if decode(t, r.do(t, "GET", "/v1/jobs", "root"), &l); len(l.Jobs) != 0 {
		t.Errorf("an administrator's own: %+v", l)
	}
	wantProblem(t, r.do(t, "GET", "/v1/jobs?all=true", "alice"), 403, "forbidden")
	for _, q := range []string{"limit=0", "limit=101", "limit=x", "state=lost", "what=1", "all=perhaps"} {
		wantProblem(t, r.do(t, "GET", "/v1/jobs?"+q, "alice"), 422, "invalid_input")
	}
	for _, c := range []string{"x", ids[0], base64.RawURLEncoding.EncodeToString([]byte("1' OR 1")), strings.Repeat("A", 2000)} {
		wantProblem(t, r.do(t, "GET", "/v1/jobs?cursor="+url.QueryEscape(c), "alice"), 422, "bad_cursor")
	}
	r.faults.set("List", down)
	wantProblem(t, r.do(t, "GET", "/v1/jobs", "alice"), 503, "unavailable")
}

// TestLife: what a job shows on its way.
func TestLife(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first, j := r.newJob(t, "alice"), r.newJob(t, "alice")
	if got := r.get(t, j.ID, "alice"); got.State != job.Queued || got.Position != 2 || got.Progress != nil || got.Expires != nil {
		t.Errorf("queued: %+v", got)
	}
	r.claim(t, first.ID)
	if got := r.get(t, j.ID, "alice"); got.Position != 1 {
		t.Errorf("next: %+v", got)
	}
	claimed := r.claim(t, j.ID)
	if err := r.jobs.Heartbeat(t.Context(), j.ID, claimed.Attempt, job.Progress{Position: 15 * time.Second, Total: time.Minute}, time.Minute); err != nil {
		t.Fatal(err)
	}
	got := r.get(t, j.ID, "alice")
	if p := got.Progress; got.State != job.Running || got.Attempt != 1 || p == nil || p.Fraction != 0.25 || p.Position != 15 || p.Total != 60 || got.Position != 0 {
		t.Errorf("running: %+v", got)
	}
	must(t)(r.jobs.Fail(t.Context(), j.ID, 1, job.Failure{Code: job.NoAudio, Detail: "track 7"}, retention))
	got = r.get(t, j.ID, "alice")
	if f := got.Failure; got.State != job.Failed || f == nil || f.Code != "no_audio" || !strings.Contains(f.Message, "track 7") || f.Advice == "" || got.Expires == nil || got.Links.Audio != "" {
		t.Errorf("failed: %+v", got)
	}
	done := r.newJob(t, "alice")
	r.succeed(t, done.ID, []byte("mp3"))
	got = r.get(t, done.ID, "alice")
	for name, want := range map[string]any{
		"bytes": 3.0, "duration_seconds": 5.25, "sample_rate": 44100.0, "channels": 2.0, "encoding": "VBR 2", "codec": "aac",
		"samples": 231525.0, "partial": false, "decode_errors": 0.0, "language": "deu",
	} {
		if got.Result[name] != want {
			t.Errorf("result: %s is %v, want %v", name, got.Result[name], want)
		}
	}
	if got.Links.Audio != "/v1/jobs/"+done.ID+"/audio" || got.Result["key"] != nil {
		t.Errorf("succeeded: %+v", got)
	}
	r.expire(t, done.ID)
	if got = r.get(t, done.ID, "alice"); got.State != job.Expired || got.Links.Audio != "" || got.Result == nil {
		t.Errorf("expired: %+v", got)
	}
	r.faults.set("Get", down)
	wantProblem(t, r.do(t, "GET", "/v1/jobs/"+j.ID, "alice"), 503, "unavailable")
}

func TestETag(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	j := r.newJob(t, "alice")
	ask := func(match string) answer {
		req := r.request(t, "GET", "/v1/jobs/"+j.ID, "alice", nil)
		req.Header.Set("If-None-Match", match)
		return r.send(t, req)
	}
	tag := ask("").Header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Errorf("tag %q", tag)
	}
	for match, status := range map[string]int{
		tag: 304, `"x", ` + tag: 304, strings.TrimPrefix(tag, "W/"): 304, "*": 304, `"x"`: 200, "": 200,
	} {
		if a := ask(match); a.StatusCode != status || status == 304 && len(a.body) > 0 {
			t.Errorf("%s: %d", match, a.StatusCode)
		}
	}
	r.claim(t, j.ID)
	if a := ask(tag); a.StatusCode != 200 || a.Header.Get("ETag") == tag {
		t.Errorf("after a change: %d %s", a.StatusCode, a.Header.Get("ETag"))
	}
}

func (r *rig) objects(t *testing.T) int {
	t.Helper()
	all, err := r.bucket.List(t.Context(), "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	del := func(id string) answer { t.Helper(); return r.do(t, "DELETE", "/v1/jobs/"+id, "alice") }
	wantCanceled := func(id string) {
		t.Helper()
		a := del(id)
		var j jobView
		decode(t, a, &j)
		if a.StatusCode != 200 || j.State != job.Canceled || j.ID != id {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if n := r.objects(t); n != 0 {
			t.Errorf("%d objects are left", n)
		}
	}
	queued, running := r.newJob(t, "alice").ID, ""
	wantCanceled(queued)
	running = r.newJob(t, "alice").ID
	r.claim(t, running)
	wantCanceled(running)
	if a := del(queued); a.StatusCode != 204 || len(a.body) != 0 || a.Header["Content-Type"] != nil {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	wantProblem(t, r.do(t, "DELETE", "/v1/jobs/", "alice"), 404, "not_found")
	wantProblem(t, r.do(t, "GET", "/v1/jobs//audio", "alice"), 404, "not_found")
	wantProblem(t, del(queued), 404, "not_found")
	wantProblem(t, r.do(t, "GET", "/v1/jobs/"+queued, "alice"), 404, "not_found")
	for _, end := range []func(string){
		func(id string) { r.succeed(t, id, []byte("mp3")) },
		func(id string) { r.fail(t, id, job.NoAudio) },
		func(id string) { r.fail(t, id, job.NoAudio); r.expire(t, id) },
	} {
		id := r.newJob(t, "alice").ID
		end(id)
		if a := del(id); a.StatusCode != 204 || r.objects(t) != 0 {
			t.Errorf("%d %s, %d objects", a.StatusCode, a.body, r.objects(t))
		}
	}

	// The job changes between the look and the deed.
	id := r.newJob(t, "alice").ID
	var once atomic.Bool
	r.faults.set("Cancel", func() error {
		if once.CompareAndSwap(false, true) {
			r.succeed(t, id, []byte("mp3"))
		}
		return nil
	})
	if a := del(id); a.StatusCode != 204 || r.objects(t) != 0 {
		t.Errorf("it ended meanwhile: %d %s", a.StatusCode, a.body)
	}
	id = r.newJob(t, "alice").ID
	r.fail(t, id, job.Internal)
	once.Store(false)
	r.faults.set("Delete", func() error {
		if once.CompareAndSwap(false, true) {
			must(t)(r.jobs.RetryOnce(t.Context(), id, nil))
		}
		return nil
	})
	once.Store(false)
	r.faults.set("Cancel", nil)
	wantCanceled(id)
	id = r.newJob(t, "alice").ID
	r.faults.set("Cancel", func() error { return job.ErrConflict })
	wantProblem(t, del(id), 409, "conflict")
	r.faults.set("Cancel", func() error { return job.ErrNotFound })
	wantProblem(t, del(id), 404, "not_found")
	r.faults.set("Cancel", down)
	wantProblem(t, del(id), 503, "unavailable")
	if r.get(t, id, "alice").State != job.Queued || r.objects(t) != 1 {
		t.Error("what was refused has been done")
	}
	// Files that cannot be deleted are the sweeper's.
	r.faults.set("Cancel", nil)
	r.faults.set("DeletePrefix", down)
	wantCanceled(id)
	if !strings.Contains(r.log.String(), "could not be deleted") {
		t.Error("nobody was told")
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	retry := func(id string) answer { t.Helper(); return r.do(t, "POST", "/v1/jobs/"+id+"/retry", "alice") }
	id := r.newJob(t, "alice").ID
	wantProblem(t, retry(id), 409, "not_retryable")
	r.fail(t, id, job.Internal)
	a := retry(id)
	var j jobView
	decode(t, a, &j)
	if a.StatusCode != 202 || j.State != job.Queued || j.Failure != nil || a.Header.Get("Location") != "/v1/jobs/"+id || j.Attempt != 1 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if got := r.queue.last(); got != id+":1" {
		t.Errorf("queued %s", got)
	}
	r.claim(t, id)
	wantProblem(t, retry(id), 409, "not_retryable")
	must(t)(r.jobs.Fail(t.Context(), id, 2, job.Failure{Code: job.Internal}, retention))
	r.faults.set("Exists", down)
	wantProblem(t, retry(id), 503, "unavailable")
	r.faults.set("Exists", nil)
	r.faults.set("Retry", func() error { return job.ErrConflict })
	wantProblem(t, retry(id), 409, "not_retryable")
	r.faults.set("Retry", down)
	wantProblem(t, retry(id), 503, "unavailable")
	r.faults.set("Retry", nil)
	r.expire(t, id)
	wantProblem(t, retry(id), 409, "not_retryable")
	id = r.newJob(t, "alice").ID
	r.succeed(t, id, []byte("mp3"))
	wantProblem(t, retry(id), 409, "not_retryable")
	// Canceled: its file is gone, or about to be, which must not depend on chance.
	for _, fault := range []func() error{nil, down} {
		r.faults.set("Remove", fault)
		id = r.newJob(t, "alice").ID
		r.do(t, "DELETE", "/v1/jobs/"+id, "alice")
		wantProblem(t, retry(id), 409, "job_canceled")
	}
	// Failed, and its file has been lost.
	r.faults.set("Remove", nil)
	id = r.newJob(t, "alice").ID
	r.fail(t, id, job.SourceMissing)
	if err := r.bucket.Delete(t.Context(), job.SourceKey(id)); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, retry(id), 410, "source_gone")
}

// TestAccess holds every route against everybody.
func TestAccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	type who struct{ name, token string }
	users := []who{
		{"anonymous", ""}, {"other", "bob"}, {"owner", "alice"}, {"admin", "root"}, {"link", ""}, {"foreign link", ""},
		{"forged", "forged"}, {"old", "old"}, {"keyless", "keyless"},
	}
	own := func(status int, code string) map[string]string {
		ok := fmt.Sprint(status, " ", code)
		return map[string]string{
			"anonymous": "401 unauthorized", "other": "404 not_found", "owner": ok, "admin": ok,
			"link": "401 unauthorized", "foreign link": "401 unauthorized",
			"forged": "401 token_invalid", "old": "401 token_expired", "keyless": "503 unavailable",
		}
	}
	with := func(m map[string]string, changes ...string) map[string]string {
		for i := 0; i < len(changes); i += 2 {
			m[changes[i]] = changes[i+1]
		}
		return m
	}
	any := func(status int, code string) map[string]string {
		ok := fmt.Sprint(status, " ", code)
		return with(own(status, code), "other", ok)
	}
	open := func(status int) map[string]string {
		m := map[string]string{}
		for _, u := range users {
			m[u.name] = fmt.Sprint(status, " ")
		}
		return m
	}
	linked := []string{"link", "200 ", "foreign link", "403 bad_link"}
	for _, c := range []struct {
		method, path string // %s is the job
		want         map[string]string
	}{
		{"POST", "/v1/jobs", any(202, "")},
		{"GET", "/v1/jobs", with(any(200, ""), "link", "401 unauthorized")},
		{"GET", "/v1/jobs?all=true", with(any(403, "forbidden"), "admin", "200 ")},
		{"GET", "/v1/audit", with(any(403, "forbidden"), "admin", "200 ")},
		{"GET", "/v1/jobs/%s", own(200, "")},
		{"POST", "/v1/jobs/%s/retry", own(409, "not_retryable")},
		{"GET", "/v1/jobs/%s/audio", with(own(200, ""), linked...)},
		{"HEAD", "/v1/jobs/%s/audio", with(own(200, ""), linked...)},
		{"GET", "/v1/jobs/%s/events", own(200, "")},
		{"DELETE", "/v1/jobs/%s", own(204, "")},
		{"POST", "/upload", any(200, "")},
		{"GET", "/download?fid=%s", own(200, "")},
		{"HEAD", "/download?fid=%s", own(200, "")},
		{"GET", "/livez", open(200)},
		{"GET", "/readyz", open(200)},
		{"GET", "/openapi.json", open(200)},
	} {
		for _, u := range users {
			id, foreign := r.newJob(t, "alice").ID, r.newJob(t, "alice").ID
			r.succeed(t, id, []byte("mp3"))
			path := strings.ReplaceAll(c.path, "%s", id)
			var signed string
			switch u.name {
			case "link":
				signed = r.links.Audio(id, time.Now().Add(time.Minute))
			case "foreign link":
				signed = r.links.Audio(foreign, time.Now().Add(time.Minute))
			}
			if _, q, ok := strings.Cut(signed, "?"); ok {
				if strings.Contains(path, "?") {
					q = "&" + q
				} else {
					q = "?" + q
				}
				path += q
			}
			var req *http.Request
			if c.method == "POST" && !strings.HasSuffix(c.path, "retry") {
				contentType, body := form(field{"file", "a.mp4", string(clip)})
				req = r.request(t, c.method, path, u.token, bytes.NewReader(body))
				req.Header.Set("Content-Type", contentType)
			} else {
				req = r.request(t, c.method, path, u.token, nil)
			}
			a := r.send(t, req)
			status, code, _ := strings.Cut(c.want[u.name], " ")
			if fmt.Sprint(a.StatusCode) != status {
				t.Errorf("%s %s by %s: %d %s, want %s", c.method, c.path, u.name, a.StatusCode, a.body, c.want[u.name])
			} else if code != "" {
				wantProblem(t, a, a.StatusCode, code)
			}
			if a.StatusCode == 401 && !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s %s by %s: no challenge", c.method, c.path, u.name)
			}
			if a.StatusCode == 404 { // the same answer as for a job that is not there
				req2 := r.request(t, c.method, strings.ReplaceAll(c.path, "%s", uuid.NewString()), u.token, nil)
				b := r.send(t, req2)
				cut := func(b []byte) string { s, _, _ := strings.Cut(string(b), "instance"); return s }
				if b.StatusCode != 404 || cut(a.body) != cut(b.body) {
					t.Errorf("%s %s: %s and %s differ", c.method, c.path, a.body, b.body)
				}
			}
		}
	}
}

// TestBadIDs: what is no ID is no job.
func TestBadIDs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	for _, bad := range []string{"x", strings.ToUpper(id), id + "0", "%00", "..%2f..%2fetc", "'%20OR%201=1", url.PathEscape("träumend"), strings.Repeat("a", 5000)} {
		for method, suffix := range map[string]string{"GET": "", "DELETE": "", "POST": "/retry", "HEAD": "/audio"} {
			wantProblem(t, r.do(t, method, "/v1/jobs/"+bad+suffix, "alice"), 404, "not_found")
		}
	}
	wantProblem(t, r.do(t, "GET", "/v2", "alice"), 404, "not_found")
	wantProblem(t, r.do(t, "PUT", "/v1/jobs/"+id, "alice"), 405, "method_not_allowed")
}
