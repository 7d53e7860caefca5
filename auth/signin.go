package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/openid"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

// A sign-in begins with a row, found by the state that goes with the browser to the
// provider and back. What it holds is sealed: who can read the database alone can finish
// none. It is good once, for ten minutes, and in the browser that has begun it, which has
// a cookie for that.
//
// Accounts are found by issuer and subject, never by an address: those change hands, and
// not every provider asks its users whether theirs is theirs.
const (
	signInLifetime = 10 * time.Minute
	codeLifetime   = time.Minute
	// freshFor is how long a sign-in for which the provider has asked who the user is does
	// for a password.
	freshFor = 5 * time.Minute

	sealedSignIns = "sign-ins"
	sealedCodes   = "codes of sign-ins"
)

// What can be wrong with a sign-in.
var (
	errSignIn  = errors.New("the sign-in is over, or was begun in another browser")
	errAddress = errors.New("the provider vouches for no address")
	errExists  = errors.New("there is an account of the address")
	errLinked  = errors.New("the identity belongs to another account")
)

// begun is what is kept of a sign-in until the browser comes back.
type begun struct {
	Request  openid.Request
	At       time.Time
	Provider string
	// Browser is the digest of what its cookie has.
	Browser string
	// Return is a path on this service; empty for none.
	Return string
	// Program is what the sign-in is for; nil for the browser itself.
	Program *program `json:",omitempty"`
	// User, and his session, whose account the identity is to be linked to; empty if
	// somebody signs in.
	User, Session string
}

// keep seals something under a secret that finds it again, once.
func (s *Service) keep(ctx context.Context, purpose, secret string, v any, lifetime time.Duration) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	id := digest(secret)
	sealed, err := s.secrets.seal(purpose, id, b)
	if err != nil {
		return err
	}
	if err := s.accounts.KeepSignIn(ctx, id, sealed, lifetime); err != nil {
		return &storeError{err}
	}
	return nil
}

// take gives back what keep has kept; errSignIn if there is nothing.
func (s *Service) take(ctx context.Context, purpose, secret string, v any) error {
	id := digest(secret)
	sealed, err := s.accounts.TakeSignIn(ctx, id)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return errSignIn
	case err != nil:
		return &storeError{err}
	}
	b, err := s.secrets.open(purpose, id, sealed)
	if err != nil {
		return errSignIn // of another purpose, or the service's secret has been changed
	}
	return json.Unmarshal(b, v)
}

// beginSignIn keeps a sign-in and returns where the browser goes, and its cookie.
func (s *Service) beginSignIn(ctx context.Context, p *provider, b begun, browser string) (location string, cookie http.Cookie, err error) {
	if len(browser) != len(rand.Text()) {
		browser = rand.Text() // else that of another tab, whose sign-in goes on too
	}
	b.At, b.Provider, b.Browser = time.Now(), p.Name, digest(browser)
	if location, err = p.client.URL(ctx, b.Request); err != nil {
		return "", cookie, s.providerError(ctx, p, err)
	}
	if err := s.keep(ctx, sealedSignIns, b.Request.State, b, signInLifetime); err != nil {
		return "", cookie, err
	}
	return location, http.Cookie{
		Name: accountapi.SignInCookie, Value: browser, Path: "/", MaxAge: int(signInLifetime.Seconds()),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}, nil
}

// signingIn counts the begin of a sign-in, or a return from one. The error is a *waitError
// if it is too early.
func (s *Service) signingIn(ctx context.Context, from accountapi.Origin) (undo func(), err error) {
	place := placeOf(from)
	if place == "" {
		return func() {}, nil
	}
	key := throttle.Key{Name: "sign-in " + place, Rule: s.rules.signIn}
	if wait := s.limits.Take(ctx, key); wait > 0 {
		return nil, &waitError{wait}
	}
	return func() { s.limits.Undo(ctx, key) }, nil
}

func (s *Service) startSignIn(ctx context.Context, in *accountapi.StartInput) (*accountapi.PageOutput, error) {
	location, cookie, err := s.start(ctx, in)
	if err != nil {
		return forBrowser(ctx, in.Accept, err)
	}
	return &accountapi.PageOutput{Status: http.StatusSeeOther, Location: location, Cookies: []http.Cookie{cookie}}, nil
}

func (s *Service) start(ctx context.Context, in *accountapi.StartInput) (location string, cookie http.Cookie, err error) {
	p, err := s.provider(in.Provider)
	if err != nil {
		return "", cookie, err
	}
	if in.FetchSite == "cross-site" || in.FetchSite == "same-site" {
		return "", cookie, crossOrigin()
	}
	if err := checkReturn("query.return_to", in.Return); err != nil {
		return "", cookie, err
	}
	program, err := programOf(in)
	if err != nil {
		return "", cookie, err
	}
	if _, err := s.signingIn(ctx, in.Origin); err != nil {
		return "", cookie, err
	}
	return s.beginSignIn(ctx, p, begun{Request: openid.NewRequest(in.Fresh), Return: in.Return, Program: program}, in.Browser.Value)
}

func (s *Service) signInCallback(ctx context.Context, in *accountapi.CallbackInput) (*accountapi.PageOutput, error) {
	out, err := s.comeBack(ctx, in)
	if err != nil {
		return forBrowser(ctx, in.Accept, err)
	}
	return out, nil
}

