package auth

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	good := f.login(email, password)
	stranger := serve(t, nil)
	stranger.register(email, password)
	foreign := stranger.login(email, password)
	long := strings.Repeat("x", 5000)

	register := func(email, password string) string {
		b, err := json.Marshal(m{"email": email, "password": password})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct {
		name, route, body string
		header            string
		status            int
		code              string
	}{
		{"no address", "POST /v1/auth/register", register("", password), "", 422, "invalid_input"},
		{"no @", "POST /v1/auth/register", register("ada", password), "", 422, "invalid_input"},
		{"a name", "POST /v1/auth/register", register("Ada <ada@example.org>", password), "", 422, "invalid_input"},
		{"two addresses", "POST /v1/auth/register", register("ada@example.org, eve@example.org", password), "", 422, "invalid_input"},
		{"a header", "POST /v1/auth/register", register("ada@example.org\r\nBcc: eve@example.org", password), "", 422, "invalid_input"},
		{"a control character", "POST /v1/auth/register", register("a\x00da@example.org", password), "", 422, "invalid_input"},
		{"a long address", "POST /v1/auth/register", register(strings.Repeat("a", 60)+"@"+strings.Repeat("b.", 96)+"org", password), "", 422, "invalid_input"},
		{"a longer one", "POST /v1/auth/register", register(strings.Repeat("a", 400)+"@example.org", password), "", 422, "invalid_input"},
		{"a short password", "POST /v1/auth/register", register("eve@example.org", "1234567"), "", 422, "invalid_input"},
		{"one short in characters, not bytes", "POST /v1/auth/register", register("eve@example.org", "äöüäöüä"), "", 422, "invalid_input"},
		{"a long password", "POST /v1/auth/register", register("eve@example.org", strings.Repeat("ü", 129)), "", 422, "invalid_input"},
		{"a role of one's own", "POST /v1/auth/register", `{"email":"eve@example.org","password":"12345678","role":"admin"}`, "", 422, "invalid_input"},
		{"a number", "POST /v1/auth/register", `{"email":"eve@example.org","password":12345678}`, "", 422, "invalid_input"},
		{"no password", "POST /v1/auth/register", `{"email":"eve@example.org"}`, "", 422, "invalid_input"},
		{"no JSON", "POST /v1/auth/register", `{"email`, "", 400, "bad_request"},
		{"no body", "POST /v1/auth/register", "", "", 400, "bad_request"},
		{"another type", "POST /v1/auth/register", "email=x", "Content-Type: application/x-www-form-urlencoded", 415, "unsupported_media_type"},
		{"a long body", "POST /v1/auth/register", register("eve@example.org", long), "", 413, "too_large"},
		{"a query", "POST /v1/auth/register?role=admin", register("eve@example.org", password), "", 422, "invalid_input"},

		{"wrong password", "POST /v1/auth/login", register(email, password+"x"), "", 401, "bad_credentials"},
		{"the password in capitals", "POST /v1/auth/login", register(email, strings.ToUpper(password)), "", 401, "bad_credentials"},
		{"empty password", "POST /v1/auth/login", register(email, ""), "", 401, "bad_credentials"},
		{"unknown address", "POST /v1/auth/login", register("eve@example.org", password), "", 401, "bad_credentials"},
		{"no address", "POST /v1/auth/login", register("", password), "", 401, "bad_credentials"},
		{"SQL", "POST /v1/auth/login", register("' OR '1'='1", password), "", 401, "bad_credentials"},
		{"a pattern", "POST /v1/auth/login", register("%", password), "", 401, "bad_credentials"},
		{"a long password", "POST /v1/auth/login", register(email, strings.Repeat("x", 1000)), "", 401, "bad_credentials"},
		{"a long body", "POST /v1/auth/login", register(email, long), "", 413, "too_large"},
		{"no JSON", "POST /v1/auth/login", "x", "", 400, "bad_request"},
		{"GET", "GET /v1/auth/login", "", "", 405, "method_not_allowed"},

		{"nothing", "POST /login", "", "", 401, "unauthorized"},
		{"wrong password", "POST /login", "", basic(email, "x"), 401, "bad_credentials"},
		{"unknown address", "POST /login", "", basic("eve@example.org", password), 401, "bad_credentials"},
		{"no colon", "POST /login", "", "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ada")), 401, "unauthorized"},
		{"no base64", "POST /login", "", "Authorization: Basic !!!", 401, "unauthorized"},
		{"a token", "POST /login", "", bearer(good), 401, "unauthorized"},

		{"nothing", "GET /v1/auth/me", "", "", 401, "unauthorized"},
		{"no token", "GET /v1/auth/me", "", "Authorization: Bearer ", 401, "unauthorized"},
		{"a password", "GET /v1/auth/me", "", basic(email, password), 401, "unauthorized"},
		{"rubbish", "GET /v1/auth/me", "", bearer("x.y.z"), 401, "token_invalid"},
		{"cut off", "GET /v1/auth/me", "", bearer(good[:len(good)-1]), 401, "token_invalid"},
		{"a stranger's", "GET /v1/auth/me", "", bearer(foreign), 401, "token_invalid"},
		{"a long token", "GET /v1/auth/me", "", bearer(good + strings.Repeat("x", 9000)), 401, "token_invalid"},

		{"nothing", "POST /validate", "", "", 401, "unauthorized"},
		{"rubbish", "POST /validate", "", bearer("x.y.z"), 403, "token_invalid"},
		{"a stranger's", "POST /validate", "", bearer(foreign), 403, "token_invalid"},

		{"nothing there", "GET /v1/auth/nothing", "", "", 404, "not_found"},
	} {
		method, path, _ := strings.Cut(c.route, " ")
		var headers []string
		if c.header != "" {
			headers = []string{c.header}
		}
		a := f.do(method, path, c.body, headers...)
		if a.status != c.status || a.code() != c.code {
			t.Errorf("%s, %s: %d %q, want %d %q\n%s", c.route, c.name, a.status, a.code(), c.status, c.code, a.body)
		}
		challenge := a.header.Get("WWW-Authenticate")
		switch {
		case path == "/login" && a.status == 401:
			if !strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("%s, %s: the challenge is %q", c.route, c.name, challenge)
			}
		case a.status == 401 && path != "/v1/auth/login":
			if !strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("%s, %s: the challenge is %q", c.route, c.name, challenge)
			}
		}
	}
	var n int
	if err := f.db.QueryRow("SELECT COUNT(*) FROM users").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d accounts, %v", n, err)
	}
}

// TestSameAnswer: what an unknown address is told is what a wrong password is told.
func TestSameAnswer(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	if err := f.store.SetPassword(t.Context(), f.register("none@example.org", password), f.hashOf("none@example.org"), ""); err != nil {
		t.Fatal(err)
	}
	strip := func(a answer) string {
		var p m
		a.decode(t, &p)
		delete(p, "instance")
		a.header.Del("X-Request-Id")
		a.header.Del("Date")
		a.header.Del("Content-Length") // the length of an ID is always the same
		b, err := json.Marshal([]any{a.status, a.header, p})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := strip(f.post("/v1/auth/login", m{"email": email, "password": "wrong"}))
	for _, address := range []string{"eve@example.org", "none@example.org", "", "not an address"} {
		if got := strip(f.post("/v1/auth/login", m{"email": address, "password": "wrong"})); got != want {
			t.Errorf("%q:\n%s\n%s", address, got, want)
		}
	}
}

// hashOf returns the hash of an account.
func (f *fixture) hashOf(email string) string {
	f.t.Helper()
	a, err := f.store.ByEmail(f.t.Context(), email)
	if err != nil {
		f.t.Fatal(err)
	}
	return a.PasswordHash
}
