package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// home gives the test a configuration of its own, and returns where a login would lie.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	return filepath.Join(dir, "mp3lathe", "login.json")
}

// TestLogin goes from the login to the logout, by way of API keys.
func TestLogin(t *testing.T) {
	file := home(t)
	s := serve(t, t.TempDir())
	s.user(t)
	for _, command := range []string{"whoami", "keys"} {
		inProcess(t, "", command).want(t, exitFailed, "nobody is logged in; mp3lathe login URL does so")
	}
	got := inProcess(t, "wrong\n", "login", s.url, "--email", "ada@example.org")
	got.want(t, exitFailed, "The e-mail address or the password is wrong.")
	if _, err := os.Stat(file); err == nil {
		t.Error("a login that failed is kept")
	}
	got = inProcess(t, "a long pass phrase\n", "login", s.url+"/", "--email", "ada@example.org")
	got.want(t, exitDone)
	if got.stdout != "logged in to "+s.url+" as ada@example.org\n" {
		t.Errorf("it said %s", got.stdout)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if dir, err := os.Stat(filepath.Dir(file)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", dir, err)
	}
	first, err := readLogin()
	if err != nil || strings.Contains(string(read(t, file)), "pass phrase") {
		t.Errorf("%v", err)
	}
	if got := inProcess(t, "", "whoami"); got.stdout != "ada@example.org (user, address not confirmed) at "+s.url+"\n" {
		t.Errorf("it said %s%s", got.stdout, got.stderr)
	}

	made := inProcess(t, "a long pass phrase\n", "keys", "create", "nightly", "--scopes", "jobs:read", "--days", "30")
	made.want(t, exitDone, "is good until")
	key := strings.TrimSpace(made.stdout)
	program := &client.Client{Base: s.url, Token: key}
	if _, err := program.Get(t.Context(), "00000000-0000-7000-8000-000000000000"); err == nil || !strings.Contains(err.Error(), "not_found") {
		t.Errorf("the key %q: %v", key, err)
	}
	list := inProcess(t, "", "keys")
	list.want(t, exitDone)
	lines := strings.Split(list.stdout, "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "nightly") || !strings.Contains(lines[1], "jobs:read") || strings.Contains(list.stdout, key) {
		t.Fatalf("it said %s", list.stdout)
	}
	inProcess(t, "wrong\n", "keys", "create", "x").want(t, exitFailed, "The password is wrong.")
	inProcess(t, "a long pass phrase\n", "keys", "create", "x", "--scopes", "account").want(t, exitFailed, "the scopes are jobs:read, jobs:write, admin")
	inProcess(t, "", "keys", "revoke", strings.Fields(lines[1])[0]).want(t, exitDone)
	inProcess(t, "", "keys", "revoke", strings.Fields(lines[1])[0]).want(t, exitFailed, "There is no such API key.")

	// Another login ends the one before.
	inProcess(t, "a long pass phrase\n", "login", s.url, "--email", "ada@example.org").want(t, exitDone)
	second, err := readLogin()
	if err != nil {
		t.Fatal(err)
	}
	wantOver := func(l login) {
		t.Helper()
		_, err := (&client.Client{Base: s.url}).Refresh(t.Context(), l.Refresh)
		if problem, ok := errors.AsType[*client.Error](err); !ok || problem.Code != "session_ended" {
			t.Errorf("%v", err)
		}
	}
	wantOver(first)
	inProcess(t, "", "logout").want(t, exitDone)
	wantOver(second)
	if _, err := os.Stat(file); err == nil {
		t.Error("the login is kept")
	}
	if got := inProcess(t, "", "logout"); got.stdout != "nobody was logged in\n" || got.code != exitDone {
		t.Errorf("it said %s%s", got.stdout, got.stderr)
	}
}

// TestLoginRefreshes: an access token that has expired is replaced, by one process for
// all, and a login that has ended says so.
func TestLoginRefreshes(t *testing.T) {
	home(t)
	s := serve(t, t.TempDir())
	s.user(t)
	inProcess(t, "a long pass phrase\n", "login", s.url, "--email", "ada@example.org").want(t, exitDone)
	expire := func() login {
		t.Helper()
		l, err := readLogin()
		if err != nil {
			t.Fatal(err)
		}
		l.Expires = time.Now().Add(-time.Minute)
		if err := l.write(); err != nil {
			t.Fatal(err)
		}
		return l
	}
	old := expire()
	var wg sync.WaitGroup
	for range 6 {
		c, err := loggedIn()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if _, err := c.Me(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	now, err := readLogin()
	if err != nil || now.Refresh == old.Refresh || now.Expires.Before(time.Now()) {
		t.Errorf("%+v, %v", now, err)
	}
	if err := (&client.Client{Base: s.url}).Logout(t.Context(), now.Refresh); err != nil {
		t.Fatal(err)
	}
	expire()
	inProcess(t, "", "whoami").want(t, exitFailed, "the login has ended; log in again")
	inProcess(t, "", "whoami").want(t, exitFailed, "nobody is logged in")
}

// TestLoginIsCareful: a password does not leave the machine unencrypted, tokens do not go
// where an answer leads, and a file that others can read is not used.
func TestLoginIsCareful(t *testing.T) {
	file := home(t)
	for _, bad := range []string{"http://mp3.example.org", "mp3.example.org", "ftp://localhost", "https://", "https://u:p@mp3.example.org", "https://mp3.example.org?x"} {
		got := inProcess(t, "a long pass phrase\n", "login", bad, "--email", "ada@example.org")
		got.want(t, exitUsage, "https://")
		if strings.Contains(got.stderr, "pass phrase") {
			t.Errorf("%s: %s", bad, got.stderr)
		}
	}
	inProcess(t, "a long pass phrase\n", "login", "http://127.0.0.1:1").want(t, exitUsage, "--email")
	inProcess(t, "a long pass phrase\n", "login", "http://127.0.0.1:1", "--email", "x@example.org").want(t, exitFailed, "http://127.0.0.1:1: dial tcp")

	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s got %v", r.URL, r.Header) }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	l := login{Server: server.URL, Access: "token", Expires: time.Now().Add(time.Hour), Refresh: "refresh"}
	if err := l.write(); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "", "whoami").want(t, exitFailed, "307 Temporary Redirect")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "", "whoami").want(t, exitFailed, "can be read by others")
	b, _ := json.Marshal("x")
	write(t, file, b)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "", "whoami").want(t, exitFailed, "is damaged; log in again")
}
