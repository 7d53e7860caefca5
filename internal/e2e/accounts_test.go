package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/job"
)

// post sends JSON to the API, and returns the status and what came back.
func (s *system) post(t *testing.T, path, token string, body map[string]string) (int, map[string]any) {
	t.Helper()
	b, err := json.Marshal(body)
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, newReader(b))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	answer := map[string]any{}
	if len(text) > 0 {
		must(t, json.Unmarshal(text, &answer))
	}
	return res.StatusCode, answer
}

// link waits for a mail to an address whose subject has a text, and returns the token in
// its link, which leads to the gateway.
func (s *system) link(t *testing.T, to, about string) (token string) {
	t.Helper()
	eventually(t, time.Minute, "a mail to "+to+": "+about, func() bool {
		for _, m := range s.mails() {
			if !strings.Contains(subject(m), about) || !strings.Contains(m, to) {
				continue
			}
			_, body, _ := strings.Cut(m, "\r\n\r\n")
			text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
			must(t, err)
			if _, rest, ok := strings.Cut(string(text), s.url+"/v1/auth/pages/"); ok {
				_, rest, _ = strings.Cut(rest, "?token=")
				token, _, _ = strings.Cut(rest, "\r")
				token, _, _ = strings.Cut(token, "\n")
			}
			return true
		}
		return false
	})
	if token == "" {
		t.Fatalf("there is no link to the gateway in the mail about %q", about)
	}
	s.secrets = append(s.secrets, token)
	return token
}

