package account

import "time"

// SigningKey is a key that signs tokens, as it is kept.
type SigningKey struct {
	// Number counts the keys from 1. The newest that may sign does.
	Number int64
	// ID (kid) in the tokens.
	ID string
	// Sealed is the private key, encrypted.
	Sealed []byte
	// SignsIn is the time until it may sign, by the database's clock; below 0 for the
	// time since.
	SignsIn time.Duration
}
