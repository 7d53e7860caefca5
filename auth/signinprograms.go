package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// A program has its user sign in in the browser (RFC 8252): it listens on an address of
// this machine, and gets a code there, which it exchanges for the tokens of a session. The
// code is good once, for a minute, and for who knows what its challenge was made of
// (RFC 7636). No browser goes there by itself: its user presses a link, so that no program
// gets in unseen because he is signed in at the provider.

// program that a sign-in is for.
type program struct {
	Redirect, State, Challenge string
}

// programOf returns what a sign-in is for; nil if it is the browser.
func programOf(in *accountapi.StartInput) (*program, error) {
	if in.Redirect == "" && in.State == "" && in.Challenge == "" && in.Method == "" {
		return nil, nil
	}
	problem := httpapi.NewProblem(http.StatusUnprocessableEntity, "invalid_input", "validation failed")
	if !loopback(in.Redirect) {
		problem.WithField("query.redirect_uri", "it is no address of a program on this machine, such as http://127.0.0.1:12345/")
	}
	if b, err := base64.RawURLEncoding.DecodeString(in.Challenge); err != nil || len(b) != sha256.Size || in.Method != "S256" {
		problem.WithField("query.code_challenge", "it is no SHA-256 in base64url, or code_challenge_method is not S256")
	}
	if in.State == "" {
		problem.WithField("query.state", "it is needed")
	}
	if in.Return != "" {
		problem.WithField("query.return_to", "it is for browsers, and redirect_uri for programs")
	}
	if len(problem.Errors) > 0 {
		return nil, problem
	}
	return &program{Redirect: in.Redirect, State: in.State, Challenge: in.Challenge}, nil
}

// loopback reports whether an address is one of this machine, by its number, and with a
// port: names may be anybody's (RFC 8252, section 8.3).
func loopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1") && u.Port() != "" &&
		u.User == nil && u.Opaque == "" && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// ticket is what a code stands for.
type ticket struct {
	User, Issuer, Subject, Email string
	Challenge                    string
	Fresh                        bool
	// Password is the digest of the account's hash, with which the code ends too.
	Password string
}

// forProgram answers with the page whose link takes a code to a program.
func (s *Service) forProgram(ctx context.Context, p *provider, to program, a account.Account, i account.Identity, fresh bool) (*accountapi.PageOutput, error) {
	code := rand.Text()
	t := ticket{User: a.ID, Issuer: i.Issuer, Subject: i.Subject, Email: i.Email, Challenge: to.Challenge, Fresh: fresh, Password: digest(a.PasswordHash)}
	if err := s.keep(ctx, sealedCodes, code, t, codeLifetime); err != nil {
		return nil, err
	}
	s.logger.InfoContext(ctx, "a program was offered a sign-in", "user", a.ID, "provider", p.Name)
	return page{
		Title: "Let the program in?",
		Text: "A program on this computer wants to use the account " + a.Email + ". If you have just started one that asked you to sign in, press the link within a minute. " +
			"If not, close this page: nothing has happened.",
		Link: to.Redirect + "?" + url.Values{"code": {code}, "state": {to.State}}.Encode(), LinkText: "Let it in",
	}.output(http.StatusOK), nil
}

// exchangeCode answers a program's code with the tokens of a session.
func (s *Service) exchangeCode(ctx context.Context, in *accountapi.CodeInput) (*accountapi.Body[accountapi.LoggedIn], error) {
	undo, err := s.signingIn(ctx, in.Origin)
	if err != nil {
		return nil, problemOf(err)
	}
	var t ticket
	if err := s.take(ctx, sealedCodes, in.Body.Code, &t); err != nil {
		return nil, problemOf(err)
	}
	sum := sha256.Sum256([]byte(in.Body.Verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(t.Challenge)) != 1 {
		return nil, problemOf(errSignIn)
	}
	httpapi.SetUser(ctx, t.User)
	a, err := s.account(ctx, t.User)
	switch {
	case errors.Is(err, errSession), err == nil && digest(a.PasswordHash) != t.Password:
		return nil, problemOf(errSignIn)
	case err != nil:
		return nil, problemOf(err)
	}
	out, err := s.enter(ctx, a, account.Identity{Issuer: t.Issuer, Subject: t.Subject, Email: t.Email}, t.Fresh, in.Origin)
	if err != nil {
		return nil, problemOf(err)
	}
	undo()
	return out, nil
}
