// Package openid is a client of OpenID Connect (Core 1.0) for one provider: the
// authorization code flow with PKCE, and what has to be true of its answers. It keeps
// nothing of a sign-in: state, nonce and verifier of a [Request] are the caller's to make
// ([NewRequest]), to keep, bound to the browser, and to use once.
//
// It is the one place that speaks to providers, and that knows go-oidc and oauth2.
package openid

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// What can be wrong with a provider and its answers. errors.Is finds them. No error holds
// a code, a token or a secret.
var (
	// ErrUnavailable means that the provider cannot be reached, or does not work.
	ErrUnavailable = errors.New("the provider cannot be asked")
	// ErrDenied means that the provider, or the user there, did not want to.
	ErrDenied = errors.New("the provider says no")
	// ErrInvalid means that the answer is not one to be believed.
	ErrInvalid = errors.New("the provider's answer is not valid")
)

const (
	// askTimeout of each request to the provider. A sign-in makes up to four, so that all
	// of them have ended before the gateway gives up.
	askTimeout = 3 * time.Second
	maxIssuer  = 255
	// maxAnswer of the provider, in bytes.
	maxAnswer = 1 << 20
	// fresh is how long its metadata are used before they are fetched again.
	fresh = time.Hour
	// retry is how long a provider is left alone that did not answer.
	retry = 5 * time.Second
)

// algorithms that ID tokens may be signed with: asymmetric ones alone, so that nobody who
// knows a client secret, or nothing at all, can sign one.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Config of a client.
type Config struct {
	// Issuer of the provider, exactly as its ID tokens name it: https, or http on this
	// machine. [CheckIssuer] says what is wrong with one.
	Issuer string
	// ClientID and ClientSecret are what the provider knows the client by. A public client
	// has no secret.
	ClientID, ClientSecret string
	// Scopes to ask for beside openid.
	Scopes []string
	// Redirect is where the provider sends browsers back to, exactly as it knows it.
	Redirect string
}

// Client of one provider. Its methods may be called at the same time.
type Client struct {
	config Config
	http   *http.Client

	mu       sync.Mutex
	metadata *metadata // nil before the first
	asked    time.Time // when the provider was last asked for it
	failed   error     // what came of that
}

// metadata is what the provider says of itself.
type metadata struct {
	provider *oidc.Provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	names    bool // it names itself in its answers (RFC 9207)
}

// New returns a client. It asks the provider for nothing yet.
func New(config Config) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 4
	return &Client{config: config, http: &http.Client{
		Transport: bounded{transport}, Timeout: askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // nothing goes elsewhere
	}}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// bounded bounds the length of answers.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// CheckIssuer reports what is wrong with an issuer: it must have TLS, or be on this
// machine, and have at most 255 characters.
func CheckIssuer(issuer string) error {
	if len(issuer) > maxIssuer {
		return fmt.Errorf("it is longer than %d characters", maxIssuer)
	}
	u, err := parse(issuer)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		err = fmt.Errorf("%q has a query", issuer)
	}
	return err
}

// parse parses the address of a provider, or of a part of one.
func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address such as https://id.example.org", address)
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return nil, fmt.Errorf("%q must begin with https://", address)
	}
	return u, nil
}

// Discover fetches what the provider says of itself, unless that is known. The error
// wraps [ErrUnavailable].
func (c *Client) Discover(ctx context.Context) error {
	_, err := c.discover(ctx)
	return err
}

func (c *Client) discover(ctx context.Context) (*metadata, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := time.Since(c.asked)
	switch {
	case c.metadata != nil && (c.failed == nil && since < fresh || c.failed != nil && since < retry):
		return c.metadata, nil
	case c.metadata == nil && c.failed != nil && since < retry:
		return nil, c.failed
	}
	// It is for all, whatever becomes of this caller.
	found, err := c.fetch(context.WithoutCancel(ctx))
	c.asked, c.failed = time.Now(), nil
	if err != nil {
		c.failed = fmt.Errorf("%w: %w", ErrUnavailable, err)
		if c.metadata == nil {
			return nil, c.failed
		}
		return c.metadata, nil // as it was
	}
	c.metadata = found
	return found, nil
}

func (c *Client) fetch(ctx context.Context) (*metadata, error) {
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, c.http), c.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", brief(err))
	}
	var says struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		Names      bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := p.Claims(&says); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	endpoint := p.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, says.Keys} {
		if _, err := parse(address); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
	}
	may := slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return !slices.Contains(says.Algorithms, a) })
	if len(may) == 0 {
		return nil, fmt.Errorf("discovery: it signs ID tokens by none of %v", algorithms)
	}
	// By RFC 8414 the default is Basic.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if c.config.ClientSecret == "" || len(says.Methods) > 0 && !slices.Contains(says.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &metadata{
		provider: p,
		verifier: p.Verifier(&oidc.Config{ClientID: c.config.ClientID, SupportedSigningAlgs: may}),
		names:    says.Names,
		oauth: oauth2.Config{
			ClientID: c.config.ClientID, ClientSecret: c.config.ClientSecret, Endpoint: endpoint,
			RedirectURL: c.config.Redirect, Scopes: append([]string{oidc.ScopeOpenID}, c.config.Scopes...),
		},
	}, nil
}

// Request is a sign-in that was begun. All of it but Fresh is secret.
type Request struct {
	// State comes back from the browser, Nonce in the ID token; Verifier proves to the
	// provider who has begun it (RFC 7636).
	State, Nonce, Verifier string
	// Fresh has the provider ask its user who he is, even if he is signed in there.
	Fresh bool
}

// NewRequest makes a request of random values, of 128 bits or more each.
func NewRequest(fresh bool) Request {
	return Request{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Fresh: fresh}
}

// URL is where the browser goes. The error wraps [ErrUnavailable].
func (c *Client) URL(ctx context.Context, r Request) (string, error) {
	m, err := c.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(r.Nonce), oauth2.S256ChallengeOption(r.Verifier)}
	if r.Fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return m.oauth.AuthCodeURL(r.State, options...), nil
}
