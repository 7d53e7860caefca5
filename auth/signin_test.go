package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

// TestSignIn: somebody whom nobody knows signs in, gets an account and the cookies of a
// session, and finds the account again, from another browser too.
func TestSignIn(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	var list accountapi.Providers
	f.do("GET", "/v1/auth/oidc", "").decode(t, &list)
	if len(list.Providers) != 1 || list.Providers[0] != (accountapi.Provider{Name: "one", Label: "Provider 1", Start: "/v1/auth/oidc/one/start"}) {
		t.Fatalf("%+v", list)
	}
	b := f.browser()
	a := b.get(list.Providers[0].Start + "?return_to=/app%3Fx%3D1")
	cookie := a.cookies()[accountapi.SignInCookie]
	if a.status != 303 || cookie == nil || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" ||
		cookie.Domain != "" || cookie.MaxAge != 600 || len(cookie.Value) < 26 {
		t.Fatalf("%d %v %+v", a.status, a.header, cookie)
	}
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "mp3lathe", "scope": "openid email profile", "code_challenge_method": "S256",
		"redirect_uri": "https://mp3.example.org/v1/auth/oidc/one/callback", "prompt": "", "max_age": "",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(name)) < 26 || strings.Contains(cookie.Value, q.Get(name)) {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	a = b.get(h.visit(a.header.Get("Location")))
	if a.status != 200 || a.header.Get("Refresh") != "0; url=/app?x=1" || !strings.Contains(a.body, `href="/app?x=1"`) || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	for _, name := range []string{accountapi.AccessCookie, accountapi.RefreshCookie} {
		if c := a.cookies()[name]; c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || strings.Contains(a.body, c.Value) {
			t.Errorf("%s is %+v", name, c)
		}
	}
	me := f.me(b.access())
	if me.Email != email || !me.Verified || me.Password || len(me.Roles) != 1 || me.Roles[0] != token.RoleUser {
		t.Errorf("%+v", me)
	}
	if a := b.do("POST", "/v1/auth/browser/refresh", "", samePage); a.status != 200 {
		t.Errorf("to refresh: %d %s", a.status, a.body)
	}
	h.set(func() { h.user["email_verified"] = "true" })
	other := f.browser()
	if a := other.signIn(h, ""); a.status != 200 || a.header.Get("Refresh") != "" || f.me(other.access()).ID != me.ID || f.count("users") != 1 || f.count("identities") != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := f.count("sign_ins"); n != 0 {
		t.Errorf("%d sign-ins are left", n)
	}
	if a := f.do("GET", "/v1/auth/oidc/three/start", ""); a.code() != "not_found" {
		t.Errorf("a provider that is none: %d %s", a.status, a.body)
	}
	wantCode := func(a answer, status int, code string) {
		t.Helper()
		if a.status != status || a.code() != code {
			t.Errorf("%d %s, want %s", a.status, a.body, code)
		}
	}
	for _, site := range []string{"cross-site", "same-site"} {
		wantCode(f.do("GET", "/v1/auth/oidc/one/start", "", "Sec-Fetch-Site: "+site), 403, "cross_origin")
	}
}

