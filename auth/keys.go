package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
)

const pemType = "PRIVATE KEY"

// NewKey makes a signing key.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// GenerateKeyPEM makes a signing key in the form that [ParseKey] reads. `openssl
// genpkey -algorithm ed25519` makes the like.
func GenerateKeyPEM() ([]byte, error) {
	key, err := NewKey()
	if err != nil {
		return nil, fmt.Errorf("auth: new key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("auth: new key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ParseKey reads one Ed25519 private key, PKCS #8 in PEM, not encrypted. Its errors
// hold nothing of the key.
func ParseKey(b []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, errors.New("auth: the signing key is not in PEM form")
	case block.Type != pemType:
		return nil, fmt.Errorf("auth: the signing key's file begins with a %q: want a %q (PKCS #8, not encrypted)", block.Type, pemType)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("auth: the signing key's file has something after the key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("auth: the signing key cannot be read: it is damaged or of an unknown kind")
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("auth: the signing key is a %T: want Ed25519", key)
	}
	return private, nil
}

// KeyID is the ID (kid) of a key: its thumbprint by RFC 7638 and RFC 8037.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + encodeKey(key) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func encodeKey(key ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(key) }
