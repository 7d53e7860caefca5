package auth

import (
	"context"
	"errors"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

// A deleted account leaves a row, the departure, written with the deletion. Its jobs lie
// in another database, so the gateway is told, with a token that says whose they are and
// is good for nothing else, until it has written that down; then the sweeper of the
// workers removes them. Whoever ends in the middle, it goes on from a row.
const (
	departLease   = time.Minute
	departTimeout = 20 * time.Second
	departLast    = 10 * time.Minute
)

// Gateway is told of accounts that were deleted.
type Gateway interface {
	// Depart hands over a token of the user that has [token.ScopeJobsPurge]. It may be
	// called again for the same one.
	Depart(ctx context.Context, accessToken string) error
}

func (s *Service) deleteAccount(ctx context.Context, in *accountapi.DeleteInput) (*struct{}, error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	if err := s.confirm(ctx, h, in.Body.Password, in.Origin); err != nil {
		return nil, problemOf(err)
	}
	m, err := s.newMail(account.MailDeleted, "", h.account.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	switch err := s.accounts.Delete(ctx, h.account.ID, h.account.PasswordHash, m); {
	case errors.Is(err, account.ErrConflict):
		return nil, accountChanged()
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	s.logger.InfoContext(ctx, "an account was deleted by its owner", "user", h.account.ID)
	s.wake()
	return nil, nil
}

// depart tells the gateway of the accounts that were deleted, those that are due.
func (s *Service) depart(ctx context.Context) {
	for s.gateway != nil && ctx.Err() == nil {
		d, err := s.accounts.ClaimDeparture(ctx, departLease)
		if err != nil {
			if !errors.Is(err, account.ErrNotFound) && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "the accounts that were deleted cannot be read", "error", err)
			}
			return
		}
		if err := s.departOne(ctx, d); err != nil && ctx.Err() == nil {
			again := min(firstResend<<min(d.Tries-1, 10), departLast)
			s.logger.WarnContext(ctx, "the gateway could not be told that an account was deleted; it is tried again", "user", d.User, "in", again, "error", err)
			if err := s.accounts.DepartLater(ctx, d, again); err != nil {
				s.logger.WarnContext(ctx, "that could not be noted", "error", err)
			}
		}
	}
}

func (s *Service) departOne(ctx context.Context, d account.Departure) error {
	raw, err := s.signer.sign(ctx, account.Account{ID: d.User, Role: token.RoleUser}, "", []string{token.ScopeJobsPurge})
	if err != nil {
		return err
	}
	telling, cancel := context.WithTimeout(ctx, departTimeout)
	defer cancel()
	if err := s.gateway.Depart(telling, raw); err != nil {
		return err
	}
	return s.accounts.Departed(ctx, d)
}
