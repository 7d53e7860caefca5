package main

import (
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
