package auth

import (
	"errors"
	"net/http"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// What a request without the right to be is told to bring (RFC 7617, RFC 6750).
const (
	basicChallenge  = `Basic realm="mp3lathe", charset="UTF-8"`
	bearerChallenge = `Bearer realm="mp3lathe"`
)

// retryBusy is when a client that was turned away should try again.
const retryBusy = 2 * time.Second

// storeError is an error of the store of accounts.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// problemOf is the table from errors to answers.
func problemOf(err error) *httpapi.Problem {
	var in *inputError
	var store *storeError
	var p *httpapi.Problem
	var early *waitError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &early):
		return early.problem()
	case errors.As(err, &in):
		return httpapi.NewProblem(http.StatusUnprocessableEntity, "invalid_input", "validation failed").
			WithField("body."+in.field, in.message)
	case errors.Is(err, errCredentials):
		return httpapi.NewProblem(http.StatusUnauthorized, "bad_credentials", "The e-mail address or the password is wrong.")
	case errors.Is(err, errUnverified):
		return httpapi.NewProblem(http.StatusForbidden, "email_unverified", "Confirm your e-mail address first: open the link in the mail that was sent to it, or ask for another.")
	case errors.Is(err, errMailToken):
		return httpapi.NewProblem(http.StatusGone, "mail_link_over", "This link was used, has expired, or was not copied whole. Ask for another mail.")
	case errors.Is(err, errNoMails):
		return httpapi.NewProblem(http.StatusNotImplemented, "no_mails", "This service sends no mails. Ask its administrators.")
	case errors.Is(err, errPassword):
		return httpapi.NewProblem(http.StatusForbidden, "wrong_password", "The password is wrong.")
	case errors.Is(err, errSession):
		return httpapi.NewProblem(http.StatusUnauthorized, "session_ended", "The session has ended. Log in again.").
			WithHeader("WWW-Authenticate", bearerChallenge+`, error="invalid_token"`)
	case errors.Is(err, errKey):
		return httpapi.NewProblem(http.StatusUnauthorized, "key_invalid", "The API key is not valid: it was revoked, has expired, or is none.").
			WithHeader("WWW-Authenticate", bearerChallenge+`, error="invalid_token"`)
	case errors.Is(err, errReauthenticate):
		return httpapi.NewProblem(http.StatusForbidden, "reauthentication_required", "This needs the password, or a fresh sign-in (fresh=true) within the last 5 minutes.")
	case errors.Is(err, errSignIn):
		return httpapi.NewProblem(http.StatusForbidden, "sign_in_over", "This sign-in is over: it was used, has expired, or was begun in another browser. Begin again.")
	case errors.Is(err, errAddress):
		return httpapi.NewProblem(http.StatusForbidden, "address_not_vouched", "The provider does not say that your e-mail address is yours. Confirm it there, or make an account with a password here.")
	case errors.Is(err, errExists), errors.Is(err, account.ErrTaken):
		return httpapi.NewProblem(http.StatusConflict, "account_exists", "Your e-mail address has an account here. Log in with its password, and link this sign-in to it.")
	case errors.Is(err, errLinked), errors.Is(err, account.ErrLinked):
		return httpapi.NewProblem(http.StatusConflict, "identity_taken", "This identity is linked to another account.")
	case errors.Is(err, errLocked):
		return httpapi.NewProblem(http.StatusForbidden, "account_locked", "This account is locked.")
	case errors.Is(err, errBusy):
		p := httpapi.Unavailable(err, retryBusy)
		busy := httpapi.NewProblem(p.Status, "busy", "Too many people are logging in just now. Try again in a moment.")
		return busy.WithCause(err).WithHeader("Retry-After", p.GetHeaders().Get("Retry-After"))
	case errors.As(err, &store):
		return httpapi.Trouble(err)
	}
	return httpapi.Internal(err)
}

func registrationClosed() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusForbidden, "registration_closed", "Accounts are made by the administrators here.")
}

// accountChanged says that somebody else was faster.
func accountChanged() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusConflict, "conflict", "The account has just been changed by somebody else. Try again.")
}

func missingToken() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusUnauthorized, "unauthorized", "This needs an access token.").
		WithHeader("WWW-Authenticate", bearerChallenge)
}

// insufficient says that a token is good, but not for this (RFC 6750).
func insufficient(scope string) *httpapi.Problem {
	return httpapi.NewProblem(http.StatusForbidden, "insufficient_scope", "This token is not good for this: it lacks the scope "+scope+".").
		WithHeader("WWW-Authenticate", bearerChallenge+`, error="insufficient_scope", scope="`+scope+`"`)
}

// badToken is the problem of a token that was refused, with a status of 401 or 403.
func badToken(status int, err error) *httpapi.Problem {
	if errors.Is(err, token.ErrUnavailable) {
		return httpapi.Trouble(err)
	}
	code, detail := "token_invalid", "The access token is not valid."
	if errors.Is(err, token.ErrExpired) {
		code, detail = "token_expired", "The access token has expired. Log in again."
	}
	p := httpapi.NewProblem(status, code, detail).WithCause(err)
	if status == http.StatusUnauthorized {
		p.WithHeader("WWW-Authenticate", bearerChallenge+`, error="invalid_token"`)
	}
	return p
}
