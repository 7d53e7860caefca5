package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestAdminCreate: the first administrator is made by a command, before serve has run and
// while it does, and there is none by default.
func TestAdminCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := inProcess(t, "a long pass phrase\n", "admin", "create", "root@example.org", "--data", dir)
	first.want(t, exitDone)
	if !strings.HasPrefix(first.stdout, "root@example.org has an account now (admin) in sqlite:"+dir) {
		t.Errorf("it said %s", first.stdout)
	}
	s := serve(t, dir)
	inProcess(t, "another pass phrase", "admin", "create", "second@example.org", "--data", dir).want(t, exitDone)
	for email, password := range map[string]string{"root@example.org": "a long pass phrase", "second@example.org": "another pass phrase"} {
		c := &client.Client{Base: s.url}
		if err := c.Login(t.Context(), email, password); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		{"a long pass phrase\n", []string{"root@example.org"}, exitFailed, "root@example.org has an account already"},
		{"password\n", []string{"eve@example.org"}, exitFailed, "this password is one of those that are guessed first"},
		{"", []string{"eve@example.org"}, exitFailed, "no password came"},
		{"a long pass phrase\n", []string{"eve"}, exitFailed, "a mail address has one @"},
		{"", nil, exitUsage, "--help shows how"},
	} {
		got := inProcess(t, c.stdin, append([]string{"admin", "create", "--data", dir}, c.args...)...)
		got.want(t, c.code, c.want)
		if got.stdout != "" || strings.Contains(got.stderr, "auth:") {
			t.Errorf("%q: %s%s", c.args, got.stdout, got.stderr)
		}
	}
}

// TestServeQueues: administrators see the queues that are inside of the process, and
// nobody does by default.
func TestServeQueues(t *testing.T) {
	const email, password, page = "root@example.org", "a long pass phrase", "/admin/queues/api/queues"
	for mode, want := range map[string][2]int{"off": {404, 404}, "read": {200, 405}, "write": {200, 204}} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			inProcess(t, password+"\n", "admin", "create", email, "--data", dir).want(t, exitDone)
			args := []string{"--admin-queues", mode}
			if mode == "off" {
				args = nil
			}
			s := serve(t, dir, args...)
			root, ada := &client.Client{Base: s.url}, s.user(t)
			if err := root.Login(t.Context(), email, password); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(filepath.Join("..", "..", "testdata", "phone.3gp"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			j, err := ada.Upload(t.Context(), "phone.3gp", f, nil)
			if err != nil {
				t.Fatal(err)
			}
			if j, err = ada.Follow(t.Context(), j.ID, nil); err != nil || j.State != "succeeded" {
				t.Fatalf("%s, %v", j.State, err)
			}
			ask := func(method, path, token string) (int, string) {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				return res.StatusCode, string(b)
			}
			code, body := ask("GET", page, root.Token)
			if code != want[0] || code == 200 && !strings.Contains(body, `"queue":"convert-short"`) {
				t.Errorf("%d %s", code, body)
			}
			if code, body := ask("POST", page+"/convert-short:pause", root.Token); code != want[1] {
				t.Errorf("%d %s", code, body)
			}
			if code, _ := ask("GET", page, ada.Token); mode != "off" && code != 403 {
				t.Errorf("a user is told %d", code)
			}
		})
	}
}
