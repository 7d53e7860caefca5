package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
)

// published are the IDs of the keys in the set of a service, the oldest first.
func (f *fixture) published() (ids []string) {
	f.t.Helper()
	var set struct{ Keys []map[string]string }
	f.do("GET", "/.well-known/jwks.json", "").decode(f.t, &set)
	for _, key := range set.Keys {
		ids = append(ids, key["kid"])
	}
	return ids
}

// kid is the ID of the key that a service signs with.
func (f *fixture) kid() string {
	f.t.Helper()
	key, err := f.keys.signing(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return key.id
}

// kidOf returns the ID of the key in the header of a token.
func kidOf(t *testing.T, raw string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(b, &header); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

// reread has a service look at the database again, as it does every half minute.
func (f *fixture) reread() { f.keys.ring.Store(nil) }

// TestKeyRotation: a new key is published before it signs; tokens of the old one are
// good until they expire, and no longer. All processes agree.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var passed time.Duration
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(passed)
	}
	f := serve(t, func(c *Config, _ *Deps) { c.now = now })
	other := serveOn(t, f, func(c *Config, _ *Deps) { c.now = now })
	later := func(d time.Duration) {
		mu.Lock()
		passed += d
		mu.Unlock()
		// The database's clock goes on too.
		if _, err := f.db.ExecContext(t.Context(), "UPDATE signing_keys SET signs_at = signs_at - ?", d.Microseconds()); err != nil {
			t.Fatal(err)
		}
		f.reread()
		other.reread()
	}
	f.register(email, password)
	first := f.kid()
	before := f.login(email, password)

	second, begins, err := f.RotateKey(t.Context(), false)
	if err != nil || begins != KeyNotice || second == first {
		t.Fatalf("%s after %s in %v, %v", second, first, begins, err)
	}
	other.reread()
	for _, g := range []*fixture{f, other} {
		if got := fmt.Sprint(g.published()); got != fmt.Sprint([]string{first, second}) || g.kid() != first {
			t.Errorf("published are %s, and %s signs", got, g.kid())
		}
	}
	later(KeyNotice - time.Minute)
	last := other.login(email, password)
	if other.kid() != first {
		t.Error("the new key signs too early")
	}
	later(2 * time.Minute)
	after := other.login(email, password)
	if f.kid() != second || other.kid() != second {
		t.Error("the new key does not sign")
	}
	for raw, want := range map[string]string{before: first, last: first, after: second} {
		if got := kidOf(t, raw); got != want {
			t.Errorf("signed with %s, want %s", got, want)
		}
	}
	for _, id := range []string{first, second} {
		if _, err := f.keys.find(t.Context(), id); err != nil {
			t.Errorf("the key %s: %v", id, err)
		}
	}
	if len(f.published()) != 2 {
		t.Error("the old key is not published while its tokens are good")
	}
	later(15*time.Minute + keyGrace)
	if got := fmt.Sprint(f.published()); got != fmt.Sprint([]string{second}) {
		t.Errorf("published are %s", got)
	}
	if _, err := f.keys.find(t.Context(), first); err == nil {
		t.Error("the old key verifies")
	}
	later(keyKept)
	if _, _, err := f.RotateKey(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	rows, err := f.store.SigningKeys(t.Context())
	if err != nil || len(rows) != 2 || rows[0].ID != second {
		t.Errorf("%d keys are kept, %v", len(rows), err)
	}
}

// TestKeyRevoked: the tokens of a key that was revoked are refused by whoever has looked
// again, here and elsewhere.
func TestKeyRevoked(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	raw, v := f.login(email, password), f.verifier(t)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	id, begins, err := f.RotateKey(t.Context(), true)
	if err != nil || begins != 0 || f.kid() != id || fmt.Sprint(f.published()) != fmt.Sprint([]string{id}) {
		t.Fatalf("%v %v, published are %v", begins, err, f.published())
	}
	if a := f.do("GET", "/v1/auth/me", "", bearer(raw)); a.status != 401 || a.code() != "token_invalid" {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A token of the new key has others look at once.
	if _, err := f.verifier(t).Verify(t.Context(), f.login(email, password)); err != nil {
		t.Error(err)
	}
	if _, err := f.verifier(t).Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("elsewhere: %v", err)
	}
}

// TestFirstKeyAtOnce: many processes that start on an empty database agree on a key.
func TestFirstKeyAtOnce(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	var wg sync.WaitGroup
	kids := make([]string, 8)
	for i := range kids {
		g := serveOn(t, f, nil)
		wg.Go(func() {
			if err := g.Prepare(t.Context()); err != nil {
				t.Error(err)
				return
			}
			kids[i] = g.kid()
		})
	}
	wg.Wait()
	for _, kid := range kids {
		if kid != kids[0] || kid == "" {
			t.Errorf("%q and %q", kid, kids[0])
		}
	}
}

// TestSecretsChange: with a new secret above the old one all goes on; without the old
// one, nothing that it sealed can be used, and a start says so.
func TestSecretsChange(t *testing.T) {
	t.Parallel()
	old, line := NewSecret(), NewSecret()
	f := serve(t, func(c *Config, _ *Deps) { c.Secrets = secrets(t, old) })
	f.register(email, password)
	raw := f.login(email, password)
	with := func(lines ...string) *fixture {
		return serveOn(t, f, func(c *Config, _ *Deps) { c.Secrets = secrets(t, lines...) })
	}
	both := with(line, old)
	if a := both.do("GET", "/v1/auth/me", "", bearer(raw)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := with(line).Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "sealed with another key") {
		t.Errorf("without the old secret: %v", err)
	}
	if _, _, err := both.RotateKey(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	alone := with(line)
	if err := alone.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	alone.login(email, password)
	if !strings.Contains(alone.log.String(), "a signing key cannot be used") {
		t.Error("nothing is said of the key that cannot be opened")
	}
}

// TestKeysOutlast: a service that knows its keys needs no database to verify, and tries
// again for a new key.
func TestKeysOutlast(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	raw := f.login(email, password)
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	r := *f.keys.ring.Load()
	r.old = time.Now().Add(-time.Second) // half a minute later
	f.keys.ring.Store(&r)
	if a := f.do("POST", "/validate", "", bearer(raw)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !strings.Contains(f.log.String(), "the signing keys cannot be read") {
		t.Error("the log does not say so")
	}
	// One that never had them says that nobody can tell.
	f.keys.ring.Store(nil)
	for _, a := range []answer{
		f.do("POST", "/validate", "", bearer(raw)), f.do("GET", "/.well-known/jwks.json", ""),
	} {
		if a.status != 503 || a.code() != "unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestForeignKeyInTheDatabase: who can write to the database, and does not know the
// secret, makes no key of his own that is taken.
func TestForeignKeyInTheDatabase(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	first := f.kid()
	stranger := &keyring{store: f.store, secrets: secrets(t), now: time.Now}
	if err := stranger.add(t.Context(), 2, -time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	rows, err := f.store.SigningKeys(t.Context())
	if err != nil || len(rows) != 2 {
		t.Fatal(len(rows), err)
	}
	f.reread()
	if got := f.published(); len(got) != 1 || got[0] != first || f.kid() != first {
		t.Errorf("published are %v", got)
	}
	// Nor does one key pass for another.
	swapped := account.SigningKey{Number: 3, ID: rows[1].ID + "x", Sealed: rows[0].Sealed}
	if _, err := f.keys.open(swapped); err == nil {
		t.Error("a sealed key opens under another ID")
	}
}
