package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// Gateway is the HTTP API. It is made by [New].
type Gateway struct {
	config     Config
	jobs       Jobs
	keys       Keys
	queue      Queue
	hints      Hints
	bucket     Bucket
	tokens     Verifier
	links      LinkVerifier
	departures Departures
	limiter    Limiter
	apiKeys    *apiKeys // nil without an auth service
	logger     *slog.Logger
	hub        *hub
	buffers    *sync.Pool // of *buffers
	handler    http.Handler
	counts     *counts
	pulse      pulse // the bucket's
}

// New returns a gateway. It fails if the config makes no sense or a part is
// missing.
func New(config Config, deps Deps) (*Gateway, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if deps.Jobs == nil || deps.Keys == nil || deps.Queue == nil || deps.Hints == nil || deps.Bucket.create == nil || deps.Tokens == nil || deps.Links == nil {
		return nil, errors.New("gateway: a part is missing")
	}
	g := &Gateway{
		config: config.withDefaults(),
		jobs:   deps.Jobs, keys: deps.Keys, queue: deps.Queue, hints: deps.Hints, bucket: deps.Bucket,
		tokens: deps.Tokens, links: deps.Links, departures: deps.Departures, limiter: deps.Limiter, logger: deps.Logger,
		hub: newHub(), buffers: newBufferPool(), pulse: pulse{ping: deps.Bucket.ping},
	}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	requests, err := httpapi.NewMetrics(deps.Metrics, "gateway")
	if err != nil {
		return nil, err
	}
	if g.counts, err = newCounts(deps.Metrics); err != nil {
		return nil, err
	}
	mux, api := httpapi.NewAPI("mp3lathe", g.config.Version, description)
	g.register(api)
	g.registerDepartures(api)
	httpapi.Health(mux, g.logger, deps.Checks)
	if deps.Queues != nil {
		for _, pattern := range []string{QueuesPath, QueuesPath + "/"} {
			mux.Handle(pattern, g.administrators(deps.Queues))
		}
	}
	if g.config.AuthURL != "" {
		target, err := url.Parse(g.config.AuthURL)
		if err != nil {
			return nil, err
		}
		transport := newTransport()
		g.apiKeys = newAPIKeys(strings.TrimRight(g.config.AuthURL, "/"), transport, g.config.KeyCheck, g.logger)
		auth := newAuthProxy(target, transport, g.config.TrustedProxies)
		for _, pattern := range authRoutes {
			mux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if p := g.limitAddress(w, r); p != nil {
					p.Write(w, r)
					return
				}
				auth.ServeHTTP(w, r)
			}))
		}
		accountapi.Describe(api.OpenAPI())
	}
	g.handler = httpapi.Observe(g.browsers(mux), g.logger, g.config.Timeout, requests)
	if g.config.TrustParents {
		g.handler = httpapi.TrustParents(g.handler)
	}
	return g, nil
}

// Handler returns the API, to be served by [httpapi.Serve].
func (g *Gateway) Handler() http.Handler { return g.handler }

// Run listens for hints that jobs have changed until ctx is done, and returns nil
// then. Streams of events work without it, but see changes only by looking for
// them. It also removes what has expired of the gateways' own rows.
func (g *Gateway) Run(ctx context.Context) error {
	purged := make(chan struct{})
	go func() {
		defer close(purged)
		g.purge(ctx)
	}()
	defer func() { <-purged }()
	for {
		err := g.hints.Subscribe(ctx, g.hub.notify)
		if ctx.Err() != nil {
			return nil
		}
		g.logger.Warn("the subscription to hints ended; it is begun again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
