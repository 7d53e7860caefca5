package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// queuesPage is a page about queues that another process serves. It says what it was
// asked, and counts.
type queuesPage struct {
	*httptest.Server
	asked atomic.Int64
}

const pagePolicy = "script-src 'self'"

func newQueuesPage(t *testing.T) *queuesPage {
	t.Helper()
	p := &queuesPage{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Request-Id", "its own")
		fmt.Fprintf(w, "%s %s %s %q %q", r.Method, r.URL, r.Host, r.Header.Get("Authorization"), r.Header.Get("Cookie"))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *queuesPage) rig(t *testing.T, change func(*gateway.Config)) *rig {
	t.Helper()
	target, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return newRigOf(t, change, func(d *gateway.Deps) { d.Queues = gateway.QueuesAt(target) })
}

// TestQueuesPage: administrators see it, and nobody else; it learns no token.
func TestQueuesPage(t *testing.T) {
	t.Parallel()
	p := newQueuesPage(t)
	e := newExchange(t)
	const adminKey, readKey, userKey = "mp3k_ADMIN_A", "mp3k_READ_R", "mp3k_USER_U"
	e.set(func() {
		e.keys[adminKey], e.keys[readKey], e.keys[userKey] = "root/admin", "root/jobs:read", "alice/admin"
	})
	r := p.rig(t, func(c *gateway.Config) { c.AuthURL = e.URL })
	host := strings.TrimPrefix(r.url, "http://")
	for _, path := range []string{"/admin/queues", "/admin/queues/", "/admin/queues/api/queues?x=1", "/admin/queues/static/js/main.js"} {
		for _, user := range []string{"root", "root/admin", adminKey} {
			a := r.do(t, "GET", path, user)
			if want := fmt.Sprintf("GET %s %s %q %q", path, host, "", ""); a.StatusCode != 200 || string(a.body) != want {
				t.Errorf("%s: %d %s, want %s", user, a.StatusCode, a.body, want)
			}
			for name, want := range map[string][]string{
				"Content-Security-Policy": {pagePolicy}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"no-referrer"},
			} {
				if got := a.Header.Values(name); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
			if ids := a.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] == "its own" {
				t.Errorf("requests are %q", ids)
			}
		}
		asked := p.asked.Load()
		for _, method := range []string{"GET", "POST", "DELETE"} {
			wantProblem(t, r.do(t, method, path, ""), 401, "unauthorized")
			wantProblem(t, r.do(t, method, path, "forged"), 401, "token_invalid")
			wantProblem(t, r.do(t, method, path, "old"), 401, "token_expired")
			wantProblem(t, r.do(t, method, path, "alice"), 403, "forbidden") // the scope alone
			wantProblem(t, r.do(t, method, path, userKey), 403, "forbidden")
			wantProblem(t, r.do(t, method, path, "alice/jobs:read+jobs:write"), 403, "insufficient_scope")
			wantProblem(t, r.do(t, method, path, "root/jobs:read+account"), 403, "insufficient_scope") // the role alone
			wantProblem(t, r.do(t, method, path, readKey), 403, "insufficient_scope")
		}
		if n := p.asked.Load(); n != asked {
			t.Errorf("the page was asked %d times by those who may not", n-asked)
		}
	}
	// There are no paths around it.
	for _, path := range []string{"/admin/queues/../queues/api", "/admin//queues/api", "/admin/queuesx", "/x/../admin/queues"} {
		if a := r.do(t, "GET", path, ""); a.StatusCode != 404 && a.StatusCode != 401 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	if strings.Contains(r.log.String(), "mp3k_") {
		t.Error("a key is in the log")
	}
}

// TestAuditOfQueues: what an administrator changes about the queues is noted before it is
// done, what he looks at is not, and what cannot be noted is not done.
func TestAuditOfQueues(t *testing.T) {
	t.Parallel()
	p := newQueuesPage(t)
	r := p.rig(t, nil)
	const pause = "/admin/queues/api/queues/convert:pause"
	r.do(t, "GET", "/admin/queues/api/queues", "root")
	wantProblem(t, r.do(t, "POST", pause, "alice"), 403, "forbidden")
	if acts := r.acts(t); len(acts) != 0 {
		t.Errorf("%+v", acts)
	}
	for range 2 {
		if a := r.do(t, "POST", pause, "root"); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	acts := r.acts(t)
	if len(acts) != 2 {
		t.Fatalf("%+v", acts)
	}
	if a := acts[0]; a.Action != job.ActQueues || a.ActorEmail != "root@example.org" || a.Place != "127.0.0.1" || a.Detail != "POST /api/queues/convert:pause" || a.JobID+a.Owner != "" {
		t.Errorf("%+v", a)
	}
	asked := p.asked.Load()
	r.faults.set("NoteAct", down)
	wantProblem(t, r.do(t, "POST", pause, "root"), 503, "unavailable")
	if n := p.asked.Load(); n != asked {
		t.Error("it was done, though it could not be noted")
	}
}

// TestQueuesPageInBrowsers: a cookie opens it, and changes something only from a page of
// ours.
func TestQueuesPageInBrowsers(t *testing.T) {
	t.Parallel()
	p := newQueuesPage(t)
	r := p.rig(t, nil)
	do := func(method, cookie string, headers ...string) answer {
		t.Helper()
		req := r.request(t, method, "/admin/queues/api/queues/convert:pause", "", nil)
		req.Header.Set("Cookie", accountapi.AccessCookie+"="+cookie)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		return r.send(t, req)
	}
	for _, site := range []string{"same-origin", "none"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			a := do(method, "root", "Sec-Fetch-Site: "+site)
			if a.StatusCode != 200 || strings.Contains(string(a.body), "root") {
				t.Errorf("%s %s: %d %s", site, method, a.StatusCode, a.body)
			}
			wantProblem(t, do(method, "alice", "Sec-Fetch-Site: "+site), 403, "forbidden")
		}
	}
	if a := do("POST", "root", "Origin: "+r.url); a.StatusCode != 200 {
		t.Errorf("an old browser: %d %s", a.StatusCode, a.body)
	}
	asked := p.asked.Load()
	wantProblem(t, do("GET", "root", "Sec-Fetch-Site: cross-site"), 403, "cross_origin")
	for _, headers := range [][]string{nil, {"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Origin: http://evil.example"}, {"Origin: null"}} {
		for _, method := range []string{"POST", "DELETE"} {
			wantProblem(t, do(method, "root", headers...), 403, "cross_origin")
		}
	}
	if n := p.asked.Load(); n != asked {
		t.Errorf("pages of others have asked %d times", n-asked)
	}
}

// TestQueuesPageAway: without the page there is nothing there, and one that is away is
// told as any other part.
func TestQueuesPageAway(t *testing.T) {
	t.Parallel()
	wantProblem(t, newRig(t, nil).do(t, "GET", "/admin/queues", "root"), 404, "not_found")
	p := newQueuesPage(t)
	r := p.rig(t, func(c *gateway.Config) { c.Timeout = 5 * time.Second })
	p.Close()
	a := r.do(t, "GET", "/admin/queues", "root")
	wantProblem(t, a, 503, "unavailable")
	if got := a.Header.Values("Content-Security-Policy"); len(got) != 1 || got[0] != "default-src 'none'; frame-ancestors 'none'" {
		t.Errorf("%q", got)
	}
}
