package account

import (
	"errors"
	"time"
)

// ErrLinked means that an identity belongs to another account.
var ErrLinked = errors.New("the identity is linked to another account")

// ErrLastWay means that nobody could log in to the account any more.
var ErrLastWay = errors.New("there would be no way left to log in")

// MaxIdentities is how many identities an account may have.
const MaxIdentities = 20

// Identity is how a provider of OpenID Connect knows the user of an account. Issuer and
// Subject together are nobody else's, now and ever; an e-mail address is no such thing.
type Identity struct {
	// ID is a UUID of version 7.
	ID string
	// User is the account's ID.
	User string
	// Issuer is the provider, Subject how it calls the user; up to 255 bytes of ASCII each.
	Issuer, Subject string
	// Email is the address that the provider gave last, for people.
	Email string
	// Created is when it was linked, Used when somebody last signed in by it.
	Created, Used time.Time
}
