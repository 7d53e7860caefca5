package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

// TestKeyID is the example of RFC 8037, appendix A.3.
func TestKeyID(t *testing.T) {
	t.Parallel()
	x, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if got := KeyID(ed25519.PublicKey(x)); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("got %s", got)
	}
}

func TestKeyPEM(t *testing.T) {
	t.Parallel()
	b, err := GenerateKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(append(append([]byte("a comment before\n"), b...), " \n"...))
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("message")
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), message, ed25519.Sign(key, message)) {
		t.Error("the key does not sign")
	}
	other, err := GenerateKeyPEM()
	if err != nil || bytes.Equal(b, other) {
		t.Errorf("the same key twice, or %v", err)
	}
	// As openssl genpkey writes it: the example of RFC 8410, section 10.3.
	const rfc8410 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"
	if _, err := ParseKey([]byte(rfc8410)); err != nil {
		t.Error(err)
	}

	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(b), "\n")[1]
	for name, in := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "two": append(bytes.Clone(b), other...), "another curve": pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}),
		"cut off": b[:len(b)/2], "damaged": pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der[:40]}),
		"encrypted": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}),
		"public":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"raw":       []byte(secret),
	} {
		if _, err := ParseKey(in); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	b, err := GenerateKeyPEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := ParseKey(b); err == nil && len(key) != ed25519.PrivateKeySize {
			t.Fatalf("a key of %d bytes", len(key))
		}
	})
}
