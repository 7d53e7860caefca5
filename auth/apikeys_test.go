package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

func (f *fixture) makeKey(raw string, body any) (accountapi.NewKey, answer) {
	f.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	a := f.do("POST", "/v1/auth/keys", string(b), bearer(raw))
	var got accountapi.NewKey
	if a.status == 201 {
		a.decode(f.t, &got)
	}
	return got, a
}

// exchange gets an access token for a key, and what it says.
func (f *fixture) exchange(key string) (accountapi.Exchanged, token.Claims, answer) {
	f.t.Helper()
	a := f.do("POST", "/v1/auth/token", "", bearer(key))
	var got accountapi.Exchanged
	var c token.Claims
	if a.status == 200 {
		a.decode(f.t, &got)
		var err error
		if c, err = f.Service.verifier.Verify(f.t.Context(), got.AccessToken); err != nil {
			f.t.Fatal(err)
		}
	}
	return got, c, a
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	id := f.register(email, password)
	raw := f.login(email, password)
	f.mail(email, 1)
	made, a := f.makeKey(raw, m{"name": " nightly upload ", "scopes": []string{"jobs:write", "jobs:read", "jobs:write"}, "expires_in_days": 30, "password": password})
	if a.status != 201 || made.Name != "nightly upload" || fmt.Sprint(made.Scopes) != "[jobs:read jobs:write]" || made.Used != nil ||
		!token.IsKey(made.Secret) || !strings.HasPrefix(made.Secret, made.Prefix+"_") || len(made.Prefix) != len("mp3k_")+8 || len(made.Secret) < len(made.Prefix)+26 ||
		made.Expires.Sub(made.Created) != 30*24*time.Hour || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if told := f.mail(email, 2); !strings.Contains(told.Subject, "API key") || strings.Contains(told.Text, made.Prefix) {
		t.Errorf("%s\n%s", told.Subject, told.Text)
	}
	list := func() (keys []accountapi.Key) {
		t.Helper()
		var got accountapi.Keys
		a := f.do("GET", "/v1/auth/keys", "", bearer(raw))
		if a.decode(t, &got); a.status != 200 || strings.Contains(a.body, made.Secret) {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return got.Keys
	}
	if keys := list(); len(keys) != 1 || fmt.Sprint(keys[0]) != fmt.Sprint(made.Key) {
		t.Errorf("%+v", keys)
	}
	got, c, a := f.exchange(made.Secret)
	if a.status != 200 || got.TokenType != "Bearer" || got.ExpiresIn != 900 || got.Scope != "jobs:read jobs:write" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if c.Subject != id || c.Email != email || fmt.Sprint(c.Scopes) != "[jobs:read jobs:write]" || c.Session != "" || fmt.Sprint(c.Roles) != "[user]" {
		t.Errorf("%+v", c)
	}
	// The use is noted, once a minute.
	used := list()[0].Used
	if used == nil || time.Since(*used) > time.Minute {
		t.Fatalf("used %v", used)
	}
	f.exchange(made.Secret)
	if again := list()[0].Used; !again.Equal(*used) {
		t.Errorf("noted twice: %v, %v", used, again)
	}
	f.exec("UPDATE api_keys SET used_at = used_at - 60000001")
	f.exchange(made.Secret)
	if again := list()[0].Used; again.Before(*used) {
		t.Errorf("a minute later it is %v", again)
	}
	// It is no way to the account itself, in either form.
	for _, with := range []string{made.Secret, got.AccessToken} {
		for _, c := range [][3]string{
			{"GET", "/v1/auth/me"}, {"GET", "/v1/auth/keys"}, {"GET", "/v1/auth/sessions"}, {"DELETE", "/v1/auth/sessions"}, {"DELETE", "/v1/auth/keys/" + made.ID},
			{"POST", "/v1/auth/keys", `{"name":"x","scopes":["jobs:read"],"password":"x"}`}, {"POST", "/v1/auth/me/delete", `{"password":"x"}`},
			{"POST", "/v1/auth/password", `{"current_password":"x","new_password":"y"}`}, {"POST", "/v1/auth/token"},
		} {
			if with == made.Secret && c[1] == "/v1/auth/token" {
				continue
			}
			if a := f.do(c[0], c[1], c[2], bearer(with)); a.status != 401 && a.status != 403 {
				t.Errorf("%s %s: %d %s", c[0], c[1], a.status, a.body)
			}
		}
	}
	if a := f.do("DELETE", "/v1/auth/keys/"+made.ID, "", bearer(raw)); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, _, a := f.exchange(made.Secret); a.status != 401 || a.code() != "key_invalid" || !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("after that: %d %s", a.status, a.body)
	}
	if a := f.do("DELETE", "/v1/auth/keys/"+made.ID, "", bearer(raw)); a.status != 404 || a.code() != "not_found" || len(list()) != 0 {
		t.Errorf("twice: %d %s", a.status, a.body)
	}
}

