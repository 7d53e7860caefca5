package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// admin lets in administrators who are logged in: by what the database says now, and not
// by their token alone. API keys are no way in.
func (s *Service) admin(ctx context.Context, header string) (holder, error) {
	h, err := s.holder(ctx, header)
	if err != nil {
		return holder{}, err
	}
	if h.account.Role != token.RoleAdmin {
		return holder{}, httpapi.NewProblem(403, "forbidden", "This is for administrators.")
	}
	return h, nil
}

// newAct makes an entry of the audit log.
func newAct(h holder, from accountapi.Origin, action account.Action, subject, detail string) (account.Act, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return account.Act{}, fmt.Errorf("auth: new act: %w", err)
	}
	return account.Act{
		ID: id.String(), Actor: h.account.ID, ActorEmail: h.account.Email, Place: addressOf(from), Action: action, Subject: subject, Detail: oneLine(detail, maxDetail),
	}, nil
}

const maxDetail = 500 // bytes

// didAct says what came of an act.
func (s *Service) didAct(ctx context.Context, act account.Act, err error) error {
	switch {
	case errors.Is(err, account.ErrNotFound):
		return httpapi.NewProblem(404, "not_found", "There is no such account.")
	case err != nil:
		return problemOf(&storeError{err})
	}
	s.logger.InfoContext(ctx, "an administrator has acted", "actor", act.Actor, "action", string(act.Action), "subject", act.Subject)
	return nil
}

func userView(a account.Account) accountapi.User {
	v := accountapi.User{ID: a.ID, Email: a.Email, Verified: !a.Verified.IsZero(), Roles: rolesOf(a), Created: a.Created}
	if !a.Locked.IsZero() {
		v.Locked = &a.Locked
	}
	if q := quotaOf(a); q != (account.Quota{}) {
		v.Quota = (*accountapi.AccountQuota)(&q)
	}
	return v
}

// quotaOf is what an account may take up.
func quotaOf(a account.Account) (q account.Quota) {
	if a.Quota != "" {
		_ = json.Unmarshal([]byte(a.Quota), &q) // of the store's making
	}
	return q
}

// maxUsers in one answer.
const maxUsers = 100

func (s *Service) listUsers(ctx context.Context, in *accountapi.UsersInput) (*accountapi.Body[accountapi.Users], error) {
	h, err := s.admin(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	limit := in.Limit
	if limit == 0 {
		limit = maxUsers
	}
	act, err := newAct(h, in.Origin, account.ActView, "", "accounts that begin with \""+in.Email+"\", after \""+in.After+"\"")
	if err == nil {
		err = s.accounts.Note(ctx, act)
	}
	if err != nil {
		return nil, problemOf(&storeError{err})
	}
	found, err := s.accounts.Users(ctx, account.UserQuery{Email: in.Email, After: in.After, Limit: limit})
	if err != nil {
		return nil, problemOf(&storeError{err})
	}
	out := &accountapi.Body[accountapi.Users]{Body: accountapi.Users{Users: []accountapi.User{}}}
	for _, a := range found {
		out.Body.Users = append(out.Body.Users, userView(a))
	}
	if len(found) == limit {
		out.Body.Next = found[limit-1].Email
	}
	return out, nil
}

func (s *Service) lockUser(ctx context.Context, in *accountapi.LockInput) (*struct{}, error) {
	h, err := s.admin(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	if in.ID == h.account.ID {
		return nil, httpapi.NewProblem(409, "conflict", "Nobody locks the account that he is logged in with.")
	}
	return nil, s.onUser(ctx, h, in.Origin, account.ActLock, in.ID, in.Body.Reason, s.accounts.Lock)
}

func (s *Service) unlockUser(ctx context.Context, in *accountapi.UserInput) (*struct{}, error) {
	return s.plain(ctx, in, account.ActUnlock, s.accounts.Unlock)
}

func (s *Service) logoutUser(ctx context.Context, in *accountapi.UserInput) (*struct{}, error) {
	return s.plain(ctx, in, account.ActLogout, s.accounts.Logout)
}

// plain does what takes nothing but an account.
func (s *Service) plain(ctx context.Context, in *accountapi.UserInput, action account.Action, do func(context.Context, account.Act) error) (*struct{}, error) {
	h, err := s.admin(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	return nil, s.onUser(ctx, h, in.Origin, action, in.ID, "", do)
}

func (s *Service) onUser(ctx context.Context, h holder, from accountapi.Origin, action account.Action, id, detail string, do func(context.Context, account.Act) error) error {
	act, err := newAct(h, from, action, id, detail)
	if err != nil {
		return problemOf(err)
	}
	return s.didAct(ctx, act, do(ctx, act))
}

// resetUser has a mail for a new password sent. The administrator neither sees its link
// nor chooses the password.
func (s *Service) resetUser(ctx context.Context, in *accountapi.UserInput) (*struct{}, error) {
	h, err := s.admin(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	if s.mailer == nil {
		return nil, problemOf(errNoMails)
	}
	a, err := s.accounts.ByID(ctx, in.ID)
	if err != nil {
		return nil, s.didAct(ctx, account.Act{}, err)
	}
	m, err := s.newMail(account.MailReset, a.ID, a.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	err = s.onUser(ctx, h, in.Origin, account.ActReset, a.ID, "", func(ctx context.Context, act account.Act) error { return s.accounts.AdminReset(ctx, m, act) })
	s.wake()
	return nil, err
}

func (s *Service) setQuota(ctx context.Context, in *accountapi.QuotaInput) (*struct{}, error) {
	h, err := s.admin(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	q := account.Quota(in.Body)
	var parts []string
	for _, p := range []struct {
		name string
		n    *int64
	}{{"jobs", q.Jobs}, {"daily_bytes", q.DailyBytes}, {"stored_bytes", q.StoredBytes}} {
		if p.n != nil {
			parts = append(parts, fmt.Sprintf("%s %d", p.name, *p.n))
		}
	}
	detail := "as for all"
	if len(parts) > 0 {
		detail = strings.Join(parts, ", ")
	}
	return nil, s.onUser(ctx, h, in.Origin, account.ActQuota, in.ID, detail, func(ctx context.Context, act account.Act) error { return s.accounts.SetQuota(ctx, q, act) })
}

func (s *Service) listAudit(ctx context.Context, in *accountapi.AuditInput) (*accountapi.Body[accountapi.Audit], error) {
	if _, err := s.admin(ctx, in.Header); err != nil {
		return nil, err
	}
	limit := in.Limit
	if limit == 0 {
		limit = maxUsers
	}
	acts, err := s.accounts.Audit(ctx, in.Subject, in.Before, limit)
	if err != nil {
		return nil, problemOf(&storeError{err})
	}
	out := &accountapi.Body[accountapi.Audit]{Body: accountapi.Audit{Acts: []accountapi.Act{}}}
	for _, a := range acts {
		out.Body.Acts = append(out.Body.Acts, accountapi.Act{
			ID: a.ID, At: a.At, Actor: a.Actor, ActorEmail: a.ActorEmail, Place: a.Place, Action: string(a.Action), Subject: a.Subject, Detail: a.Detail,
		})
	}
	if len(acts) == limit {
		out.Body.Next = acts[limit-1].ID
	}
	return out, nil
}
