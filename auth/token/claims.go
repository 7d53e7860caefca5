package token

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The roles that there are.
const (
	RoleAdmin = "admin"
	RoleUser  = "user"
)

// What [Verifier.Verify] answers if a token is not to be trusted. errors.Is finds
// them. Their texts hold nothing of the token.
var (
	// ErrInvalid means that the token is not one of ours or is not good now.
	ErrInvalid = errors.New("the access token is not valid")
	// ErrExpired means that it was good once. Such an error is [ErrInvalid] too.
	ErrExpired = errors.New("the access token has expired")
	// ErrUnavailable means that nobody can tell now, because the keys could not be
	// fetched: the client may try again.
	ErrUnavailable = errors.New("access tokens cannot be checked now")
)

// Claims is what a token says of its holder.
type Claims struct {
	// Subject is the user's ID. It is never empty.
	Subject string
	// Email of the user, as given at the registration.
	Email string
	// Roles of the user; see [RoleAdmin] and [RoleUser].
	Roles []string
	// ID of the token.
	ID string
	// Issued is when the token was made; zero if it does not say.
	Issued time.Time
	// Expires is when it ends.
	Expires time.Time
}

// Is reports whether the holder has a role.
func (c Claims) Is(role string) bool { return slices.Contains(c.Roles, role) }

var errSubject = errors.New("sub is empty")

// payload is the JSON in a token.
type payload struct {
	jwt.RegisteredClaims
	Email string   `json:"email"`
	Roles []string `json:"roles"`
}

// Validate adds to what the parser checks.
func (p *payload) Validate() error {
	if p.Subject == "" {
		return errSubject
	}
	return nil
}

func (p *payload) claims() Claims {
	c := Claims{Subject: p.Subject, Email: p.Email, Roles: slices.Clone(p.Roles), ID: p.ID, Expires: p.ExpiresAt.Time}
	if p.IssuedAt != nil {
		c.Issued = p.IssuedAt.Time
	}
	return c
}

// Bearer returns the token in the value of an Authorization header, and whether
// there is one.
func Bearer(header string) (string, bool) {
	scheme, raw, ok := strings.Cut(header, " ")
	raw = strings.Trim(raw, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", false
	}
	return raw, true
}
