package auth

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

// signer makes access tokens.
type signer struct {
	key      ed25519.PrivateKey
	kid      string
	issuer   string
	audience string
	lifetime time.Duration
	now      func() time.Time
}

func newSigner(cfg Config) *signer {
	return &signer{
		key: cfg.SigningKey, kid: KeyID(cfg.SigningKey.Public().(ed25519.PublicKey)),
		issuer: cfg.Issuer, audience: cfg.Audience, lifetime: cfg.TokenLifetime, now: cfg.now,
	}
}

// accessClaims is the JSON in an access token. Package token reads it.
type accessClaims struct {
	jwt.RegisteredClaims
	Email string   `json:"email"`
	Roles []string `json:"roles"`
}

// sign makes an access token for a user.
func (s *signer) sign(a account.Account) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("auth: sign a token: %w", err)
	}
	now := s.now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.issuer, Audience: jwt.ClaimStrings{s.audience}, Subject: a.ID, ID: id.String(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.lifetime)),
		},
		Email: a.Email, Roles: rolesOf(a),
	})
	t.Header["kid"] = s.kid
	t.Header["typ"] = "at+jwt" // RFC 9068
	raw, err := t.SignedString(s.key)
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

func (s *signer) keySet() accountapi.KeySet {
	public := s.key.Public().(ed25519.PublicKey)
	return accountapi.KeySet{Keys: []accountapi.PublicKey{
		{KeyType: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig", ID: s.kid, X: encodeKey(public)},
	}}
}
