package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/gateway"
)

// TestAuthProxy: what belongs to the auth service gets there and back.
func TestAuthProxy(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		user, pw, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("X-Request-Id", "theirs")
		w.Header().Set("X-Forwarded-Seen", r.Header.Get("X-Forwarded-For"))
		if user == "mallory" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = fmt.Fprintf(w, "%s %s %s:%s %s", r.Method, r.URL, user, pw, b)
	}))
	t.Cleanup(auth.Close)
	r := newRig(t, func(c *gateway.Config) { c.AuthURL = auth.URL })
	send := func(method, path, user, body string) answer {
		t.Helper()
		req := r.request(t, method, path, "", strings.NewReader(body))
		req.Header.Set("X-Forwarded-For", "6.6.6.6")
		if user != "" {
			req.SetBasicAuth(user, "pässword")
		}
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return answer{res, b, err}
	}
	for _, c := range []struct{ method, path, user, body, want string }{
		{"POST", "/login", "alice", "", "POST /login alice:pässword "},
		{"POST", "/validate", "alice", "x", "POST /validate alice:pässword x"},
		{"POST", "/v1/auth/register?x=1", "", `{"email":"a@b.c"}`, `POST /v1/auth/register?x=1 : {"email":"a@b.c"}`},
		{"GET", "/v1/auth/me", "", "", "GET /v1/auth/me : "},
		{"GET", "/v1/auth", "", "", "GET /v1/auth : "}, // which auth does not know; no redirection
		{"GET", "/.well-known/jwks.json", "", "", "GET /.well-known/jwks.json : "},
	} {
		a := send(c.method, c.path, c.user, c.body)
		if a.StatusCode != 200 || string(a.body) != c.want {
			t.Errorf("%s %s: %d %q", c.method, c.path, a.StatusCode, a.body)
		}
		if got := a.Header.Values("X-Request-Id"); len(got) != 1 || got[0] == "theirs" {
			t.Errorf("X-Request-Id %q", got)
		}
		if got := a.Header.Values("Cache-Control"); len(got) != 1 || got[0] != "max-age=60" {
			t.Errorf("Cache-Control %q", got)
		}
		if got := a.Header.Get("X-Forwarded-Seen"); got != "127.0.0.1" {
			t.Errorf("X-Forwarded-For %q", got)
		}
	}
	if a := send("POST", "/login", "mallory", ""); a.StatusCode != 401 {
		t.Errorf("%d", a.StatusCode)
	}
	wantProblem(t, send("GET", "/login", "", ""), 405, "method_not_allowed")
	wantProblem(t, send("POST", "/v1/auth/register", "", strings.Repeat("x", 100_000)), 413, "too_large")
	auth.Close()
	a := send("POST", "/login", "alice", "")
	wantProblem(t, a, 503, "unavailable")
	if a.Header.Get("Retry-After") == "" || strings.Contains(string(a.body), "127.0.0.1") || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", a.Header, a.body)
	}
	// Without the auth service there are no such routes.
	wantProblem(t, newRig(t, nil).do(t, "POST", "/login", ""), 404, "not_found")
}

// TestForwardedFor: auth is told where a client is, behind proxies of ours, and nothing
// that a client makes up.
func TestForwardedFor(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Join(r.Header.Values("X-Forwarded-For"), "|"))
	}))
	t.Cleanup(auth.Close)
	for _, c := range []struct {
		trusted   string
		forwarded []string
		want      string
	}{
		{"", nil, "127.0.0.1"}, {"", []string{"6.6.6.6"}, "127.0.0.1"},
		{"127.0.0.0/8", []string{"198.51.100.1"}, "198.51.100.1"}, {"127.0.0.0/8", []string{"6.6.6.6, 198.51.100.1"}, "198.51.100.1"},
		{"127.0.0.0/8", []string{"6.6.6.6", "2001:db8::7"}, "2001:db8::7"}, {"127.0.0.0/8", []string{"x"}, "127.0.0.1"},
	} {
		r := newRig(t, func(g *gateway.Config) {
			g.AuthURL = auth.URL
			if c.trusted != "" {
				g.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
			}
		})
		req := r.request(t, "GET", "/v1/auth/me", "", nil)
		req.Header["X-Forwarded-For"] = c.forwarded
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(b) != c.want {
			t.Errorf("%+v: %q, %v", c, b, err)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, c := range []gateway.Config{{AuthURL: "auth:8081"}, {AuthURL: "ftp://x"}, {MaxUpload: -1}, {Poll: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if _, err := gateway.New(gateway.Config{}, gateway.Deps{}); err == nil {
		t.Error("a gateway without parts was made")
	}
}

// TestDescription: a gateway says which routes there are, those that it passes on
// included, and says of none that is not there.
func TestDescription(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
	}))
	t.Cleanup(auth.Close)
	accounts := []string{
		"POST /v1/auth/register", "POST /v1/auth/login", "GET /v1/auth/me", "POST /login", "POST /validate", "GET /.well-known/jwks.json",
	}
	for name, c := range map[string]struct {
		url  string
		says bool
	}{"with auth": {auth.URL, true}, "alone": {"", false}} {
		r := newRig(t, func(g *gateway.Config) { g.AuthURL = c.url })
		paths := r.contract.doc["paths"].(map[string]any)
		for _, route := range accounts {
			method, path, _ := strings.Cut(route, " ")
			item, _ := paths[path].(map[string]any)
			if _, says := item[strings.ToLower(method)]; says != c.says {
				t.Errorf("%s: the description has %s: %v", name, route, says)
			}
		}
		for path, item := range paths {
			for method := range item.(map[string]any) {
				req := r.request(t, strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "none"), "", nil)
				res, err := r.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode == 404 || res.StatusCode == 405 {
					t.Errorf("%s: %s %s is described and answers %d", name, method, path, res.StatusCode)
				}
			}
		}
	}
}

// TestAuthProxyTrace: auth goes on with traces that it is told of, and is told of none of
// a stranger's.
func TestAuthProxyTrace(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %q %q", r.Header.Get("traceparent"), r.Header.Get("tracestate"), r.Header.Get("baggage"))
	}))
	t.Cleanup(auth.Close)
	r := newRig(t, func(c *gateway.Config) { c.AuthURL = auth.URL })
	req := r.request(t, "GET", "/v1/auth/me", "", nil)
	for name, value := range map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b", "baggage": "c=d"} {
		req.Header.Set(name, value)
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != `"" "" ""` {
		t.Errorf("auth is told of %s, %v", b, err)
	}
}
