package token

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer is an auth service: it signs, and it serves its key set.
type issuer struct {
	*httptest.Server

	mu      sync.Mutex
	keys    map[string]ed25519.PrivateKey
	down    bool
	body    string        // served instead of the set if not empty
	hold    chan struct{} // if not nil, answers wait until it is closed
	fetches int
}

func newIssuer(t testing.TB, kids ...string) *issuer {
	t.Helper()
	is := &issuer{keys: map[string]ed25519.PrivateKey{}}
	is.Server = httptest.NewServer(is)
	t.Cleanup(is.Close)
	is.rotate(t, kids...)
	return is
}

// rotate replaces the keys.
func (is *issuer) rotate(t testing.TB, kids ...string) {
	t.Helper()
	fresh := map[string]ed25519.PrivateKey{}
	for _, kid := range kids {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		fresh[kid] = private
	}
	is.set(func() { is.keys = fresh })
}

func (is *issuer) set(f func()) {
	is.mu.Lock()
	defer is.mu.Unlock()
	f()
}

func (is *issuer) count() int {
	is.mu.Lock()
	defer is.mu.Unlock()
	return is.fetches
}

func (is *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	is.fetches++
	hold, down, body, keys := is.hold, is.down, is.body, maps.Clone(is.keys)
	is.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case body != "":
		_, _ = io.WriteString(w, body)
	default:
		set := map[string]any{"keys": []any{}}
		for _, kid := range slices.Sorted(maps.Keys(keys)) {
			set["keys"] = append(set["keys"].([]any), publicJWK(kid, keys[kid].Public().(ed25519.PublicKey)))
		}
		_ = json.NewEncoder(w).Encode(set)
	}
}

func publicJWK(kid string, key ed25519.PublicKey) map[string]string {
	return map[string]string{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid,
		"x": base64.RawURLEncoding.EncodeToString(key),
	}
}

// good returns claims that pass.
func good() jwt.MapClaims {
	now := time.Now().Unix()
	return jwt.MapClaims{
		"iss": "mp3lathe", "aud": "mp3lathe", "sub": "user-1", "email": "ada@example.org", "roles": []string{"user"},
		"email_verified": true, "scope": "jobs:read account", "sid": "session-1", "jti": "token-1", "iat": now, "nbf": now, "exp": now + 900,
	}
}

// with returns good claims with changes; nil removes.
func with(changes jwt.MapClaims) jwt.MapClaims {
	c := good()
	for name, value := range changes {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(t testing.TB, method jwt.SigningMethod, key any, header map[string]any, claims jwt.Claims) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, claims)
	tok.Header["typ"] = "at+jwt"
	maps.Copy(tok.Header, header)
	raw, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sign signs with a key of the issuer.
func (is *issuer) sign(t testing.TB, kid string, claims jwt.Claims) string {
	t.Helper()
	is.mu.Lock()
	key := is.keys[kid]
	is.mu.Unlock()
	return sign(t, jwt.SigningMethodEdDSA, key, map[string]any{"kid": kid}, claims)
}

// verifier returns one for the issuer, with changes to its settings.
func (is *issuer) verifier(t testing.TB, change func(*Config)) *Verifier {
	t.Helper()
	cfg := Config{JWKS: is.URL, Issuer: "mp3lathe", Audience: "mp3lathe"}
	if change != nil {
		change(&cfg)
	}
	v, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}
