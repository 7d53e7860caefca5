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

// The scopes that there are: what a token is good for, within what its holder may do.
const (
	// ScopeAccount is the care of one's own account.
	ScopeAccount = "account"
	// ScopeJobsRead is to see jobs, and to fetch what they have made.
	ScopeJobsRead = "jobs:read"
	// ScopeJobsWrite is to make, cancel, retry and remove jobs.
	ScopeJobsWrite = "jobs:write"
	// ScopeJobsPurge is to remove all jobs of the holder, whose account is gone. Nobody
	// but the auth service itself has such a token.
	ScopeJobsPurge = "jobs:purge"
	// ScopeAdmin is what the role of an administrator allows.
	ScopeAdmin = "admin"
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
	// Scopes that the token is good for; see [ScopeAccount] and the others.
	Scopes []string
	// Session that the token was made in; empty if it was made for an API key.
	Session string
	// Verified reports whether the address has been verified by a mail.
	Verified bool
	// Quota of the user; nil for that of all users.
	Quota *Quota
	// ID of the token.
	ID string
	// Issued is when the token was made; zero if it does not say.
	Issued time.Time
	// Expires is when it ends.
	Expires time.Time
}

// Quota is what a user may take up, where that is not what all others may. nil fields
// are as for all; 0 is no limit.
type Quota struct {
	// Jobs that may wait.
	Jobs *int64 `json:"jobs"`
	// DailyBytes of uploads a day.
	DailyBytes *int64 `json:"daily_bytes"`
	// StoredBytes of all files.
	StoredBytes *int64 `json:"stored_bytes"`
}

// clone is a copy that its caller may change.
func (q *Quota) clone() *Quota {
	if q == nil {
		return nil
	}
	c := *q
	for _, field := range []**int64{&c.Jobs, &c.DailyBytes, &c.StoredBytes} {
		if *field != nil {
			n := **field
			*field = &n
		}
	}
	return &c
}

// Is reports whether the holder has a role.
func (c Claims) Is(role string) bool { return slices.Contains(c.Roles, role) }

// May reports whether the token is good for a scope.
func (c Claims) May(scope string) bool { return slices.Contains(c.Scopes, scope) }

var errSubject = errors.New("sub is empty")

// payload is the JSON in a token.
type payload struct {
	jwt.RegisteredClaims
	Email    string   `json:"email"`
	Verified bool     `json:"email_verified"`
	Roles    []string `json:"roles"`
	Scope    string   `json:"scope"` // RFC 8693, section 4.2: with spaces between
	Session  string   `json:"sid"`
	Quota    *Quota   `json:"quota"`
}

// Validate adds to what the parser checks.
func (p *payload) Validate() error {
	if p.Subject == "" {
		return errSubject
	}
	return nil
}

func (p *payload) claims() Claims {
	c := Claims{
		Subject: p.Subject, Email: p.Email, Verified: p.Verified, Roles: slices.Clone(p.Roles), Scopes: strings.Fields(p.Scope),
		Session: p.Session, Quota: p.Quota.clone(), ID: p.ID, Expires: p.ExpiresAt.Time,
	}
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

// KeyPrefix is what API keys begin with, which stand where access tokens do and are
// exchanged for them by the auth service.
const KeyPrefix = "mp3k_"

// maxKey is the longest API key, in bytes; ours have 40.
const maxKey = 100

// IsKey reports whether what stands in the place of an access token has the form of an
// API key: the prefix, and two words of capitals and digits with a "_" between.
func IsKey(raw string) bool {
	rest, ok := strings.CutPrefix(raw, KeyPrefix)
	name, secret, split := strings.Cut(rest, "_")
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return ok && split && len(raw) <= maxKey && name != "" && secret != "" && strings.Trim(name+secret, letters) == ""
}