// TestAPIKeyEnds: a key ends with its time, its account, and what that may do.
func TestAPIKeyEnds(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) { c.Verification = VerifyJobs })
	if err := f.CreateUser(t.Context(), email, password, token.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	raw := f.login(email, password)
	scopes := []string{"jobs:read", "jobs:write", "admin"}
	plain, a := f.makeKey(raw, m{"name": "plain", "scopes": scopes[:2], "password": password})
	if a.status != 201 || plain.Expires.Sub(plain.Created) != 90*24*time.Hour {
		t.Fatalf("%d %s", a.status, a.body)
	}
	all, _ := f.makeKey(raw, m{"name": "all", "scopes": scopes, "password": password})
	if _, c, _ := f.exchange(plain.Secret); c.Is(token.RoleAdmin) || c.May(token.ScopeAdmin) {
		t.Errorf("an administrator's key without that scope: %+v", c)
	}
	if _, c, _ := f.exchange(all.Secret); !c.Is(token.RoleAdmin) || !c.May(token.ScopeAdmin) || c.May(token.ScopeAccount) {
		t.Errorf("one with it: %+v", c)
	}
	f.exec("UPDATE users SET role = 'user', verified_at = NULL")
	if _, c, _ := f.exchange(all.Secret); c.Is(token.RoleAdmin) || fmt.Sprint(c.Scopes) != "[jobs:read]" {
		t.Errorf("of one who is none any more, and not verified: %+v", c)
	}
	f.exec("UPDATE api_keys SET expires_at = expires_at - ? WHERE id = ?", (90 * 24 * time.Hour).Microseconds(), plain.ID)
	if _, _, a := f.exchange(plain.Secret); a.status != 401 || a.code() != "key_invalid" {
		t.Errorf("expired: %d %s", a.status, a.body)
	}
	f.exec("UPDATE users SET locked_at = 1")
	if _, _, a := f.exchange(all.Secret); a.status != 403 || a.code() != "account_locked" {
		t.Errorf("locked: %d %s", a.status, a.body)
	}
	f.exec("UPDATE users SET locked_at = NULL")
	if a := f.remove(f.login(email, password), password); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if _, _, a := f.exchange(all.Secret); a.status != 401 || a.code() != "key_invalid" {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
}

func TestAPIKeyRefusals(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	f.register(eve, password)
	raw := f.login(email, password)
	key, _ := f.makeKey(raw, m{"name": "x", "scopes": []string{"jobs:read"}, "password": password})
	read := []string{"jobs:read"}
	for name, c := range map[string]struct {
		body   m
		status int
		field  string
	}{
		"no name":          {m{"name": " ", "scopes": read, "password": password}, 422, "body.name"},
		"a long name":      {m{"name": strings.Repeat("ü", 101), "scopes": read, "password": password}, 422, "body.name"},
		"lines":            {m{"name": "a\nb", "scopes": read, "password": password}, 422, "body.name"},
		"no scopes":        {m{"name": "x", "scopes": []string{}, "password": password}, 422, "body.scopes"},
		"scopes of null":   {m{"name": "x", "scopes": nil, "password": password}, 422, "body.scopes"},
		"the account":      {m{"name": "x", "scopes": []string{"jobs:read", "account"}, "password": password}, 422, "body.scopes"},
		"to purge":         {m{"name": "x", "scopes": []string{"jobs:purge"}, "password": password}, 422, "body.scopes"},
		"two in one":       {m{"name": "x", "scopes": []string{"jobs:read admin"}, "password": password}, 422, "body.scopes"},
		"an administrator": {m{"name": "x", "scopes": []string{"admin"}, "password": password}, 422, "body.scopes"},
		"for ever":         {m{"name": "x", "scopes": read, "expires_in_days": 367, "password": password}, 422, "body.expires_in_days"},
		"for less":         {m{"name": "x", "scopes": read, "expires_in_days": -1, "password": password}, 422, "body.expires_in_days"},
		"a wrong password": {m{"name": "x", "scopes": read, "password": "wrong"}, 403, ""},
		"no password":      {m{"name": "x", "scopes": read}, 403, "reauthentication_required"},
	} {
		if _, a := f.makeKey(raw, c.body); a.status != c.status || !strings.Contains(a.body, c.field) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, bad := range map[string]string{
		"another": key.Secret[:len(key.Secret)-1] + "A", "its prefix": key.Prefix, "its hash": digest(key.Secret), "cut": key.Secret[:20],
		"longer": key.Secret + "A", "in small letters": strings.ToLower(key.Secret), "a refresh token": f.loggedIn(email, password).RefreshToken,
		"long": "mp3k_A_" + strings.Repeat("A", 5000), "SQL": "mp3k_A_' OR 1=1 --",
	} {
		if bad == key.Secret { // by chance
			continue
		}
		if _, _, a := f.exchange(bad); a.status != 401 || a.code() != "key_invalid" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := f.do("POST", "/v1/auth/token", ""); a.status != 401 || a.code() != "unauthorized" {
		t.Errorf("nothing: %d %s", a.status, a.body)
	}
	if a := f.do("DELETE", "/v1/auth/keys/"+key.ID, "", bearer(f.login(eve, password))); a.status != 404 {
		t.Errorf("by somebody else: %d %s", a.status, a.body)
	}
	if _, _, a := f.exchange(key.Secret); a.status != 200 {
		t.Errorf("the right one: %d %s", a.status, a.body)
	}
	if text := f.dump(); strings.Contains(text, key.Secret) || strings.Contains(text, key.Secret[len(key.Prefix)+1:]) || !strings.Contains(text, key.Prefix) {
		t.Error("the key is in the database, or its prefix is not")
	}
	if strings.Contains(f.log.String(), key.Secret[len(key.Prefix)+1:]) {
		t.Error("the key is in the log")
	}
}
