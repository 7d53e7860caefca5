// Package account is the domain of the auth service: what an account is. It knows
// nothing of HTTP, SQL or passwords in the clear, and imports the standard library
// only.
package account

import (
	"errors"
	"strings"
	"time"
)

// What the stores answer when a change is not to be. errors.Is finds them.
var (
	// ErrNotFound means that there is no such account.
	ErrNotFound = errors.New("no such account")
	// ErrTaken means that another account has the e-mail address.
	ErrTaken = errors.New("the e-mail address is taken")
	// ErrConflict means that the account is not as the caller believed it to be:
	// somebody else has just changed it.
	ErrConflict = errors.New("the account has changed")
)

// Account of one user.
type Account struct {
	// ID is a UUID of version 7.
	ID string
	// Email as the user gave it. No two accounts have addresses of the same
	// [EmailKey].
	Email string
	// PasswordHash in the encoded form of argon2 ("$argon2id$v=19$..."). Empty for
	// an account that no password opens.
	PasswordHash string
	// Role is one of those of package token.
	Role string
	// Quota is what it may take up, as the JSON of [Quota]; empty for what all may.
	Quota string
	// Created is when it was made.
	Created time.Time
	// Verified is when its owner has shown that he reads the mail of its address; zero
	// if he has not.
	Verified time.Time
	// Locked is when it was locked; zero if it is not. Nobody can log in to a
	// locked account.
	Locked time.Time
}

// EmailKey is what makes an address the same as another: all of it in lower case,
// without spaces around it. By the standard the part before the @ may tell cases
// apart; no provider of note does so, and people do not.
func EmailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
