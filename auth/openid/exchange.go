package openid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Identity is what the provider says of who has signed in.
type Identity struct {
	// Subject is how the provider calls the user, now and ever; 1 to 255 bytes of ASCII.
	Subject string
	// Email of the user, and whether the provider says that it is the user's; empty if it
	// tells none.
	Email    string
	Verified bool
	// Authenticated is when the user has shown who he is; zero if the provider does not
	// tell.
	Authenticated time.Time
}

const (
	// maxSubject by OpenID Connect Core, section 2.
	maxSubject = 255
	// skew of the provider's clock.
	skew = time.Minute
)

// Response is what a browser comes back with from the provider, in the query.
type Response struct {
	Code string
	// Issuer is "iss", by which a provider names itself; empty if it does not.
	Issuer string
	// Error is why there is no code; empty if there is one.
	Error string
}

// Exchange makes of a response who has signed in: it asks
// the provider for an ID token, and believes it if it is for this client, of this
// provider, and of this request. The state is the caller's to compare. begun is when the
// request was made, by which a Fresh one is judged. The error wraps [ErrDenied],
// [ErrUnavailable] or [ErrInvalid].
func (c *Client) Exchange(ctx context.Context, response Response, r Request, begun time.Time) (Identity, error) {
	m, err := c.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	// Before anything is sent to anybody: an answer of another provider has a code that
	// this one must not get (RFC 9207).
	if response.Issuer != c.config.Issuer && (response.Issuer != "" || m.names) {
		return Identity{}, fmt.Errorf("%w: it does not name its issuer as it is to", ErrInvalid)
	}
	if response.Error != "" {
		return Identity{}, refusal(response.Error)
	}
	if response.Code == "" {
		return Identity{}, fmt.Errorf("%w: it has no code", ErrInvalid)
	}
	ctx = oidc.ClientContext(ctx, c.http)
	tokens, err := m.oauth.Exchange(ctx, response.Code, oauth2.VerifierOption(r.Verifier))
	if err != nil {
		return Identity{}, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return Identity{}, fmt.Errorf("%w: there is no ID token", ErrInvalid)
	}
	id, err := m.verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: the ID token: %w", kindOf(err), brief(err))
	}
	says, err := c.check(id, r, begun)
	if err != nil {
		return Identity{}, err
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(tokens.AccessToken); err != nil {
			return Identity{}, fmt.Errorf("%w: the ID token: %w", ErrInvalid, err)
		}
	}
	who := Identity{Subject: id.Subject, Email: says.Email, Verified: bool(says.Verified)}
	if says.Authenticated != nil {
		who.Authenticated = time.Unix(int64(*says.Authenticated), 0)
	}
	if who.Email == "" && m.provider.UserInfoEndpoint() != "" && slices.Contains(c.config.Scopes, oidc.ScopeEmail) {
		// Many providers tell it there alone.
		info, err := m.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		if err != nil {
			return Identity{}, fmt.Errorf("%w: the user info: %w", ErrUnavailable, redact(err))
		}
		if info.Subject != id.Subject { // OpenID Connect Core, section 5.3.2
			return Identity{}, fmt.Errorf("%w: the user info is somebody else's", ErrInvalid)
		}
		who.Email, who.Verified = info.Email, info.EmailVerified
	}
	return who, nil
}

// claims of an ID token beside those that go-oidc reads.
type claims struct {
	Party         *string  `json:"azp"`
	Email         string   `json:"email"`
	Verified      boolean  `json:"email_verified"`
	Authenticated *float64 `json:"auth_time"`
}

// boolean may be a string: some providers write "true".
type boolean bool

// UnmarshalJSON takes true and "true" for true. Whatever it does not know is false.
func (b *boolean) UnmarshalJSON(text []byte) error {
	*b = string(text) == "true" || string(text) == `"true"`
	return nil
}

// check looks at what is left of an ID token whose signature, issuer, audience and time
// are good (OpenID Connect Core, section 3.1.3.7).
func (c *Client) check(id *oidc.IDToken, r Request, begun time.Time) (claims, error) {
	var says claims
	if err := id.Claims(&says); err != nil {
		return claims{}, fmt.Errorf("%w: the ID token cannot be read", ErrInvalid)
	}
	bad := func(why string) (claims, error) { return claims{}, fmt.Errorf("%w: the ID token: %s", ErrInvalid, why) }
	switch {
	case id.Nonce == "" || id.Nonce != r.Nonce:
		return bad("it is of another request")
	case says.Party != nil && *says.Party != c.config.ClientID, len(id.Audience) > 1 && says.Party == nil:
		return bad("it was made for another client")
	case id.Subject == "" || len(id.Subject) > maxSubject || strings.ContainsFunc(id.Subject, func(r rune) bool { return r <= ' ' || r > '~' }):
		return bad("it has no subject, or none that is one")
	case r.Fresh && (says.Authenticated == nil || int64(*says.Authenticated) < begun.Add(-skew).Unix()):
		return bad("its user was not asked who he is")
	}
	return says, nil
}

// refusal is the error of an answer that has one (RFC 6749, section 4.1.2.1, and OpenID
// Connect Core, section 3.1.2.6). What else it says is not ours to believe or to log.
func refusal(code string) error {
	switch code {
	case "access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required":
		return fmt.Errorf("%w: %s", ErrDenied, code)
	case "server_error", "temporarily_unavailable":
		return fmt.Errorf("%w: %s", ErrUnavailable, code)
	case "unauthorized_client", "invalid_request", "invalid_scope", "unsupported_response_type":
		return fmt.Errorf("%w: %s", ErrInvalid, code)
	}
	return fmt.Errorf("%w: it has an error", ErrInvalid)
}

// exchangeError says why there are no tokens, without what the provider wrote, which may
// hold some.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("%w: the token endpoint answers %s", ErrUnavailable, refused.Response.Status)
	case errors.As(err, &refused):
		code := "it says nothing more"
		switch refused.ErrorCode {
		case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
			code = refused.ErrorCode
		}
		return fmt.Errorf("%w: the token endpoint refuses the code: %s", ErrInvalid, code)
	}
	return fmt.Errorf("%w: the token endpoint: %w", kindOf(err), redact(err))
}

// kindOf tells what did not answer from what answered wrongly. go-oidc has the failure to
// fetch keys as text alone.
func kindOf(err error) error {
	var network *url.Error
	if errors.As(err, &network) || strings.Contains(err.Error(), "fetching keys") {
		return ErrUnavailable
	}
	return ErrInvalid
}

// redact leaves of an error what is no text of the provider's.
func redact(err error) error {
	var network *url.Error
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &network):
		return network
	case errors.As(err, &syntax):
		return syntax
	}
	return errors.New("its answer cannot be used")
}

// maxBrief is how much of a provider's text gets into a log, in bytes.
const maxBrief = 300

// brief shortens an error that holds an answer of the provider's, in which there are no
// secrets.
func brief(err error) error {
	text := err.Error()
	if len(text) <= maxBrief {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:maxBrief], "") + "...")
}
