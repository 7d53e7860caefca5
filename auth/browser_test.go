package auth

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

const samePage = "Sec-Fetch-Site: same-origin"

// cookies are those that an answer sets.
func (a answer) cookies() map[string]*http.Cookie {
	set := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		set[c.Name] = c
	}
	return set
}

// TestBrowser: a page logs in, goes on, and logs out, and never sees a token.
func TestBrowser(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)
	a := f.do("POST", "/v1/auth/browser/login", body, samePage)
	var in accountapi.InCookies
	a.decode(t, &in)
	if a.status != 200 || in.ExpiresIn != 900 || in.RefreshExpiresIn != 7*24*3600 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, want := range map[string]http.Cookie{
		accountapi.AccessCookie: {Path: "/", MaxAge: 900}, accountapi.RefreshCookie: {Path: "/v1/auth/browser", MaxAge: 7 * 24 * 3600},
	} {
		c := a.cookies()[name]
		if c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Domain != "" || c.Path != want.Path || c.MaxAge != want.MaxAge || len(c.Value) < 40 {
			t.Fatalf("%s is %+v", name, c)
		}
	}
	raw := a.cookies()[accountapi.AccessCookie].Value
	if a := f.do("GET", "/v1/auth/me", "", bearer(raw)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	first := a.cookies()[accountapi.RefreshCookie]
	with := func(c *http.Cookie) string { return "Cookie: " + c.Name + "=" + c.Value }
	a = f.do("POST", "/v1/auth/browser/refresh", "", samePage, with(first))
	second := a.cookies()[accountapi.RefreshCookie]
	if a.status != 200 || second == nil || second.Value == first.Value || a.cookies()[accountapi.AccessCookie].Value == raw {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	wantEnded(t, "without a cookie", f.do("POST", "/v1/auth/browser/refresh", "", samePage))
	a = f.do("POST", "/v1/auth/browser/logout", "", samePage, with(second))
	if a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, c := range a.cookies() {
		if c.MaxAge >= 0 || c.Value != "" {
			t.Errorf("%s is kept: %+v", name, c)
		}
	}
	if len(a.cookies()) != 2 {
		t.Errorf("%v", a.header)
	}
	wantEnded(t, "after the logout", f.do("POST", "/v1/auth/browser/refresh", "", samePage, with(second)))
	if a := f.do("POST", "/v1/auth/browser/login", fmt.Sprintf(`{"email":%q,"password":"wrong"}`, email), samePage); a.status != 401 || len(a.cookies()) != 0 {
		t.Errorf("a wrong password: %d %v", a.status, a.header)
	}
}

// TestCrossOrigin: no page of others logs its visitors in or out.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)
	for name, c := range map[string]struct {
		headers []string
		ok      bool
	}{
		"nothing said":                  {nil, false},
		"the same origin":               {[]string{samePage}, true},
		"by the user":                   {[]string{"Sec-Fetch-Site: none"}, true},
		"a page of the same site":       {[]string{"Sec-Fetch-Site: same-site", "Origin: https://mp3.example.org", "X-Forwarded-Host: mp3.example.org"}, false},
		"a page of another":             {[]string{"Sec-Fetch-Site: cross-site"}, false},
		"an old browser":                {[]string{"Origin: https://mp3.example.org", "X-Forwarded-Host: mp3.example.org"}, true},
		"an old browser, another page":  {[]string{"Origin: https://evil.example", "X-Forwarded-Host: mp3.example.org"}, false},
		"an old browser, a like name":   {[]string{"Origin: https://mp3.example.org.evil.example", "X-Forwarded-Host: mp3.example.org"}, false},
		"an old browser, another port":  {[]string{"Origin: https://mp3.example.org:8443", "X-Forwarded-Host: mp3.example.org"}, false},
		"an old browser, a sandbox":     {[]string{"Origin: null", "X-Forwarded-Host: mp3.example.org"}, false},
		"an old browser, nowhere to be": {[]string{"Origin: https://mp3.example.org"}, false},
	} {
		for _, path := range []string{"login", "refresh", "logout"} {
			a := f.do("POST", "/v1/auth/browser/"+path, map[string]string{"login": body}[path], c.headers...)
			refused := a.status == 403 && a.code() == "cross_origin" && len(a.cookies()) == 0
			if refused == c.ok {
				t.Errorf("%s, %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
}
