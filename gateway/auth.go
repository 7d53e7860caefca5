package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/link"
)

// user is who a request comes from.
type user struct {
	id    string
	email string
	admin bool      // may see and end everybody's jobs
	until time.Time // when the token expires; zero if that is not known
	quota *token.Quota
}

// authenticate is a middleware that lets users in by their access token.
func (g *Gateway) authenticate(ctx huma.Context, next func(huma.Context)) {
	x := exchangeOf(ctx.Context())
	u, p := g.userOf(x.r)
	switch {
	case p == nil:
		httpapi.SetUser(ctx.Context(), u.id)
		p = g.limitUser(ctx.Context(), x.w, u)
	case p.Status == http.StatusUnauthorized:
		if many := g.limitAddress(x.w, x.r); many != nil {
			p = many
		}
	}
	if p != nil {
		p.Write(x.w, x.r)
		return
	}
	x.user = u
	next(ctx)
}

// authenticateLink is a middleware that lets in who holds a signed link to the job,
// too. An access token comes first.
func (g *Gateway) authenticateLink(ctx huma.Context, next func(huma.Context)) {
	x := exchangeOf(ctx.Context())
	q := x.r.URL.Query()
	if x.r.Header.Get("Authorization") != "" || !q.Has("signature") && !q.Has("expires") {
		g.authenticate(ctx, next)
		return
	}
	if p := g.limitAddress(x.w, x.r); p != nil {
		p.Write(x.w, x.r)
		return
	}
	err := g.links.Verify(ctx.Param("id"), q.Get("expires"), q.Get("signature"), time.Now())
	switch {
	case errors.Is(err, link.ErrExpired):
		gone("link_expired", "The link has expired.").Write(x.w, x.r)
	case err != nil:
		httpapi.NewProblem(http.StatusForbidden, "bad_link", "The link is not valid. Check that it was copied whole.").Write(x.w, x.r)
	default:
		// The signature covers the job's ID, which the handler looks up; it is good
		// for this job, whose ever it is.
		x.byLink = true
		next(ctx)
	}
}

// userOf returns who sent a request.
func (g *Gateway) userOf(r *http.Request) (user, *httpapi.Problem) {
	c, p := g.claimsOf(r.Context(), r.Header.Get("Authorization"))
	if p != nil {
		return user{}, p
	}
	if p := allowed(c, r.Method); p != nil {
		return user{}, p
	}
	return user{id: c.Subject, email: c.Email, admin: c.Is(token.RoleAdmin) && c.May(token.ScopeAdmin), until: c.Expires, quota: c.Quota}, nil
}

// claimsOf returns what the token in the value of an Authorization header says.
func (g *Gateway) claimsOf(ctx context.Context, header string) (token.Claims, *httpapi.Problem) {
	raw, ok := token.Bearer(header)
	if !ok {
		return token.Claims{}, httpapi.NewProblem(http.StatusUnauthorized, "unauthorized", "This needs an access token.").
			WithHeader("WWW-Authenticate", `Bearer realm="mp3lathe"`)
	}
	if g.apiKeys != nil && token.IsKey(raw) {
		var p *httpapi.Problem
		if raw, p = g.apiKeys.token(ctx, raw); p != nil {
			return token.Claims{}, p
		}
	}
	c, err := g.tokens.Verify(ctx, raw)
	if err != nil {
		return token.Claims{}, tokenTrouble(err)
	}
	return c, nil
}

// allowed says what a token lacks for a request: to look takes another scope than to
// change something.
func allowed(c token.Claims, method string) *httpapi.Problem {
	scope := token.ScopeJobsWrite
	if method == http.MethodGet || method == http.MethodHead {
		scope = token.ScopeJobsRead
	}
	if c.May(scope) {
		return nil
	}
	p := insufficient(scope)
	if scope == token.ScopeJobsWrite && c.May(token.ScopeAccount) && !c.Verified {
		// A login has all scopes but for this reason.
		p = httpapi.NewProblem(p.Status, "email_unverified", "Confirm your e-mail address first: open the link in the mail that was sent to it, or ask for another.").
			WithHeader("WWW-Authenticate", p.GetHeaders().Get("WWW-Authenticate"))
	}
	return p
}

// insufficient says that a token lacks a scope (RFC 6750).
func insufficient(scope string) *httpapi.Problem {
	return httpapi.NewProblem(http.StatusForbidden, "insufficient_scope", "This token is not good for this: it lacks the scope "+scope+".").
		WithHeader("WWW-Authenticate", `Bearer realm="mp3lathe", error="insufficient_scope", scope="`+scope+`"`)
}

func tokenTrouble(err error) *httpapi.Problem {
	const challenge = `Bearer realm="mp3lathe", error="invalid_token"`
	switch {
	case errors.Is(err, token.ErrUnavailable):
		return httpapi.Trouble(err)
	case errors.Is(err, token.ErrExpired):
		return httpapi.NewProblem(http.StatusUnauthorized, "token_expired", "The access token has expired. Log in again.").
			WithHeader("WWW-Authenticate", challenge)
	}
	return httpapi.NewProblem(http.StatusUnauthorized, "token_invalid", "The access token is not valid.").
		WithHeader("WWW-Authenticate", challenge).WithCause(err)
}
