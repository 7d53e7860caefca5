package auth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
)

// KeyID is the ID (kid) of a key: its thumbprint by RFC 7638 and RFC 8037.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + encodeKey(key) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func encodeKey(key ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(key) }
