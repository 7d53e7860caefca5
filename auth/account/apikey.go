package account

import (
	"errors"
	"time"
)

// ErrTooMany means that an account has as many of something as it may have.
var ErrTooMany = errors.New("there are too many already")

// MaxAPIKeys is how many keys an account may have that have not expired.
const MaxAPIKeys = 50

// APIKey lets a program act for a user.
type APIKey struct {
	// ID is a UUID of version 7.
	ID string
	// User is the account's ID.
	User string
	// Name that its user gave it.
	Name string
	// Prefix is the beginning of the key, by which people tell keys apart.
	Prefix string
	// Scopes that it is good for.
	Scopes []string
	// Created, and when it expires.
	Created, Expires time.Time
	// Used is when it was last used, to the minute; zero if it never was.
	Used time.Time
}

// NewAPIKey is a key that is to be kept. Its times are made by the store.
type NewAPIKey struct {
	APIKey
	// Hash of the key.
	Hash string
	// Lifetime until it expires.
	Lifetime time.Duration
}
