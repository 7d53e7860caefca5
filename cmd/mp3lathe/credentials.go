package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// login is what "mp3lathe login" keeps, for its user's eyes only.
type login struct {
	Server  string    `json:"server"`
	Access  string    `json:"access_token"`
	Expires time.Time `json:"expires_at"`
	Refresh string    `json:"refresh_token"`
}

// loginFile is where it is kept: login.json in the folder mp3lathe of the user's
// configuration.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", errors.New("there is no folder for the login: neither HOME nor XDG_CONFIG_HOME is set")
	}
	return filepath.Join(dir, "mp3lathe", "login.json"), nil
}

// errNoLogin means that nobody is logged in.
var errNoLogin = errors.New("nobody is logged in; mp3lathe login URL does so")

// readLogin reads the file. One that others can read is refused: they may have.
func readLogin() (login, error) {
	path, err := loginFile()
	if err != nil {
		return login{}, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return login{}, errNoLogin
	case err != nil:
		return login{}, err
	case info.Mode().Perm()&0o077 != 0:
		return login{}, fmt.Errorf("%s can be read by others; log in again (mp3lathe login), and log out where you have used it", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return login{}, err
	}
	var l login
	if err := json.Unmarshal(b, &l); err != nil || l.Server == "" || l.Refresh == "" {
		return login{}, fmt.Errorf("%s is damaged; log in again (mp3lathe login)", path)
	}
	return l, nil
}

// write replaces the file, whole or not at all.
func (l login) write() error {
	path, err := loginFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return create(path, append(b, '\n'))
}

// forgetLogin removes the file.
func forgetLogin() error {
	path, err := loginFile()
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// lockLogin lets one process at a time change the file: a refresh token is good once.
func lockLogin() (unlock func(), err error) {
	path, err := loginFile()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// early is how long before its end an access token is not used any more.
const early = time.Minute

// session is who is logged in, and refreshes his tokens.
type session struct {
	mu    sync.Mutex
	login login
}

// token returns an access token that is good for a while.
func (s *session) token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Add(early).Before(s.login.Expires) {
		return s.login.Access, nil
	}
	unlock, err := lockLogin()
	if err != nil {
		return "", err
	}
	defer unlock()
	now, err := readLogin() // another process may have refreshed it
	if err != nil {
		return "", err
	}
	if now.Server != s.login.Server {
		return "", errors.New("somebody has logged in elsewhere meanwhile")
	}
	if s.login = now; time.Now().Add(early).Before(now.Expires) {
		return now.Access, nil
	}
	tokens, err := (&client.Client{Base: now.Server}).Refresh(ctx, now.Refresh)
	if problem, ok := errors.AsType[*client.Error](err); ok && problem.Code == "session_ended" {
		return "", errors.Join(errors.New("the login has ended; log in again (mp3lathe login)"), forgetLogin())
	}
	if err != nil {
		return "", err
	}
	s.login.Access, s.login.Expires, s.login.Refresh = tokens.Access, tokens.Expires, tokens.Refresh
	return s.login.Access, s.login.write()
}

// RoundTrip implements [http.RoundTripper]: requests to the server get a token.
func (s *session) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := s.token(r.Context())
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+raw)
	return http.DefaultTransport.RoundTrip(r)
}

// noRedirects keeps tokens from going elsewhere.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// loggedIn is a client of the server that somebody is logged in to.
func loggedIn() (*client.Client, error) {
	l, err := readLogin()
	if err != nil {
		return nil, err
	}
	return &client.Client{Base: l.Server, HTTP: &http.Client{Transport: &session{login: l}, CheckRedirect: noRedirects}}, nil
}

// serverURL checks the address of a service, and returns it without a slash at its end.
// Passwords and tokens go over TLS, or stay on this machine.
func serverURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", usagef("%q is no address of a service; want one such as https://mp3.example.org", s)
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return "", usagef("%s would get the password unencrypted; want https://", s)
	}
	return strings.TrimRight(s, "/"), nil
}

// words says what is wrong for people.
func words(err error) error {
	if problem, ok := errors.AsType[*client.Error](err); ok && problem.Detail != "" {
		if len(problem.Errors) > 0 {
			return errors.New(problem.Errors[0].Message)
		}
		return errors.New(problem.Detail)
	}
	if uerr, ok := errors.AsType[*url.Error](err); ok {
		return uerr.Err
	}
	return err
}
