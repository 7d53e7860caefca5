package auth

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

// longRules are the real ones with waits that no test sits out.
func longRules() *limitRules {
	rules := defaultRules()
	for _, r := range []*throttle.Rule{&rules.pair, &rules.address, &rules.account, &rules.mail, &rules.signIn} {
		r.Base, r.Max, r.Memory = time.Hour, 2*time.Hour, 4*time.Hour
	}
	return &rules
}

// limited is a service that counts, in memory.
func limited(t *testing.T) *fixture {
	t.Helper()
	return serve(t, func(c *Config, d *Deps) { c.rules, d.Limits = longRules(), throttle.New() })
}

// try logs in from an address.
func (f *fixture) try(email, password, address string) answer {
	f.t.Helper()
	return f.do("POST", "/v1/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), "X-Forwarded-For: "+address)
}

// wantWait fails unless an answer says that it is too early, and until when.
func wantWait(t *testing.T, what string, a answer) {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != 429 || a.code() != "too_many_attempts" || err != nil || seconds < 3500 || seconds > 3600 {
		t.Errorf("%s: %d, Retry-After %q\n%s", what, a.status, a.header.Get("Retry-After"), a.body)
	}
}

// TestGuessing: who guesses the password of one account from one place waits, with the
// right one too; nobody else does. An account that is none has the same limits.
func TestGuessing(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.register(email, password)
	for _, address := range []string{email, eve} { // eve has no account
		for i := range defaultRules().pair.Free + 1 {
			if a := f.try(address, fmt.Sprint("guess ", i), "192.0.2.1"); a.status != 401 || a.code() != "bad_credentials" {
				t.Fatalf("%s, guess %d: %d %s", address, i, a.status, a.body)
			}
		}
		wantWait(t, address, f.try(address, "one more", "192.0.2.1"))
	}
	wantWait(t, "the right password", f.try(email, password, "192.0.2.1"))
	wantWait(t, "another spelling of the account", f.try(" "+strings.ToUpper(email), password, "192.0.2.1"))
	wantWait(t, "by HTTP Basic", f.do("POST", "/login", "", basic(email, password), "X-Forwarded-For: 192.0.2.1"))
	if a := f.try(email, password, "192.0.2.2"); a.status != 200 {
		t.Errorf("from elsewhere: %d %s", a.status, a.body)
	}
	// IPv6 has addresses enough for one each.
	for i := range defaultRules().pair.Free + 1 {
		if a := f.try(email, "guess", fmt.Sprintf("2001:db8:0:1::%x", i+1)); a.status != 401 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	wantWait(t, "from the same network", f.try(email, password, "2001:db8:0:1:ffff::1"))
	if a := f.try(email, password, "2001:db8:0:2::1"); a.status != 200 {
		t.Errorf("from another: %d %s", a.status, a.body)
	}
	if strings.Contains(f.log.String(), `"level":"ERROR"`) {
		t.Errorf("%s", f.log)
	}
}

// TestRightPasswordForgets: who mistypes now and then never waits.
func TestRightPasswordForgets(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.register(email, password)
	for range 10 {
		for range defaultRules().pair.Free - 1 {
			if a := f.try(email, "mistyped", "192.0.2.1"); a.status != 401 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		if a := f.try(email, password, "192.0.2.1"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for range defaultRules().address.Free { // successes do not count, nor do they cost the address
		if a := f.try(email, password, "192.0.2.7"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
}

// TestGuessingAtOnce: to guess much at the same time is no way around the limit.
func TestGuessingAtOnce(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.register(email, password)
	var wg sync.WaitGroup
	var checked, early atomic.Int32
	for i := range 40 {
		wg.Go(func() {
			switch a := f.try(email, fmt.Sprint("guess ", i), "192.0.2.1"); a.status {
			case 401:
				checked.Add(1)
			case 429:
				early.Add(1)
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if n := checked.Load(); int(n) != defaultRules().pair.Free+1 || n+early.Load() != 40 {
		t.Errorf("%d passwords were looked at", n)
	}
}

// TestStuffing: many accounts from one place, one try each.
func TestStuffing(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.register(email, password)
	for i := range defaultRules().address.Free + 1 {
		if a := f.try(fmt.Sprintf("user%d@example.org", i), "password of a leak", "192.0.2.1"); a.status != 401 {
			t.Fatalf("account %d: %d %s", i, a.status, a.body)
		}
	}
	wantWait(t, "one more", f.try("one@example.org", "x", "192.0.2.1"))
	wantWait(t, "the right password", f.try(email, password, "192.0.2.1"))
	if a := f.try(email, password, "192.0.2.2"); a.status != 200 {
		t.Errorf("from elsewhere: %d %s", a.status, a.body)
	}
}

// TestManyPlaces: many places that guess the password of one account wait together, but
// lock out nobody who is logged in already.
func TestManyPlaces(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.register(email, password)
	if a := f.try(email, password, "198.51.100.1"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for i := range defaultRules().account.Free + 1 {
		if a := f.try(email, "guess", fmt.Sprintf("192.0.2.%d", i)); a.status != 401 {
			t.Fatalf("guess %d: %d %s", i, a.status, a.body)
		}
	}
	wantWait(t, "from a new place", f.try(email, password, "203.0.113.1"))
	wantWait(t, "from nowhere", f.do("POST", "/login", "", basic(email, password)))
	if a := f.try(email, password, "198.51.100.1"); a.status != 200 {
		t.Errorf("the owner, from where he is logged in: %d %s", a.status, a.body)
	}
	if a := f.try(eve, "x", "203.0.113.1"); a.status != 401 {
		t.Errorf("another account: %d %s", a.status, a.body)
	}
}

// TestConfirmLimit: a session that was found open is no way to guess its password.
func TestConfirmLimit(t *testing.T) {
	t.Parallel()
	f := limited(t)
	f.register(email, password)
	raw := f.login(email, password)
	routes := []func(string) answer{
		func(p string) answer { return f.remove(raw, p) },
		func(p string) answer {
			return f.do("POST", "/v1/auth/password", fmt.Sprintf(`{"current_password":%q,"new_password":"x"}`, p), bearer(raw))
		},
		func(p string) answer {
			_, a := f.makeKey(raw, m{"name": "x", "scopes": []string{"jobs:read"}, "password": p})
			return a
		},
	}
	for i := range defaultRules().pair.Free + 1 {
		if a := routes[i%3](fmt.Sprint("guess ", i)); a.status != 403 || a.code() != "wrong_password" {
			t.Fatalf("guess %d: %d %s", i, a.status, a.body)
		}
	}
	for i, route := range routes {
		wantWait(t, fmt.Sprint("route ", i), route(password))
	}
}

// TestMailingLimit: one place makes few accounts and asks for few mails.
func TestMailingLimit(t *testing.T) {
	t.Parallel()
	f := limited(t)
	send := func(i int, address string) answer {
		from := "X-Forwarded-For: " + address
		user := fmt.Sprintf("user%d@example.org", i)
		switch i % 3 {
		case 0:
			return f.do("POST", "/v1/auth/register", fmt.Sprintf(`{"email":%q,"password":%q}`, user, password), from)
		case 1:
			return f.do("POST", "/v1/auth/reset/send", fmt.Sprintf(`{"email":%q}`, user), from)
		}
		return f.do("POST", "/v1/auth/verify/send", fmt.Sprintf(`{"email":%q}`, user), from)
	}
	for i := range defaultRules().mail.Free + 1 {
		if a := send(i, "192.0.2.1"); a.status != 202 {
			t.Fatalf("%d: %d %s", i, a.status, a.body)
		}
	}
	for i := range 3 {
		wantWait(t, fmt.Sprint("route ", i), send(i, "192.0.2.1"))
	}
	a := f.do("POST", "/v1/auth/pages/forgot", "email=x@example.org", "Content-Type: application/x-www-form-urlencoded", "X-Forwarded-For: 192.0.2.1")
	if a.status != 429 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "Too many attempts") {
		t.Errorf("the page: %d %s", a.status, a.body)
	}
	if a := send(99, "192.0.2.2"); a.status != 202 {
		t.Errorf("from elsewhere: %d %s", a.status, a.body)
	}
}

// TestBusyIsNoGuess: who was turned away before the password was looked at has not
// guessed.
func TestBusyIsNoGuess(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, d *Deps) {
		c.Hashes, c.HashWait, c.rules, d.Limits = 1, 20*time.Millisecond, longRules(), throttle.New()
	})
	if err := f.CreateUser(t.Context(), email, password, "user"); err != nil {
		t.Fatal(err)
	}
	f.hasher.slots <- struct{}{}
	for range 3 * (defaultRules().pair.Free + 1) {
		if a := f.try(email, password, "192.0.2.1"); a.status != 503 || a.code() != "busy" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	<-f.hasher.slots
	if a := f.try(email, password, "192.0.2.1"); a.status == 429 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPlaceOf(t *testing.T) {
	t.Parallel()
	for forwarded, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", " 192.0.2.1 ": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "2001:db8:0:0:ffff::1": "2001:db8::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "x": "", "192.0.2.1, 192.0.2.2": "", "192.0.2.1:80": "",
	} {
		if got := placeOf(accountapi.Origin{Forwarded: forwarded}); got != want {
			t.Errorf("%q: %q, want %q", forwarded, got, want)
		}
	}
}
