// Package redisconn tells how to connect to a Redis: to a server by its URL, or to
// one inside the process.
package redisconn

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Address is where a Redis is. The zero value is nowhere.
type Address struct {
	// URL is redis://[user]:password@host:port/db, rediss:// for TLS, or
	// unix://[user]:password@/path?db=0.
	URL string
	// Dial, if it is set, makes the connections, and URL is not looked at.
	Dial func() (net.Conn, error)
}

// At is the address of a URL.
func At(url string) Address { return Address{URL: url} }

// Options for a client, with our time-outs where the URL sets none. The error does
// not hold the URL, which may hold a password.
func (a Address) Options() (*redis.Options, error) {
	opt := &redis.Options{}
	if a.Dial != nil {
		opt.Dialer = func(context.Context, string, string) (net.Conn, error) { return a.Dial() }
	} else {
		var err error
		if opt, err = redis.ParseURL(a.URL); err != nil {
			return nil, errors.New("the URL of Redis is not one; want redis://[:password@]host:port/db, rediss:// or unix://")
		}
	}
	if opt.DialTimeout == 0 {
		opt.DialTimeout = 2 * time.Second
	}
	if opt.ReadTimeout == 0 {
		opt.ReadTimeout = 3 * time.Second
	}
	opt.ContextTimeoutEnabled = true
	opt.DisableIdentity = true
	return opt, nil
}
