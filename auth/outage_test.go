package auth

import (
	"net/http"
	"testing"
)

// TestOutage: a database that is away is no fault of ours. Every route that needs it
// says so, and when to try again; those that need none go on.
func TestOutage(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	in := f.loggedIn(email, password)
	raw := in.AccessToken
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, answers := range map[string]func() answer{
		"register":   func() answer { return f.post("/v1/auth/register", m{"email": "eve@example.org", "password": password}) },
		"login":      func() answer { return f.post("/v1/auth/login", m{"email": email, "password": password}) },
		"no account": func() answer { return f.post("/v1/auth/login", m{"email": "eve@example.org", "password": password}) },
		"basic":      func() answer { return f.do("POST", "/login", "", basic(email, password)) },
		"refresh":    func() answer { return f.post("/v1/auth/refresh", m{"refresh_token": in.RefreshToken}) },
		"logout":     func() answer { return f.post("/v1/auth/logout", m{"refresh_token": in.RefreshToken}) },
		"verify":     func() answer { return f.post("/v1/auth/verify", m{"token": "x"}) },
		"send":       func() answer { return f.post("/v1/auth/verify/send", m{"email": email}) },
		"forgotten":  func() answer { return f.post("/v1/auth/reset/send", m{"email": email}) },
		"reset":      func() answer { return f.post("/v1/auth/reset", m{"token": "x", "password": password}) },
		"a page": func() answer {
			return f.do("POST", "/v1/auth/pages/verify", "token=x", "Content-Type: application/x-www-form-urlencoded")
		},
		"sessions": func() answer { return f.do("GET", "/v1/auth/sessions", "", bearer(raw)) },
		"end":      func() answer { return f.do("DELETE", "/v1/auth/sessions/x", "", bearer(raw)) },
		"end all":  func() answer { return f.do("DELETE", "/v1/auth/sessions", "", bearer(raw)) },
		"change": func() answer {
			return f.do("POST", "/v1/auth/password", `{"current_password":"x","new_password":"y"}`, bearer(raw))
		},
		"me": func() answer { return f.do("GET", "/v1/auth/me", "", bearer(raw)) },
	} {
		a := answers()
		if a.status != http.StatusServiceUnavailable || a.code() != "unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, Retry-After %q", name, a.status, a.body, a.header.Get("Retry-After"))
		}
		if a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s asks for other credentials", name)
		}
	}
	for name, a := range map[string]answer{
		"validate": f.do("POST", "/validate", "", bearer(raw)),
		"jwks":     f.do("GET", "/.well-known/jwks.json", ""),
		"livez":    f.do("GET", "/livez", ""),
	} {
		if a.status != http.StatusOK {
			t.Errorf("%s needs the database: %d %s", name, a.status, a.body)
		}
	}
}

// TestOurFault: what another try cannot help is not called an outage.
func TestOurFault(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	if _, err := f.db.ExecContext(t.Context(), "UPDATE users SET password_hash = 'no hash'"); err != nil {
		t.Fatal(err)
	}
	panicking := serveOn(t, f, func(_ *Config, d *Deps) { d.Accounts = broken{panics: true} })
	for name, g := range map[string]*fixture{"a hash that is none": f, "a panic": panicking} {
		a := g.post("/v1/auth/login", m{"email": email, "password": password})
		if a.status != http.StatusInternalServerError || a.code() != "internal" || a.header.Get("Retry-After") != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
