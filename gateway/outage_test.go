package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestOutage: whichever part is away, no route answers as if we had made a mistake.
// Those that need the part say so, and when to try again; all others go on.
func TestOutage(t *testing.T) {
	t.Parallel()
	parts := map[string][]string{
		"database": {"Insert", "Get", "List", "Cancel", "Delete", "Retry", "Twin", "Join", "Usage", "Spend", "ClaimKey", "AnswerKey"},
		"bucket":   {"Ping", "Create", "Open", "Exists", "Remove", "DeletePrefix"},
		"queue":    {"Convert", "Publish"},
	}
	for _, c := range []struct {
		name, method, path string
		state              job.State // of the job in the path
		body               []byte
		needs              []string
		status             int
	}{
		{"upload", "POST", "/v1/jobs", "", clip, []string{"database", "bucket"}, 202},
		{"old upload", "POST", "/upload", "", clip, []string{"database", "bucket"}, 200},
		{"list", "GET", "/v1/jobs", "", nil, []string{"database"}, 200},
		{"get", "GET", "/v1/jobs/{id}", job.Queued, nil, []string{"database"}, 200},
		{"cancel", "DELETE", "/v1/jobs/{id}", job.Queued, nil, []string{"database"}, 200},
		{"remove", "DELETE", "/v1/jobs/{id}", job.Failed, nil, []string{"database"}, 204},
		{"retry", "POST", "/v1/jobs/{id}/retry", job.Failed, nil, []string{"database", "bucket"}, 202},
		{"audio", "GET", "/v1/jobs/{id}/audio", job.Succeeded, nil, []string{"database", "bucket"}, 200},
		{"head", "HEAD", "/v1/jobs/{id}/audio", job.Succeeded, nil, []string{"database", "bucket"}, 200},
		{"old download", "GET", "/download?fid={id}", job.Succeeded, nil, []string{"database", "bucket"}, 200},
		{"events", "GET", "/v1/jobs/{id}/events", job.Succeeded, nil, []string{"database"}, 200},
	} {
		for part, methods := range parts {
			t.Run(c.name+" without "+part, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, nil)
				path := c.path
				if c.state != "" {
					id := r.newJob(t, "alice").ID
					switch c.state {
					case job.Failed:
						r.fail(t, id, job.Internal)
					case job.Succeeded:
						r.succeed(t, id, []byte("mp3"))
					}
					path = strings.ReplaceAll(path, "{id}", id)
				}
				for _, m := range methods {
					r.faults.set(m, down)
				}
				var body io.Reader
				if c.body != nil {
					body = bytes.NewReader(c.body)
				}
				req := r.request(t, c.method, path, "alice", body)
				if c.path == "/upload" {
					contentType, form := form(field{"file", "a.mp4", string(clip)})
					req = r.request(t, c.method, path, "alice", bytes.NewReader(form))
					req.Header.Set("Content-Type", contentType)
				}
				a := r.send(t, req)
				if !slices.Contains(c.needs, part) {
					if a.StatusCode != c.status {
						t.Errorf("it needs no %s: %d %s", part, a.StatusCode, a.body)
					}
					return
				}
				wantProblem(t, a, http.StatusServiceUnavailable, "unavailable")
				if a.Header.Get("Retry-After") == "" {
					t.Error("nobody says when to try again")
				}
			})
		}
	}
}

// TestNoBodyInVain: without the database or the bucket an upload is refused before its
// body has come, and a bucket that is back is found within a second or so.
func TestNoBodyInVain(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"Usage", "Ping"} {
		r := newRig(t, nil)
		r.faults.set(part, down)
		for range 3 {
			a := r.expecting(t, func(*http.Request) {}, unread{t})
			wantProblem(t, a, 503, "unavailable")
			if a.Header.Get("Retry-After") == "" {
				t.Error("nobody says when to try again")
			}
		}
		r.faults.set(part, nil)
		eventually(t, "it is back", func() bool {
			return r.send(t, r.request(t, "POST", "/v1/jobs", "alice", bytes.NewReader(clip))).StatusCode == 202
		})
	}
	// The bucket is asked once a second, and not for each.
	r := newRig(t, nil)
	pings := 0
	r.faults.set("Ping", func() error { pings++; return nil })
	began := time.Now()
	for range 20 {
		r.newJob(t, "alice")
	}
	if most := 1 + int(time.Since(began)/time.Second); pings < 1 || pings > most {
		t.Errorf("%d pings in %v", pings, time.Since(began))
	}
}

// TestManySlow: while 500 clients dawdle over their uploads others are served, and nothing
// is left of them when they go.
func TestManySlow(t *testing.T) { // alone, for others measure time
	r := newRig(t, nil)
	const many = 500
	conns := make([]net.Conn, many)
	for i := range conns {
		conns[i] = r.dial(t)
		_ = conns[i].SetDeadline(time.Now().Add(3 * time.Minute))
		_, _ = fmt.Fprintf(conns[i], uploadHead+"Content-Length: %d\r\n\r\n%s", "?fresh", len(clip), clip[:100])
	}
	eventually(t, "all have begun", func() bool { return r.pending(t) == many })
	began := time.Now()
	for range 20 {
		if a := r.do(t, "GET", "/v1/jobs", "bob"); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	r.newJob(t, "bob")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("21 requests took %v", took)
	}
	// Half of them go, and half are done after all.
	for i, conn := range conns {
		if i%2 == 0 {
			_ = conn.Close()
			continue
		}
		if _, err := conn.Write(clip[100:]); err != nil {
			t.Fatal(err)
		}
	}
	for i, conn := range conns {
		if i%2 == 0 {
			continue
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusAccepted {
			t.Fatal(res, err)
		}
		_ = res.Body.Close()
	}
	eventually(t, "nothing is left of those that went", func() bool { return r.pending(t) == 0 })
	if n := r.count(t); n != many/2+1 {
		t.Errorf("%d jobs", n)
	}
}
