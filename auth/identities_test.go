package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

// link begins to link, and returns where the browser goes, and the answer.
func (b *browser) link(raw, body string) (string, answer) {
	b.f.t.Helper()
	a := b.do("POST", "/v1/auth/oidc/one/link", body, bearer(raw))
	var to accountapi.Elsewhere
	if a.status == 200 {
		a.decode(b.f.t, &to)
	}
	return to.Location, a
}

func (f *fixture) identities(raw string) []accountapi.Identity {
	f.t.Helper()
	var all accountapi.Identities
	f.do("GET", "/v1/auth/identities", "", bearer(raw)).decode(f.t, &all)
	return all.Identities
}

// wantPassword is a body with the password.
var wantPassword = fmt.Sprintf(`{"password":%q}`, password)

// TestLink: who is logged in links an identity, with his password, and signs in with it
// from then on, whatever its address is.
func TestLink(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.user["email"], h.user["email_verified"] = "elsewhere@example.net", false
	f := with(t, nil, h)
	mine := f.verified(email, "user")
	raw, b := f.login(email, password), f.browser()
	for body, code := range map[string]string{
		`{}`: "reauthentication_required", `{"password":"wrong"}`: "wrong_password", `{"password":"x","return_to":"//evil.example"}`: "invalid_input",
	} {
		if _, a := b.link(raw, body); a.code() != code || len(a.cookies()) != 0 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if _, a := b.link("x", wantPassword); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
	to, a := b.link(raw, fmt.Sprintf(`{"password":%q,"return_to":"/settings"}`, password))
	if c := a.cookies()[accountapi.SignInCookie]; a.status != 200 || c == nil || c.SameSite != http.SameSiteLaxMode {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	back := h.visit(to)
	if a := b.get(back); a.status != 200 || a.header.Get("Refresh") != "0; url=/settings" || len(a.cookies()) != 0 || !strings.Contains(a.body, "Linked") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if m := f.mail(email, 1); !strings.Contains(m.Subject, "linked") {
		t.Errorf("the mail is %+v", m)
	}
	ids := f.identities(raw)
	if len(ids) != 1 || ids[0].Provider != "one" || ids[0].Issuer != h.url || ids[0].Email != "elsewhere@example.net" || ids[0].ID == "" {
		t.Errorf("%+v", ids)
	}
	other := f.browser()
	if a := other.signIn(h, ""); a.status != 200 || f.me(other.access()).ID != mine.ID || !f.me(other.access()).Password {
		t.Errorf("%d %s", a.status, a.body)
	}
	// Again is no error; of somebody else it is.
	to, _ = b.link(raw, wantPassword)
	if a := b.get(h.visit(to)); a.status != 200 {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	f.verified(eve, "user")
	to, _ = b.link(f.login(eve, password), wantPassword)
	if a := b.get(h.visit(to)); !a.says(409, "identity_taken") || f.count("identities") != 1 {
		t.Errorf("of another: %d %s", a.status, a.body)
	}
}

// TestLinkRefused: an account whose address was never confirmed gets no identity, which
// a stranger could leave in it; nor does one whose session has ended meanwhile.
func TestLinkRefused(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	f.register(email, password)
	b := f.browser()
	if _, a := b.link(f.login(email, password), wantPassword); a.code() != "email_unverified" {
		t.Errorf("%d %s", a.status, a.body)
	}
	mine := f.verified(eve, "user")
	for name, c := range map[string]struct {
		end  func() error
		code string
	}{
		"ended": {func() error { _, err := f.store.EndSessions(t.Context(), mine.ID, ""); return err }, "session_ended"},
		"locked": {func() error {
			_, err := f.db.ExecContext(t.Context(), "UPDATE users SET locked_at = 1 WHERE id = ?", mine.ID)
			return err
		}, "account_locked"},
	} {
		if _, err := f.db.ExecContext(t.Context(), "UPDATE users SET locked_at = NULL"); err != nil {
			t.Fatal(err)
		}
		to, _ := b.link(f.login(eve, password), wantPassword)
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
		if a := b.get(h.visit(to)); !strings.Contains(a.body, "Code: "+c.code) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if f.count("identities") != 0 {
		t.Error("there is an identity")
	}
}

// TestUnlink: what was linked is taken away again, unless nobody could log in then.
func TestUnlink(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	f.verified(email, "user")
	raw, elsewhere, b := f.login(email, password), f.login(email, password), f.browser()
	to, _ := b.link(raw, wantPassword)
	b.get(h.visit(to))
	other := f.browser()
	other.signIn(h, "")
	id := f.identities(raw)[0].ID
	unlink := func(raw, id, body string) answer {
		return f.do("POST", "/v1/auth/identities/"+id+"/unlink", body, bearer(raw))
	}
	if a := unlink(raw, id, `{}`); a.code() != "reauthentication_required" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := unlink(raw, "none", wantPassword); a.status != 404 {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.verified(eve, "user")
	if a := unlink(f.login(eve, password), id, wantPassword); a.status != 404 || f.count("identities") != 1 {
		t.Errorf("of another: %d %s", a.status, a.body)
	}
	if a := unlink(raw, id, wantPassword); a.status != 204 || f.count("identities") != 0 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if m := f.mail(email, 2); !strings.Contains(m.Subject, "taken") {
		t.Errorf("the mail is %+v", m)
	}
	for _, gone := range []string{elsewhere, other.access()} {
		if a := f.do("GET", "/v1/auth/me", "", bearer(gone)); a.status != 401 {
			t.Errorf("another session goes on: %d", a.status)
		}
	}
	f.me(raw)
	if a := f.browser().signIn(h, ""); !a.says(409, "account_exists") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestNoPassword: an account that a sign-in has made can do all that others can, with a
// fresh sign-in in the place of a password.
func TestNoPassword(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	b := f.browser()
	b.signIn(h, "")
	raw := b.access()
	if a := f.post("/v1/auth/login", m{"email": email, "password": ""}); a.code() != "bad_credentials" {
		t.Errorf("an empty password: %d %s", a.status, a.body)
	}
	id := f.identities(raw)[0].ID
	acts := []struct{ path, body string }{
		{"/v1/auth/keys", `{"name":"x","scopes":["jobs:read"]}`}, {"/v1/auth/identities/" + id + "/unlink", `{}`}, {"/v1/auth/oidc/one/link", `{}`},
		{"/v1/auth/password", `{"new_password":"correct horse battery"}`}, {"/v1/auth/me/delete", `{}`},
	}
	for _, act := range acts {
		if a := f.do("POST", act.path, act.body, bearer(raw)); a.status != 403 || a.code() != "reauthentication_required" {
			t.Errorf("%s: %d %s", act.path, a.status, a.body)
		}
		if a := f.do("POST", act.path, strings.Replace(strings.Replace(act.body, "{", `{"password":"x",`, 1), ",}", "}", 1), bearer(raw)); act.path != "/v1/auth/password" && a.code() != "wrong_password" {
			t.Errorf("%s, some password: %d %s", act.path, a.status, a.body)
		}
	}
	// A provider that does not ask, or does not say when it did, proves nothing.
	for name, when := range map[string]any{"long ago": time.Now().Add(-time.Hour).Unix(), "unsaid": nil} {
		h.set(func() {
			h.lie = func(c jwt.MapClaims) string {
				if c["auth_time"] = when; when == nil {
					delete(c, "auth_time")
				}
				return ""
			}
		})
		if a := f.browser().signIn(h, "fresh=true"); !a.says(502, "sign_in_failed") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	h.set(func() { h.lie = func(c jwt.MapClaims) string { c["auth_time"] = time.Now().Unix(); return "" } })
	// To have been asked is nothing if this service did not want it: it may be long ago.
	b.signIn(h, "")
	if a := f.do("POST", "/v1/auth/keys", acts[0].body, bearer(b.access())); a.code() != "reauthentication_required" {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := b.get("/v1/auth/oidc/one/start?fresh=true")
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || u.Query().Get("prompt") != "login" || u.Query().Get("max_age") != "0" {
		t.Errorf("%v, %v", u, err)
	}
	b.get(h.visit(a.header.Get("Location")))
	raw = b.access()
	if a := f.do("POST", "/v1/auth/keys", acts[0].body, bearer(raw)); a.status != 201 {
		t.Errorf("a key: %d %s", a.status, a.body)
	}
	if a := f.do("POST", acts[1].path, `{}`, bearer(raw)); a.status != 409 || a.code() != "last_sign_in" || f.count("identities") != 1 {
		t.Errorf("to unlink the last: %d %s", a.status, a.body)
	}
	// Five minutes are over.
	if _, err := f.db.ExecContext(t.Context(), "UPDATE sessions SET proved_at = proved_at - 300000000"); err != nil {
		t.Fatal(err)
	}
	if a := f.do("POST", "/v1/auth/password", acts[3].body, bearer(raw)); a.code() != "reauthentication_required" {
		t.Errorf("%d %s", a.status, a.body)
	}
	// The first password, by a fresh sign-in.
	b.signIn(h, "fresh=true")
	if a := f.do("POST", "/v1/auth/password", acts[3].body, bearer(b.access())); a.status != 200 {
		t.Fatalf("the first password: %d %s", a.status, a.body)
	}
	raw = f.login(email, "correct horse battery")
	if me := f.me(raw); !me.Password {
		t.Errorf("%+v", me)
	}
	if a := f.do("POST", acts[1].path, `{"password":"correct horse battery"}`, bearer(raw)); a.status != 204 {
		t.Errorf("to unlink the last, with a password: %d %s", a.status, a.body)
	}
	if a := f.do("POST", "/v1/auth/me/delete", `{"password":"correct horse battery"}`, bearer(raw)); a.status != 204 {
		t.Errorf("to delete: %d %s", a.status, a.body)
	}
}

// TestNoPasswordDelete: such an account goes by a fresh sign-in, with its identities; who
// signs in afterwards is new.
func TestNoPasswordDelete(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.user["auth_time"] = time.Now().Unix()
	f := with(t, nil, h)
	b := f.browser()
	b.signIn(h, "fresh=true")
	before := f.me(b.access())
	if a := f.do("POST", "/v1/auth/me/delete", `{}`, bearer(b.access())); a.status != 204 || f.count("identities") != 0 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := b.signIn(h, ""); a.status != 200 || f.me(b.access()).ID == before.ID {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestNoPasswordReset: the mail for a new password gives such an account its first one.
func TestNoPasswordReset(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	f := with(t, nil, h)
	b := f.browser()
	b.signIn(h, "")
	if a := f.post("/v1/auth/reset/send", m{"email": email}); a.status != 202 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := f.post("/v1/auth/reset", m{"token": linkToken(t, f.mail(email, 1)), "password": password}); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	f.login(email, password)
	if a := f.browser().signIn(h, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// forProgram signs in for a program, and returns the code that the link has.
func (b *browser) forProgram(h *hostile, verifier, query string) string {
	b.f.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	a := b.signIn(h, query+url.Values{
		"redirect_uri": {"http://127.0.0.1:4711/back"}, "state": {"their-state"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	_, rest, ok := strings.Cut(a.body, `href="http://127.0.0.1:4711/back?code=`)
	code, rest, _ := strings.Cut(rest, "&amp;state=")
	if a.status != 200 || !ok || !strings.HasPrefix(rest, "their-state\"") || a.header.Get("Refresh") != "" || a.header.Get("Location") != "" || a.cookies()[accountapi.AccessCookie] != nil {
		b.f.t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	return code
}

func (f *fixture) redeem(code, verifier string) (in accountapi.LoggedIn, a answer) {
	f.t.Helper()
	body, err := json.Marshal(m{"code": code, "code_verifier": verifier})
	if err != nil {
		f.t.Fatal(err)
	}
	a = f.do("POST", "/v1/auth/oidc/token", string(body))
	if a.status == 200 {
		a.decode(f.t, &in)
	}
	return in, a
}

// TestSignInProgram: a program gets the tokens of a session for a code that its user has
// handed on, once, in time, and if it is the program that has asked.
func TestSignInProgram(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.user["auth_time"] = time.Now().Unix()
	f := with(t, nil, h)
	b := f.browser()
	const verifier = "a verifier of the program's, of 43 characters"
	code := b.forProgram(h, verifier, "")
	if f.count("sessions") != 0 {
		t.Error("there is a session before the user has said so")
	}
	in, a := f.redeem(code, verifier)
	if a.status != 200 || f.me(in.AccessToken).Email != email {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, a := f.refreshWith(in.RefreshToken); a.status != 200 {
		t.Errorf("to refresh: %d %s", a.status, a.body)
	}
	over := func(name string, a answer) {
		t.Helper()
		if a.status != 403 || a.code() != "sign_in_over" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	second := func(code, verifier string) answer { _, a := f.redeem(code, verifier); return a }
	over("a replay", second(code, verifier))
	over("none", second("AAAAAAAAAAAAAAAAAAAAAAAAAA", verifier))
	code = b.forProgram(h, verifier, "")
	over("another verifier", second(code, "another"))
	over("used up by that", second(code, verifier))
	code = b.forProgram(h, verifier, "")
	if _, err := f.db.ExecContext(t.Context(), "UPDATE sign_ins SET expires_at = expires_at - 61000000"); err != nil {
		t.Fatal(err)
	}
	over("too late", second(code, verifier))
	// A code is no state, nor a state a code.
	code = b.forProgram(h, verifier, "")
	if a := b.get("/v1/auth/oidc/one/callback?code=x&state=" + code); !a.says(403, "sign_in_over") {
		t.Errorf("a code as a state: %d %s", a.status, a.body)
	}
	u, err := url.Parse(b.get("/v1/auth/oidc/one/start").header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	over("a state as a code", second(u.Query().Get("state"), ""))
	// The account has changed meanwhile.
	id := f.me(in.AccessToken).ID
	code = b.forProgram(h, verifier, "")
	if err := f.store.SetPassword(t.Context(), id, "", "another"); err != nil {
		t.Fatal(err)
	}
	over("with another password", second(code, verifier))
	code = b.forProgram(h, verifier, "fresh=true&")
	if in, a := f.redeem(code, verifier); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	} else if a := f.do("POST", "/v1/auth/keys", `{"name":"x","scopes":["jobs:read"]}`, bearer(in.AccessToken)); a.status != 201 {
		t.Errorf("a key with a fresh sign-in: %d %s", a.status, a.body)
	}
	code = b.forProgram(h, verifier, "")
	if err := f.store.Lock(t.Context(), account.Act{ID: "1", Action: account.ActLock, Subject: id}); err != nil {
		t.Fatal(err)
	}
	if a := second(code, verifier); a.code() != "account_locked" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestSignInProgramRedirect: codes go to programs on this machine, and nowhere else.
func TestSignInProgramRedirect(t *testing.T) {
	t.Parallel()
	f := with(t, nil, newHostile(t))
	sum := sha256.Sum256(nil)
	good := map[string]string{"redirect_uri": "http://127.0.0.1:4711/", "state": "x", "code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256"}
	try := func(name, value string) answer {
		q := url.Values{}
		for k, v := range good {
			q.Set(k, v)
		}
		if name != "" {
			q.Set(name, value)
		}
		return f.do("GET", "/v1/auth/oidc/one/start?"+q.Encode(), "")
	}
	for _, uri := range []string{"http://127.0.0.1:4711/", "http://[::1]:4711/x", "http://127.0.0.1:4711"} {
		if a := try("redirect_uri", uri); a.status != 303 {
			t.Errorf("%s: %d %s", uri, a.status, a.body)
		}
	}
	for _, c := range [][2]string{
		{"redirect_uri", "https://evil.example/"}, {"redirect_uri", "http://localhost:4711/"}, {"redirect_uri", "http://127.0.0.1/"}, {"redirect_uri", "http://127.0.0.1:80@evil.example/"},
		{"redirect_uri", "http://127.0.0.1.evil.example:80/"}, {"redirect_uri", "https://127.0.0.1:4711/"}, {"redirect_uri", "http://127.0.0.1:4711/?x"}, {"redirect_uri", "http://127.0.0.1:4711/#x"},
		{"redirect_uri", "javascript:alert(1)"}, {"redirect_uri", ""}, {"redirect_uri", "http://127.1:4711/"}, {"redirect_uri", "http://2130706433:4711/"}, {"redirect_uri", "http://x@127.0.0.1:4711/"},
		{"state", ""}, {"code_challenge", ""}, {"code_challenge", "short"}, {"code_challenge_method", "plain"}, {"code_challenge_method", ""}, {"return_to", "/x"},
	} {
		if a := try(c[0], c[1]); a.status != 422 || a.code() != "invalid_input" {
			t.Errorf("%v: %d %s", c, a.status, a.body)
		}
	}
}
