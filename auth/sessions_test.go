package auth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

// loggedIn logs in and returns the whole answer.
func (f *fixture) loggedIn(email, password string, headers ...string) accountapi.LoggedIn {
	f.t.Helper()
	a := f.do("POST", "/v1/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), headers...)
	if a.status != http.StatusOK {
		f.t.Fatalf("log in as %s: %d %s", email, a.status, a.body)
	}
	var got accountapi.LoggedIn
	a.decode(f.t, &got)
	return got
}

func (f *fixture) refreshWith(raw string) (accountapi.LoggedIn, answer) {
	f.t.Helper()
	a := f.post("/v1/auth/refresh", m{"refresh_token": raw})
	var got accountapi.LoggedIn
	if a.status == http.StatusOK {
		a.decode(f.t, &got)
	}
	return got, a
}

// wantEnded fails unless an answer says that the session has ended.
func wantEnded(t *testing.T, what string, a answer) {
	t.Helper()
	if a.status != 401 || a.code() != "session_ended" || !strings.Contains(a.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("%s: %d %s", what, a.status, a.body)
	}
}

// exec changes rows behind the service's back.
func (f *fixture) exec(query string, args ...any) {
	f.t.Helper()
	if _, err := f.db.ExecContext(f.t.Context(), query, args...); err != nil {
		f.t.Fatal(err)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	first := f.loggedIn(email, password)
	if first.RefreshExpiresIn != 7*24*3600 || !strings.HasPrefix(first.RefreshToken, "mp3r_") {
		t.Errorf("%+v", first)
	}
	second, a := f.refreshWith(first.RefreshToken)
	if a.status != 200 || second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	before, err1 := f.verifier(t).Verify(t.Context(), first.AccessToken)
	after, err2 := f.verifier(t).Verify(t.Context(), second.AccessToken)
	if err1 != nil || err2 != nil || before.Session != after.Session || before.ID == after.ID {
		t.Errorf("%+v, %+v, %v, %v", before, after, err1, err2)
	}
	// The answer was lost.
	again, a := f.refreshWith(first.RefreshToken)
	if a.status != 200 || again.RefreshToken != second.RefreshToken {
		t.Errorf("asked again: %d, %q and %q", a.status, again.RefreshToken, second.RefreshToken)
	}
	third, a := f.refreshWith(second.RefreshToken)
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	// A copy of the first one, used by somebody else: both lose.
	_, a = f.refreshWith(first.RefreshToken)
	wantEnded(t, "a token of long ago", a)
	_, a = f.refreshWith(third.RefreshToken)
	wantEnded(t, "the newest, after that", a)
	wantEnded(t, "an access token of the session", f.do("GET", "/v1/auth/me", "", bearer(third.AccessToken)))
	if !strings.Contains(f.log.String(), "a refresh token was used again") {
		t.Error("the log does not say so")
	}
}

// TestRefreshGrace: a token that was replaced is good again for a while, and then ends
// the session.
func TestRefreshGrace(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	first := f.loggedIn(email, password)
	second, _ := f.refreshWith(first.RefreshToken)
	f.exec("UPDATE sessions SET rotated_at = rotated_at - ?", (refreshGrace - 5*time.Second).Microseconds())
	if again, a := f.refreshWith(first.RefreshToken); a.status != 200 || again.RefreshToken != second.RefreshToken {
		t.Errorf("within the time: %d %s", a.status, a.body)
	}
	f.exec("UPDATE sessions SET rotated_at = rotated_at - ?", (6 * time.Second).Microseconds())
	_, a := f.refreshWith(first.RefreshToken)
	wantEnded(t, "after it", a)
	_, a = f.refreshWith(second.RefreshToken)
	wantEnded(t, "its successor", a)
}

// TestRefreshAtOnce: of many who use a token at the same time all get the same next one.
func TestRefreshAtOnce(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	first := f.loggedIn(email, password)
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		wg.Go(func() {
			got, a := f.refreshWith(first.RefreshToken)
			if a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
			tokens[i] = got.RefreshToken
		})
	}
	wg.Wait()
	if slices.Sort(tokens); tokens[0] == "" || tokens[0] != tokens[len(tokens)-1] {
		t.Errorf("%q", tokens)
	}
}

// TestRefreshMadeUp: what nobody was given harms nobody.
func TestRefreshMadeUp(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	in := f.loggedIn(email, password)
	tok, ok := parseRefresh(in.RefreshToken)
	if !ok {
		t.Fatal(in.RefreshToken)
	}
	claims, err := f.verifier(t).Verify(t.Context(), in.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{
		"", "x", "mp3r_", "mp3r__", "mp3r_" + tok.family, "mp3r_" + tok.family + "_", "mp3r__" + tok.own, strings.ToLower(in.RefreshToken),
		refreshToken{"A" + tok.family, tok.own}.String(), refreshToken{claims.Session, tok.own}.String(), refreshToken{digest(tok.family), digest(tok.own)}.String(),
		in.AccessToken, strings.Repeat("x", 3000), "mp3k_" + in.RefreshToken[5:], in.RefreshToken[:20],
	} {
		_, a := f.refreshWith(raw)
		wantEnded(t, raw, a)
	}
	if _, a := f.refreshWith(in.RefreshToken); a.status != 200 {
		t.Errorf("the right one, after that: %d %s", a.status, a.body)
	}
}

// TestSessionEnds: a session ends at its time, and without use.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) { c.SessionLifetime = 10 * time.Hour; c.SessionIdle = 5 * time.Hour })
	f.register(email, password)
	for what, later := range map[string]string{
		"without use": "UPDATE sessions SET used_at = used_at - ?", "at its end": "UPDATE sessions SET ends_at = ends_at - 2 * ?",
	} {
		in := f.loggedIn(email, password)
		f.exec(later, (5*time.Hour - time.Minute).Microseconds())
		next, a := f.refreshWith(in.RefreshToken)
		if a.status != 200 || what == "at its end" && next.RefreshExpiresIn > 150 {
			t.Fatalf("%s, early: %d %s", what, a.status, a.body)
		}
		f.exec(later, (2 * time.Minute).Microseconds())
		f.exec(later, (5 * time.Hour).Microseconds())
		_, a = f.refreshWith(next.RefreshToken)
		wantEnded(t, what, a)
		wantEnded(t, what, f.do("GET", "/v1/auth/me", "", bearer(next.AccessToken)))
		if err := f.store.PurgeSessions(t.Context()); err != nil {
			t.Error(err)
		}
		var n int
		if err := f.db.QueryRow("SELECT COUNT(*) FROM sessions").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows are kept, %v", n, err)
		}
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	in, other := f.loggedIn(email, password), f.loggedIn(email, password)
	old := in.RefreshToken
	in, _ = f.refreshWith(in.RefreshToken)
	// The program may have lost the newest token: an older one will do.
	for _, raw := range []string{old, in.RefreshToken, "mp3r_A_B", "", "x"} {
		if a := f.post("/v1/auth/logout", m{"refresh_token": raw}); a.status != 204 || a.body != "" {
			t.Errorf("%q: %d %s", raw, a.status, a.body)
		}
	}
	_, a := f.refreshWith(in.RefreshToken)
	wantEnded(t, "after the logout", a)
	wantEnded(t, "the access token", f.do("GET", "/v1/auth/me", "", bearer(in.AccessToken)))
	if _, a := f.refreshWith(other.RefreshToken); a.status != 200 {
		t.Errorf("the other session: %d %s", a.status, a.body)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	f.register("eve@example.org", password)
	eve := f.loggedIn("eve@example.org", password)
	old := f.loggedIn(email, password, "X-Forwarded-For: 192.0.2.7", "User-Agent: curl/8\twith "+strings.Repeat("ü", 200))
	here := f.loggedIn(email, password, "X-Forwarded-For: not an address")
	f.exec("UPDATE sessions SET used_at = used_at + 1000000 WHERE id = ?", f.session(here.AccessToken))
	basicToken := f.do("POST", "/login", "", basic(email, password)).body

	list := func(raw string) (all []accountapi.Session) {
		t.Helper()
		a := f.do("GET", "/v1/auth/sessions", "", bearer(raw))
		var got accountapi.Sessions
		a.decode(t, &got)
		if a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return got.Sessions
	}
	all := list(here.AccessToken)
	if len(all) != 3 || !all[0].Current || all[1].Current || all[2].Current || all[0].Address != "" {
		t.Fatalf("%+v", all)
	}
	if s := all[2]; s.Address != "192.0.2.7" || !strings.HasPrefix(s.Agent, "curl/8 with üüü") || len(s.Agent) > maxAgent || time.Since(s.Created) > time.Minute ||
		s.Expires.Sub(s.Used) != 7*24*time.Hour || s.ID != f.session(old.AccessToken) {
		t.Errorf("%+v", s)
	}
	if d := time.Until(all[1].Expires); d > 15*time.Minute { // it cannot be refreshed
		t.Errorf("the session of an old client lasts %v", d)
	}
	del := func(path, raw string) answer { return f.do("DELETE", "/v1/auth/sessions"+path, "", bearer(raw)) }
	for _, id := range []string{f.session(eve.AccessToken), "nobody", "x' OR '1'='1"[:5], strings.Repeat("x", 64)} {
		if a := del("/"+id, here.AccessToken); a.status != 404 || a.code() != "not_found" {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
	if a := del("/"+all[2].ID, here.AccessToken); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	_, a := f.refreshWith(old.RefreshToken)
	wantEnded(t, "the one that was ended", a)
	if a := del("/"+all[2].ID, here.AccessToken); a.status != 404 {
		t.Errorf("once more: %d %s", a.status, a.body)
	}
	if a := del("", here.AccessToken); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	wantEnded(t, "another", f.do("GET", "/v1/auth/me", "", bearer(basicToken)))
	if all := list(here.AccessToken); len(all) != 1 || !all[0].Current {
		t.Errorf("%+v", all)
	}
	if all := list(eve.AccessToken); len(all) != 1 {
		t.Errorf("the other user's: %+v", all)
	}
}

// session returns the session of an access token.
func (f *fixture) session(raw string) string {
	f.t.Helper()
	c, err := f.Service.verifier.Verify(f.t.Context(), raw)
	if err != nil {
		f.t.Fatal(err)
	}
	return c.Session
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	here, there := f.loggedIn(email, password), f.loggedIn(email, password)
	change := func(raw, current, fresh string) answer {
		return f.do("POST", "/v1/auth/password", fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, current, fresh), bearer(raw))
	}
	const other = "staple battery horse"
	for _, c := range []struct {
		current, fresh string
		status         int
		code           string
	}{
		{"wrong", other, 403, "wrong_password"}, {"", other, 403, "reauthentication_required"},
		{password, "short", 422, "invalid_input"}, {password, "password1", 422, "invalid_input"}, {password, "ada.lovelace1", 422, "invalid_input"},
	} {
		if a := change(here.AccessToken, c.current, c.fresh); a.status != c.status || a.code() != c.code || c.status == 422 && !strings.Contains(a.body, "body.new_password") {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
	if _, a := f.refreshWith(there.RefreshToken); a.status != 200 {
		t.Errorf("a change that failed ended a session: %d %s", a.status, a.body)
	}
	a := change(here.AccessToken, password, other)
	var fresh accountapi.LoggedIn
	a.decode(t, &fresh)
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, in := range []accountapi.LoggedIn{here, there} {
		wantEnded(t, "a session before", f.do("GET", "/v1/auth/me", "", bearer(in.AccessToken)))
		_, a := f.refreshWith(in.RefreshToken)
		wantEnded(t, "a session before", a)
	}
	if _, a := f.refreshWith(fresh.RefreshToken); a.status != 200 {
		t.Errorf("the new session: %d %s", a.status, a.body)
	}
	if a := f.post("/v1/auth/login", m{"email": email, "password": password}); a.status != 401 {
		t.Errorf("the old password: %d %s", a.status, a.body)
	}
	f.login(email, other)
}

// TestSecretsChangeKeepsSessions: sessions go on over a change of the secret, an answer
// that was lost meanwhile included.
func TestSecretsChangeKeepsSessions(t *testing.T) {
	t.Parallel()
	old, line := NewSecret(), NewSecret()
	f := serve(t, func(c *Config, _ *Deps) { c.Secrets = secrets(t, old) })
	f.register(email, password)
	first := f.loggedIn(email, password)
	second, _ := f.refreshWith(first.RefreshToken)
	both := serveOn(t, f, func(c *Config, _ *Deps) { c.Secrets = secrets(t, line, old) })
	again, a := both.refreshWith(first.RefreshToken)
	if a.status != 200 || again.RefreshToken != second.RefreshToken {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, a := both.refreshWith(second.RefreshToken); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestRefreshModel: whatever is done in whatever order with all the tokens that there
// were, the session goes on as long as nobody uses one of long ago, and with one use of
// such it has ended for all.
func TestRefreshModel(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	rapid.Check(t, func(rt *rapid.T) {
		chain := []string{f.loggedIn(email, password).RefreshToken}
		ended, stale := false, false // stale: the grace of the one before is over
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"newest", "newest", "before", "any", "wait", "logout"}).Draw(rt, "step") {
			case "wait":
				f.exec("UPDATE sessions SET rotated_at = 0")
				stale = true
				continue
			case "logout":
				if rapid.IntRange(0, 5).Draw(rt, "really") == 0 {
					f.post("/v1/auth/logout", m{"refresh_token": chain[rapid.IntRange(0, len(chain)-1).Draw(rt, "token")]})
					ended = true
				}
				continue
			case "before":
				i := max(len(chain)-2, 0)
				checkRefresh(rt, f, &chain, i, &ended, &stale)
			case "any":
				checkRefresh(rt, f, &chain, rapid.IntRange(0, len(chain)-1).Draw(rt, "token"), &ended, &stale)
			default:
				checkRefresh(rt, f, &chain, len(chain)-1, &ended, &stale)
			}
		}
	})
}

func checkRefresh(t *rapid.T, f *fixture, chain *[]string, i int, ended, stale *bool) {
	got, a := f.refreshWith((*chain)[i])
	last := len(*chain) - 1
	switch {
	case *ended:
	case i == last:
		if a.status != 200 || slices.Contains(*chain, got.RefreshToken) {
			t.Fatalf("the newest: %d %s", a.status, a.body)
		}
		*chain = append(*chain, got.RefreshToken)
		*stale = false
		return
	case i == last-1 && !*stale:
		if a.status != 200 || got.RefreshToken != (*chain)[last] {
			t.Fatalf("the one before: %d %s", a.status, a.body)
		}
		return
	}
	*ended = true
	if a.status != 401 || a.code() != "session_ended" {
		t.Fatalf("token %d of %d: %d %s", i, last, a.status, a.body)
	}
}

func FuzzParseRefresh(f *testing.F) {
	f.Add("mp3r_ABC_DEF")
	f.Add("mp3r__")
	f.Fuzz(func(t *testing.T, raw string) {
		if tok, ok := parseRefresh(raw); ok && (tok.String() != raw || strings.Contains(tok.family, "_") || len(raw) > maxRefresh) {
			t.Fatalf("%q is %+v", raw, tok)
		}
	})
}