// comeBack finishes a sign-in.
func (s *Service) comeBack(ctx context.Context, in *accountapi.CallbackInput) (*accountapi.PageOutput, error) {
	p, err := s.provider(in.Provider)
	if err != nil {
		return nil, err
	}
	undo, err := s.signingIn(ctx, in.Origin)
	if err != nil {
		return nil, err
	}
	var b begun
	if err := s.take(ctx, sealedSignIns, in.State, &b); err != nil {
		return nil, err
	}
	if b.Provider != p.Name || b.Browser != digest(in.Browser.Value) {
		return nil, errSignIn
	}
	who, err := p.client.Exchange(ctx, openid.Response{Code: in.Code, Issuer: in.Issuer, Error: in.Error}, b.Request, b.At)
	if err != nil {
		return nil, s.providerError(ctx, p, err)
	}
	undo()
	if b.User != "" {
		return s.linkBegun(ctx, p, b, who)
	}
	undo() // the begin too
	a, i, err := s.owner(ctx, p, who)
	if err != nil {
		return nil, err
	}
	httpapi.SetUser(ctx, a.ID)
	if b.Program != nil {
		return s.forProgram(ctx, p, *b.Program, a, i, b.Request.Fresh)
	}
	session, err := s.enter(ctx, a, i, b.Request.Fresh, in.Origin)
	if err != nil {
		return nil, err
	}
	out := page{Title: "Signed in", Text: "You are signed in as " + a.Email + ".", Link: b.Return, LinkText: "Go on"}.output(http.StatusOK)
	out.Cookies = inCookies(session).Cookies
	return toReturn(out, b.Return), nil
}

// enter begins a session of an account that somebody has signed in to.
func (s *Service) enter(ctx context.Context, a account.Account, i account.Identity, fresh bool, from accountapi.Origin) (*accountapi.Body[accountapi.LoggedIn], error) {
	n, t, err := s.newSession(a.ID, from)
	if err != nil {
		return nil, err
	}
	n.Fresh = fresh
	switch err := s.accounts.SignIn(ctx, i, n); {
	case errors.Is(err, account.ErrConflict): // just now
		return nil, errSignIn
	case err != nil:
		return nil, &storeError{err}
	}
	return s.grant(ctx, a, n.ID, t, n.Lifetime)
}

// owner returns the account that an identity is linked to, with what is known of the
// identity. It links, or makes an account, where that is to be.
func (s *Service) owner(ctx context.Context, p *provider, who openid.Identity) (account.Account, account.Identity, error) {
	for again := true; ; again = false {
		i, err := s.accounts.Identity(ctx, p.Issuer, who.Subject)
		switch {
		case err == nil:
			a, err := s.account(ctx, i.User)
			switch {
			case errors.Is(err, errSession): // deleted just now
				return a, i, errSignIn
			case err == nil && s.verification == VerifyLogin && a.Verified.IsZero():
				err = errUnverified
			}
			i.Email = who.Email
			return a, i, err
		case !errors.Is(err, account.ErrNotFound):
			return account.Account{}, i, &storeError{err}
		}
		a, i, err := s.newcomer(ctx, p, who)
		if again && (errors.Is(err, errExists) || errors.Is(err, account.ErrTaken) || errors.Is(err, account.ErrLinked)) {
			continue // another sign-in of the same user may have been faster
		}
		return a, i, err
	}
}

// newcomer does what is to be done with an identity that no account has.
func (s *Service) newcomer(ctx context.Context, p *provider, who openid.Identity) (account.Account, account.Identity, error) {
	if mail.CheckAddress(who.Email) != nil || !who.Verified && !p.TrustAddresses {
		return account.Account{}, account.Identity{}, errAddress
	}
	i, err := newIdentity(p, who)
	if err != nil {
		return account.Account{}, i, err
	}
	a, err := s.accounts.ByEmail(ctx, who.Email)
	switch {
	case err == nil:
		// An account whose address was never confirmed may be a stranger's, who waits for
		// its owner to move in. And no provider makes administrators.
		if !p.LinkVerified || a.Verified.IsZero() || a.Role != token.RoleUser {
			return a, i, errExists
		}
		i.User = a.ID
		if !a.Locked.IsZero() {
			return a, i, errLocked
		}
		return a, i, s.link(ctx, i, a)
	case !errors.Is(err, account.ErrNotFound):
		return account.Account{}, i, &storeError{err}
	case p.Closed:
		return account.Account{}, i, registrationClosed()
	}
	id, err := uuid.NewV7()
	if err != nil {
		return account.Account{}, i, err
	}
	a = account.Account{ID: id.String(), Email: who.Email, Role: token.RoleUser, Verified: s.signer.now()}
	i.User = a.ID
	switch err := s.accounts.CreateLinked(ctx, a, i); {
	case errors.Is(err, account.ErrTaken), errors.Is(err, account.ErrLinked):
		return a, i, err
	case err != nil:
		return a, i, &storeError{err}
	}
	s.logger.InfoContext(ctx, "an account was made by a sign-in", "user", a.ID, "provider", p.Name)
	return a, i, nil
}

func newIdentity(p *provider, who openid.Identity) (account.Identity, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return account.Identity{}, err
	}
	return account.Identity{ID: id.String(), Issuer: p.Issuer, Subject: who.Subject, Email: oneLine(who.Email, maxEmail)}, nil
}
