package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// Browsers keep their tokens in cookies, which no script can read. The gateway makes
// Authorization of the one with the access token; here are the routes that set them.
// They are for pages of the same origin only: another one must not log its visitors in
// or out either.

// fromPage says why a request is not one of a page of ours.
func fromPage(in accountapi.Page) error {
	if accountapi.SameOrigin(in.FetchSite, in.PageOrigin, in.Host) {
		return nil
	}
	return crossOrigin()
}

func crossOrigin() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusForbidden, "cross_origin", "This is for pages of the same origin.")
}

// inCookies answers with tokens in cookies.
func inCookies(out *accountapi.Body[accountapi.LoggedIn]) *accountapi.CookieOutput {
	in := out.Body
	return &accountapi.CookieOutput{
		Cookies: accountapi.Cookies(in.AccessToken, time.Duration(in.ExpiresIn)*time.Second, in.RefreshToken, time.Duration(in.RefreshExpiresIn)*time.Second),
		Body:    accountapi.InCookies{ExpiresIn: in.ExpiresIn, RefreshExpiresIn: in.RefreshExpiresIn},
	}
}

func (s *Service) browserLogin(ctx context.Context, in *accountapi.BrowserLoginInput) (*accountapi.CookieOutput, error) {
	if err := fromPage(in.Page); err != nil {
		return nil, err
	}
	out, err := s.login(ctx, &accountapi.LoginInput{Origin: in.Origin, Body: in.Body})
	if err != nil {
		return nil, err
	}
	return inCookies(out), nil
}

func (s *Service) browserRefresh(ctx context.Context, in *accountapi.BrowserInput) (*accountapi.CookieOutput, error) {
	if err := fromPage(in.Page); err != nil {
		return nil, err
	}
	out, err := s.refresh(ctx, &accountapi.Body[accountapi.RefreshBody]{Body: accountapi.RefreshBody{RefreshToken: in.Refresh.Value}})
	if err != nil {
		return nil, err
	}
	return inCookies(out), nil
}

func (s *Service) browserLogout(ctx context.Context, in *accountapi.BrowserInput) (*accountapi.NoCookies, error) {
	if err := fromPage(in.Page); err != nil {
		return nil, err
	}
	if _, err := s.logout(ctx, &accountapi.Body[accountapi.RefreshBody]{Body: accountapi.RefreshBody{RefreshToken: in.Refresh.Value}}); err != nil {
		return nil, err
	}
	return &accountapi.NoCookies{Cookies: accountapi.Cookies("", 0, "", 0)}, nil
}
