package account

import (
	"errors"
	"time"
)

// ErrReused means that a refresh token was used that another has replaced long ago:
// somebody has a copy. Its session has been ended.
var ErrReused = errors.New("the refresh token was used before")

// Session is what a login begins: it lasts for as long as its refresh tokens are used,
// within bounds.
type Session struct {
	// ID is a UUID of version 7.
	ID string
	// User is the account's ID.
	User string
	// Address and Agent of the client at the login, as far as they are known.
	Address, Agent string
	// Created is when it began, Used when its refresh token was last used.
	Created, Used time.Time
	// Expires is when it ends if it is not used again, Ends when it does at the latest.
	Expires, Ends time.Time
	// Proved is when its user has shown to a provider of OpenID Connect who he is, with
	// what he has to show there, and not by a session that goes on; zero if he has not.
	Proved time.Time
}

// NewSession is a session that is to be kept. Its times are made by the store.
type NewSession struct {
	Session
	// Family is the hash of the secret that all its refresh tokens share, Token that of
	// the first one's own.
	Family, Token string
	// Lifetime is how long it lasts at most, and Idle how long without use.
	Lifetime, Idle time.Duration
	// Fresh sets Proved to now.
	Fresh bool
}

// MaxSessions is how many sessions an account may have at once: the one that was not
// used for longest ends when there are more.
const MaxSessions = 100
