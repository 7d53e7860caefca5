package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/rate"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

// counting adds a limiter that counts by itself.
func counting(t *testing.T) func(*gateway.Deps) {
	l, err := rate.Open(redisconn.Address{Dial: func() (net.Conn, error) { return nil, errors.New("nobody asks it") }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return func(d *gateway.Deps) { d.Limiter = l }
}

// wantLimit checks what an answer tells of a limit.
func wantLimit(t *testing.T, what string, a answer, policy string, most, left int) {
	t.Helper()
	if got, want := a.Header.Get("RateLimit-Policy"), fmt.Sprintf(`"%s";q=%d;w=60`, policy, most); got != want {
		t.Errorf("%s: RateLimit-Policy: %s, want %s", what, got, want)
	}
	m := regexp.MustCompile(`^"` + policy + `";r=(\d+);t=(\d+)$`).FindStringSubmatch(a.Header.Get("RateLimit"))
	if m == nil || m[1] != strconv.Itoa(left) || m[2] == "0" {
		t.Errorf("%s: RateLimit: %s, want %d left", what, a.Header.Get("RateLimit"), left)
	}
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); a.StatusCode == 429 && (err != nil || n < 1 || n > 60) {
		t.Errorf("%s: Retry-After %q", what, a.Header.Get("Retry-After"))
	}
}

// TestUserRate: a user may ask so often, whatever the answers are; others are others.
func TestUserRate(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, func(c *gateway.Config) { c.Rates.User = 3 }, counting(t))
	a := r.do(t, "GET", "/v1/jobs", "alice")
	if a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	wantLimit(t, "a list", a, "user", 3, 2)
	a = r.do(t, "GET", "/v1/jobs/x", "alice")
	wantProblem(t, a, 404, "not_found")
	wantLimit(t, "a problem", a, "user", 3, 1)
	a = r.send(t, r.request(t, "POST", "/v1/jobs", "alice", bytes.NewReader(clip)))
	if a.StatusCode != 202 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	wantLimit(t, "an upload", a, "user", 3, 0)
	for what, a := range map[string]answer{
		"a list":     r.do(t, "GET", "/v1/jobs", "alice"),
		"audio":      r.do(t, "GET", "/v1/jobs/018f0000-0000-7000-8000-000000000001/audio", "alice"),
		"an old one": r.do(t, "GET", "/download?fid=x", "alice"),
		"a retry":    r.do(t, "POST", "/v1/jobs/018f0000-0000-7000-8000-000000000001/retry", "alice"),
		"an upload":  r.expecting(t, func(*http.Request) {}, unread{t}),
	} {
		wantProblem(t, a, 429, "too_many_requests")
		wantLimit(t, what, a, "user", 3, 0)
	}
	if r.count(t) != 1 {
		t.Errorf("%d jobs", r.count(t))
	}
	wantLimit(t, "another user", r.do(t, "GET", "/v1/jobs", "bob"), "user", 3, 2)
	for _, path := range []string{"/livez", "/readyz", "/openapi.json"} {
		if a := r.do(t, "GET", path, ""); a.StatusCode != 200 || a.Header.Get("RateLimit") != "" {
			t.Errorf("%s: %d, %s", path, a.StatusCode, a.Header.Get("RateLimit"))
		}
	}
}

// TestAddressRate: who sends no good token is counted by where he is, behind our own
// proxies too.
func TestAddressRate(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(auth.Close)
	r := newRigOf(t, func(c *gateway.Config) {
		c.Rates.Address, c.AuthURL = 3, auth.URL
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, counting(t))
	r.contract = nil // it does not describe what auth does here
	id := r.newJob(t, "alice").ID
	from := func(address, method, path, user string) answer {
		t.Helper()
		req := r.request(t, method, path, user, nil)
		req.Header.Set("X-Forwarded-For", address)
		return r.send(t, req)
	}
	link := "/v1/jobs/" + id + "/audio?expires=1&signature=x"
	for i, c := range []struct {
		method, path, user string
		status             int
	}{
		{"POST", "/v1/auth/login", "", 418}, {"GET", "/v1/jobs", "forged", 401}, {"GET", link, "", 410},
		{"POST", "/login", "", 429}, {"GET", "/.well-known/jwks.json", "", 429}, {"GET", "/v1/jobs", "", 429},
		{"GET", "/v1/jobs", "old", 429}, {"GET", link, "", 429}, {"POST", "/v1/auth/register", "alice", 429},
	} {
		a := from("203.0.113.7", c.method, c.path, c.user)
		if a.StatusCode != c.status && !(c.status == 410 && a.StatusCode == 403) {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.StatusCode, a.body)
		}
		wantLimit(t, c.path, a, "address", 3, max(2-i, 0))
		if c.status == 429 {
			wantProblem(t, a, 429, "too_many_requests")
		}
	}
	// A good token is a user's, wherever he is; a token that cannot be checked is nobody's fault.
	if a := from("203.0.113.7", "GET", "/v1/jobs", "alice"); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for range 5 {
		wantProblem(t, from("203.0.113.7", "GET", "/v1/jobs", "keyless"), 503, "unavailable")
	}
	if a := from("203.0.113.8", "POST", "/login", ""); a.StatusCode != 418 {
		t.Errorf("another address: %d", a.StatusCode)
	}
}

// TestDailyLimit: an upload tells what is left of the day.
func TestDailyLimit(t *testing.T) {
	t.Parallel()
	size := len(clip)
	r := newRigOf(t, func(c *gateway.Config) { c.Quota.DailyBytes, c.Rates.User = int64(3*size), 100 }, counting(t))
	for i := range 2 {
		a, _ := r.uploadAs(t, "alice", "?fresh", clip)
		policies, left := a.Header.Values("RateLimit-Policy"), a.Header.Values("RateLimit")
		if len(policies) != 2 || policies[1] != fmt.Sprintf(`"daily";q=%d;qu="content-bytes";w=86400`, 3*size) {
			t.Errorf("%q", policies)
		}
		if len(left) != 2 || !regexp.MustCompile(fmt.Sprintf(`^"daily";r=%d;t=\d+$`, (2-i)*size)).MatchString(left[1]) {
			t.Errorf("%q", left)
		}
	}
}

// TestRateWithoutRedis: while it is away nobody is turned away.
func TestRateWithoutRedis(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	l, err := rate.Open(redisconn.At("redis://"+m.Addr()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOf(t, func(c *gateway.Config) { c.Rates.User = 1 }, func(d *gateway.Deps) { d.Limiter = l })
	t.Cleanup(func() { r.stop(); <-r.ended; _ = l.Close() })
	r.do(t, "GET", "/v1/jobs", "alice")
	wantProblem(t, r.do(t, "GET", "/v1/jobs", "alice"), 429, "too_many_requests")
	m.Close()
	began := time.Now()
	for range 20 {
		if a := r.do(t, "GET", "/v1/jobs", "alice"); a.StatusCode != 200 || a.Header.Get("RateLimit") != "" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20 requests took %v", took)
	}
}
