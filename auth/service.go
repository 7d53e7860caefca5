package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

// writeTimeout is how long an answer may take, the wait for a hash included.
const writeTimeout = 30 * time.Second

// Service keeps accounts and signs tokens. Its methods may be called at the same
// time.
type Service struct {
	anybody  bool // may register
	accounts Accounts
	secrets  *Secrets
	limits   Limiter
	rules    limitRules
	hasher   *hasher
	keys     *keyring
	signer   *signer
	verifier *token.Verifier
	logger   *slog.Logger
	handler  http.Handler

	sessionLifetime, sessionIdle time.Duration

	mailer       Mailer  // nil: none are sent
	gateway      Gateway // nil: it is told later, by another process
	publicURL    string
	verification Verification

	providers      []*provider
	auditRetention time.Duration // 0: for ever

	mailsWoken, departuresWoken chan struct{}
}

// New returns a service. It starts nothing that would have to be stopped.
func New(cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if deps.Accounts == nil {
		return nil, errors.New("auth: there is no store of accounts")
	}
	switch {
	case deps.Mailer != nil && cfg.PublicURL == "":
		return nil, errors.New("auth: there is no address for the links in mails")
	case deps.Mailer == nil && cfg.Verification != VerifyNothing:
		return nil, errors.New("auth: addresses cannot be verified without mails")
	}
	if deps.Limits == nil {
		deps.Limits = throttle.New()
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		anybody: !cfg.RegistrationClosed, accounts: deps.Accounts, limits: deps.Limits, rules: *cfg.rules, secrets: cfg.Secrets, logger: deps.Logger,
		sessionLifetime: cfg.SessionLifetime, sessionIdle: cfg.SessionIdle, auditRetention: cfg.AuditRetention,
		mailer: deps.Mailer, gateway: deps.Gateway, publicURL: strings.TrimRight(cfg.PublicURL, "/"), verification: cfg.Verification,
		mailsWoken: make(chan struct{}, 1), departuresWoken: make(chan struct{}, 1),
		keys: &keyring{store: deps.Accounts, secrets: cfg.Secrets, lifetime: cfg.TokenLifetime, now: cfg.now, logger: deps.Logger},
	}
	s.signer = &signer{keys: s.keys, verification: cfg.Verification, issuer: cfg.Issuer, audience: cfg.Audience, lifetime: cfg.TokenLifetime, now: cfg.now}
	for _, p := range cfg.Providers {
		s.providers = append(s.providers, s.newProvider(p))
	}
	var err error
	if s.hasher, err = newHasher(cfg); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	s.verifier, err = token.New(context.Background(), token.Config{Find: s.keys.find, Issuer: cfg.Issuer, Audience: cfg.Audience})
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	mux := s.routes()
	requests, err := httpapi.NewMetrics(deps.Metrics, "auth")
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	httpapi.Health(mux, deps.Logger, deps.Checks)
	s.handler = httpapi.TrustParents(httpapi.Observe(mux, deps.Logger, writeTimeout, requests)) // the gateways'
	return s, nil
}

// Handler serves the API, /openapi.json, /livez and /readyz.
func (s *Service) Handler() http.Handler { return s.handler }
