package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/openid"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// startLink begins to link an identity to the account of who is logged in.
func (s *Service) startLink(ctx context.Context, in *accountapi.LinkInput) (*accountapi.LinkOutput, error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	p, err := s.provider(in.Provider)
	if err != nil {
		return nil, err
	}
	if err := checkReturn("body.return_to", in.Body.Return); err != nil {
		return nil, err
	}
	if err := s.confirm(ctx, h, in.Body.Password, in.Origin); err != nil {
		return nil, problemOf(err)
	}
	// The identity would stay with an account that a stranger has made for somebody else's
	// address, when its owner gets it back by a mail.
	if h.account.Verified.IsZero() {
		return nil, problemOf(errUnverified)
	}
	location, cookie, err := s.beginSignIn(ctx, p, begun{Request: openid.NewRequest(false), Return: in.Body.Return, User: h.account.ID, Session: h.session}, in.Browser.Value)
	if err != nil {
		return nil, problemOf(err)
	}
	return &accountapi.LinkOutput{Cookies: []http.Cookie{cookie}, Body: accountapi.Elsewhere{Location: location}}, nil
}

// linkBegun links an identity to the account whose user has begun to.
func (s *Service) linkBegun(ctx context.Context, p *provider, b begun, who openid.Identity) (*accountapi.PageOutput, error) {
	httpapi.SetUser(ctx, b.User)
	switch session, err := s.accounts.Session(ctx, b.Session); {
	case errors.Is(err, account.ErrNotFound), err == nil && session.User != b.User:
		return nil, errSession
	case err != nil:
		return nil, &storeError{err}
	}
	a, err := s.account(ctx, b.User)
	if err != nil {
		return nil, err
	}
	i, err := newIdentity(p, who)
	if err != nil {
		return nil, err
	}
	i.User = a.ID
	if err := s.link(ctx, i, a); errors.Is(err, account.ErrLinked) {
		switch have, err := s.accounts.Identity(ctx, i.Issuer, i.Subject); {
		case err != nil && !errors.Is(err, account.ErrNotFound):
			return nil, &storeError{err}
		case err != nil || have.User != a.ID:
			return nil, errLinked
		}
	} else if err != nil {
		return nil, err
	}
	out := page{Title: "Linked", Text: "You can log in to " + a.Email + " with " + p.Label + " now.", Link: b.Return, LinkText: "Go on"}.output(http.StatusOK)
	return toReturn(out, b.Return), nil
}

// link links an identity to an account, and tells its owner.
func (s *Service) link(ctx context.Context, i account.Identity, a account.Account) error {
	m, err := s.newMail(account.MailLinked, a.ID, a.Email)
	if err != nil {
		return err
	}
	switch err := s.accounts.Link(ctx, i, m); {
	case errors.Is(err, account.ErrLinked):
		return err
	case errors.Is(err, account.ErrConflict):
		return accountChanged()
	case errors.Is(err, account.ErrTooMany):
		return httpapi.NewProblem(http.StatusConflict, "too_many_identities", "As many identities are linked to the account as can be. Take one away first.")
	case err != nil:
		return &storeError{err}
	}
	s.logger.InfoContext(ctx, "an identity was linked to an account", "user", a.ID, "issuer", i.Issuer)
	s.wake()
	return nil
}

func (s *Service) listIdentities(ctx context.Context, in *accountapi.Authorization) (*accountapi.Body[accountapi.Identities], error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	all, err := s.accounts.Identities(ctx, h.account.ID)
	if err != nil {
		return nil, problemOf(&storeError{err})
	}
	out := &accountapi.Body[accountapi.Identities]{Body: accountapi.Identities{Identities: []accountapi.Identity{}}}
	for _, i := range all {
		v := accountapi.Identity{ID: i.ID, Issuer: i.Issuer, Email: i.Email, Created: i.Created, Used: i.Used}
		for _, p := range s.providers {
			if p.Issuer == i.Issuer {
				v.Provider = p.Name
			}
		}
		out.Body.Identities = append(out.Body.Identities, v)
	}
	return out, nil
}

func (s *Service) unlink(ctx context.Context, in *accountapi.UnlinkInput) (*struct{}, error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	if err := s.confirm(ctx, h, in.Body.Password, in.Origin); err != nil {
		return nil, problemOf(err)
	}
	m, err := s.newMail(account.MailUnlinked, h.account.ID, h.account.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	switch err := s.accounts.Unlink(ctx, h.account.ID, in.ID, h.session, m); {
	case errors.Is(err, account.ErrNotFound):
		return nil, httpapi.NewProblem(http.StatusNotFound, "not_found", "There is no such identity.")
	case errors.Is(err, account.ErrLastWay):
		return nil, httpapi.NewProblem(http.StatusConflict, "last_sign_in", "Nobody could log in to the account any more. Set a password first, or link another identity.")
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	s.logger.InfoContext(ctx, "an identity was taken from an account", "user", h.account.ID)
	s.wake()
	return nil, nil
}
