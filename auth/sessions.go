package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// A refresh token is "mp3r_", a secret that all tokens of its session share, "_", and
// one of its own. By the first the session is found, so that a token of long ago is told
// from one that somebody made up: the former ends the session (RFC 9700, section
// 4.14.2), the latter does nothing. The database has hashes of both.
//
// The next token is made out of the one before and the service's secret, not by chance:
// who asks again because the answer was lost, or two at the same time, get the same one.
// That is so for refreshGrace; RFC 9700 knows no such time, but without it each lost
// answer is a login, and a thief who is that quick is found out by the next use all the
// same.
const (
	refreshPrefix = "mp3r_"
	refreshGrace  = 30 * time.Second
	maxRefresh    = 100 // bytes of a token; ours have 64
)

// errSession means that a session has ended.
var errSession = errors.New("the session has ended")

// digest is how secrets of more than 112 random bits are kept.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// refreshToken is one that was taken apart.
type refreshToken struct{ family, own string }

func (t refreshToken) String() string { return refreshPrefix + t.family + "_" + t.own }

func parseRefresh(raw string) (refreshToken, bool) {
	rest, ok := strings.CutPrefix(raw, refreshPrefix)
	family, own, split := strings.Cut(rest, "_")
	return refreshToken{family, own}, ok && split && len(raw) <= maxRefresh && family != "" && own != ""
}

// next returns the tokens that may follow: with each of the secrets.
func (s *Service) next(t refreshToken) (tokens []refreshToken) {
	for _, b := range s.secrets.derive("refresh tokens", []byte(t.family), []byte(t.own)) {
		tokens = append(tokens, refreshToken{t.family, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:20])})
	}
	return tokens
}

const maxAgent = 255 // bytes of a client's name for itself that are kept

// newSession makes a session for a user and its first refresh token.
func (s *Service) newSession(user string, from accountapi.Origin) (account.NewSession, refreshToken, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return account.NewSession{}, refreshToken{}, fmt.Errorf("auth: new session: %w", err)
	}
	t := refreshToken{rand.Text(), rand.Text()}
	n := account.NewSession{
		Session: account.Session{ID: id.String(), User: user, Address: addressOf(from), Agent: oneLine(from.Agent, maxAgent)},
		Family:  digest(t.family), Token: digest(t.own), Lifetime: s.sessionLifetime, Idle: s.sessionIdle,
	}
	return n, t, nil
}

// addressOf returns the address of a client as the gateway saw it; "" if it did not say.
func addressOf(from accountapi.Origin) string {
	a, err := netip.ParseAddr(strings.TrimSpace(from.Forwarded))
	if err != nil {
		return ""
	}
	return a.Unmap().WithZone("").String()
}

