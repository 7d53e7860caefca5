package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Tokens are those of a session.
type Tokens struct {
	// Access is sent with requests until Expires.
	Access  string
	Expires time.Time
	// Refresh gets the next ones, once.
	Refresh string
}

// Me is whose a token is.
type Me struct {
	ID       string   `json:"id"`
	Email    string   `json:"email"`
	Verified bool     `json:"email_verified"`
	Roles    []string `json:"roles"`
}

// Key is an API key.
type Key struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Prefix  string     `json:"prefix"`
	Scopes  []string   `json:"scopes"`
	Created time.Time  `json:"created_at"`
	Expires time.Time  `json:"expires_at"`
	Used    *time.Time `json:"used_at"`
	// Secret is the key itself, in the answer of [Client.CreateKey] only.
	Secret string `json:"key"`
}

// Session logs in, and returns the tokens without keeping them.
func (c *Client) Session(ctx context.Context, email, password string) (Tokens, error) {
	return c.tokens(ctx, "/v1/auth/login", credentials(email, password))
}

// Provider is one of OpenID Connect that users can sign in with.
type Provider struct {
	Name  string `json:"name"`
	Label string `json:"label"`
}

// Providers are those that the service knows.
func (c *Client) Providers(ctx context.Context) ([]Provider, error) {
	var answer struct{ Providers []Provider }
	err := c.call(ctx, http.MethodGet, "/v1/auth/oidc", nil, &answer)
	return answer.Providers, err
}

// Redeem returns the tokens of a session for the code of a sign-in by a provider, and what
// the challenge that went to it was made of.
func (c *Client) Redeem(ctx context.Context, code, verifier string) (Tokens, error) {
	return c.tokens(ctx, "/v1/auth/oidc/token", body(map[string]any{"code": code, "code_verifier": verifier}))
}

// Refresh returns the next tokens of a session.
func (c *Client) Refresh(ctx context.Context, refresh string) (Tokens, error) {
	return c.tokens(ctx, "/v1/auth/refresh", body(map[string]any{"refresh_token": refresh}))
}

func (c *Client) tokens(ctx context.Context, path string, body io.Reader) (Tokens, error) {
	var answer struct {
		Access  string `json:"access_token"`
		Lasts   int    `json:"expires_in"`
		Refresh string `json:"refresh_token"`
	}
	asked := time.Now()
	err := c.call(ctx, http.MethodPost, path, body, &answer)
	return Tokens{answer.Access, asked.Add(time.Duration(answer.Lasts) * time.Second), answer.Refresh}, err
}

// Logout ends the session of a refresh token.
func (c *Client) Logout(ctx context.Context, refresh string) error {
	return c.call(ctx, http.MethodPost, "/v1/auth/logout", body(map[string]any{"refresh_token": refresh}), nil)
}

// Me asks whose the token is.
func (c *Client) Me(ctx context.Context) (m Me, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/auth/me", nil, &m)
	return m, err
}

// Keys are the API keys of the user.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var answer struct{ Keys []Key }
	err := c.call(ctx, http.MethodGet, "/v1/auth/keys", nil, &answer)
	return answer.Keys, err
}

// CreateKey makes an API key that is good for some days; 0 is the service's default.
func (c *Client) CreateKey(ctx context.Context, name string, scopes []string, days int, password string) (k Key, err error) {
	want := map[string]any{"name": name, "scopes": scopes, "password": password}
	if days != 0 {
		want["expires_in_days"] = days
	}
	err = c.call(ctx, http.MethodPost, "/v1/auth/keys", body(want), &k)
	return k, err
}

// RevokeKey revokes an API key by its ID.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/auth/keys/"+url.PathEscape(id), nil, nil)
}

func body(v map[string]any) io.Reader {
	b, _ := json.Marshal(v) // of strings and numbers
	return bytes.NewReader(b)
}
