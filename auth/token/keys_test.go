package token

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

// TestRotation: a new key is fetched with the first token that names it, and a key
// that was taken away is forgotten.
func TestRotation(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "old")
	v := is.verifier(t, func(c *Config) { c.Gap = time.Nanosecond })
	old := is.sign(t, "old", good())
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	is.rotate(t, "new")
	if _, err := v.Verify(t.Context(), is.sign(t, "new", good())); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), old); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token of the key that was taken away: %v", err)
	}
}

// TestRefresh: keys come and go without any token.
func TestRefresh(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "old")
	v := is.verifier(t, func(c *Config) { c.Refresh = 10 * time.Millisecond; c.Gap = time.Hour })
	old := is.sign(t, "old", good())
	if _, err := v.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	is.rotate(t, "new")
	eventually(t, "the old key is forgotten", func() bool {
		_, err := v.Verify(t.Context(), old)
		return errors.Is(err, ErrInvalid)
	})
	if _, err := v.Verify(t.Context(), is.sign(t, "new", good())); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
}

// TestLateAuth: before auth is up nobody can tell, and afterwards everybody can.
func TestLateAuth(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	is.set(func() { is.down = true })
	v := is.verifier(t, func(c *Config) { c.Gap = time.Hour })
	raw := is.sign(t, "a", good())
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInvalid) {
		t.Fatalf("with auth down: %v", err)
	}
	is.set(func() { is.down = false })
	eventually(t, "the token is good", func() bool {
		_, err := v.Verify(t.Context(), raw)
		return err == nil
	})
}

// TestReady: without keys nobody can be served; once they have been there auth may
// be away.
func TestReady(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	is.set(func() { is.down = true })
	v := is.verifier(t, func(*Config) {})
	if err := v.Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without keys: %v", err)
	}
	is.set(func() { is.down = false })
	eventually(t, "it is ready", func() bool { return v.Ready(t.Context()) == nil })
	is.set(func() { is.down = true })
	if err := v.Ready(t.Context()); err != nil {
		t.Errorf("with auth away: %v", err)
	}
}

// TestAuthGoesDown: what is known stays good, and what is not known cannot be told.
func TestAuthGoesDown(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"down": "", "an empty set": `{"keys":[]}`, "null": "null", "no JSON": "<html>", "endless": `{"keys":[` + strings.Repeat(" ", maxSet) + `]}`,
	} {
		is := newIssuer(t, "a")
		v := is.verifier(t, func(c *Config) { c.Gap = time.Nanosecond; c.Refresh = 5 * time.Millisecond })
		raw := is.sign(t, "a", good())
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
		before := is.count()
		is.set(func() { is.down, is.body = body == "", body })
		eventually(t, "fetches after it went down", func() bool { return is.count() > before+2 })
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Errorf("%s: a good token: %v", name, err)
		}
		is.rotate(t, "b")
		if _, err := v.Verify(t.Context(), is.sign(t, "b", good())); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: a token of an unknown key: %v", name, err)
		}
		v.Close()
		is.Close()
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Errorf("%s: a good token after Close: %v", name, err)
		}
	}
}

