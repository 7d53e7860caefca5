package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

// Limiter makes those wait who try too often; [throttle.Limiter] is one.
type Limiter interface {
	// Take counts a try of all keys, or returns how long one of them has to wait.
	Take(ctx context.Context, keys ...throttle.Key) time.Duration
	Undo(ctx context.Context, keys ...throttle.Key)
	Forget(ctx context.Context, keys ...throttle.Key)
}

// Passwords are guessed in three ways, and each has its limit: many for one account from
// one place, a few for each of many accounts from one place, and many for one account
// from many places. The last could be used to lock an owner out; so it does not count
// for an address from which he is logged in already, and its wait is short.
//
// Every try is counted before it is made, so that many at the same time get no further,
// and taken back if the password was right. An account that does not exist has its
// limits like any other.
type limitRules struct {
	pair, address, account throttle.Rule
	// mail is for what makes accounts and mails, of which nobody needs many.
	mail throttle.Rule
	// signIn is for sign-ins by a provider; those that succeed do not count.
	signIn throttle.Rule
}

func defaultRules() limitRules {
	return limitRules{
		pair:    throttle.Rule{Free: 5, Base: time.Second, Max: 15 * time.Minute, Memory: time.Hour},
		address: throttle.Rule{Free: 50, Base: time.Second, Max: time.Minute, Memory: time.Hour},
		account: throttle.Rule{Free: 100, Base: time.Second, Max: 30 * time.Second, Memory: 24 * time.Hour},
		mail:    throttle.Rule{Free: 20, Base: 2 * time.Second, Max: 5 * time.Minute, Memory: time.Hour},
		signIn:  throttle.Rule{Free: 50, Base: time.Second, Max: time.Minute, Memory: time.Hour},
	}
}

// waitError says that it is too early for another try.
type waitError struct{ wait time.Duration }

func (e *waitError) Error() string { return fmt.Sprintf("too many tries: the next in %v", e.wait) }

func (e *waitError) problem() *httpapi.Problem {
	seconds := int((e.wait + time.Second - 1) / time.Second)
	return httpapi.NewProblem(http.StatusTooManyRequests, "too_many_attempts", "Too many attempts. Try again later.").
		WithHeader("Retry-After", strconv.Itoa(max(seconds, 1))).WithCause(e)
}

// placeOf is where a request comes from, as far as limits tell: an IPv6 address is one
// of 2^64 that its network has. "" if it is not known.
func placeOf(from accountapi.Origin) string {
	a, err := netip.ParseAddr(addressOf(from))
	if err != nil {
		return ""
	}
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// guess is a try of a password that has been counted.
type guess struct {
	limits        Limiter
	pair, account throttle.Key
	counted       []throttle.Key // what there is beside the pair
}

// guess counts a try of the password of an account, by its address, from somewhere. The
// error is a *waitError if it is too early.
func (s *Service) guess(ctx context.Context, email string, from accountapi.Origin) (*guess, error) {
	key, place := account.EmailKey(email), placeOf(from)
	g := &guess{
		limits:  s.limits,
		pair:    throttle.Key{Name: "pair " + place + " " + key, Rule: s.rules.pair},
		account: throttle.Key{Name: "account " + key, Rule: s.rules.account},
	}
	if place != "" {
		g.counted = append(g.counted, throttle.Key{Name: "address " + place, Rule: s.rules.address})
	}
	if wait := s.limits.Take(ctx, append(g.counted, g.pair)...); wait > 0 {
		return nil, &waitError{wait}
	}
	wait := s.limits.Take(ctx, g.account)
	if wait == 0 {
		g.counted = append(g.counted, g.account)
		return g, nil
	}
	known, err := s.accounts.KnownAddress(ctx, email, addressOf(from))
	if err != nil {
		s.limits.Undo(ctx, append(g.counted, g.pair)...)
		return nil, &storeError{err}
	}
	if !known {
		s.limits.Undo(ctx, append(g.counted, g.pair)...)
		return nil, &waitError{wait}
	}
	return g, nil
}

// right takes the try back, and forgets those before it from the same place.
func (g *guess) right(ctx context.Context) {
	g.limits.Forget(ctx, g.pair)
	g.limits.Undo(ctx, g.counted...)
}

// void takes back a try that came to nothing.
func (g *guess) void(ctx context.Context) {
	g.limits.Undo(ctx, append(g.counted, g.pair)...)
}

// end takes a try back, if that is due, by what came of it.
func (g *guess) end(ctx context.Context, err error) {
	switch {
	case errors.Is(err, errCredentials), errors.Is(err, errPassword):
	case err == nil, errors.Is(err, errLocked), errors.Is(err, errUnverified): // the password was right
		g.right(ctx)
	default:
		g.void(ctx)
	}
}

// mailing counts what makes an account or a mail. The error is a *waitError if it is
// too early.
func (s *Service) mailing(ctx context.Context, from accountapi.Origin) error {
	place := placeOf(from)
	if place == "" {
		return nil
	}
	if wait := s.limits.Take(ctx, throttle.Key{Name: "mail " + place, Rule: s.rules.mail}); wait > 0 {
		return &waitError{wait}
	}
	return nil
}