// account lives through all that an account can go through.
func (s *system) account(t *testing.T) {
	const email = "grace@example.org"
	c := s.user(t, email)
	other := s.user(t, "other@example.org")
	if status, _ := s.post(t, "/v1/auth/verify", "", map[string]string{"token": s.link(t, email, "Confirm")}); status != 204 {
		t.Errorf("to verify the address: %d", status)
	}

	// A session goes on, and ends.
	_, in := s.post(t, "/v1/auth/login", "", map[string]string{"email": email, "password": password})
	refresh := fmt.Sprint(in["refresh_token"])
	status, next := s.post(t, "/v1/auth/refresh", "", map[string]string{"refresh_token": refresh})
	if status != 200 {
		t.Fatalf("to refresh: %d %v", status, next)
	}
	s.secrets = append(s.secrets, refresh, fmt.Sprint(next["refresh_token"]))
	if status, _ := s.post(t, "/v1/auth/logout", "", map[string]string{"refresh_token": refresh}); status != 204 {
		t.Errorf("to log out: %d", status)
	}
	if status, _ := s.post(t, "/v1/auth/refresh", "", map[string]string{"refresh_token": fmt.Sprint(next["refresh_token"])}); status != 401 {
		t.Errorf("after that: %d", status)
	}

	// A forgotten password.
	const fresh = "another phrase that nobody knows"
	s.secrets = append(s.secrets, fresh)
	if status, _ := s.post(t, "/v1/auth/reset/send", "", map[string]string{"email": email}); status != 202 {
		t.Errorf("to ask for a new password: %d", status)
	}
	if status, _ := s.post(t, "/v1/auth/reset", "", map[string]string{"token": s.link(t, email, "new password"), "password": fresh}); status != 204 {
		t.Errorf("to set it: %d", status)
	}
	if err := c.Login(t.Context(), email, password); err == nil {
		t.Error("the old password is good")
	}
	must(t, c.Login(t.Context(), email, fresh))

	// A program with a key.
	key, program := s.key(t, c, fresh, "jobs:read", "jobs:write")
	if _, err := program.Upload(t.Context(), "melody.mp4", open(t, filepath.Join("..", "..", "testdata", "melody.mp4")), nil); err != nil {
		t.Errorf("with an API key: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.url+"/v1/auth/keys/"+key, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	res.Body.Close()
	if res.StatusCode != 204 {
		t.Errorf("to revoke it: %s", res.Status)
	}
	revoked := time.Now()
	eventually(t, 20*time.Second, "the key is of no use any more", func() bool {
		_, err := program.Get(t.Context(), "00000000-0000-7000-8000-000000000000")
		problem, ok := errors.AsType[*client.Error](err)
		return ok && problem.Code == "key_invalid"
	})
	if d := time.Since(revoked); d > 7*time.Second {
		t.Errorf("the key was good for %v more", d)
	}

	// The account goes, with a job that has ended and one that has not.
	video := filepath.Join("..", "..", "testdata", "melody.mp4")
	for range 2 {
		j, err := c.Upload(t.Context(), "melody.mp4", open(t, video), nil)
		must(t, err)
		if j, err = c.Follow(within(t, time.Minute), j.ID, nil); err != nil || j.State != "succeeded" {
			t.Fatalf("%+v, %v", j, err)
		}
	}
	kept, err := other.Upload(t.Context(), "melody.mp4", open(t, video), nil)
	must(t, err)
	kept, err = other.Follow(within(t, time.Minute), kept.ID, nil)
	must(t, err)
	last, err := c.Upload(t.Context(), "melody.mp4", open(t, video), nil)
	must(t, err)
	if status, problem := s.post(t, "/v1/auth/me/delete", c.Token, map[string]string{"password": fresh}); status != 204 {
		t.Fatalf("to delete the account: %d %v", status, problem)
	}
	if err := (&client.Client{Base: s.url}).Login(t.Context(), email, fresh); err == nil {
		t.Error("the account is still there")
	}
	b := s.bucket(t)
	defer b.Close()
	eventually(t, time.Minute, "nothing is left of the account's files", func() bool {
		objects, err := b.List(t.Context(), "", "", 1000)
		must(t, err)
		for _, o := range objects {
			if owner, _ := job.OwnerOfKey(o.Key); owner != kept.ID && o.Key != job.MarkKey {
				return false
			}
		}
		return true
	})
	eventually(t, time.Minute, "nor of its jobs", func() bool {
		_, err := c.Get(t.Context(), last.ID) // the access token is good for a while
		problem, ok := errors.AsType[*client.Error](err)
		return ok && problem.Status == 404
	})
	if j, err := other.Get(t.Context(), kept.ID); err != nil || j.State != "succeeded" {
		t.Errorf("the other's job: %+v, %v", j, err)
	}
}

// key makes an API key and returns its ID, and a client that has it.
func (s *system) key(t *testing.T, c *client.Client, password string, scopes ...string) (id string, program *client.Client) {
	t.Helper()
	b, err := json.Marshal(map[string]any{"name": "program", "scopes": scopes, "password": password})
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/auth/keys", newReader(b))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	var made struct{ ID, Key string }
	must(t, json.NewDecoder(res.Body).Decode(&made))
	if res.StatusCode != 201 || made.Key == "" {
		t.Fatalf("to make a key: %s", res.Status)
	}
	s.secrets = append(s.secrets, made.Key)
	return made.ID, &client.Client{Base: s.url, Token: made.Key}
}

// TestAuthDown: with auth away, uploads of those who have a token go on, and of programs
// whose key was just used; logins do not, and are told when to try again.
func TestAuthDown(t *testing.T) {
	t.Parallel()
	s := fleet(t)
	c := s.user(t, "ida@example.org")
	_, program := s.key(t, c, password, "jobs:read", "jobs:write")
	video := filepath.Join("..", "..", "testdata", "melody.mp4")
	convert := func(c *client.Client) {
		t.Helper()
		j, err := c.Upload(t.Context(), "melody.mp4", open(t, video), nil)
		must(t, err)
		if j, err = c.Follow(within(t, time.Minute), j.ID, nil); err != nil || j.State != "succeeded" {
			t.Errorf("%+v, %v", j, err)
		}
	}
	convert(program)
	s.services[0].stop(t)
	convert(c)
	began := time.Now()
	convert(program)
	eventually(t, 20*time.Second, "what auth said of the key is old", func() bool { return time.Since(began) > 6*time.Second })
	convert(program)
	err := (&client.Client{Base: s.url}).Login(t.Context(), "ida@example.org", password)
	if problem, ok := errors.AsType[*client.Error](err); !ok || problem.Status != 503 {
		t.Errorf("a login: %v", err)
	}
}

func open(t *testing.T, path string) io.Reader {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return newReader(b)
}

// TestFleetAccounts and TestEmbeddedAccounts do that in both worlds.
func TestFleetAccounts(t *testing.T) {
	t.Parallel()
	s := fleet(t)
	s.account(t)
	s.quiet(t)
}

func TestEmbeddedAccounts(t *testing.T) {
	t.Parallel()
	s := embedded(t, t.TempDir())
	s.account(t)
	s.quiet(t)
}