// TestFlood: tokens with unknown keys cause few fetches, and once one was made they
// do not wait.
func TestFlood(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	v := is.verifier(t, func(c *Config) { c.Gap = time.Hour })
	raw := is.sign(t, "a", good())
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	began := time.Now()
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				unknown := sign(t, jwt.SigningMethodEdDSA, is.keys["a"], map[string]any{"kid": string(rune('b'+i)) + string(rune('0'+j))}, good())
				if _, err := v.Verify(t.Context(), unknown); !errors.Is(err, ErrInvalid) {
					t.Errorf("an unknown key: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("400 refusals took %v", took)
	}
	if n := is.count(); n != 1 { // the one at the start
		t.Errorf("%d fetches", n)
	}
}

// TestSlowAuth: nobody waits long for an auth that does not answer, and those with
// good tokens do not wait at all.
func TestSlowAuth(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	v := is.verifier(t, func(c *Config) { c.Gap = time.Nanosecond; c.Wait = 50 * time.Millisecond })
	raw := is.sign(t, "a", good())
	eventually(t, "the keys are there", func() bool { _, err := v.Verify(t.Context(), raw); return err == nil })
	hold := make(chan struct{})
	defer close(hold)
	is.set(func() { is.hold = hold })
	is.rotate(t, "b")
	unknown := is.sign(t, "b", good())
	began := time.Now()
	if _, err := v.Verify(t.Context(), unknown); !errors.Is(err, ErrUnavailable) {
		t.Errorf("an unknown key: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it waited for %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, unknown); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with a context that is done: %v", err)
	}
	if _, err := v.Verify(ctx, raw); err != nil {
		t.Errorf("a good token: %v", err)
	}
}

// TestFind: whoever has the keys needs no server, and a key that is gone is not
// remembered.
func TestFind(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a", "b")
	known := map[string]ed25519.PublicKey{"a": is.keys["a"].Public().(ed25519.PublicKey)}
	v, err := New(t.Context(), Config{Issuer: "mp3lathe", Audience: "mp3lathe", Find: func(_ context.Context, kid string) (ed25519.PublicKey, error) {
		if kid == "down" {
			return nil, fmt.Errorf("%w: the database is down", ErrUnavailable)
		}
		if key, ok := known[kid]; ok {
			return key, nil
		}
		return nil, errors.New("unknown")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	raw := is.sign(t, "a", good())
	for range 2 {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Error(err)
		}
	}
	if _, err := v.Verify(t.Context(), is.sign(t, "b", good())); !errors.Is(err, ErrInvalid) {
		t.Errorf("an unknown key: %v", err)
	}
	if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodEdDSA, is.keys["a"], map[string]any{"kid": "down"}, good())); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody can tell: %v", err)
	}
	clear(known)
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, ErrInvalid) {
		t.Errorf("a key that is gone: %v", err)
	}
	if is.count() != 0 {
		t.Error("a server was asked")
	}
}

// TestParseSet: of what may stand in a key set, only public Ed25519 keys for
// signatures count, and what cannot be read does not spoil the rest.
func TestParseSet(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	variant := func(changes map[string]string) map[string]string {
		jwk := publicJWK("good", public)
		for name, value := range changes {
			jwk[name] = value
		}
		return jwk
	}
	set := map[string]any{"keys": []any{
		7, nil, "text", map[string]string{},
		map[string]string{"kty": "oct", "k": segment("secret"), "kid": "oct"},
		map[string]string{"kty": "RSA", "n": segment("n"), "e": "AQAB", "kid": "rsa"},
		variant(map[string]string{"kid": "enc", "use": "enc"}),
		variant(map[string]string{"kid": "alg", "alg": "HS256"}),
		variant(map[string]string{"kid": "curve", "crv": "X25519"}),
		variant(map[string]string{"kid": "short", "x": segment("x")}),
		variant(map[string]string{"kid": ""}),
		variant(map[string]string{"kid": "plain", "use": "", "alg": ""}),
		variant(map[string]string{"kid": "private", "d": segment(string(private.Seed()))}),
		variant(nil),
	}}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseSet(b)
	if err != nil {
		t.Fatal(err)
	}
	for kid, key := range got {
		if !key.Equal(public) || kid != "good" && kid != "plain" && kid != "private" {
			t.Errorf("the set has %q", kid)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d keys", len(got))
	}
}

func FuzzParseSet(f *testing.F) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"keys": []any{publicJWK("a", public)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := parseSet(b)
		if (err == nil) != (len(set) > 0) {
			t.Fatalf("%d keys, %v", len(set), err)
		}
		for kid, key := range set {
			if kid == "" || len(key) != ed25519.PublicKeySize {
				t.Fatalf("the key %q has %d bytes", kid, len(key))
			}
		}
	})
}
