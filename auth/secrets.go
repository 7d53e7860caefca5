package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// MinSecret is the shortest secret of [ParseSecrets], in bytes.
const MinSecret = 32

// Secrets are what the service knows and its database does not: a copy of the database
// alone signs no tokens and opens no account. The zero value holds none.
type Secrets struct{ keys [][]byte }

// ParseSecrets reads secrets, one a line, each of [MinSecret] characters or more. The
// first one seals and derives; what any of them has sealed can be opened. [NewSecret]
// makes one. An error holds nothing of them.
func ParseSecrets(text string) (*Secrets, error) {
	s := &Secrets{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if len(line) < MinSecret {
			return nil, fmt.Errorf("auth: key %d has %d bytes; want at least %d", len(s.keys)+1, len(line), MinSecret)
		}
		s.keys = append(s.keys, []byte(line))
	}
	if len(s.keys) == 0 {
		return nil, errors.New("auth: there is no key")
	}
	return s, nil
}

// NewSecret makes a line for [ParseSecrets], of 260 random bits.
func NewSecret() string { return rand.Text() + rand.Text() }

// String says nothing of the secrets, for logs that somebody puts them into.
func (s *Secrets) String() string { return "secrets" }

// GoString is String for %#v.
func (s *Secrets) GoString() string { return s.String() }

// subkey is the key of a secret for one purpose (RFC 5869).
func subkey(secret []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "mp3lathe "+purpose, 32)
	if err != nil {
		panic(err) // of lengths that are wrong, and these are constant
	}
	return key
}

// sealing is the version of what seal makes, its first byte.
const sealing = 1

// seal encrypts by AES-256-GCM what open gives back for the same purpose and name only.
func (s *Secrets) seal(purpose, name string, plain []byte) ([]byte, error) {
	gcm, err := gcmOf(subkey(s.keys[0], purpose))
	if err != nil {
		return nil, err
	}
	return append([]byte{sealing}, gcm.Seal(nil, nil, plain, []byte(name))...), nil
}

// errSealed means that none of the secrets opens something.
var errSealed = errors.New("it was sealed with another key, or has been changed")

func (s *Secrets) open(purpose, name string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealing {
		return nil, errSealed
	}
	for _, secret := range s.keys {
		gcm, err := gcmOf(subkey(secret, purpose))
		if err != nil {
			return nil, err
		}
		if plain, err := gcm.Open(nil, nil, sealed[1:], []byte(name)); err == nil {
			return plain, nil
		}
	}
	return nil, errSealed
}

// gcmOf returns a cipher that makes its nonces, at random.
func gcmOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive makes 32 bytes for a purpose out of parts, by HMAC-SHA-256, with each of the
// secrets: the first is what to use, the others what an earlier secret would have made.
func (s *Secrets) derive(purpose string, parts ...[]byte) [][]byte {
	var all [][]byte
	for _, secret := range s.keys {
		mac := hmac.New(sha256.New, subkey(secret, purpose))
		for _, p := range parts {
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(len(p)))
			mac.Write(n[:])
			mac.Write(p)
		}
		all = append(all, mac.Sum(nil))
	}
	return all
}