// oneLine makes text of others fit a column and a list.
func oneLine(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// begin begins a session for whoever an address and a password belong to. change may
// make it another than those of programs that can refresh it.
func (s *Service) begin(ctx context.Context, email, password string, from accountapi.Origin, change func(*account.NewSession)) (account.Account, account.NewSession, refreshToken, error) {
	for again := true; ; again = false {
		a, err := s.authenticate(ctx, email, password, from)
		if err != nil {
			return a, account.NewSession{}, refreshToken{}, err
		}
		n, t, err := s.newSession(a.ID, from)
		if err != nil {
			return a, n, t, err
		}
		if change != nil {
			change(&n)
		}
		switch err := s.accounts.CreateSession(ctx, n, a.PasswordHash); {
		case err == nil:
			return a, n, t, nil
		case !errors.Is(err, account.ErrConflict):
			return a, n, t, &storeError{err}
		case !again:
			return a, n, t, errCredentials
		}
		// The password has just been changed, or hashed anew by another login.
	}
}

// grant answers with an access token and a refresh token of a session that may last for
// a time.
func (s *Service) grant(ctx context.Context, a account.Account, session string, t refreshToken, left time.Duration) (*accountapi.Body[accountapi.LoggedIn], error) {
	raw, err := s.signer.sign(ctx, a, session, s.signer.scopesOf(a))
	if err != nil {
		return nil, problemOf(err)
	}
	return &accountapi.Body[accountapi.LoggedIn]{Body: accountapi.LoggedIn{
		AccessToken: raw, TokenType: "Bearer", ExpiresIn: int(s.signer.lifetime.Seconds()),
		RefreshToken: t.String(), RefreshExpiresIn: max(int(min(s.sessionIdle, left).Seconds()), 0),
	}}, nil
}

func (s *Service) login(ctx context.Context, in *accountapi.LoginInput) (*accountapi.Body[accountapi.LoggedIn], error) {
	a, n, t, err := s.begin(ctx, in.Body.Email, in.Body.Password, in.Origin, nil)
	if err != nil {
		return nil, problemOf(err)
	}
	return s.grant(ctx, a, n.ID, t, n.Lifetime)
}

func (s *Service) refresh(ctx context.Context, in *accountapi.Body[accountapi.RefreshBody]) (*accountapi.Body[accountapi.LoggedIn], error) {
	t, ok := parseRefresh(in.Body.RefreshToken)
	if !ok {
		return nil, problemOf(errSession)
	}
	next := s.next(t)
	hashes := make([]string, len(next))
	for i, n := range next {
		hashes[i] = digest(n.own)
	}
	session, now, err := s.accounts.Refresh(ctx, digest(t.family), digest(t.own), hashes, refreshGrace)
	if session.User != "" {
		httpapi.SetUser(ctx, session.User)
	}
	switch {
	case errors.Is(err, account.ErrReused):
		s.logger.WarnContext(ctx, "a refresh token was used again; its session has been ended", "user", session.User, "session", session.ID)
		return nil, problemOf(errSession)
	case errors.Is(err, account.ErrNotFound):
		return nil, problemOf(errSession)
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	a, err := s.account(ctx, session.User)
	if err != nil {
		return nil, problemOf(err)
	}
	for i, h := range hashes {
		if h == now {
			t = next[i]
		}
	}
	return s.grant(ctx, a, session.ID, t, time.Until(session.Ends))
}

// account returns an account that may be used; errSession if it is gone.
func (s *Service) account(ctx context.Context, id string) (account.Account, error) {
	a, err := s.accounts.ByID(ctx, id)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return account.Account{}, errSession
	case err != nil:
		return account.Account{}, &storeError{err}
	case !a.Locked.IsZero():
		return account.Account{}, errLocked
	}
	return a, nil
}

// logout ends the session of a refresh token. It answers alike whether there is one.
func (s *Service) logout(ctx context.Context, in *accountapi.Body[accountapi.RefreshBody]) (*struct{}, error) {
	if t, ok := parseRefresh(in.Body.RefreshToken); ok {
		if err := s.accounts.EndFamily(ctx, digest(t.family)); err != nil {
			return nil, problemOf(&storeError{err})
		}
	}
	return nil, nil
}

// holder is who an access token belongs to, as the database has it now.
type holder struct {
	account account.Account
	session string
	// proved is when he has shown to a provider who he is; zero if he has not.
	proved time.Time
}

// holder lets in who has an access token for his account, in a session that goes on.
func (s *Service) holder(ctx context.Context, header string) (holder, error) {
	raw, ok := token.Bearer(header)
	if !ok {
		return holder{}, missingToken()
	}
	c, err := s.verifier.Verify(ctx, raw)
	if err != nil {
		return holder{}, badToken(401, err)
	}
	httpapi.SetUser(ctx, c.Subject)
	if !c.May(token.ScopeAccount) {
		return holder{}, insufficient(token.ScopeAccount)
	}
	session, err := s.accounts.Session(ctx, c.Session)
	switch {
	case errors.Is(err, account.ErrNotFound), err == nil && session.User != c.Subject:
		return holder{}, problemOf(errSession)
	case err != nil:
		return holder{}, problemOf(&storeError{err})
	}
	a, err := s.account(ctx, c.Subject)
	if err != nil {
		return holder{}, problemOf(err)
	}
	return holder{a, session.ID, session.Proved}, nil
}

func (s *Service) me(ctx context.Context, in *accountapi.Authorization) (*accountapi.Body[accountapi.Me], error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	return &accountapi.Body[accountapi.Me]{Body: accountapi.Me{ID: h.account.ID, Email: h.account.Email, Verified: !h.account.Verified.IsZero(), Roles: rolesOf(h.account), Password: h.account.PasswordHash != ""}}, nil
}

func (s *Service) sessions(ctx context.Context, in *accountapi.Authorization) (*accountapi.Body[accountapi.Sessions], error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	all, err := s.accounts.Sessions(ctx, h.account.ID)
	if err != nil {
		return nil, problemOf(&storeError{err})
	}
	out := &accountapi.Body[accountapi.Sessions]{Body: accountapi.Sessions{Sessions: []accountapi.Session{}}}
	for _, a := range all {
		out.Body.Sessions = append(out.Body.Sessions, accountapi.Session{
			ID: a.ID, Current: a.ID == h.session, Address: a.Address, Agent: a.Agent, Created: a.Created, Used: a.Used, Expires: a.Expires,
		})
	}
	return out, nil
}

func (s *Service) endSession(ctx context.Context, in *accountapi.OneInput) (*struct{}, error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	switch err := s.accounts.EndSession(ctx, h.account.ID, in.ID); {
	case errors.Is(err, account.ErrNotFound):
		return nil, httpapi.NewProblem(404, "not_found", "There is no such session.")
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	return nil, nil
}

func (s *Service) endOtherSessions(ctx context.Context, in *accountapi.Authorization) (*struct{}, error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	if _, err := s.accounts.EndSessions(ctx, h.account.ID, h.session); err != nil {
		return nil, problemOf(&storeError{err})
	}
	return nil, nil
}

// confirm checks the password of who is logged in, before what must not be done by
// somebody who has found a session open. It has the limits of a login. Without a password
// it does that a provider has asked just now who he is: not every account has one.
func (s *Service) confirm(ctx context.Context, h holder, password string, from accountapi.Origin) error {
	if password == "" {
		if !h.proved.IsZero() && time.Since(h.proved) < freshFor {
			return nil
		}
		return errReauthenticate
	}
	g, err := s.guess(ctx, h.account.Email, from)
	if err != nil {
		return err
	}
	ok, _, err := s.hasher.check(ctx, normal(password), h.account.PasswordHash)
	if err == nil && !ok {
		err = errPassword
	}
	g.end(ctx, err)
	return err
}

// changePassword ends all sessions of its user, and answers as a login does.
func (s *Service) changePassword(ctx context.Context, in *accountapi.ChangeInput) (*accountapi.Body[accountapi.LoggedIn], error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	if err := s.confirm(ctx, h, in.Body.Current, in.Origin); err != nil {
		return nil, problemOf(err)
	}
	password, err := newPassword("new_password", in.Body.New, h.account.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, problemOf(err)
	}
	n, t, err := s.newSession(h.account.ID, in.Origin)
	if err != nil {
		return nil, problemOf(err)
	}
	m, err := s.newMail(account.MailChanged, h.account.ID, h.account.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	switch err := s.accounts.ChangePassword(ctx, h.account.ID, h.account.PasswordHash, hash, n, m); {
	case errors.Is(err, account.ErrConflict):
		return nil, accountChanged()
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	s.wake()
	return s.grant(ctx, h.account, n.ID, t, n.Lifetime)
}
