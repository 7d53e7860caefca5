package token

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a", "b")
	v := is.verifier(t, nil)
	claims := good()
	for _, kid := range []string{"a", "b"} {
		got, err := v.Verify(t.Context(), is.sign(t, kid, claims))
		if err != nil {
			t.Fatal(err)
		}
		want := Claims{
			Subject: "user-1", Email: "ada@example.org", Verified: true, Roles: []string{"user"}, Scopes: []string{"jobs:read", "account"},
			Session: "session-1", ID: "token-1",
			Issued: time.Unix(claims["iat"].(int64), 0), Expires: time.Unix(claims["exp"].(int64), 0),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if !got.Is(RoleUser) || got.Is(RoleAdmin) || got.Is("") {
			t.Error("the roles are not those of the token")
		}
		if !got.May(ScopeAccount) || got.May(ScopeJobsWrite) || got.May("jobs") || got.May("") {
			t.Error("the scopes are not those of the token")
		}
	}
	for name, changes := range map[string]jwt.MapClaims{
		"audiences":                      {"aud": []string{"other", "mp3lathe"}},
		"no roles, no e-mail":            {"roles": nil, "email": nil},
		"no scope, no session":           {"scope": nil, "sid": nil, "email_verified": nil},
		"no iat, no nbf":                 {"iat": nil, "nbf": nil},
		"just expired, within leeway":    {"exp": time.Now().Add(-20 * time.Second).Unix()},
		"of a fast clock, just so":       {"iat": time.Now().Add(20 * time.Second).Unix(), "nbf": time.Now().Add(20 * time.Second).Unix()},
		"with claims that we don't know": {"nonce": 7},
	} {
		if _, err := v.Verify(t.Context(), is.sign(t, "a", with(changes))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a", "b")
	v := is.verifier(t, nil)
	private := is.keys["a"]
	public := private.Public().(ed25519.PublicKey)
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	kid := map[string]any{"kid": "a"}
	whole := is.sign(t, "a", good())
	parts := strings.Split(whole, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ed := jwt.SigningMethodEdDSA

	for name, raw := range map[string]string{
		"alg none":                   sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, good()),
		"alg None":                   segment(`{"alg":"None","kid":"a","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"alg none, signature kept":   segment(`{"alg":"none","kid":"a","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"no alg":                     segment(`{"kid":"a","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"alg is a number":            segment(`{"kid":"a","alg":1,"typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"HS256 with the public key":  sign(t, jwt.SigningMethodHS256, []byte(public), kid, good()),
		"HS256 with its base64":      sign(t, jwt.SigningMethodHS256, []byte(base64.RawURLEncoding.EncodeToString(public)), kid, good()),
		"HS512 with the public key":  sign(t, jwt.SigningMethodHS512, []byte(public), kid, good()),
		"RS256":                      sign(t, jwt.SigningMethodRS256, rsaKey, kid, good()),
		"PS256":                      sign(t, jwt.SigningMethodPS256, rsaKey, kid, good()),
		"RS256 claimed":              segment(`{"alg":"RS256","kid":"a","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"another's key":              sign(t, ed, foreign, kid, good()),
		"another key of the set":     sign(t, ed, private, map[string]any{"kid": "b"}, good()),
		"unknown kid":                sign(t, ed, private, map[string]any{"kid": "nobody"}, good()),
		"no kid":                     sign(t, ed, private, nil, good()),
		"empty kid":                  sign(t, ed, private, map[string]any{"kid": ""}, good()),
		"kid is a number":            sign(t, ed, private, map[string]any{"kid": 1}, good()),
		"kid is a list":              sign(t, ed, private, map[string]any{"kid": []string{"a"}}, good()),
		"brings its own key":         sign(t, ed, foreign, map[string]any{"jwk": publicJWK("x", foreign.Public().(ed25519.PublicKey))}, good()),
		"says where to find its key": sign(t, ed, foreign, map[string]any{"kid": "x", "jku": "http://127.0.0.1:1/"}, good()),
		"another type":               sign(t, ed, private, map[string]any{"kid": "a", "typ": "JWT"}, good()),
		"an identity":                sign(t, ed, private, map[string]any{"kid": "a", "typ": "id_token+jwt"}, good()),
		"type is a number":           sign(t, ed, private, map[string]any{"kid": "a", "typ": 1}, good()),
		"no type":                    signRaw(private, segment(`{"alg":"EdDSA","kid":"a"}`), string(payload)),
		"critical extensions":        sign(t, ed, private, map[string]any{"kid": "a", "crit": []string{"exp"}}, good()),
		"wrong audience":             is.sign(t, "a", with(jwt.MapClaims{"aud": "mp3lathe-admin"})),
		"no audience":                is.sign(t, "a", with(jwt.MapClaims{"aud": nil})),
		"empty audiences":            is.sign(t, "a", with(jwt.MapClaims{"aud": []string{}})),
		"audience is a number":       is.sign(t, "a", with(jwt.MapClaims{"aud": 1})),
		"wrong issuer":               is.sign(t, "a", with(jwt.MapClaims{"iss": "somebody"})),
		"issuer in capitals":         is.sign(t, "a", with(jwt.MapClaims{"iss": "MP3LATHE"})),
		"no issuer":                  is.sign(t, "a", with(jwt.MapClaims{"iss": nil})),
		"no exp":                     is.sign(t, "a", with(jwt.MapClaims{"exp": nil})),
		"exp is text":                is.sign(t, "a", with(jwt.MapClaims{"exp": "tomorrow"})),
		"nbf in the future":          is.sign(t, "a", with(jwt.MapClaims{"nbf": now.Add(2 * time.Minute).Unix()})),
		"iat in the future":          is.sign(t, "a", with(jwt.MapClaims{"iat": now.Add(2 * time.Minute).Unix()})),
		"no subject":                 is.sign(t, "a", with(jwt.MapClaims{"sub": nil})),
		"scopes are a list":          is.sign(t, "a", with(jwt.MapClaims{"scope": []string{"admin"}})),
		"roles are text":             is.sign(t, "a", with(jwt.MapClaims{"roles": "admin"})),
		"expired, wrong audience":    is.sign(t, "a", with(jwt.MapClaims{"exp": now.Add(-time.Hour).Unix(), "aud": "x"})),
		"payload of another token":   parts[0] + "." + strings.Split(is.sign(t, "a", with(jwt.MapClaims{"roles": []string{"admin"}})), ".")[1] + "." + parts[2],
		"no signature":               parts[0] + "." + parts[1] + ".",
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 whole + ".x",
		"five parts":                 "a.b.c.d.e",
		"payload null":               signRaw(private, parts[0], "null"),
		"payload a list":             signRaw(private, parts[0], "[]"),
		"payload no JSON":            signRaw(private, parts[0], "{"),
		"header null":                segment("null") + "." + parts[1] + "." + parts[2],
		"empty":                      "",
		"dots":                       "..",
		"spaces around":              " " + whole + " ",
		"a line end in it":           parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:],
		"padded":                     whole + "==",
		"too long":                   is.sign(t, "a", with(jwt.MapClaims{"x": strings.Repeat("x", 9000)})),
		"not ASCII":                  "ü." + parts[1] + "." + parts[2],
	} {
		c, err := v.Verify(t.Context(), raw)
		if !errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
		if err != nil && len(raw) > 20 && strings.Contains(err.Error(), raw[len(raw)-20:]) {
			t.Errorf("%s: the error holds the token: %v", name, err)
		}
	}

	// The algorithm is refused before any key is looked at.
	for method, key := range map[jwt.SigningMethod]any{
		jwt.SigningMethodNone: jwt.UnsafeAllowNoneSignatureType, jwt.SigningMethodHS256: []byte(public), jwt.SigningMethodRS256: rsaKey,
	} {
		_, err := v.Verify(t.Context(), sign(t, method, key, kid, good()))
		if !errors.Is(err, jwt.ErrTokenSignatureInvalid) || !strings.Contains(err.Error(), "signing method") {
			t.Errorf("%s: %v", method.Alg(), err)
		}
	}

	_, err = v.Verify(t.Context(), is.sign(t, "a", with(jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()})))
	if !errors.Is(err, ErrExpired) || !errors.Is(err, ErrInvalid) {
		t.Errorf("expired: %v", err)
	}
	expiredForeign := sign(t, ed, foreign, kid, with(jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}))
	if _, err := v.Verify(t.Context(), expiredForeign); errors.Is(err, ErrExpired) {
		t.Errorf("an expired token of a stranger: %v", err)
	}
}

// TestNoLeeway: with a clock of the test's own, a token ends to the second.
func TestNoLeeway(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	end := time.Now().Truncate(time.Second).Add(time.Hour)
	raw := is.sign(t, "a", with(jwt.MapClaims{"exp": end.Unix()}))
	for _, c := range []struct {
		now time.Time
		ok  bool
	}{{end.Add(-time.Second), true}, {end, false}, {end.Add(time.Second), false}} {
		v := is.verifier(t, func(cfg *Config) {
			cfg.Leeway = -1
			cfg.now = func() time.Time { return c.now }
		})
		if _, err := v.Verify(t.Context(), raw); (err == nil) != c.ok {
			t.Errorf("%v to the end: %v", end.Sub(c.now), err)
		}
	}
}

// TestTampered: a token with any other character, anywhere, is refused.
func TestTampered(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	v := is.verifier(t, nil)
	raw := is.sign(t, "a", good())
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, len(raw)-1).Draw(rt, "place")
		c := rapid.SampledFrom([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=\n ")).Draw(rt, "character")
		if raw[i] == c {
			return
		}
		b := []byte(raw)
		b[i] = c
		if _, err := v.Verify(t.Context(), string(b)); !errors.Is(err, ErrInvalid) {
			rt.Fatalf("character %d changed from %q to %q: %v", i, raw[i], c, err)
		}
	})
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER   abc ": "abc",
		"": "", "Bearer": "", "Bearer ": "", "Basic abc": "", "abc": "", "Bearerabc": "", "Bearer\tabc": "",
	} {
		if got, ok := Bearer(header); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", header, got, ok)
		}
	}
}

