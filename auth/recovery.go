package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/mail"
)

// What can be wrong with links in mails, and what goes with them.
var (
	errMailToken  = errors.New("the link in a mail is not good")
	errUnverified = errors.New("the address is not verified")
	errNoMails    = errors.New("this service sends no mails")
)

// register answers alike whether there is an account of the address already: only its
// owner, by a mail, learns the difference. What it does is as much in both cases.
func (s *Service) register(ctx context.Context, in *accountapi.RegisterInput) (*accountapi.Body[accountapi.Registered], error) {
	if !s.anybody {
		return nil, registrationClosed()
	}
	if err := s.mailing(ctx, in.Origin); err != nil {
		return nil, problemOf(err)
	}
	a, err := s.newAccount(ctx, in.Body.Email, in.Body.Password, token.RoleUser)
	if err != nil {
		return nil, problemOf(err)
	}
	m, err := s.newMail(account.MailVerify, a.ID, a.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	switch err := s.accounts.Register(ctx, a, m); {
	case err == nil:
		httpapi.SetUser(ctx, a.ID)
		s.wake()
	case errors.Is(err, account.ErrTaken):
		if err := s.tellTaken(ctx, a.Email); err != nil {
			return nil, problemOf(err)
		}
	default:
		return nil, problemOf(&storeError{err})
	}
	return &accountapi.Body[accountapi.Registered]{Body: accountapi.Registered{Email: a.Email}}, nil
}

// tellTaken tells the owner of an account that somebody wanted to register with its
// address. One that was never verified is no exception: another link to verify it could
// lead its owner to confirm an account whose password a stranger has chosen; a new
// password, which the mail offers, makes it his.
func (s *Service) tellTaken(ctx context.Context, email string) error {
	a, err := s.accounts.ByEmail(ctx, email)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return nil // deleted just now
	case err != nil:
		return &storeError{err}
	}
	return s.addMail(ctx, account.MailTaken, a.ID, a.Email)
}

// mailTo sends a mail of a kind to the account of an address, if there is one that
// wants it. It answers alike, after the same work, whether there is.
func (s *Service) mailTo(ctx context.Context, email string, from accountapi.Origin, kind account.MailKind, wants func(account.Account) bool) (*accountapi.Body[accountapi.Registered], error) {
	if s.mailer == nil {
		return nil, problemOf(errNoMails)
	}
	email = strings.TrimSpace(email)
	if err := mail.CheckAddress(email); err != nil {
		return nil, problemOf(&inputError{"email", err.Error()})
	}
	if err := s.mailing(ctx, from); err != nil {
		return nil, problemOf(err)
	}
	a, err := s.accounts.ByEmail(ctx, email)
	switch {
	case err != nil && !errors.Is(err, account.ErrNotFound):
		return nil, problemOf(&storeError{err})
	case err != nil || !wants(a):
		kind, a.ID, a.Email = account.MailNone, "", email
	}
	if err := s.addMail(ctx, kind, a.ID, a.Email); err != nil {
		return nil, problemOf(err)
	}
	return &accountapi.Body[accountapi.Registered]{Body: accountapi.Registered{Email: email}}, nil
}

func (s *Service) sendVerification(ctx context.Context, in *accountapi.EmailInput) (*accountapi.Body[accountapi.Registered], error) {
	return s.mailTo(ctx, in.Body.Email, in.Origin, account.MailVerify, func(a account.Account) bool { return a.Verified.IsZero() })
}

func (s *Service) sendReset(ctx context.Context, in *accountapi.EmailInput) (*accountapi.Body[accountapi.Registered], error) {
	return s.mailTo(ctx, in.Body.Email, in.Origin, account.MailReset, func(a account.Account) bool { return a.Locked.IsZero() })
}

func (s *Service) verifyAddress(ctx context.Context, in *accountapi.Body[accountapi.TokenBody]) (*struct{}, error) {
	if err := s.verify(ctx, in.Body.Token); err != nil {
		return nil, problemOf(err)
	}
	return nil, nil
}

func (s *Service) verify(ctx context.Context, secret string) error {
	err := s.accounts.Verify(ctx, digest(secret))
	switch {
	case errors.Is(err, account.ErrNotFound):
		return errMailToken
	case err != nil:
		return &storeError{err}
	}
	return nil
}

func (s *Service) resetPassword(ctx context.Context, in *accountapi.Body[accountapi.ResetBody]) (*struct{}, error) {
	if err := s.reset(ctx, in.Body.Token, in.Body.Password); err != nil {
		return nil, problemOf(err)
	}
	return nil, nil
}

// reset sets a password by the secret in a mail.
func (s *Service) reset(ctx context.Context, secret, password string) error {
	a, err := s.accounts.Resettable(ctx, digest(secret))
	switch {
	case errors.Is(err, account.ErrNotFound):
		return errMailToken
	case err != nil:
		return &storeError{err}
	}
	httpapi.SetUser(ctx, a.ID)
	if password, err = newPassword("password", password, a.Email); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	m, err := s.newMail(account.MailChanged, a.ID, a.Email)
	if err != nil {
		return err
	}
	switch err := s.accounts.ResetPassword(ctx, digest(secret), hash, m); {
	case errors.Is(err, account.ErrNotFound):
		return errMailToken // used by somebody else just now
	case err != nil:
		return &storeError{err}
	}
	s.wake()
	return nil
}
