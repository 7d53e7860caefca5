package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

// TestCookies: a cookie with a token is as good as the header for pages of ours, and for
// nobody else's; a header comes first.
func TestCookies(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	host := strings.TrimPrefix(r.url, "http://")
	do := func(method, path, cookie string, headers ...string) answer {
		t.Helper()
		req := r.request(t, method, path, "", nil)
		if cookie != "" {
			req.Header.Set("Cookie", accountapi.AccessCookie+"="+cookie)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		return r.send(t, req)
	}
	const same, cross = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"
	for _, headers := range [][]string{{same}, {"Sec-Fetch-Site: none"}, {"Sec-Fetch-Site: same-site"}, nil} {
		if a := do("GET", "/v1/jobs/"+id, "alice", headers...); a.StatusCode != 200 {
			t.Errorf("%v: %d %s", headers, a.StatusCode, a.body)
		}
	}
	wantProblem(t, do("GET", "/v1/jobs/"+id, "alice", cross), 403, "cross_origin")
	wantProblem(t, do("GET", "/v1/jobs/"+id, "bob", same), 404, "not_found")
	wantProblem(t, do("GET", "/v1/jobs/"+id, "forged", same), 401, "token_invalid")
	wantProblem(t, do("GET", "/v1/jobs/"+id, "", same), 401, "unauthorized")
	wantProblem(t, do("GET", "/v1/jobs/"+id, "alice", same, "Authorization: Bearer bob"), 404, "not_found")

	for _, headers := range [][]string{
		nil, {cross}, {"Sec-Fetch-Site: same-site"}, {"Origin: http://evil.example"}, {"Origin: null"}, {"Origin: http://" + host + ".evil.example"},
		{"Sec-Fetch-Site: cross-site", "Origin: http://" + host}, {"Referer: " + r.url + "/page"},
	} {
		for _, c := range [][2]string{{"DELETE", "/v1/jobs/" + id}, {"POST", "/v1/jobs"}, {"POST", "/upload"}} {
			wantProblem(t, do(c[0], c[1], "alice", headers...), 403, "cross_origin")
		}
	}
	if a := do("DELETE", "/v1/jobs/"+id, "alice", "Origin: http://"+host); a.StatusCode != 200 {
		t.Errorf("an old browser: %d %s", a.StatusCode, a.body)
	}
	if a := do("DELETE", "/v1/jobs/"+id, "alice", same); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	// Programs are not asked where they come from.
	if a := do("DELETE", "/v1/jobs/"+r.newJob(t, "alice").ID, "", "Authorization: Bearer alice", cross); a.StatusCode != 200 {
		t.Errorf("a program: %d %s", a.StatusCode, a.body)
	}
	if strings.Contains(r.log.String(), "mp3lathe-access") {
		t.Error("cookies are logged")
	}
}

// TestHeaders: what every answer says to browsers.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		r := newRig(t, func(c *gateway.Config) { c.TLS = tls })
		for _, path := range []string{"/v1/jobs", "/livez", "/nowhere", "/openapi.json"} {
			a := r.do(t, "GET", path, "alice")
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
				"Strict-Transport-Security": map[bool]string{true: "max-age=31536000"}[tls],
				// Pages of other origins are told nothing.
				"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "", "Access-Control-Allow-Headers": "",
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		}
		req := r.request(t, "OPTIONS", "/v1/jobs", "", nil)
		req.Header.Set("Origin", "http://evil.example")
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "authorization")
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode < 400 || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("a preflight: %d %v", res.StatusCode, res.Header)
		}
	}
}

// TestProxyCookies: auth gets the token as a header, the cookies of a session where it
// sets them, and no others; what it sets comes back.
func TestProxyCookies(t *testing.T) {
	t.Parallel()
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "set", Value: "1"})
		w.Header().Set("Strict-Transport-Security", "max-age=1")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+"|"+r.Header.Get("Cookie")+"|"+r.Header.Get("X-Forwarded-Host"))
	}))
	t.Cleanup(auth.Close)
	r := newRig(t, func(c *gateway.Config) { c.AuthURL, c.TLS = auth.URL, true })
	host := strings.TrimPrefix(r.url, "http://")
	cookies := accountapi.AccessCookie + "=alice; " + accountapi.RefreshCookie + "=refresh; other=1; " + accountapi.SignInCookie + "=sign-in"
	signIn := accountapi.SignInCookie + "=sign-in"
	for _, c := range []struct{ method, path, site, want string }{
		{"GET", "/v1/auth/me", "same-origin", "Bearer alice||" + host},
		{"POST", "/v1/auth/password", "same-origin", "Bearer alice||" + host},
		{"POST", "/v1/auth/password", "cross-site", ""},
		{"GET", "/v1/auth/me", "cross-site", ""},
		{"POST", "/v1/auth/browser/refresh", "same-origin", "|" + cookies + "|" + host},
		{"POST", "/v1/auth/browser/refresh", "cross-site", "|" + cookies + "|" + host}, // which auth refuses
		// A provider sends browsers back from its site, with all cookies where the way began
		// on a page of ours.
		{"GET", "/v1/auth/oidc/x/callback?code=1", "cross-site", "|" + signIn + "|" + host},
		{"GET", "/v1/auth/oidc/x/start", "same-origin", "|" + signIn + "|" + host},
		{"POST", "/v1/auth/oidc/x/link", "same-origin", "Bearer alice|" + signIn + "|" + host},
		{"POST", "/v1/auth/oidc/x/link", "cross-site", ""},
	} {
		req := r.request(t, c.method, c.path, "", nil)
		req.Header.Set("Cookie", cookies)
		req.Header.Set("Sec-Fetch-Site", c.site)
		req.Header.Set("X-Forwarded-Host", "evil.example")
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" {
			if res.StatusCode != 403 || !strings.Contains(string(b), "cross_origin") {
				t.Errorf("%+v: %d %s", c, res.StatusCode, b)
			}
			continue
		}
		if string(b) != c.want || len(res.Cookies()) != 1 || res.Header.Get("Strict-Transport-Security") != "max-age=31536000" {
			t.Errorf("%+v: %d %s %v", c, res.StatusCode, b, res.Header)
		}
	}
}
