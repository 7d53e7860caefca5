package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestScopes: a token is good for what its scopes say, of its holder's jobs, and no role
// makes up for a scope.
func TestScopes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	r.succeed(t, id, []byte("mp3"))
	failed := r.newJob(t, "alice").ID
	r.fail(t, failed, "internal")
	const read, write = "jobs:read", "jobs:write"
	for _, c := range []struct {
		method, path string
		scope        string // what it takes
	}{
		{"GET", "/v1/jobs", read}, {"GET", "/v1/jobs/" + id, read}, {"GET", "/v1/jobs/" + id + "/audio", read}, {"HEAD", "/v1/jobs/" + id + "/audio", read},
		{"GET", "/v1/jobs/" + id + "/events", read}, {"GET", "/download?fid=" + id, read}, {"HEAD", "/download?fid=" + id, read},
		{"POST", "/v1/jobs/" + failed + "/retry", write}, {"DELETE", "/v1/jobs/" + id, write},
		{"POST", "/v1/jobs", write}, {"POST", "/upload", write},
	} {
		for _, has := range []string{"", "account", "admin", "jobs", "account+admin", read, write} {
			a := r.do(t, c.method, c.path, "alice/"+has)
			if has == c.scope {
				if a.StatusCode == 403 || a.StatusCode == 401 {
					t.Errorf("%s %s with %q: %d %s", c.method, c.path, has, a.StatusCode, a.body)
				}
				continue
			}
			if challenge := a.Header.Get("WWW-Authenticate"); a.StatusCode != 403 || !strings.Contains(challenge, `scope="`+c.scope+`"`) {
				t.Errorf("%s %s with %q: %d %q", c.method, c.path, has, a.StatusCode, challenge)
			}
			if c.method == "HEAD" {
				continue
			}
			want := "insufficient_scope"
			if c.scope == write && strings.HasPrefix(has, "account") {
				want = "email_unverified" // why a login lacks it
			}
			wantProblem(t, a, 403, want)
		}
	}
	other := r.newJob(t, "bob").ID
	for scopes, status := range map[string]int{"jobs:read": 404, "jobs:read+admin": 200} {
		if a := r.do(t, "GET", "/v1/jobs/"+other, "root/"+scopes); a.StatusCode != status {
			t.Errorf("an administrator with %s: %d", scopes, a.StatusCode)
		}
		if a := r.do(t, "GET", "/v1/jobs?all=true", "root/"+scopes); (a.StatusCode == 200) != (status == 200) {
			t.Errorf("an administrator with %s, all: %d", scopes, a.StatusCode)
		}
	}
	if a := r.do(t, "GET", "/v1/jobs?all=true", "alice/jobs:read+admin"); a.StatusCode != 403 {
		t.Error(fmt.Sprint("the scope alone makes an administrator: ", a.StatusCode))
	}
}
