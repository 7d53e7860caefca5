package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
			j := uploadPhone(t, ada)
			var err error
			if j, err = ada.Follow(t.Context(), j.ID, nil); err != nil || j.State != "succeeded" {
				t.Fatalf("%s, %v", j.State, err)
			}
			code, body := ask(t, "GET", s.url+page, root.Token)
			if code != want[0] || code == 200 && !strings.Contains(body, `"queue":"convert-short"`) {
				t.Errorf("%d %s", code, body)
			}
			if code, body := ask(t, "POST", s.url+page+"/convert-short:pause", root.Token); code != want[1] {
				t.Errorf("%d %s", code, body)
			}
			if code, _ := ask(t, "GET", s.url+page, ada.Token); mode != "off" && code != 403 {
				t.Errorf("a user is told %d", code)
			}
		})
	}
}

// ask sends a request with a token, and returns the answer's status and body.
func ask(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
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

// uploadPhone has a short file converted.
func uploadPhone(t *testing.T, c *client.Client) client.Job {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "phone.3gp"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j, err := c.Upload(t.Context(), "phone.3gp", f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestServeAudit: what an administrator does to a job of another is in the audit log, with
// his real token and address, and stays there when the job is gone.
func TestServeAudit(t *testing.T) {
	const email, password = "root@example.org", "a long pass phrase"
	dir := t.TempDir()
	inProcess(t, password+"\n", "admin", "create", email, "--data", dir).want(t, exitDone)
	s := serve(t, dir)
	root, ada := &client.Client{Base: s.url}, s.user(t)
	if err := root.Login(t.Context(), email, password); err != nil {
		t.Fatal(err)
	}
	j := uploadPhone(t, ada)
	if _, err := ada.Follow(t.Context(), j.ID, nil); err != nil {
		t.Fatal(err)
	}
	for _, act := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/v1/jobs/" + j.ID, ada.Token, 200}, {"GET", "/v1/audit", ada.Token, 403},
		{"GET", "/v1/jobs?all=true", root.Token, 200}, {"GET", "/v1/jobs/" + j.ID + "/audio", root.Token, 200}, {"DELETE", "/v1/jobs/" + j.ID, root.Token, 204},
	} {
		if code, body := ask(t, act.method, s.url+act.path, act.token); code != act.want {
			t.Fatalf("%s %s: %d %s", act.method, act.path, code, body)
		}
	}
	code, body := ask(t, "GET", s.url+"/v1/audit", root.Token)
	var log struct {
		Acts []struct {
			Action, Job, Owner, Address string
			Email                       string `json:"actor_email"`
		}
	}
	if err := json.Unmarshal([]byte(body), &log); code != 200 || err != nil || len(log.Acts) != 3 {
		t.Fatalf("%d %s, %v", code, body, err)
	}
	for i, action := range []string{"delete", "audio", "list"} {
		a := log.Acts[i]
		if a.Action != action || a.Email != email || a.Address != "127.0.0.1" || (a.Job == j.ID) != (action != "list") || (a.Owner != "") != (action != "list") {
			t.Errorf("%d: %+v", i, a)
		}
	}
}

// TestServeAuditRetention: it is that of both audit logs.
func TestServeAuditRetention(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]time.Duration{"": 365 * 24 * time.Hour, "48h": 48 * time.Hour, "0": 0} {
		var grammar cli
		parser, err := newParser(&grammar, &stdio{out: &stickyWriter{w: io.Discard}, err: io.Discard}, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"serve", "--data", t.TempDir()}
		if arg != "" {
			args = append(args, "--audit-retention", arg)
		}
		if _, err := parser.Parse(args); err != nil {
			t.Fatal(err)
		}
		settings, err := grammar.Serve.check()
		if err != nil || settings.auth.AuditRetention != want || settings.worker.Sweep.AuditRetention != want {
			t.Errorf("%q: %v of accounts, %v of jobs, %v", arg, settings.auth.AuditRetention, settings.worker.Sweep.AuditRetention, err)
		}
	}
}
