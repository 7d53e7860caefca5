package testserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// OIDCUser is somebody whom a provider of OpenID Connect knows.
type OIDCUser struct {
	// Name and Password for its pages.
	Name, Password string
	Email          string
	Verified       bool
}

// OIDCServer is a provider of OpenID Connect that knows one client.
type OIDCServer struct {
	Issuer, ClientID, ClientSecret string

	process *process
}

// OIDC starts the provider that scripts/oidc-provider.sh has built, with users by their
// subjects, and with the addresses that its client may be sent back to.
func OIDC(ctx context.Context, users map[string]OIDCUser, redirects ...string) (*OIDCServer, error) {
	binary, err := built(ctx, "oidc-provider.sh")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mp3lathe-oidc-")
	if err != nil {
		return nil, err
	}
	s := &OIDCServer{ClientID: "mp3lathe", ClientSecret: "the secret of the client, 100% + more"}
	if err := s.start(ctx, binary, dir, users, redirects); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *OIDCServer) start(ctx context.Context, binary, dir string, users map[string]OIDCUser, redirects []string) error {
	type user struct {
		ID, Username, Password, Email string
		EmailVerified                 bool
	}
	all := map[string]user{}
	for id, u := range users {
		all[id] = user{id, u.Name, u.Password, u.Email, u.Verified}
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "users.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	s.Issuer = "http://" + address
	s.process, err = start(ctx, "oidc-provider", dir, []string{binary, "-listen", address, "-users", file, "-redirect", strings.Join(redirects, ",")},
		[]string{"OIDC_CLIENT_SECRET=" + s.ClientSecret}, s.healthy)
	return err
}

// healthy asks for what nobody else has on a port of that number.
func (s *OIDCServer) healthy(ctx context.Context) error {
	_, _, body, err := visit(ctx, http.MethodGet, s.Issuer+"/.well-known/openid-configuration", nil)
	if err == nil && !strings.Contains(body, `"issuer":"`+s.Issuer+`"`) {
		err = fmt.Errorf("%s answers %s", s.Issuer, body)
	}
	return err
}

// Stop ends the server and removes its files.
func (s *OIDCServer) Stop() error {
	return errors.Join(s.process.stop(syscall.SIGTERM), os.RemoveAll(s.process.dir))
}

var requestID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// Login goes where a client has sent the browser of a user, logs in on the provider's
// page, and returns where the provider sends the browser then.
func (s *OIDCServer) Login(ctx context.Context, location string, u OIDCUser) (back string, err error) {
	var form url.Values
	for range 10 {
		if !strings.HasPrefix(location, s.Issuer+"/") {
			return location, nil
		}
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		status, next, body, err := visit(ctx, method, location, form)
		if err != nil {
			return "", err
		}
		id := requestID.FindStringSubmatch(body)
		switch {
		case next != "":
			location, form = next, nil
		case id != nil && form == nil:
			location, form = s.Issuer+"/login/username", url.Values{"id": {id[1]}, "username": {u.Name}, "password": {u.Password}}
		default:
			return "", fmt.Errorf("the provider answers %d %s", status, body)
		}
	}
	return "", errors.New("the provider sends the browser in a circle")
}

// visit makes a request, and returns the status, the place of a redirect, and the body.
func visit(ctx context.Context, method, address string, form url.Values) (status int, location, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, "", "", err
	}
	if next, err := resp.Location(); err == nil {
		location = next.String()
	}
	return resp.StatusCode, location, string(b), nil
}
