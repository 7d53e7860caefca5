package auth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

const root = "root@example.org"

// administered is a service with an administrator, his access token, and a user's ID.
func administered(t *testing.T) (f *fixture, raw, user string) {
	t.Helper()
	f = serve(t, nil)
	if err := f.CreateUser(t.Context(), root, password, token.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	user = f.register(email, password)
	return f, f.login(root, password), user
}

func (f *fixture) audit(raw, query string) (acts []accountapi.Act) {
	f.t.Helper()
	a := f.do("GET", "/v1/auth/audit"+query, "", bearer(raw))
	var got accountapi.Audit
	if a.decode(f.t, &got); a.status != 200 {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	return got.Acts
}

// TestLock: a locked account is locked everywhere, until it is unlocked, and it is noted
// who did so.
func TestLock(t *testing.T) {
	t.Parallel()
	f, raw, user := administered(t)
	in := f.loggedIn(email, password)
	key, _ := f.makeKey(in.AccessToken, m{"name": "x", "scopes": []string{"jobs:read"}, "password": password})
	path := "/v1/auth/users/" + user
	if a := f.do("POST", path+"/lock", `{"reason":"sends\nspam"}`, bearer(raw), "X-Forwarded-For: 192.0.2.9"); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := f.post("/v1/auth/login", m{"email": email, "password": password}); a.status != 403 || a.code() != "account_locked" {
		t.Errorf("login: %d %s", a.status, a.body)
	}
	_, a := f.refreshWith(in.RefreshToken)
	wantEnded(t, "the session", a)
	wantEnded(t, "the access token", f.do("GET", "/v1/auth/me", "", bearer(in.AccessToken)))
	if _, _, a := f.exchange(key.Secret); a.status != 403 || a.code() != "account_locked" {
		t.Errorf("the API key: %d %s", a.status, a.body)
	}
	if a := f.do("POST", path+"/unlock", "", bearer(raw)); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	in = f.loggedIn(email, password)
	if a := f.do("DELETE", path+"/sessions", "", bearer(raw)); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	_, a = f.refreshWith(in.RefreshToken)
	wantEnded(t, "the session", a)

	acts := f.audit(raw, "?subject="+user)
	var did []string
	for _, act := range acts {
		did = append(did, act.Action)
	}
	if fmt.Sprint(did) != "[logout unlock lock]" {
		t.Fatalf("%v", did)
	}
	if act := acts[2]; act.ActorEmail != root || act.Place != "192.0.2.9" || act.Detail != "sends spam" || act.Subject != user {
		t.Errorf("%+v", act)
	}
	all := f.audit(raw, "?limit=1")
	if len(all) != 1 || all[0].ID != acts[0].ID {
		t.Errorf("%+v", all)
	}
	if rest := f.audit(raw, "?before="+acts[2].ID); len(rest) != 1 || rest[0].Action != "create" || rest[0].Actor != "" { // the first administrator
		t.Errorf("%+v", rest)
	}
	if !strings.Contains(f.log.String(), "an administrator has acted") {
		t.Error("the log says nothing")
	}
}

// TestAdminReset: an administrator starts it, and neither sees the link nor chooses the
// password.
func TestAdminReset(t *testing.T) {
	t.Parallel()
	f, raw, user := administered(t)
	a := f.do("POST", "/v1/auth/users/"+user+"/reset", "", bearer(raw))
	if a.status != 204 || a.body != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := f.post("/v1/auth/reset", m{"token": linkToken(t, f.mail(email, 2)), "password": "a new pass phrase"}); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if acts := f.audit(raw, "?subject="+user); len(acts) != 1 || acts[0].Action != "reset" {
		t.Errorf("%+v", acts)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	f, raw, user := administered(t)
	put := func(body string) answer {
		return f.do("PUT", "/v1/auth/users/"+user+"/quota", body, bearer(raw))
	}
	quota := func() *token.Quota {
		t.Helper()
		c, err := f.Service.verifier.Verify(t.Context(), f.login(email, password))
		if err != nil {
			t.Fatal(err)
		}
		return c.Quota
	}
	if q := quota(); q != nil {
		t.Errorf("%+v", q)
	}
	if a := put(`{"jobs":5,"stored_bytes":0}`); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if q := quota(); q == nil || q.Jobs == nil || *q.Jobs != 5 || q.DailyBytes != nil || q.StoredBytes == nil || *q.StoredBytes != 0 {
		t.Errorf("%+v", q)
	}
	var users accountapi.Users
	f.do("GET", "/v1/auth/users?email=ada", "", bearer(raw)).decode(t, &users)
	if len(users.Users) != 1 || users.Users[0].Quota == nil || *users.Users[0].Quota.Jobs != 5 || users.Users[0].Quota.DailyBytes != nil {
		t.Errorf("%+v", users)
	}
	for _, bad := range []string{`{"jobs":-1}`, `{"jobs":10001}`, `{"daily_bytes":"many"}`, `{"more":1}`, `{"jobs":1.5}`} {
		if a := put(bad); a.status != 422 {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	if a := put(`{}`); a.status != 204 || quota() != nil {
		t.Errorf("%d %s", a.status, a.body)
	}
	if acts := f.audit(raw, "?subject="+user); len(acts) != 2 || acts[0].Detail != "as for all" || acts[1].Detail != "jobs 5, stored_bytes 0" {
		t.Errorf("%+v", acts)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	f, raw, user := administered(t)
	f.register(eve, password)
	var seen []string
	for after := ""; ; {
		var page accountapi.Users
		a := f.do("GET", "/v1/auth/users?limit=2&after="+after, "", bearer(raw))
		if a.decode(t, &page); a.status != 200 || strings.Contains(a.body, "argon2") {
			t.Fatalf("%d %s", a.status, a.body)
		}
		for _, u := range page.Users {
			seen = append(seen, u.Email)
			if u.Email == email && (u.ID != user || u.Verified || fmt.Sprint(u.Roles) != "[user]" || u.Locked != nil) {
				t.Errorf("%+v", u)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if fmt.Sprint(seen) != fmt.Sprint([]string{email, eve, root}) {
		t.Errorf("%v", seen)
	}
	if acts := f.audit(raw, ""); acts[0].Action != "view" || acts[0].ActorEmail != root {
		t.Errorf("that somebody looked is not noted: %+v", acts[0])
	}
}

// TestAdminRoutes: they are for administrators who are logged in, now, and say of an
// account that there is not so.
func TestAdminRoutes(t *testing.T) {
	t.Parallel()
	f, raw, user := administered(t)
	routes := func(id string) map[string]string {
		return map[string]string{
			"GET /v1/auth/users": "", "GET /v1/auth/audit": "", "POST /v1/auth/users/" + id + "/lock": "{}", "POST /v1/auth/users/" + id + "/unlock": "",
			"DELETE /v1/auth/users/" + id + "/sessions": "", "POST /v1/auth/users/" + id + "/reset": "", "PUT /v1/auth/users/" + id + "/quota": "{}",
		}
	}
	key, _ := f.makeKey(raw, m{"name": "x", "scopes": []string{"admin", "jobs:read"}, "password": password})
	exchanged, _, _ := f.exchange(key.Secret)
	demoted := f.login(root, password)
	for route, body := range routes(user) {
		method, path, _ := strings.Cut(route, " ")
		for name, with := range map[string]string{"a user": f.login(email, password), "an API key": key.Secret, "an API key's token": exchanged.AccessToken} {
			if a := f.do(method, path, body, bearer(with)); a.status != http.StatusForbidden && a.status != http.StatusUnauthorized {
				t.Errorf("%s by %s: %d %s", route, name, a.status, a.body)
			}
		}
		if a := f.do(method, path, body); a.status != 401 {
			t.Errorf("%s by nobody: %d", route, a.status)
		}
	}
	for route, body := range routes("nobody") {
		method, path, _ := strings.Cut(route, " ")
		if !strings.Contains(path, "nobody") {
			continue
		}
		if a := f.do(method, path, body, bearer(raw)); a.status != 404 || a.code() != "not_found" {
			t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}
	if acts := f.audit(raw, "?subject=nobody"); len(acts) != 0 {
		t.Errorf("noted is %+v", acts)
	}
	var me accountapi.Me
	f.do("GET", "/v1/auth/me", "", bearer(raw)).decode(t, &me)
	if a := f.do("POST", "/v1/auth/users/"+me.ID+"/lock", "{}", bearer(raw)); a.status != 409 {
		t.Errorf("oneself: %d %s", a.status, a.body)
	}
	// The token still says so, the database does not.
	f.exec("UPDATE users SET role = 'user' WHERE email = ?", root)
	if a := f.do("GET", "/v1/auth/users", "", bearer(demoted)); a.status != 403 || a.code() != "forbidden" {
		t.Errorf("one who was an administrator: %d %s", a.status, a.body)
	}
}

// TestAuditRetention: what administrators did is removed when its time is over, and kept
// for ever where that is set.
func TestAuditRetention(t *testing.T) {
	t.Parallel()
	for retention, left := range map[time.Duration]int{0: 2, 24 * time.Hour: 1} {
		f := serve(t, func(c *Config, _ *Deps) { c.AuditRetention = retention })
		f.verified(email, "admin")
		if _, err := f.db.ExecContext(t.Context(), "UPDATE account_audit SET at = at - 90000000000"); err != nil { // 25 hours
			t.Fatal(err)
		}
		f.verified(eve, "user")
		f.tidy(t.Context())
		if n := f.count("account_audit"); n != left {
			t.Errorf("kept for %v: %d, want %d", retention, n, left)
		}
	}
	if err := (Config{Secrets: secrets(t), AuditRetention: time.Hour}).Validate(); err == nil {
		t.Error("an hour is taken")
	}
}
