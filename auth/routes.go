package auth

import (
	"context"
	"net/http"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// routes returns the API.
func (s *Service) routes() *http.ServeMux {
	mux, api := httpapi.NewAPI("mp3lathe auth", "1", "Accounts and access tokens of mp3lathe.")
	accountapi.Register(api, accountapi.Handlers{
		Register: s.register, SendVerification: s.sendVerification, Verify: s.verifyAddress, SendReset: s.sendReset, Reset: s.resetPassword,
		Login: s.login, Refresh: s.refresh, Logout: s.logout, Me: s.me, Delete: s.deleteAccount, ChangePassword: s.changePassword,
		Sessions: s.sessions, EndSession: s.endSession, EndOtherSessions: s.endOtherSessions,
		CreateKey: s.createKey, Keys: s.listKeys, RevokeKey: s.revokeKey, ExchangeKey: s.exchangeKey,
		BrowserLogin: s.browserLogin, BrowserRefresh: s.browserRefresh, BrowserLogout: s.browserLogout,
		SignIn: accountapi.SignInHandlers{
			Providers: s.listProviders, Start: s.startSignIn, Callback: s.signInCallback, Exchange: s.exchangeCode,
			Link: s.startLink, Identities: s.listIdentities, Unlink: s.unlink,
		},
		Users: s.listUsers, Lock: s.lockUser, Unlock: s.unlockUser, LogoutUser: s.logoutUser, ResetUser: s.resetUser, SetQuota: s.setQuota, Audit: s.listAudit,
		KeySet: s.jwks, BasicLogin: s.basicLogin, Validate: s.validate,
	})
	s.pages(mux)
	return mux
}

// basicLogin answers with an access token that cannot be renewed: its session ends with
// it.
func (s *Service) basicLogin(ctx context.Context, in *accountapi.BasicInput) (*accountapi.Text, error) {
	r := http.Request{Header: http.Header{"Authorization": {in.Header}}}
	email, password, ok := r.BasicAuth()
	if !ok {
		return nil, httpapi.NewProblem(http.StatusUnauthorized, "unauthorized", "This needs an e-mail address and a password (HTTP Basic).").
			WithHeader("WWW-Authenticate", basicChallenge)
	}
	raw, err := s.basicToken(ctx, email, password, in.Origin)
	if err != nil {
		p := problemOf(err)
		if p.Status == http.StatusUnauthorized {
			p.WithHeader("WWW-Authenticate", basicChallenge)
		}
		return nil, p
	}
	return &accountapi.Text{ContentType: "text/plain; charset=utf-8", Body: []byte(raw)}, nil
}

func (s *Service) basicToken(ctx context.Context, email, password string, from accountapi.Origin) (string, error) {
	a, n, _, err := s.begin(ctx, email, password, from, func(n *account.NewSession) {
		n.Lifetime, n.Idle = s.signer.lifetime, s.signer.lifetime
	})
	if err != nil {
		return "", err
	}
	return s.signer.sign(ctx, a, n.ID, s.signer.scopesOf(a))
}

func (s *Service) validate(ctx context.Context, in *accountapi.Authorization) (*accountapi.Body[accountapi.Validated], error) {
	raw, ok := token.Bearer(in.Header)
	if !ok {
		return nil, missingToken()
	}
	c, err := s.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, badToken(http.StatusForbidden, err)
	}
	httpapi.SetUser(ctx, c.Subject)
	return &accountapi.Body[accountapi.Validated]{Body: accountapi.Validated{
		Subject: c.Subject, Email: c.Email, Roles: c.Roles, ID: c.ID, Issued: c.Issued.Unix(), Expires: c.Expires.Unix(),
		Username: c.Email, Admin: c.Is(token.RoleAdmin),
	}}, nil
}

func (s *Service) jwks(ctx context.Context, _ *struct{}) (*accountapi.KeySetOutput, error) {
	set, err := s.keys.set(ctx)
	if err != nil {
		return nil, problemOf(err)
	}
	return &accountapi.KeySetOutput{CacheControl: "public, max-age=300", Body: set}, nil
}
