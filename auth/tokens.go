package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
)

// signer makes access tokens.
type signer struct {
	keys         *keyring
	verification Verification
	issuer       string
	audience     string
	lifetime     time.Duration
	now          func() time.Time
}

// accessClaims is the JSON in an access token. Package token reads it.
type accessClaims struct {
	jwt.RegisteredClaims
	Email    string   `json:"email"`
	Verified bool     `json:"email_verified"`
	Roles    []string `json:"roles"`
	Scope    string   `json:"scope"`
	// Quota of the user, if he has one of his own.
	Quota *account.Quota `json:"quota,omitempty"`
	// Session is "sid" as in OpenID Connect.
	Session string `json:"sid,omitempty"`
}

// sign makes an access token for a user, in a session if there is one, with scopes.
func (s *signer) sign(ctx context.Context, a account.Account, session string, scopes []string) (string, error) {
	key, err := s.keys.signing(ctx)
	if err != nil {
		return "", err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("auth: sign a token: %w", err)
	}
	var quota *account.Quota
	if q := quotaOf(a); q != (account.Quota{}) {
		quota = &q
	}
	now := s.now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.issuer, Audience: jwt.ClaimStrings{s.audience}, Subject: a.ID, ID: id.String(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.lifetime)),
		},
		Email: a.Email, Verified: !a.Verified.IsZero(), Roles: rolesOf(a), Scope: strings.Join(scopes, " "), Session: session, Quota: quota,
	})
	t.Header["kid"] = key.id
	t.Header["typ"] = "at+jwt" // RFC 9068
	raw, err := t.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("auth: sign a token: %w", err)
	}
	return raw, nil
}

// rolesOf returns the roles of an account: who is more than a user is a user too.
func rolesOf(a account.Account) []string {
	if a.Role == token.RoleUser {
		return []string{token.RoleUser}
	}
	return []string{a.Role, token.RoleUser}
}

// scopesOf returns all scopes that the user of an account may have.
func (s *signer) scopesOf(a account.Account) []string {
	scopes := []string{token.ScopeAccount, token.ScopeJobsRead}
	if s.verification != VerifyJobs || !a.Verified.IsZero() {
		scopes = append(scopes, token.ScopeJobsWrite)
	}
	if a.Role == token.RoleAdmin {
		scopes = append(scopes, token.ScopeAdmin)
	}
	return scopes
}