// TestSignInTwoTabs: two sign-ins of one browser do not disturb each other.
func TestSignInTwoTabs(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	b := f.browser()
	first, second := b.get("/v1/auth/oidc/one/start"), b.get("/v1/auth/oidc/one/start")
	for _, a := range []answer{first, second} {
		if a := b.get(h.visit(a.header.Get("Location"))); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestSignInHostile: an answer of a provider that is not as it must be opens nothing.
func TestSignInHostile(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	other := newHostile(t)
	ours := func(change func(jwt.MapClaims)) func(jwt.MapClaims) string {
		return func(c jwt.MapClaims) string { change(c); return "" }
	}
	for name, c := range map[string]struct {
		lie    func(jwt.MapClaims) string
		answer http.HandlerFunc
		info   map[string]any
		more   string // in the query
		status int
		code   string
	}{
		"a nonce of another":     {lie: ours(func(c jwt.MapClaims) { c["nonce"] = "another" })},
		"no nonce":               {lie: ours(func(c jwt.MapClaims) { delete(c, "nonce") })},
		"for another client":     {lie: ours(func(c jwt.MapClaims) { c["aud"] = "another" })},
		"for several":            {lie: ours(func(c jwt.MapClaims) { c["aud"] = []string{"mp3lathe", "another"} })},
		"by another":             {lie: ours(func(c jwt.MapClaims) { c["azp"] = "another" })},
		"by another for several": {lie: ours(func(c jwt.MapClaims) { c["aud"], c["azp"] = []string{"mp3lathe", "another"}, "another" })},
		"of another issuer":      {lie: ours(func(c jwt.MapClaims) { c["iss"] = other.url })},
		"of a like issuer":       {lie: ours(func(c jwt.MapClaims) { c["iss"] = h.url + "/" })},
		"expired":                {lie: ours(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() })},
		"without an end":         {lie: ours(func(c jwt.MapClaims) { delete(c, "exp") })},
		"of the future":          {lie: ours(func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() })},
		"no subject":             {lie: ours(func(c jwt.MapClaims) { delete(c, "sub") })},
		"a long subject":         {lie: ours(func(c jwt.MapClaims) { c["sub"] = strings.Repeat("x", 256) })},
		"a subject of letters":   {lie: ours(func(c jwt.MapClaims) { c["sub"] = "ädä" })},
		"a hash of another":      {lie: ours(func(c jwt.MapClaims) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" })},
		"alg none": {lie: func(c jwt.MapClaims) string {
			return h.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, c)
		}},
		"alg HS256":           {lie: func(c jwt.MapClaims) string { return h.sign(jwt.SigningMethodHS256, []byte(h.secret), c) }},
		"HMAC with the key":   {lie: func(c jwt.MapClaims) string { return h.sign(jwt.SigningMethodHS256, h.key.N.Bytes(), c) }},
		"an algorithm unsaid": {lie: func(c jwt.MapClaims) string { return h.sign(jwt.SigningMethodPS256, h.key, c) }},
		"no signature": {lie: func(c jwt.MapClaims) string {
			raw := h.sign(jwt.SigningMethodRS256, h.key, c)
			return raw[:strings.LastIndex(raw, ".")+1]
		}},
		"no token at all": {answer: func(w http.ResponseWriter, _ *http.Request) {
			h.json(w, map[string]any{"access_token": "x", "token_type": "Bearer"})
		}},
		"no JSON": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{")) }},
		"a redirect": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.url+"/token", http.StatusTemporaryRedirect)
		}},
		"an endless answer":    {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }},
		"a refusal":            {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }},
		"a failure":            {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, status: 503, code: "provider_unavailable"},
		"user info of another": {lie: ours(func(c jwt.MapClaims) { delete(c, "email") }), info: map[string]any{"sub": "another", "email": email, "email_verified": true}},
		"no user info":         {lie: ours(func(c jwt.MapClaims) { delete(c, "email") }), info: map[string]any{"sub": 1}, status: 503, code: "provider_unavailable"},
		"mixed up":             {more: "&iss=" + url.QueryEscape(other.url)},
		"an error":             {more: "&error=invalid_scope"},
		"an error made up":     {more: "&error=%3Cscript%3E"},
		"down":                 {more: "&error=temporarily_unavailable", status: 503, code: "provider_unavailable"},
		"denied":               {more: "&error=access_denied", status: 403, code: "sign_in_denied"},
		"with the issuer":      {more: "&iss=" + url.QueryEscape(h.url), status: 200},
	} {
		h.set(func() { h.lie, h.answer, h.info, h.got = c.lie, c.answer, c.info, nil })
		if c.status == 0 {
			c.status, c.code = 502, "sign_in_failed"
		}
		b := f.browser()
		a := b.get("/v1/auth/oidc/one/start")
		a = b.get(h.visit(a.header.Get("Location")) + c.more)
		if c.status == 200 {
			if a.status != 200 || b.cookies[accountapi.AccessCookie] == "" {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
			continue
		}
		if !a.says(c.status, c.code) || len(a.cookies()) != 0 || strings.Contains(a.body, "script>") {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
		if c.more != "" && len(h.got) != 0 {
			t.Errorf("%s: the provider got a code that is not its own", name)
		}
	}
	if users, sessions := f.count("users"), f.count("sessions"); users != 1 || sessions != 1 { // of the good one
		t.Errorf("%d accounts, %d sessions", users, sessions)
	}
	if n := f.count("sign_ins"); n != 0 {
		t.Errorf("%d sign-ins can be tried again", n)
	}
	if len(other.got) != 0 {
		t.Errorf("another server got codes by a redirect: %v", other.got)
	}
}

// TestSignInIssuerNamed: of a provider that names itself in its answers (RFC 9207), one
// without a name is not believed.
func TestSignInIssuerNamed(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.metadata = map[string]any{"authorization_response_iss_parameter_supported": true}
	f := with(t, nil, h)
	b := f.browser()
	if a := b.signIn(h, ""); !a.says(502, "sign_in_failed") || len(h.got) != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := b.get("/v1/auth/oidc/one/start")
	if a := b.get(h.visit(a.header.Get("Location")) + "&iss=" + url.QueryEscape(h.url)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestSignInBinding: a sign-in ends in the browser in which it began, once, in time, and
// with the provider that it began with.
func TestSignInBinding(t *testing.T) {
	t.Parallel()
	h, two := newHostile(t), newHostile(t)
	f := with(t, nil, h, two)
	start := func() (*browser, string) {
		b := f.browser()
		a := b.get("/v1/auth/oidc/one/start")
		return b, h.visit(a.header.Get("Location"))
	}
	over := func(name string, a answer) {
		t.Helper()
		if !a.says(403, "sign_in_over") || len(a.cookies()) != 0 {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	_, back := start()
	over("no cookie", f.browser().get(back))
	b, back := start()
	over("used up by that", func() answer { f.browser().get(back); return b.get(back) }())
	victim, _ := start()
	_, back = start() // an attacker's
	over("another browser's", victim.get(back))
	b, back = start()
	delete(b.cookies, accountapi.SignInCookie)
	b.cookies[accountapi.SignInCookie] = ""
	over("an empty cookie", b.get(back))
	b, back = start()
	over("another state", b.get(strings.Replace(back, "&state=", "&state=x", 1)))
	over("no state", b.get("/v1/auth/oidc/one/callback?code=x"))
	over("nothing", b.get("/v1/auth/oidc/one/callback"))
	b, back = start()
	over("another provider", b.get(strings.Replace(back, "/one/", "/two/", 1)))
	b, back = start()
	if _, err := f.db.ExecContext(t.Context(), "UPDATE sign_ins SET expires_at = "+f.db.Now()); err != nil {
		t.Fatal(err)
	}
	over("too late", b.get(back))
	if len(h.got) != 0 || len(two.got) != 0 || f.count("users") != 0 {
		t.Errorf("a provider was asked: %v %v", h.got, two.got)
	}
	b, back = start()
	if a := b.get(back); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	over("a replay", b.get(back))
	if len(h.got) != 1 || f.count("sessions") != 1 {
		t.Errorf("the code was used %d times", len(h.got))
	}
	// The provider sees to it that the verifier is that of the challenge.
	if v := h.got[0].Get("code_verifier"); len(v) < 43 {
		t.Errorf("the verifier is %q", v)
	}
}

// TestSignInElsewhere: nobody is sent to another site.
func TestSignInElsewhere(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	for _, path := range []string{
		"https://evil.example", "//evil.example", `/\evil.example`, `\\evil.example`, "evil.example", "javascript:alert(1)", "/\t/evil.example", "/\n/evil.example",
		"///evil.example", "/x;url=\x00", "/a b", "/ä", "https:evil.example", "?x", "/x\r\nSet-Cookie: a=b", " /x",
	} {
		a := f.do("GET", "/v1/auth/oidc/one/start?return_to="+url.QueryEscape(path), "")
		if a.status != 422 || a.code() != "invalid_input" || !strings.Contains(a.body, "query.return_to") {
			t.Errorf("%q: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/", "/v1/jobs?limit=3#x", "/a/b%20c"} {
		if a := f.browser().signIn(h, "return_to="+url.QueryEscape(path)); a.header.Get("Refresh") != "0; url="+path {
			t.Errorf("%q: %d %q", path, a.status, a.header.Get("Refresh"))
		}
	}
}

// TestSignInAddresses: an address opens no account that another has; only one that the
// provider vouches for makes one.
func TestSignInAddresses(t *testing.T) {
	t.Parallel()
	type who = jwt.MapClaims
	yes := who{"sub": "1", "email": "Ada@Example.org", "email_verified": true}
	for name, c := range map[string]struct {
		provider func(*Provider)
		config   func(*Config)
		before   func(*fixture)
		who      who
		status   int
		code     string
		accounts int
	}{
		"new":                        {who: yes, status: 200, accounts: 1},
		"not verified":               {who: who{"sub": "1", "email": "ada@example.org", "email_verified": false}, status: 403, code: "address_not_vouched"},
		"verified by a word":         {who: who{"sub": "1", "email": "ada@example.org", "email_verified": "yes"}, status: 403, code: "address_not_vouched"},
		"nothing said":               {who: who{"sub": "1", "email": "ada@example.org"}, status: 403, code: "address_not_vouched"},
		"trusted":                    {provider: func(p *Provider) { p.TrustAddresses = true }, who: who{"sub": "1", "email": "ada@example.org"}, status: 200, accounts: 1},
		"no address":                 {provider: func(p *Provider) { p.Scopes = []string{} }, who: who{"sub": "1", "email_verified": true}, status: 403, code: "address_not_vouched"},
		"no address, trusted":        {provider: func(p *Provider) { p.TrustAddresses = true; p.Scopes = []string{"openid"} }, who: who{"sub": "1"}, status: 403, code: "address_not_vouched"},
		"closed":                     {provider: func(p *Provider) { p.Closed = true }, who: yes, status: 403, code: "registration_closed"},
		"taken":                      {before: func(f *fixture) { f.verified("ada@example.org", "user") }, who: yes, status: 409, code: "account_exists", accounts: 1},
		"taken, not verified there":  {before: func(f *fixture) { f.verified("ada@example.org", "user") }, who: who{"sub": "1", "email": "ada@example.org"}, status: 403, code: "address_not_vouched", accounts: 1},
		"taken, linked":              {provider: func(p *Provider) { p.LinkVerified = true }, before: func(f *fixture) { f.verified("ada@example.org", "user") }, who: yes, status: 200, accounts: 1},
		"taken, linked, unverified":  {provider: func(p *Provider) { p.LinkVerified = true }, before: func(f *fixture) { f.register("ada@example.org", password) }, who: yes, status: 409, code: "account_exists", accounts: 1},
		"taken, linked, not there":   {provider: func(p *Provider) { p.LinkVerified = true }, before: func(f *fixture) { f.verified("ada@example.org", "user") }, who: who{"sub": "1", "email": "ada@example.org"}, status: 403, code: "address_not_vouched", accounts: 1},
		"taken by an administrator":  {provider: func(p *Provider) { p.LinkVerified = true }, before: func(f *fixture) { f.verified("ada@example.org", "admin") }, who: yes, status: 409, code: "account_exists", accounts: 1},
		"taken, linked, locked":      {provider: func(p *Provider) { p.LinkVerified = true }, before: func(f *fixture) { f.verified("ada@example.org", "user"); f.lockAll() }, who: yes, status: 403, code: "account_locked", accounts: 1},
		"only verified ones log in":  {config: func(c *Config) { c.Verification = VerifyLogin }, who: yes, status: 200, accounts: 1},
		"closed, but for the linked": {provider: func(p *Provider) { p.Closed, p.LinkVerified = true, true }, before: func(f *fixture) { f.verified("ada@example.org", "user") }, who: yes, status: 200, accounts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			h.user = c.who
			f := with(t, func(cfg *Config, _ *Deps) {
				if c.provider != nil {
					c.provider(&cfg.Providers[0])
				}
				if c.config != nil {
					c.config(cfg)
				}
			}, h)
			if c.before != nil {
				c.before(f)
			}
			b := f.browser()
			a := b.signIn(h, "")
			if c.status == 200 {
				if a.status != 200 || !f.me(b.access()).Verified {
					t.Errorf("%d %s", a.status, a.body)
				}
			} else if !a.says(c.status, c.code) || len(a.cookies()) != 0 || f.count("identities") != 0 || f.count("sessions") != 0 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if n := f.count("users"); n != c.accounts {
				t.Errorf("%d accounts", n)
			}
			if c.status == 200 && c.before != nil {
				f.mail("ada@example.org", 1)
			}
		})
	}
}

// lockAll locks all accounts.
func (f *fixture) lockAll() {
	f.t.Helper()
	if _, err := f.db.ExecContext(f.t.Context(), "UPDATE users SET locked_at = 1"); err != nil {
		f.t.Fatal(err)
	}
}

// TestSignInChangedAddress: who has another address at the provider has the account that
// he had, even if the address is that of another account, and whatever may be linked.
func TestSignInChangedAddress(t *testing.T) {
	t.Parallel()
	for _, link := range []bool{false, true} {
		h := newHostile(t)
		f := with(t, func(c *Config, _ *Deps) { c.Providers[0].LinkVerified = link }, h)
		b := f.browser()
		b.signIn(h, "")
		mine, theirs := f.me(b.access()), f.verified(eve, "user")
		h.set(func() { h.user["email"] = eve })
		if a := b.signIn(h, ""); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if me := f.me(b.access()); me.ID != mine.ID || me.Email != email {
			t.Errorf("%+v, before %+v", me, mine)
		}
		if ids, err := f.store.Identities(t.Context(), theirs.ID); err != nil || len(ids) != 0 {
			t.Errorf("%+v, %v", ids, err)
		}
	}
	// Whoever has the address after him is somebody else.
	h := newHostile(t)
	f := with(t, nil, h)
	f.browser().signIn(h, "")
	h.set(func() { h.user["sub"] = "another" })
	if a := f.browser().signIn(h, ""); !a.says(409, "account_exists") || f.count("identities") != 1 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestSignInLocked: nobody gets in where he may not.
func TestSignInLocked(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	b := f.browser()
	b.signIn(h, "")
	me := f.me(b.access())
	if err := f.store.Lock(t.Context(), account.Act{ID: "1", Action: account.ActLock, Subject: me.ID}); err != nil {
		t.Fatal(err)
	}
	if a := f.browser().signIn(h, ""); !a.says(403, "account_locked") || len(a.cookies()) != 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := f.do("GET", "/v1/auth/me", "", bearer(b.access())); a.status != 401 {
		t.Errorf("the session goes on: %d", a.status)
	}
}

// TestSignInLimits: who begins sign-ins without end waits; those who sign in do not.
func TestSignInLimits(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, func(c *Config, d *Deps) { c.rules, d.Limits = longRules(), throttle.New() }, h)
	const from = "X-Forwarded-For: 192.0.2.1"
	free := defaultRules().signIn.Free
	for range free {
		b := f.browser()
		a := b.get("/v1/auth/oidc/one/start", from)
		if a = b.get(h.visit(a.header.Get("Location")), from); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for i := range free + 1 {
		path := []string{"/v1/auth/oidc/one/start", "/v1/auth/oidc/one/callback?state=x"}[i%2]
		if a := f.do("GET", path, "", from); a.status == 429 {
			t.Fatalf("%d: %s", i, a.body)
		}
	}
	wantWait(t, "one more", f.do("GET", "/v1/auth/oidc/one/start", "", from))
	wantWait(t, "a return", f.do("GET", "/v1/auth/oidc/one/callback?state=x", "", from))
	wantWait(t, "a code", f.do("POST", "/v1/auth/oidc/token", `{"code":"x","code_verifier":"y"}`, from))
	if a := f.browser().get("/v1/auth/oidc/one/start", from); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := f.do("GET", "/v1/auth/oidc/one/start", "", "X-Forwarded-For: 192.0.2.2"); a.status != 303 {
		t.Errorf("somebody else: %d", a.status)
	}
}

// TestProviderDown: a service starts without its provider, says so, and goes on when the
// provider is there.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.down = true
	f := with(t, nil, h)
	if a := f.do("GET", "/v1/auth/oidc/one/start", ""); a.status != 503 || a.code() != "provider_unavailable" || a.header.Get("Retry-After") == "" || len(a.cookies()) != 0 {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if a := f.do("GET", "/readyz", ""); a.status != 200 {
		t.Errorf("the rest is not ready: %d %s", a.status, a.body)
	}
	f.register(eve, password)
	f.login(eve, password)
	h.set(func() { h.down = false })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if a := f.browser().get("/v1/auth/oidc/one/start"); a.status == 303 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the provider is not found:\n%s", f.log)
		}
	}
	if a := f.browser().signIn(h, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	// It goes away again in the middle.
	b := f.browser()
	a := b.get("/v1/auth/oidc/one/start")
	back := h.visit(a.header.Get("Location"))
	h.set(func() { h.down = true })
	if a := b.get(back); !a.says(503, "provider_unavailable") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestProviderMetadata: a provider that says of itself what cannot be is not asked.
func TestProviderMetadata(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]map[string]any{
		"another issuer":     {"issuer": "https://evil.example"},
		"no TLS":             {"token_endpoint": "http://evil.example/token"},
		"no keys":            {"jwks_uri": ""},
		"nowhere to go":      {"authorization_endpoint": "javascript:alert(1)"},
		"symmetric keys":     {"id_token_signing_alg_values_supported": []string{"HS256", "none"}},
		"an endless text":    {"more": strings.Repeat("x", 2<<20)},
		"nothing to sign by": {"id_token_signing_alg_values_supported": []string{}},
	} {
		h := newHostile(t)
		h.metadata = says
		f := with(t, nil, h)
		if a := f.do("GET", "/v1/auth/oidc/one/start", ""); a.status != 503 || a.code() != "provider_unavailable" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if len(f.log.String()) > 10_000 {
			t.Errorf("%s: the log has %d bytes", name, len(f.log.String()))
		}
	}
}

// TestProviderSettings: settings that cannot be are refused.
func TestProviderSettings(t *testing.T) {
	t.Parallel()
	good := Provider{Name: "one", Issuer: "https://id.example.org", ClientID: "x"}
	for name, change := range map[string]func(*Config){
		"":                   func(*Config) {},
		"no name":            func(c *Config) { c.Providers[0].Name = "" },
		"name":               func(c *Config) { c.Providers[0].Name = "a/b" },
		"no client":          func(c *Config) { c.Providers[0].ClientID = "" },
		"no issuer":          func(c *Config) { c.Providers[0].Issuer = "" },
		"https":              func(c *Config) { c.Providers[0].Issuer = "http://id.example.org" },
		"a query":            func(c *Config) { c.Providers[0].Issuer = "https://id.example.org?x" },
		"a long issuer":      func(c *Config) { c.Providers[0].Issuer = "https://id.example.org/" + strings.Repeat("x", 255) },
		"one name":           func(c *Config) { c.Providers = append(c.Providers, good); c.Providers[1].Issuer += "/x" },
		"one issuer":         func(c *Config) { c.Providers = append(c.Providers, good); c.Providers[1].Name = "two" },
		"nowhere to be back": func(c *Config) { c.PublicURL = "" },
	} {
		cfg := Config{Secrets: secrets(t), PublicURL: "https://mp3.example.org", Providers: []Provider{good}}
		change(&cfg)
		if err := cfg.Validate(); (err == nil) != (name == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignInUserInfo: an address that is not in the ID token is asked for.
func TestSignInUserInfo(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.user = jwt.MapClaims{"sub": "1"}
	h.info = map[string]any{"sub": "1", "email": email, "email_verified": true}
	f := with(t, nil, h)
	b := f.browser()
	if a := b.signIn(h, ""); a.status != 200 || f.me(b.access()).Email != email {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestSignInAtOnce: who comes by two ways at the same time has one account.
func TestSignInAtOnce(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	const n = 4
	var browsers [n]*browser
	var back [n]string
	for i := range n {
		browsers[i] = f.browser()
		back[i] = h.visit(browsers[i].get("/v1/auth/oidc/one/start").header.Get("Location"))
	}
	answers := make(chan answer, n)
	for i := range n {
		go func() { answers <- browsers[i].get(back[i]) }()
	}
	for range n {
		if a := <-answers; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if f.count("users") != 1 || f.count("identities") != 1 || f.count("sessions") != n {
		t.Errorf("%d accounts, %d identities, %d sessions", f.count("users"), f.count("identities"), f.count("sessions"))
	}
}

// TestSignInSecrets: what a sign-in is made of is in no log, and in the database sealed or
// as hashes.
func TestSignInSecrets(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	var hidden []string
	remember := func(location string) string {
		u, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		hidden = append(hidden, u.Query().Get("state"), u.Query().Get("nonce"))
		return location
	}
	b := f.browser()
	b.get(h.visit(remember(b.get("/v1/auth/oidc/one/start").header.Get("Location"))))
	b.get(h.visit(remember(b.get("/v1/auth/oidc/one/start").header.Get("Location"))) + "x") // a state that is none
	for _, lie := range []func(jwt.MapClaims) string{
		func(c jwt.MapClaims) string { c["nonce"] = "x"; return "" },
		func(c jwt.MapClaims) string { return h.sign(jwt.SigningMethodHS256, []byte(h.secret), c) },
		func(jwt.MapClaims) string { return "not.a.token-" + h.secret },
	} {
		h.set(func() { h.lie = lie })
		b.get(h.visit(remember(b.get("/v1/auth/oidc/one/start").header.Get("Location"))))
	}
	for _, answer := range []http.HandlerFunc{
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, r.PostForm.Get("code"), r.PostForm.Get("code_verifier"))
		},
		func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			_, _ = fmt.Fprint(w, r.PostForm, h.secret)
		},
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, r.PostForm, h.secret)
		},
	} {
		h.set(func() { h.answer = answer })
		b.get(h.visit(remember(b.get("/v1/auth/oidc/one/start").header.Get("Location"))))
	}
	h.set(func() { h.lie, h.answer = nil, nil })
	challenge := sha256.Sum256([]byte("verifier"))
	a := b.signIn(h, url.Values{
		"redirect_uri": {"http://127.0.0.1:1/"}, "state": {"the program's own"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}.Encode())
	_, rest, ok := strings.Cut(a.body, "code=")
	if !ok {
		t.Fatalf("%d %s", a.status, a.body)
	}
	hidden = append(hidden, rest[:26])
	remember(b.get("/v1/auth/oidc/one/start").header.Get("Location")) // which waits
	hidden = append(hidden, h.secret, b.cookies[accountapi.SignInCookie], b.cookies[accountapi.AccessCookie], b.cookies[accountapi.RefreshCookie])
	hidden = append(hidden, h.said...)
	for _, form := range h.got {
		hidden = append(hidden, form.Get("code_verifier"))
	}
	log, rows := f.log.String(), f.dump()
	for i, s := range hidden {
		if len(s) < 20 {
			t.Errorf("secret %d is %q", i, s)
		} else if strings.Contains(log, s) || strings.Contains(rows, s) {
			t.Errorf("secret %d, %q, is in the log or in the database:\n%s", i, s, log)
		}
	}
	if !strings.Contains(log, "not believed") || f.count("sign_ins") == 0 {
		t.Errorf("the log does not tell what was wrong, or nothing is kept:\n%s", log)
	}
}
