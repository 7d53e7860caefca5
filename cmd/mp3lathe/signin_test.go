package main

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// navigate is what a browser does: it returns the answer, without following redirects.
func navigate(t *testing.T, address string, cookies []*http.Cookie) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// TestLoginProvider: somebody logs in through the browser, with somebody else's provider.
func TestLoginProvider(t *testing.T) {
	file := home(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ada := testserver.OIDCUser{Name: "ada", Password: "there", Email: "ada@example.org", Verified: true}
	provider, err := testserver.OIDC(t.Context(), map[string]testserver.OIDCUser{"1": ada}, "http://"+address+"/v1/auth/oidc/somebody/callback")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := provider.Stop(); err != nil {
			t.Error(err)
		}
	})
	settings, err := json.Marshal([]map[string]string{{"name": "somebody", "issuer": provider.Issuer, "client_id": provider.ClientID, "client_secret": provider.ClientSecret}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "oidc.json")
	if err := os.WriteFile(path, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir(), "--listen", address, "--oidc-file", path)

	inProcess(t, "", "login", s.url, "--provider", "nobody").want(t, exitFailed, `does not know "nobody"; it knows somebody`)
	inProcess(t, "", "login", s.url, "--provider", "somebody", "--email", "ada@example.org").want(t, exitUsage, "--email is for a login with a password")
	inProcess(t, "", "login", s.url, "--email", "ada@example.org", "--fresh").want(t, exitUsage, "--fresh goes with --provider")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, errs := &testserver.Output{}, &testserver.Output{}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"login", s.url, "--provider", "somebody", "--fresh"}, strings.NewReader(""), out, errs)
	}()
	var start string
	for deadline := time.Now().Add(30 * time.Second); start == ""; time.Sleep(5 * time.Millisecond) {
		start = regexp.MustCompile(`http://\S+/v1/auth/oidc/somebody/start\?\S+`).FindString(errs.String())
		if time.Now().After(deadline) {
			t.Fatalf("it says %s%s", out, errs)
		}
	}
	resp, body := navigate(t, start, nil)
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	back, err := provider.Login(t.Context(), resp.Header.Get("Location"), ada)
	if err != nil {
		t.Fatal(err)
	}
	resp, body = navigate(t, back, resp.Cookies())
	link := html.UnescapeString(regexp.MustCompile(`http://127\.0\.0\.1:\d+/\?code=[^"]+`).FindString(body))
	if link == "" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	// What others send there is not taken for it.
	program, _, _ := strings.Cut(link, "?")
	for _, wrong := range []string{program, program + "?code=x", program + "?code=x&state=y", strings.Replace(link, "/?", "/x?", 1)} {
		if resp, _ := navigate(t, wrong, nil); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", wrong, resp.StatusCode)
		}
	}
	if resp, body := navigate(t, link, nil); resp.StatusCode != http.StatusOK || !strings.HasPrefix(body, "Done.") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if got := <-code; got != exitDone || out.String() != "logged in to "+s.url+" as ada@example.org\n" {
		t.Fatalf("%d: %s%s", got, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got := inProcess(t, "", "whoami"); got.stdout != "ada@example.org (user) at "+s.url+"\n" {
		t.Errorf("it said %s%s", got.stdout, got.stderr)
	}
	inProcess(t, "\n", "keys", "create", "nightly").want(t, exitDone, "is good until") // by the fresh sign-in
	inProcess(t, "", "logout").want(t, exitDone)
}

// TestLoginNoProvider: where there are none, it says what to do.
func TestLoginNoProvider(t *testing.T) {
	home(t)
	s := serve(t, t.TempDir())
	inProcess(t, "", "login", s.url, "--provider", "x").want(t, exitFailed, "knows no providers; log in with a password (--email)")
}
