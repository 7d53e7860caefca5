package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestOutage: whichever part is away, no route answers as if we had made a mistake.
// Those that need the part say so, and when to try again; all others go on.
func TestOutage(t *testing.T) {
	t.Parallel()
	parts := map[string][]string{
		"database": {"Insert", "Get", "List", "Cancel", "Delete", "Retry"},
		"bucket":   {"Create", "Open", "Exists", "Remove", "DeletePrefix"},
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
