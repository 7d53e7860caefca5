package auth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/openid"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// Provider of OpenID Connect, by which users sign in.
type Provider struct {
	// Name is part of the addresses: 1 to 32 of a-z, 0-9 and "-". The provider must know
	// PublicURL/v1/auth/oidc/NAME/callback as a redirect URI.
	Name string
	// Label is for people. Default Name.
	Label string
	// Issuer, exactly as the provider's ID tokens name it: https, or http on this machine.
	Issuer string
	// ClientID and ClientSecret are what the provider knows this service by. A public
	// client has no secret.
	ClientID, ClientSecret string
	// Scopes to ask for beside openid. Default: email and profile.
	Scopes []string
	// LinkVerified links an identity that nobody has signed in with before to the account
	// of its address, if the provider says that the address is its user's, and the account
	// has confirmed it too. Without, its owner logs in and links it.
	LinkVerified bool
	// TrustAddresses takes all addresses for verified ones: of a provider that gives them
	// to its users, and does not say so.
	TrustAddresses bool
	// Closed makes no accounts for identities that nobody has signed in with before.
	Closed bool
}

var providerName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// CheckProviders reports what is wrong with providers.
func CheckProviders(all []Provider) error {
	for i, p := range all {
		switch err := openid.CheckIssuer(p.Issuer); {
		case !providerName.MatchString(p.Name):
			return fmt.Errorf("provider %d has the name %q: want 1 to 32 of a-z, 0-9 and \"-\"", i+1, p.Name)
		case err != nil:
			return fmt.Errorf("provider %s: issuer: %w", p.Name, err)
		case p.ClientID == "":
			return fmt.Errorf("provider %s has no client ID", p.Name)
		}
		for _, q := range all[:i] {
			if p.Name == q.Name {
				return fmt.Errorf("two providers have the name %s", p.Name)
			}
			if p.Issuer == q.Issuer {
				return fmt.Errorf("the providers %s and %s have one issuer", q.Name, p.Name)
			}
		}
	}
	return nil
}

// provider is one with its client.
type provider struct {
	Provider
	client *openid.Client
}

func (s *Service) newProvider(p Provider) *provider {
	if p.Label == "" {
		p.Label = p.Name
	}
	scopes := p.Scopes
	if scopes == nil {
		scopes = []string{"email", "profile"}
	}
	return &provider{p, openid.New(openid.Config{
		Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
		Scopes:   slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return scope == "openid" }),
		Redirect: s.publicURL + accountapi.OIDCPath + "/" + p.Name + "/callback",
	})}
}

// provider of a name.
func (s *Service) provider(name string) (*provider, error) {
	for _, p := range s.providers {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, httpapi.NewProblem(404, "not_found", "There is no such provider.")
}

func (s *Service) listProviders(context.Context, *struct{}) (*accountapi.Body[accountapi.Providers], error) {
	out := &accountapi.Body[accountapi.Providers]{Body: accountapi.Providers{Providers: []accountapi.Provider{}}}
	for _, p := range s.providers {
		out.Body.Providers = append(out.Body.Providers, accountapi.Provider{
			Name: p.Name, Label: p.Label, Start: accountapi.OIDCPath + "/" + p.Name + "/start",
		})
	}
	return out, nil
}

const (
	discoverRetry = 10 * time.Second
	discoverAgain = 10 * time.Minute
)

// discover keeps what is known of a provider up to date until ctx is done, so that
// nobody who signs in waits for it. The log tells when a provider is down, and when it is
// back.
func (s *Service) discover(ctx context.Context, p *provider) {
	defer p.client.Close()
	down := false
	for ctx.Err() == nil {
		err := p.client.Discover(ctx)
		again := discoverAgain
		switch {
		case ctx.Err() != nil:
		case err != nil && !down:
			s.logger.WarnContext(ctx, "a provider of OpenID Connect cannot be asked; nobody can sign in with it until it can", "provider", p.Name, "error", err)
		case err == nil && down:
			s.logger.InfoContext(ctx, "the provider of OpenID Connect can be asked again", "provider", p.Name)
		}
		if down = err != nil; down {
			again = discoverRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// providerError says what it means that a provider did not answer as it is to.
func (s *Service) providerError(ctx context.Context, p *provider, err error) error {
	switch {
	case errors.Is(err, openid.ErrDenied):
		return httpapi.NewProblem(403, "sign_in_denied", p.Label+" did not let you in, or you have changed your mind. Nothing has changed here.").WithCause(err)
	case errors.Is(err, openid.ErrUnavailable):
		s.logger.WarnContext(ctx, "a provider of OpenID Connect does not answer", "provider", p.Name, "error", err)
		return httpapi.NewProblem(503, "provider_unavailable", p.Label+" cannot be reached just now. Try again later.").
			WithCause(err).WithHeader("Retry-After", "10")
	case errors.Is(err, openid.ErrInvalid):
		s.logger.WarnContext(ctx, "a provider of OpenID Connect has given an answer that is not believed", "provider", p.Name, "error", err)
		return httpapi.NewProblem(502, "sign_in_failed", "The answer of "+p.Label+" is not valid. Try again; if that does not help, tell the administrators.").WithCause(err)
	}
	return err
}
