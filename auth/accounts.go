package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/mail"
)

// What can be wrong with a login.
var (
	errCredentials = errors.New("e-mail address and password do not match")
	errPassword    = errors.New("the password is wrong")
	errLocked      = errors.New("the account is locked")
	// errReauthenticate means that there is no password, nor anything in its place.
	errReauthenticate = errors.New("the user has not shown again who he is")
)

// inputError says, for users, what is wrong with one input.
type inputError struct{ field, message string }

func (e *inputError) Error() string { return e.message }

// CreateUser makes an account, whether or not the registration is open. Its address
// counts as verified: whoever may do this knows whose it is. The error wraps
// [account.ErrTaken], or says in words for people what is wrong.
func (s *Service) CreateUser(ctx context.Context, email, password, role string) error {
	a, err := s.newAccount(ctx, email, password, role)
	if err == nil {
		a.Verified = s.signer.now()
		var act account.Act
		if act, err = newAct(holder{}, accountapi.Origin{}, account.ActCreate, a.ID, "with the role "+role); err == nil {
			err = s.accounts.CreateNoted(ctx, a, act)
		}
	}
	if err != nil {
		return fmt.Errorf("auth: create a user: %w", err)
	}
	return nil
}

// newAccount makes an account that is to be kept. The error may be an *inputError.
func (s *Service) newAccount(ctx context.Context, email, password, role string) (account.Account, error) {
	email = strings.TrimSpace(email)
	if err := mail.CheckAddress(email); err != nil {
		return account.Account{}, &inputError{"email", err.Error()}
	}
	password, err := newPassword("password", password, email)
	if err != nil {
		return account.Account{}, err
	}
	if role != token.RoleUser && role != token.RoleAdmin {
		return account.Account{}, &inputError{"role", fmt.Sprintf("a role is %q or %q", token.RoleUser, token.RoleAdmin)}
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return account.Account{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return account.Account{}, err
	}
	return account.Account{ID: id.String(), Email: email, PasswordHash: hash, Role: role}, nil
}

// authenticate finds the account that an address and a password belong to. An
// unknown address and a wrong password give the same error after the same work. Who
// tries too often gets a *waitError.
func (s *Service) authenticate(ctx context.Context, email, password string, from accountapi.Origin) (account.Account, error) {
	g, err := s.guess(ctx, email, from)
	if err != nil {
		return account.Account{}, err
	}
	a, err := s.prove(ctx, email, password)
	g.end(ctx, err)
	return a, err
}

// prove is authenticate without limits.
func (s *Service) prove(ctx context.Context, email, password string) (account.Account, error) {
	a, err := s.accounts.ByEmail(ctx, email)
	switch {
	case errors.Is(err, account.ErrNotFound):
		a = account.Account{} // which no password opens
	case err != nil:
		return account.Account{}, &storeError{err}
	default:
		httpapi.SetUser(ctx, a.ID) // so that the log tells whose password is being guessed
	}
	ok, fresh, err := s.hasher.check(ctx, normal(password), a.PasswordHash)
	switch {
	case err != nil:
		return account.Account{}, err
	case !ok:
		return account.Account{}, errCredentials
	case !a.Locked.IsZero():
		return account.Account{}, errLocked
	case s.verification == VerifyLogin && a.Verified.IsZero():
		return account.Account{}, errUnverified
	}
	if fresh != "" {
		// The login is good without it. If the password has just been changed, the
		// new one stays.
		switch err := s.accounts.SetPassword(ctx, a.ID, a.PasswordHash, fresh); {
		case err == nil:
			a.PasswordHash = fresh
		case !errors.Is(err, account.ErrConflict):
			s.logger.WarnContext(ctx, "a password could not be hashed with the new parameters", "user", a.ID, "error", err)
		}
	}
	return a, nil
}
