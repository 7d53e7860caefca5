package e2e

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// visitor is a browser of somebody: it keeps cookies, and follows no redirect.
type visitor struct {
	t       *testing.T
	base    string
	cookies map[string]string
}

// do makes a request of a page of the service's own, or a navigation.
func (v *visitor) do(method, address, body string) (*http.Response, string) {
	v.t.Helper()
	if !strings.HasPrefix(address, v.base) {
		address = v.base + address
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, address, strings.NewReader(body))
	must(v.t, err)
	site := "cross-site" // as for what a provider causes
	if !strings.Contains(address, "/callback?") {
		site = "same-origin"
	}
	req.Header.Set("Sec-Fetch-Site", site)
	req.Header.Set("Accept", "text/html")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range v.cookies {
		if site == "cross-site" && strings.HasPrefix(name, "__Secure-") {
			continue // of a path of its own
		}
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	must(v.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(v.t, err)
	for _, c := range resp.Cookies() {
		v.cookies[c.Name] = c.Value
	}
	return resp, string(b)
}

// TestSignIn: users sign in through a gateway and auth with somebody else's provider, in
// a browser and for a program, and link what they have there to what they have here.
func TestSignIn(t *testing.T) {
	t.Parallel()
	front := freeAddress(t)
	base := "http://" + front
	ada := testserver.OIDCUser{Name: "ada", Password: "ada's password there", Email: "ada@example.org", Verified: true}
	eve := testserver.OIDCUser{Name: "eve", Password: "eve's password there", Email: "ada@example.org"} // who says so
	grace := testserver.OIDCUser{Name: "grace", Password: "grace's password there", Email: "grace@elsewhere.example"}
	provider, err := testserver.OIDC(within(t, time.Minute), map[string]testserver.OIDCUser{"1": ada, "2": eve, "3": grace}, base+"/v1/auth/oidc/somebody/callback")
	must(t, err)
	t.Cleanup(func() { must(t, provider.Stop()) })
	dir := t.TempDir()
	settings, err := json.Marshal([]map[string]string{{
		"name": "somebody", "label": "Somebody else", "issuer": provider.Issuer, "client_id": provider.ClientID, "client_secret_file": newFile(t, dir, "secret", provider.ClientSecret+"\n"),
	}})
	must(t, err)
	l := newLean(t, "--public-url", base, "--oidc-file", newFile(t, dir, "oidc.json", string(settings)))
	gateway := l.gateway(front)

	browser := func() *visitor { return &visitor{t, base, map[string]string{}} }
	signIn := func(v *visitor, u testserver.OIDCUser, query string) (*http.Response, string) {
		t.Helper()
		resp, body := v.do("GET", "/v1/auth/oidc/somebody/start?"+query, "")
		if resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		back, err := provider.Login(t.Context(), resp.Header.Get("Location"), u)
		must(t, err)
		return v.do("GET", back, "")
	}
	me := func(v *visitor) (me struct {
		ID, Email   string
		Verified    bool `json:"email_verified"`
		HasPassword bool `json:"has_password"`
	}) {
		t.Helper()
		resp, body := v.do("GET", "/v1/auth/me", "")
		if err := json.Unmarshal([]byte(body), &me); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return me
	}

	v := browser()
	if resp, body := signIn(v, ada, "return_to=/v1/jobs"); resp.StatusCode != 200 || resp.Header.Get("Refresh") != "0; url=/v1/jobs" {
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	first := me(v)
	if first.Email != ada.Email || !first.Verified || first.HasPassword {
		t.Errorf("%+v", first)
	}
	if resp, body := v.do("GET", "/v1/jobs", ""); resp.StatusCode != 200 {
		t.Errorf("jobs: %d %s", resp.StatusCode, body)
	}
	again := browser()
	if signIn(again, ada, ""); me(again).ID != first.ID {
		t.Errorf("ada is two: %+v, %+v", me(again), first)
	}
	// Somebody with an address that is not his own.
	other := browser()
	if resp, body := signIn(other, eve, ""); resp.StatusCode != 403 || !strings.Contains(body, "address_not_vouched") || len(other.cookies) != 1 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// A sign-in that the provider asks for again does for a password: the first one is set.
	if resp, body := v.do("POST", "/v1/auth/password", `{"new_password":"`+password+`"}`); resp.StatusCode != 403 || !strings.Contains(body, "reauthentication_required") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := signIn(v, ada, "fresh=true"); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, body := v.do("POST", "/v1/auth/password", `{"new_password":"`+password+`"}`); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	c := &client.Client{Base: base}
	must(t, c.Login(t.Context(), ada.Email, password))
	// She links another identity, whose address is not verified and does not matter.
	signIn(v, ada, "")
	resp, body := v.do("POST", "/v1/auth/oidc/somebody/link", fmt.Sprintf(`{"password":%q}`, password))
	var to struct{ Location string }
	if err := json.Unmarshal([]byte(body), &to); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	back, err := provider.Login(t.Context(), to.Location, grace)
	must(t, err)
	if resp, body := v.do("GET", back, ""); resp.StatusCode != 200 || !strings.Contains(body, "Linked") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	linked := browser()
	if signIn(linked, grace, ""); me(linked).ID != first.ID {
		t.Errorf("%+v", me(linked))
	}
	// The same code and state once more, in the same browser.
	if resp, body := v.do("GET", back, ""); resp.StatusCode != 403 || !strings.Contains(body, "sign_in_over") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	// A program gets a session of its own.
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // of RFC 7636, appendix B
	_, body = signIn(browser(), ada, url.Values{
		"redirect_uri": {"http://127.0.0.1:1/back"}, "state": {"mine"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}.Encode())
	_, rest, _ := strings.Cut(html.UnescapeString(body), `href="http://127.0.0.1:1/back?`)
	query, _, _ := strings.Cut(rest, `"`)
	q, err := url.ParseQuery(query)
	if err != nil || q.Get("state") != "mine" {
		t.Fatalf("%s, %v", body, err)
	}
	tokens, err := c.Redeem(t.Context(), q.Get("code"), verifier)
	must(t, err)
	c.Token = tokens.Access
	if who, err := c.Me(t.Context()); err != nil || who.ID != first.ID {
		t.Errorf("%+v, %v", who, err)
	}
	for _, s := range []*service{gateway, l.auth} {
		for _, secret := range append([]string{provider.ClientSecret, q.Get("code"), tokens.Access, tokens.Refresh, verifier, back[strings.Index(back, "?")+1:]}, values(v.cookies)...) {
			if strings.Contains(s.out.String(), secret) {
				t.Errorf("%q is in the log of %s", secret, s.name)
			}
		}
	}
	if text := l.auth.out.String(); !strings.Contains(text, "/v1/auth/oidc/{provider}/callback") {
		t.Errorf("the log of auth tells nothing: %s", text)
	}
}

func values(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}
