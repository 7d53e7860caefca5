package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// keyedPost sends a POST with a key.
func (r *rig) keyedPost(t *testing.T, key, user, path, contentType string, body io.Reader) answer {
	t.Helper()
	req := r.request(t, "POST", path, user, body)
	req.Header.Set("Idempotency-Key", key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return r.send(t, req)
}

// count is the number of jobs that there are.
func (r *rig) count(t *testing.T) int {
	t.Helper()
	jobs, err := r.jobs.List(context.Background(), job.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(jobs)
}

// sameAnswer checks that an answer is another one again.
func sameAnswer(t *testing.T, what string, first, again answer) {
	t.Helper()
	if again.StatusCode != first.StatusCode || !bytes.Equal(again.body, first.body) {
		t.Errorf("%s: first %d %s\nthen %d %s", what, first.StatusCode, first.body, again.StatusCode, again.body)
	}
	for _, name := range []string{"Content-Type", "Location", "Cache-Control"} {
		if first.Header.Get(name) != again.Header.Get(name) {
			t.Errorf("%s: %s was %q and is %q", what, name, first.Header.Get(name), again.Header.Get(name))
		}
	}
	if first.Header.Get("Idempotency-Replayed") != "" || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s: replayed %q, then %q", what, first.Header.Get("Idempotency-Replayed"), again.Header.Get("Idempotency-Replayed"))
	}
}

// upload in its forms; the body differs in what does not matter.
func uploads(t *testing.T, file []byte) map[string]func(r *rig, key string) answer {
	return map[string]func(r *rig, key string) answer{
		"raw": func(r *rig, key string) answer {
			return r.keyedPost(t, key, "alice", "/v1/jobs?vbr=4&filename=a.mp4&fresh=true", "video/mp4", bytes.NewReader(file))
		},
		"raw in chunks": func(r *rig, key string) answer {
			return r.keyedPost(t, key, "alice", "/v1/jobs?fresh=true&filename=a.mp4&vbr=4", "", struct{ io.Reader }{bytes.NewReader(file)})
		},
		"form": func(r *rig, key string) answer {
			contentType, body := form(field{"fresh", "", "on"}, field{"vbr", "", "4"}, field{"file", "a.mp4", string(file)})
			return r.keyedPost(t, key, "alice", "/v1/jobs", contentType, bytes.NewReader(body))
		},
		"form, settings behind": func(r *rig, key string) answer {
			contentType, body := form(field{"file", "a.mp4", string(file)}, field{"vbr", "", "4"}, field{"fresh", "", "yes"})
			return r.keyedPost(t, key, "alice", "/v1/jobs", contentType, struct{ io.Reader }{bytes.NewReader(body)})
		},
		"old": func(r *rig, key string) answer {
			contentType, body := form(field{"any", "a.mp4", string(file)}, field{"fresh", "", "true"})
			return r.keyedPost(t, key, "alice", "/upload", contentType, bytes.NewReader(body))
		},
	}
}

// TestKeySame: the same request gets the same answer, and another is refused.
func TestKeySame(t *testing.T) {
	t.Parallel()
	other := append(bytes.Clone(clip[:len(clip)-1]), '!') // of the same length
	for name, pairs := range map[string][2]string{
		"raw": {"raw", "raw in chunks"}, "raw in chunks": {"raw in chunks", "raw"},
		"form": {"form", "form, settings behind"}, "old": {"old", "old"},
	} {
		r := newRig(t, nil)
		first := uploads(t, clip)[pairs[0]](r, `"k 1"`)
		if first.StatusCode != 202 && first.StatusCode != 200 {
			t.Fatalf("%s: %d %s", name, first.StatusCode, first.body)
		}
		for range 2 {
			sameAnswer(t, name, first, uploads(t, clip)[pairs[1]](r, `"k 1"`))
		}
		for what, a := range map[string]answer{
			"another file": uploads(t, other)[pairs[1]](r, `"k 1"`), "a longer file": uploads(t, append(other, '?'))[pairs[1]](r, `"k 1"`),
			"another file name": r.keyedPost(t, `"k 1"`, "alice", "/v1/jobs?vbr=4&filename=b.mp4", "", bytes.NewReader(clip)),
			"other settings":    r.keyedPost(t, `"k 1"`, "alice", "/v1/jobs?vbr=5&filename=a.mp4", "", bytes.NewReader(clip)),
			"another route":     r.keyedPost(t, `"k 1"`, "alice", "/v1/jobs/018f0000-0000-7000-8000-000000000001/retry", "", nil),
			"settings in a form": func() answer {
				contentType, body := form(field{"vbr", "", "5"}, field{"file", "a.mp4", string(clip)})
				return r.keyedPost(t, `"k 1"`, "alice", "/v1/jobs", contentType, bytes.NewReader(body))
			}(),
		} {
			if a.StatusCode != 422 || !strings.Contains(string(a.body), "idempotency_key_reused") {
				t.Errorf("%s, %s: %d %s", name, what, a.StatusCode, a.body)
			}
		}
		if r.count(t) != 1 || r.objects(t) != 1 || r.pending(t) != 0 {
			t.Errorf("%s: %d jobs, %d uploads, %d unfinished", name, r.count(t), r.objects(t), r.pending(t))
		}
		// Other keys, and those of others, are others.
		if a := uploads(t, clip)[pairs[1]](r, "k2"); a.StatusCode != first.StatusCode || a.Header.Get("Location") == first.Header.Get("Location") {
			t.Errorf("%s, another key: %d %s", name, a.StatusCode, a.body)
		}
		if a := r.keyedPost(t, `"k 1"`, "bob", "/v1/jobs", "", bytes.NewReader(clip)); a.StatusCode != 202 {
			t.Errorf("%s, another user: %d %s", name, a.StatusCode, a.body)
		}
	}
}

func TestKeyForms(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	// With quotation marks or without, it is the same.
	first := r.keyedPost(t, "8e03978e-40d5-43e8-bc93-6894a57f9324", "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip))
	sameAnswer(t, "quoted", first, r.keyedPost(t, `"8e03978e-40d5-43e8-bc93-6894a57f9324"`, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)))
	first = r.keyedPost(t, `"a \"b\" \\c, d;e"`, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip))
	sameAnswer(t, "escaped", first, r.keyedPost(t, `"a \"b\" \\c, d;e"`, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)))
	if a := r.keyedPost(t, strings.Repeat("x", 255), "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)); a.StatusCode != 202 {
		t.Errorf("a long key: %d %s", a.StatusCode, a.body)
	}
	before := r.count(t)
	for _, key := range []string{"", `""`, `"`, `"a`, `a"`, `"a"b`, `"a";p=1`, "a b", "a,b", "a;b", `"a\b"`, `a\b`, `"a\`, "ä", `"ä"`, strings.Repeat("x", 256)} {
		wantProblem(t, r.keyedPost(t, key, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)), 400, "bad_idempotency_key")
	}
	req := r.request(t, "POST", "/v1/jobs?fresh=true", "alice", bytes.NewReader(clip))
	req.Header["Idempotency-Key"] = []string{"a", "b"}
	wantProblem(t, r.send(t, req), 400, "bad_idempotency_key")
	if n := r.count(t); n != before {
		t.Errorf("%d jobs were made", n-before)
	}
}

// TestKeyOfRefusals: what would be refused again is kept; what may pass is not.
func TestKeyOfRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first := r.keyedPost(t, "settings", "alice", "/v1/jobs?speed=2", "", bytes.NewReader(clip))
	wantProblem(t, first, 422, "bad_setting")
	sameAnswer(t, "settings", first, r.keyedPost(t, "settings", "alice", "/v1/jobs?speed=2", "", bytes.NewReader(clip)))
	wantProblem(t, r.keyedPost(t, "settings", "alice", "/v1/jobs?vbr=2", "", bytes.NewReader(clip)), 422, "idempotency_key_reused")

	// Of a body that was refused on the way nobody knows the rest: it is judged anew.
	for range 2 {
		wantProblem(t, r.keyedPost(t, "text", "alice", "/v1/jobs?fresh=true", "", strings.NewReader(strings.Repeat("hello ", 50_000))), 415, "not_mp4")
	}
	if a := r.keyedPost(t, "text", "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)); a.StatusCode != 202 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	wantProblem(t, r.keyedPost(t, "empty", "alice", "/v1/jobs?fresh=true", "", nil), 422, "empty_upload")

	for _, method := range []string{"Create", "Write", "Commit", "Insert"} {
		r.faults.set(method, down)
		wantProblem(t, r.keyedPost(t, method, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)), 503, "unavailable")
		r.faults.set(method, nil)
		a := r.keyedPost(t, method, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip))
		if a.StatusCode != 202 || a.Header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s, when it is up again: %d %s", method, a.StatusCode, a.body)
		}
		sameAnswer(t, method, a, r.keyedPost(t, method, "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)))
	}
	r.faults.set("ClaimKey", down)
	wantProblem(t, r.keyedPost(t, "x", "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)), 503, "unavailable")
	r.faults.set("ClaimKey", nil)
	r.faults.set("Insert", func() error { panic("no") })
	wantProblem(t, r.keyedPost(t, "panic", "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)), 500, "internal")
	r.faults.set("Insert", nil)
	if a := r.keyedPost(t, "panic", "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip)); a.StatusCode != 202 {
		t.Errorf("after a panic: %d %s", a.StatusCode, a.body)
	}

	// An upload that broke off.
	conn := r.dial(t)
	_, _ = fmt.Fprintf(conn, uploadHead+"Idempotency-Key: cut\r\nContent-Length: 500000\r\n\r\n%s", "?fresh=true", clip)
	_ = conn.Close()
	eventually(t, "the upload can be repeated", func() bool {
		a := r.keyedPost(t, "cut", "alice", "/v1/jobs?fresh=true", "", bytes.NewReader(clip))
		return a.StatusCode == 202
	})
}

func TestKeyOfRetry(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	retry := func(key, id string) answer {
		t.Helper()
		return r.keyedPost(t, key, "alice", "/v1/jobs/"+id+"/retry", "", nil)
	}
	// A state that does not fit may come to fit.
	wantProblem(t, retry("k", id), 409, "not_retryable")
	r.fail(t, id, job.Storage)
	r.faults.set("Retry", down)
	wantProblem(t, retry("k", id), 503, "unavailable")
	r.faults.set("Retry", nil)
	first := retry("k", id)
	if first.StatusCode != 202 {
		t.Fatalf("%d %s", first.StatusCode, first.body)
	}
	r.fail(t, id, job.Storage)
	sameAnswer(t, "retry", first, retry("k", id))
	if got := r.get(t, id, "alice"); got.State != job.Failed {
		t.Errorf("the repetition has tried again: %+v", got)
	}
	wantProblem(t, retry("k", r.newJob(t, "alice").ID), 422, "idempotency_key_reused")
	missing := retry("none", "018f0000-0000-7000-8000-000000000001")
	wantProblem(t, missing, 404, "not_found")
	sameAnswer(t, "missing", missing, retry("none", "018f0000-0000-7000-8000-000000000001"))

	// The job was queued, and nobody heard of it.
	r.faults.set("Retried", down)
	wantProblem(t, retry("lost", id), 503, "unavailable")
	r.faults.set("Retried", nil)
	again := retry("lost", id)
	if again.StatusCode != 202 || again.Header.Get("Idempotency-Replayed") != "true" || again.Header.Get("Location") != "/v1/jobs/"+id {
		t.Errorf("%d %s", again.StatusCode, again.body)
	}
}

// TestKeyUnderWay: who comes while the first is under way waits for its answer, but
// not for ever; another request is refused at once.
func TestKeyUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.KeyLease = time.Second })
	impatient := newRigOf(t, func(c *gateway.Config) { c.KeyWait = 50 * time.Millisecond }, func(d *gateway.Deps) {
		d.Jobs, d.Keys = r.jobs, r.jobs
	})
	conn := r.dial(t)
	half := len(clip) / 2
	_, _ = fmt.Fprintf(conn, uploadHead+"Idempotency-Key: k\r\nContent-Length: %d\r\n\r\n%s", "", len(clip), clip[:half])
	eventually(t, "the upload has begun", func() bool { return r.pending(t) > 0 })

	wantProblem(t, r.keyedPost(t, "k", "alice", "/v1/jobs?vbr=1", "", bytes.NewReader(clip)), 422, "idempotency_key_reused")
	wantProblem(t, r.keyedPost(t, "k", "alice", "/v1/jobs", "", bytes.NewReader(clip[:half])), 422, "idempotency_key_reused")
	a := impatient.keyedPost(t, "k", "alice", "/v1/jobs", "", bytes.NewReader(clip))
	wantProblem(t, a, 409, "idempotency_key_in_use")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}

	answers := make([]answer, 4)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = r.keyedPost(t, "k", "alice", "/v1/jobs", "", struct{ io.Reader }{bytes.NewReader(clip)})
		})
	}
	// Several times the lease, which the gateway extends.
	other := job.Keyed{RequestKey: job.RequestKey{Owner: "user-alice", Name: fmt.Sprintf("%x", sha256.Sum256([]byte("k"))), Holder: "x"}}
	for began := time.Now(); time.Since(began) < 2500*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if _, claimed, err := r.jobs.ClaimKey(t.Context(), other, time.Second); err != nil || claimed {
			t.Fatal(claimed, err)
		}
	}
	_, _ = conn.Write(clip[half:])
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := answer{Response: res}
	first.body, _ = io.ReadAll(res.Body)
	if first.StatusCode != 202 {
		t.Fatalf("%d %s", first.StatusCode, first.body)
	}
	wg.Wait()
	for _, a := range answers {
		sameAnswer(t, "waited", first, a)
	}
	if r.count(t) != 1 || r.objects(t) != 1 {
		t.Errorf("%d jobs, %d uploads", r.count(t), r.objects(t))
	}
}

// TestKeyAtOnce: of many who come with a key at the same time to two gateways one is
// obeyed, and all get its answer.
func TestKeyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	second := newRigOf(t, nil, func(d *gateway.Deps) { d.Jobs, d.Keys = r.jobs, r.jobs })
	answers := make([]answer, 12)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = []*rig{r, second}[i%2].keyedPost(t, "k", "alice", "/v1/jobs", "", bytes.NewReader(clip))
		})
	}
	wg.Wait()
	fresh := 0
	for _, a := range answers {
		if a.StatusCode != 202 || !bytes.Equal(a.body, answers[0].body) {
			t.Errorf("%d %s\nand %s", a.StatusCode, a.body, answers[0].body)
		}
		if a.Header.Get("Idempotency-Replayed") == "" {
			fresh++
		}
	}
	if fresh != 1 || r.count(t) != 1 {
		t.Errorf("%d were obeyed, %d jobs", fresh, r.count(t))
	}
}

// TestKeyOfTheDead: a gateway that died in the middle does not block a key, and a job
// that it made is found.
func TestKeyOfTheDead(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.KeyLease = 100 * time.Millisecond })
	// Neither answer nor release reach the store, and nobody extends the lease.
	r.faults.set("AnswerKey", down)
	for name, send := range uploads(t, clip) {
		before := r.count(t)
		name = strings.ReplaceAll(name, " ", "-")
		name = strings.ReplaceAll(name, ",", "")
		first := send(r, name)
		if first.StatusCode >= 300 {
			t.Fatalf("%s: %d %s", name, first.StatusCode, first.body)
		}
		eventually(t, "the lease has passed", func() bool {
			rec, claimed, err := r.jobs.ClaimKey(t.Context(), job.Keyed{RequestKey: job.RequestKey{
				Owner: "user-alice", Name: fmt.Sprintf("%x", sha256.Sum256([]byte(name))), Holder: "x"}}, time.Second)
			if err != nil || claimed {
				t.Fatal(claimed, err)
			}
			return !rec.Held && rec.JobID != ""
		})
		again := send(r, name)
		if again.StatusCode != first.StatusCode || again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %d %s %v", name, again.StatusCode, again.body, again.Header)
		}
		if n := r.count(t) - before; n != 1 {
			t.Errorf("%s: %d jobs", name, n)
		}
		wantProblem(t, r.keyedPost(t, name, "alice", "/v1/jobs?vbr=7", "", bytes.NewReader(clip)), 422, "idempotency_key_reused")
	}
	r.faults.set("AnswerKey", nil)

	// It died before it made a job.
	k := job.Keyed{RequestKey: job.RequestKey{Owner: "user-alice", Name: fmt.Sprintf("%x", sha256.Sum256([]byte("dead"))), Holder: "dead"}}
	if _, ok, err := r.jobs.ClaimKey(t.Context(), k, 50*time.Millisecond); err != nil || !ok {
		t.Fatal(ok, err)
	}
	eventually(t, "its key is free", func() bool {
		return r.keyedPost(t, "dead", "alice", "/v1/jobs", "", bytes.NewReader(clip)).StatusCode == 202
	})
}

// TestKeyLost: who was thought dead makes no job when he comes back.
func TestKeyLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	// Somebody takes the key away as it is to be used.
	r.faults.set("Insert", func() error { return fmt.Errorf("a test: %w", job.ErrLost) })
	a := r.keyedPost(t, "k", "alice", "/v1/jobs", "", bytes.NewReader(clip))
	wantProblem(t, a, 409, "idempotency_key_in_use")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	r.nothingLeft(t)
	r.faults.set("Insert", nil)
	id := r.newJob(t, "alice").ID
	r.fail(t, id, job.Storage)
	r.faults.set("Retry", func() error { return fmt.Errorf("a test: %w", job.ErrLost) })
	wantProblem(t, r.keyedPost(t, "k2", "alice", "/v1/jobs/"+id+"/retry", "", nil), 409, "idempotency_key_in_use")
}

// TestDigest: a file that is not what its head says is refused; a repetition whose head
// tells enough need not be sent.
func TestDigest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	of := func(b []byte) string {
		sum := sha256.Sum256(b)
		return "sha-512=:AAAA:, sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	}
	post := func(field, digest, key string, body io.Reader) answer {
		t.Helper()
		req := r.request(t, "POST", "/v1/jobs?filename=a.mp4", "alice", body)
		req.Header.Set(field, digest)
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		return r.send(t, req)
	}
	for _, bad := range []string{"sha-256=abc", "sha-256=:abc:", "sha-256=:AAAA:", "sha-256", "sha-256=:" + strings.Repeat("A", 44)} {
		wantProblem(t, post("Content-Digest", bad, "", bytes.NewReader(clip)), 400, "bad_digest")
	}
	for range 2 { // also under a key: what was damaged on its way may come whole
		wantProblem(t, post("Repr-Digest", of(clip[1:]), "k", bytes.NewReader(clip)), 400, "digest_mismatch")
	}
	r.nothingLeft(t)
	first := post("Content-Digest", of(clip), "k", bytes.NewReader(clip))
	if first.StatusCode != 202 {
		t.Fatalf("%d %s", first.StatusCode, first.body)
	}
	nothing := func() io.Reader { return unread{t} }
	sameAnswer(t, "with a digest", first, r.expecting(t, func(req *http.Request) {
		req.Header.Set("Content-Digest", of(clip))
		req.Header.Set("Idempotency-Key", "k")
	}, nothing()))
	wantProblem(t, r.expecting(t, func(req *http.Request) {
		req.Header.Set("Content-Digest", of(clip[2:]))
		req.Header.Set("Idempotency-Key", "k")
	}, nothing()), 422, "idempotency_key_reused")
	if r.count(t) != 1 {
		t.Errorf("%d jobs", r.count(t))
	}
}

// unread is a body that nobody may want.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was sent")
	return 0, errors.New("the body was sent")
}

// expecting posts a body only if the gateway wants it.
func (r *rig) expecting(t *testing.T, change func(*http.Request), body io.Reader) answer {
	t.Helper()
	req := r.request(t, "POST", "/v1/jobs?filename=a.mp4", "alice", body)
	req.ContentLength = int64(len(clip))
	req.Header.Set("Expect", "100-continue")
	change(req)
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{Response: res}
	a.body, a.err = io.ReadAll(res.Body)
	return a
}
