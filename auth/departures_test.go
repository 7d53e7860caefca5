package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/token"
)

// front is a gateway that keeps the tokens it is told of.
type front struct {
	mu     sync.Mutex
	tokens []string
	fail   error
}

func (g *front) Depart(_ context.Context, raw string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return g.fail
	}
	g.tokens = append(g.tokens, raw)
	return nil
}

func (g *front) told() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.tokens)
}

func (g *front) set(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = err
}

func (f *fixture) remove(raw, password string) answer {
	return f.do("POST", "/v1/auth/me/delete", fmt.Sprintf(`{"password":%q}`, password), bearer(raw))
}

// departures is how many are still to be told.
func (f *fixture) departures() (n int) {
	f.t.Helper()
	if err := f.db.QueryRow("SELECT COUNT(*) FROM departures").Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	gw := &front{}
	f := serve(t, func(_ *Config, d *Deps) { d.Gateway = gw })
	id := f.register(email, password)
	f.register(eve, password)
	in, other := f.loggedIn(email, password), f.loggedIn(eve, password)
	for wrong, code := range map[string]string{"": "reauthentication_required", "wrong": "wrong_password", password + " ": "wrong_password"} {
		if a := f.remove(in.AccessToken, wrong); a.status != 403 || a.code() != code {
			t.Errorf("%q: %d %s", wrong, a.status, a.body)
		}
	}
	if a := f.do("POST", "/v1/auth/me/delete", `{"password":"x"}`); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
	f.mail(email, 1)
	if a := f.remove(in.AccessToken, password); a.status != 204 || a.body != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	wantEnded(t, "the session", f.do("GET", "/v1/auth/me", "", bearer(in.AccessToken)))
	_, a := f.refreshWith(in.RefreshToken)
	wantEnded(t, "the refresh token", a)
	if a := f.post("/v1/auth/login", m{"email": email, "password": password}); a.status != 401 || a.code() != "bad_credentials" {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.mail(email, 2)
	var left int
	for _, table := range []string{"users WHERE id", "sessions WHERE user_id", "account_mails WHERE user_id"} {
		if err := f.db.QueryRow("SELECT COUNT(*) FROM "+table+" = ?", id).Scan(&left); err != nil || left != 0 {
			t.Errorf("%s: %d rows, %v", table, left, err)
		}
	}
	for f.departures() > 0 {
		time.Sleep(2 * time.Millisecond)
	}
	tokens := gw.told()
	if len(tokens) != 1 {
		t.Fatalf("the gateway was told %d times", len(tokens))
	}
	c, err := f.verifier(t).Verify(t.Context(), tokens[0])
	if err != nil || c.Subject != id || fmt.Sprint(c.Scopes) != "[jobs:purge]" || c.Is(token.RoleAdmin) || c.Email != "" || c.Session != "" {
		t.Errorf("%+v, %v", c, err)
	}
	if a := f.do("GET", "/v1/auth/me", "", bearer(tokens[0])); a.status != 403 || a.code() != "insufficient_scope" {
		t.Errorf("the gateway's token: %d %s", a.status, a.body)
	}
	// The address is free again, for an account that has nothing of the old one.
	if again := f.register(email, "another pass phrase"); again == id {
		t.Error("the new account is the old one")
	}
	if a := f.do("GET", "/v1/auth/me", "", bearer(other.AccessToken)); a.status != 200 {
		t.Errorf("the other account: %d %s", a.status, a.body)
	}
}

// TestDeparturesAreTold: whatever ends in the middle, the gateway is told in the end.
func TestDeparturesAreTold(t *testing.T) {
	t.Parallel()
	gw := &front{fail: errors.New("dial tcp: refused")}
	f := serve(t, func(_ *Config, d *Deps) { d.Gateway = gw })
	alone := serve(t, nil) // knows no gateway
	for _, g := range []*fixture{f, alone} {
		g.register(email, password)
		if a := g.remove(g.login(email, password), password); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for tries := 0; tries == 0; time.Sleep(2 * time.Millisecond) {
		if err := f.db.QueryRow("SELECT tries FROM departures WHERE due_at > " + f.db.Now() + " - 1000000 AND tries > 0").Scan(&tries); err != nil && tries > 0 {
			t.Fatal(err)
		}
	}
	if f.departures() != 1 || alone.departures() != 1 {
		t.Fatalf("%d and %d", f.departures(), alone.departures())
	}
	gw.set(nil)
	// A new process, later.
	for _, g := range []*fixture{f, alone} {
		g.exec("UPDATE departures SET due_at = 0")
		serveOn(t, g, func(_ *Config, d *Deps) { d.Gateway = gw })
		for g.departures() > 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	if n := len(gw.told()); n != 2 {
		t.Errorf("the gateway was told %d times", n)
	}
}
