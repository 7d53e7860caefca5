package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

// hostile is a provider of OpenID Connect that lies as a test wants. Without a lie it
// does what a good one does: internal/e2e has one of somebody else's.
type hostile struct {
	t      *testing.T
	url    string
	key    *rsa.PrivateKey
	secret string // of the client

	mu       sync.Mutex
	down     bool
	asked    map[string]url.Values // what browsers came with, by the code that they get
	user     jwt.MapClaims         // what is said of who signs in
	metadata map[string]any        // what is said of the provider, beside the usual
	// lie changes the claims of an ID token, and may sign it too.
	lie func(claims jwt.MapClaims) string
	// answer stands for that of the token endpoint.
	answer http.HandlerFunc
	// info is said at the userinfo endpoint.
	info map[string]any
	got  []url.Values // what the token endpoint was asked
	said []string     // codes and tokens that were given out
}

// theKey signs for all providers: to make one takes long.
var theKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{
		t: t, key: theKey(), secret: "the client's secret " + rand.Text(), asked: map[string]url.Values{},
		user: jwt.MapClaims{"sub": "248289761001", "email": email, "email_verified": true},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		says := map[string]any{
			"issuer": h.url, "authorization_endpoint": h.url + "/authorize", "token_endpoint": h.url + "/token", "jwks_uri": h.url + "/keys",
			"userinfo_endpoint": h.url + "/userinfo", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		}
		maps.Copy(says, h.metadata)
		h.json(w, says)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		b64 := base64.RawURLEncoding.EncodeToString
		h.json(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": b64(h.key.N.Bytes()), "e": b64(big.NewInt(int64(h.key.E)).Bytes()),
		}, map[string]any{"kty": "oct", "kid": "1", "k": b64([]byte(h.secret))}}}) // with which it may sign, if it is let
	})
	mux.HandleFunc("POST /token", h.token)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) { h.json(w, h.info) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// set changes the provider.
func (h *hostile) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func (h *hostile) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		h.t.Error(err)
	}
}

// token answers a code, which is good for as often as one likes: that it is used once is
// not the provider's alone to see to.
func (h *hostile) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.t.Error(err)
	}
	h.got = append(h.got, r.PostForm)
	if h.answer != nil {
		h.answer(w, r)
		return
	}
	asked := h.asked[r.PostForm.Get("code")]
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret)
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if asked == nil || id != "mp3lathe" || secret != h.secret || r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"%s is no good"}`, r.PostForm.Get("code"))
		return
	}
	claims := jwt.MapClaims{"iss": h.url, "aud": "mp3lathe", "nonce": asked.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, h.user)
	raw := ""
	if h.lie != nil {
		raw = h.lie(claims)
	}
	if raw == "" {
		raw = h.sign(jwt.SigningMethodRS256, h.key, claims)
	}
	access := rand.Text()
	h.said = append(h.said, raw, access)
	h.json(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": raw})
}

func (h *hostile) sign(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = "1"
	raw, err := token.SignedString(key)
	if err != nil {
		h.t.Error(err)
	}
	return raw
}

// with makes a service that knows providers as "one", "two" and so on.
func with(t *testing.T, change func(*Config, *Deps), providers ...*hostile) *fixture {
	t.Helper()
	return serve(t, func(c *Config, d *Deps) {
		for i, h := range providers {
			c.Providers = append(c.Providers, Provider{
				Name: []string{"one", "two"}[i], Label: "Provider " + fmt.Sprint(i+1), Issuer: h.url, ClientID: "mp3lathe", ClientSecret: h.secret,
			})
		}
		if change != nil {
			change(c, d)
		}
	})
}

// browser is one with cookies, which does not follow redirects.
type browser struct {
	f       *fixture
	cookies map[string]string
}

func (f *fixture) browser() *browser { return &browser{f, map[string]string{}} }

// get fetches a page as a navigation does.
func (b *browser) get(path string, headers ...string) answer {
	b.f.t.Helper()
	return b.do("GET", path, "", append([]string{"Accept: text/html,*/*;q=0.8"}, headers...)...)
}

func (b *browser) do(method, path, body string, headers ...string) answer {
	b.f.t.Helper()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		all = append(all, name+"="+b.cookies[name])
	}
	a := b.f.do(method, path, body, append(headers, "Cookie: "+strings.Join(all, "; "))...)
	for name, c := range a.cookies() {
		b.cookies[name] = c.Value
	}
	return a
}

// visit goes where an answer sends the browser, to a provider, and returns the way back:
// a path with a code.
func (h *hostile) visit(location string) string {
	h.t.Helper()
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, h.url+"/authorize?") {
		h.t.Fatalf("the browser is sent to %q, %v", location, err)
	}
	q, code := u.Query(), rand.Text()
	h.set(func() {
		h.asked[code] = q
		h.said = append(h.said, code)
	})
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		h.t.Fatal(err)
	}
	return back.Path + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "session_state": {"of the provider's"}}.Encode()
}

// signIn goes all the way, with a provider, and returns the last answer.
func (b *browser) signIn(h *hostile, query string) answer {
	b.f.t.Helper()
	a := b.get(accountapi.OIDCPath + "/one/start?" + query)
	if a.status != http.StatusSeeOther {
		b.f.t.Fatalf("start: %d %s", a.status, a.body)
	}
	return b.get(h.visit(a.header.Get("Location")))
}

// access is the access token of who is signed in in a browser.
func (b *browser) access() string {
	b.f.t.Helper()
	raw := b.cookies[accountapi.AccessCookie]
	if raw == "" {
		b.f.t.Fatal("nobody is signed in")
	}
	return raw
}

// me is whose an access token is.
func (f *fixture) me(raw string) (me accountapi.Me) {
	f.t.Helper()
	a := f.do("GET", "/v1/auth/me", "", bearer(raw))
	if a.status != 200 {
		f.t.Fatalf("me: %d %s", a.status, a.body)
	}
	a.decode(f.t, &me)
	return me
}

// says reports whether a page tells a problem of a code.
func (a answer) says(status int, code string) bool {
	return a.status == status && strings.Contains(a.body, "Code: "+code+".") && strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
}

// count counts rows.
func (f *fixture) count(table string) (n int) {
	f.t.Helper()
	if err := f.db.QueryRowContext(f.t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// verified makes an account with a password whose address is verified.
func (f *fixture) verified(email, role string) account.Account {
	f.t.Helper()
	if err := f.CreateUser(f.t.Context(), email, password, role); err != nil {
		f.t.Fatal(err)
	}
	a, err := f.store.ByEmail(f.t.Context(), email)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}
