package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

const (
	email    = "Ada.Lovelace@Example.org"
	password = "correct horse battery"
)

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// verifier is what another service has.
func (f *fixture) verifier(t *testing.T) *token.Verifier {
	t.Helper()
	v, err := token.New(t.Context(), token.Config{JWKS: f.url + "/.well-known/jwks.json", Issuer: "mp3lathe", Audience: "mp3lathe"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// TestStory goes from the registration to a token that another service takes.
func TestStory(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	a := f.post("/v1/auth/register", m{"email": " " + email + " ", "password": password})
	var made accountapi.Registered
	a.decode(t, &made)
	if a.status != http.StatusAccepted || made.Email != email {
		t.Fatalf("%d %s", a.status, a.body)
	}
	kept, err := f.store.ByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := uuid.Parse(kept.ID); err != nil || id.Version() != 7 {
		t.Errorf("the ID is %q", kept.ID)
	}

	// The address in another spelling is the same.
	a = f.post("/v1/auth/login", m{"email": strings.ToUpper(email), "password": password})
	var in accountapi.LoggedIn
	a.decode(t, &in)
	if a.status != http.StatusOK || in.TokenType != "Bearer" || in.ExpiresIn != 900 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a token may be cached: %q", got)
	}

	v := f.verifier(t)
	claims, err := v.Verify(t.Context(), in.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Until(claims.Expires); d < 14*time.Minute || d > 15*time.Minute {
		t.Errorf("the token ends in %v", d)
	}
	want := token.Claims{
		Subject: kept.ID, Email: email, Roles: []string{"user"}, Scopes: []string{"account", "jobs:read", "jobs:write"}, Session: claims.Session,
		ID: claims.ID, Issued: claims.Issued, Expires: claims.Expires,
	}
	if diff := cmp.Diff(want, claims); diff != "" || claims.ID == "" || claims.Session == "" {
		t.Error(diff)
	}
	again, err := v.Verify(t.Context(), f.login(email, password))
	if err != nil || again.ID == claims.ID {
		t.Errorf("a second token: %+v, %v", again, err)
	}

	a = f.do("GET", "/v1/auth/me", "", bearer(in.AccessToken))
	var who accountapi.Me
	a.decode(t, &who)
	if diff := cmp.Diff(accountapi.Me{ID: kept.ID, Email: email, Roles: []string{"user"}, Password: true}, who); a.status != http.StatusOK || diff != "" {
		t.Errorf("%d %s", a.status, diff)
	}
}

// TestSeedClients: what the Python project's clients call.
func TestSeedClients(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	id := f.register(email, password)
	a := f.do("POST", "/login", "", basic(email, password))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	raw := a.body
	claims, err := f.verifier(t).Verify(t.Context(), raw)
	if err != nil || claims.Subject != id {
		t.Fatalf("%+v, %v", claims, err)
	}
	a = f.do("POST", "/validate", "", bearer(raw))
	var got accountapi.Validated
	a.decode(t, &got)
	want := accountapi.Validated{
		Subject: id, Email: email, Roles: []string{"user"}, ID: claims.ID,
		Issued: claims.Issued.Unix(), Expires: claims.Expires.Unix(), Username: email,
	}
	if diff := cmp.Diff(want, got); a.status != http.StatusOK || diff != "" {
		t.Errorf("%d %s", a.status, diff)
	}
}

func TestRegistrationClosed(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) { c.RegistrationClosed = true })
	if a := f.post("/v1/auth/register", m{"email": email, "password": password}); a.status != 403 || a.code() != "registration_closed" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := f.CreateUser(t.Context(), email, password, token.RoleUser); err != nil {
		t.Error(err)
	}
	f.login(email, password)
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	if err := f.CreateUser(t.Context(), email, password, token.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	raw := f.login(email, password)
	c, err := f.verifier(t).Verify(t.Context(), raw)
	if err != nil || !c.Is(token.RoleAdmin) || !c.Is(token.RoleUser) || !c.May(token.ScopeAdmin) || !c.May(token.ScopeJobsRead) {
		t.Errorf("%+v, %v", c, err)
	}
	var v accountapi.Validated
	f.do("POST", "/validate", "", bearer(raw)).decode(t, &v)
	if !v.Admin {
		t.Error("the admin is none")
	}
	if err := f.CreateUser(t.Context(), strings.ToUpper(email), password, token.RoleUser); !errors.Is(err, account.ErrTaken) {
		t.Errorf("for the second time: %v", err)
	}
	for name, in := range map[string][3]string{
		"no address": {"", password, "user"}, "a short password": {"eve@example.org", "short", "user"},
		"no role": {"eve@example.org", password, ""}, "another role": {"eve@example.org", password, "root"},
		"not UTF-8": {"eve@example.org", "1234567x\xff", "user"},
	} {
		if err := f.CreateUser(t.Context(), in[0], in[1], in[2]); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPasswords: any text of 8 to 128 characters will do, however it is written.
func TestPasswords(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	for i, p := range []string{
		"1234567x", "   x    ", "äöüßäöüx", strings.Repeat("xyz12", 25) + "abc", strings.Repeat("🎵🎶🎷🎸🎹", 25) + "🎺🎻🥁", "pass:word:with:colons", "\"quotes\"\\\n\t\x00",
	} {
		email := string(rune('a'+i)) + "@example.org"
		var escaped strings.Builder // every character as \uXXXX, the longest form
		for _, r := range p {
			if hi, lo := surrogates(r); hi != 0 {
				escaped.WriteString(`\u` + hex4(hi) + `\u` + hex4(lo))
			} else {
				escaped.WriteString(`\u` + hex4(r))
			}
		}
		body := `{"email":"` + email + `","password":"` + escaped.String() + `"}`
		if a := f.do("POST", "/v1/auth/register", body); a.status != http.StatusAccepted {
			t.Errorf("%q: %d %s", p, a.status, a.body)
			continue
		}
		f.login(email, p)
		if a := f.do("POST", "/login", "", basic(email, p)); a.status != http.StatusOK {
			t.Errorf("%q by HTTP Basic: %d %s", p, a.status, a.body)
		}
		if a := f.post("/v1/auth/login", m{"email": email, "password": p + " "}); a.status != 401 {
			t.Errorf("%q with a space: %d", p, a.status)
		}
		if hash := f.hashOf(email); !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(hash, p) {
			t.Errorf("%q is kept as %q", p, hash)
		}
	}
}

func surrogates(r rune) (hi, lo rune) {
	if r < 0x10000 {
		return 0, 0
	}
	r -= 0x10000
	return 0xd800 + r>>10, 0xdc00 + r&0x3ff
}

func hex4(r rune) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
}

func TestExpired(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) {
		c.TokenLifetime = time.Minute
		c.now = func() time.Time { return time.Now().Add(-2 * time.Minute) }
	})
	f.register(email, password)
	raw := f.login(email, password)
	if a := f.do("GET", "/v1/auth/me", "", bearer(raw)); a.status != 401 || a.code() != "token_expired" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := f.do("POST", "/validate", "", bearer(raw)); a.status != 403 || a.code() != "token_expired" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := f.verifier(t).Verify(t.Context(), raw); !errors.Is(err, token.ErrExpired) {
		t.Error(err)
	}
}

// TestLocked: who is locked out learns it with the right password only.
func TestLocked(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	id := f.register(email, password)
	raw := f.login(email, password)
	if _, err := f.db.Exec("UPDATE users SET locked_at = 1 WHERE id = ?", id); err != nil {
		t.Fatal(err)
	}
	for _, a := range []answer{
		f.post("/v1/auth/login", m{"email": email, "password": password}),
		f.do("POST", "/login", "", basic(email, password)),
		f.do("GET", "/v1/auth/me", "", bearer(raw)),
	} {
		if a.status != 403 || a.code() != "account_locked" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := f.post("/v1/auth/login", m{"email": email, "password": "wrong"}); a.code() != "bad_credentials" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := f.db.Exec("DELETE FROM users"); err != nil {
		t.Fatal(err)
	}
	if a := f.do("GET", "/v1/auth/me", "", bearer(raw)); a.status != 401 || a.code() != "session_ended" {
		t.Errorf("of an account that is gone: %d %s", a.status, a.body)
	}
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	a := f.do("GET", "/.well-known/jwks.json", "")
	var set struct{ Keys []map[string]string }
	a.decode(t, &set)
	if a.status != http.StatusOK || len(set.Keys) != 1 || a.header.Get("Cache-Control") != "public, max-age=300" ||
		!strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	key, err := f.keys.signing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.id, "x": base64.RawURLEncoding.EncodeToString(key.public()),
	}
	if diff := cmp.Diff(want, set.Keys[0]); diff != "" {
		t.Error(diff)
	}
}

func TestHealthAndOpenAPI(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	for _, path := range []string{"/livez", "/readyz"} {
		if a := f.do("GET", path, ""); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Parameters []any
			Responses  map[string]any
			Security   []map[string][]string
		}
	}
	a := f.do("GET", "/openapi.json", "")
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	for route, answers := range map[string]string{
		"post /v1/auth/register": "202 403 422", "post /v1/auth/verify/send": "202 501", "post /v1/auth/verify": "204 410",
		"post /v1/auth/reset/send": "202 501", "post /v1/auth/reset": "204 410 422", "post /v1/auth/login": "200 401", "get /v1/auth/me": "200 401",
		"post /v1/auth/refresh": "200 401", "post /v1/auth/logout": "204", "post /v1/auth/me/delete": "204 401 403", "post /v1/auth/keys": "201 401 403 409 422", "get /v1/auth/keys": "200 401",
		"delete /v1/auth/keys/{id}": "204 401 404", "post /v1/auth/token": "200 401 403",
		"post /v1/auth/browser/login": "200 401 403", "post /v1/auth/browser/refresh": "200 401 403", "post /v1/auth/browser/logout": "204 403",
		"get /v1/auth/users": "200 401 403", "post /v1/auth/users/{id}/lock": "204 403 404 409", "post /v1/auth/users/{id}/unlock": "204 403 404",
		"delete /v1/auth/users/{id}/sessions": "204 403", "post /v1/auth/users/{id}/reset": "204 403", "put /v1/auth/users/{id}/quota": "204 403 422", "get /v1/auth/audit": "200 403", "post /v1/auth/password": "200 401 403 422",
		"get /v1/auth/sessions": "200 401", "delete /v1/auth/sessions": "204 401", "delete /v1/auth/sessions/{id}": "204 401 404",
		"post /login": "200 401", "post /validate": "200 401 403", "get /.well-known/jwks.json": "200",
	} {
		method, path, _ := strings.Cut(route, " ")
		op := doc.Paths[path][method]
		if len(op.Parameters) > 0 && !strings.Contains(path, "{id}") && path != "/v1/auth/users" && path != "/v1/auth/audit" {
			t.Errorf("%s has parameters: %v", route, op.Parameters)
		}
		for _, status := range strings.Fields(answers) {
			if op.Responses[status] == nil {
				t.Errorf("%s has no answer %s", route, status)
			}
		}
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Paths) != 36 {
		t.Errorf("OpenAPI %s with %d paths", doc.OpenAPI, len(doc.Paths))
	}
	if doc.Paths["/v1/auth/me"]["get"].Security == nil {
		t.Error("nothing says that /v1/auth/me needs a token")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	key := secrets(t)
	for name, change := range map[string]func(*Config){
		"no key":            func(c *Config) { c.Secrets = nil },
		"a long life":       func(c *Config) { c.TokenLifetime = 25 * time.Hour },
		"no life":           func(c *Config) { c.TokenLifetime = -1 },
		"half a second":     func(c *Config) { c.TokenLifetime = 1500 * time.Millisecond },
		"a short session":   func(c *Config) { c.SessionLifetime = time.Minute },
		"a long wait":       func(c *Config) { c.SessionIdle = 31 * 24 * time.Hour },
		"a verification":    func(c *Config) { c.Verification = "sometimes" },
		"verified, no mail": func(c *Config) { c.Verification = VerifyJobs },
		"no passes":         func(c *Config) { c.Password = PasswordParams{Memory: 64, Parallelism: 1} },
		"no lanes":          func(c *Config) { c.Password = PasswordParams{Memory: 64, Iterations: 1} },
		"too little memory": func(c *Config) { c.Password = PasswordParams{Memory: 7, Iterations: 1, Parallelism: 1} },
		"hashes below zero": func(c *Config) { c.Hashes = -1 },
		"a wait below zero": func(c *Config) { c.HashWait = -1 },
	} {
		cfg := Config{Secrets: key}
		change(&cfg)
		if _, err := New(cfg, Deps{Accounts: broken{}}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := New(Config{Secrets: key}, Deps{}); err == nil {
		t.Error("no store is taken")
	}
	s, err := New(Config{Secrets: key}, Deps{Accounts: broken{}})
	if err != nil {
		t.Fatal(err)
	}
	if p := s.hasher.params; p.Memory != 19456 || p.Iterations != 2 || p.Parallelism != 1 || p.SaltLength != 16 || p.KeyLength != 32 {
		t.Errorf("the parameters are %+v", p)
	}
}