func TestIsKey(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"mp3k_ABCDEFGH_ABC234": true, "mp3k_A_B": true,
		"": false, "mp3k_": false, "mp3k__": false, "mp3k_A_": false, "mp3k__A": false, "mp3k_A": false, "MP3K_A_B": false, "mp3k_A_b": false, "mp3k_A_B_C": false,
		"mp3k_A_B\n": false, "mp3r_A_B": false, "mp3k_A_" + strings.Repeat("B", 100): false, "eyJ.mp3k_A_B": false,
	} {
		if got := IsKey(raw); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"nothing":       {},
		"no keys":       {Issuer: "i", Audience: "a"},
		"no issuer":     {JWKS: "http://x/", Audience: "a"},
		"no audience":   {JWKS: "http://x/", Issuer: "i"},
		"a file":        {JWKS: "file:///x", Issuer: "i", Audience: "a"},
		"no host":       {JWKS: "http:///x", Issuer: "i", Audience: "a"},
		"two ways":      {JWKS: "http://x/", Find: func(context.Context, string) (ed25519.PublicKey, error) { return nil, nil }, Issuer: "i", Audience: "a"},
		"below zero":    {JWKS: "http://x/", Issuer: "i", Audience: "a", Refresh: -1},
		"no URL at all": {JWKS: "http://x y/", Issuer: "i", Audience: "a"},
	} {
		if v, err := New(t.Context(), cfg); err == nil {
			v.Close()
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	is := newIssuer(f, "a")
	private := is.keys["a"]
	v, err := New(f.Context(), Config{
		Find: func(_ context.Context, kid string) (ed25519.PublicKey, error) {
			if kid != "a" {
				return nil, errors.New("unknown")
			}
			return private.Public().(ed25519.PublicKey), nil
		},
		Issuer: "mp3lathe", Audience: "mp3lathe",
	})
	if err != nil {
		f.Fatal(err)
	}
	raw := is.sign(f, "a", good())
	header, rest, _ := strings.Cut(raw, ".")
	body, signature, _ := strings.Cut(rest, ".")
	f.Add(header, body, signature)
	f.Add(segment(`{"alg":"none","kid":"a","typ":"at+jwt"}`), body, "")
	f.Add(segment(`{"alg":"EdDSA","kid":"a","typ":"at+jwt"}`), segment("null"), "")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, header, body, signature string) {
		raw := header + "." + body + "." + signature
		if _, err := v.Verify(t.Context(), raw); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
		Bearer(raw)
		// What the issuer itself would sign, whatever it is, must not harm either.
		if _, err := v.Verify(t.Context(), signRaw(private, segment(`{"alg":"EdDSA","kid":"a","typ":"at+jwt"}`), body)); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	is := newIssuer(b, "a")
	v := is.verifier(b, nil)
	raw := is.sign(b, "a", good())
	ctx := b.Context()
	if _, err := v.Verify(ctx, raw); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, raw); err != nil {
			b.Fatal(err)
		}
	}
}

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signRaw signs a payload that need not be JSON.
func signRaw(key ed25519.PrivateKey, header, body string) string {
	signed := header + "." + segment(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}
