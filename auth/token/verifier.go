package token

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken is the longest token that is looked at, in bytes. Ours are below 1 KiB.
const maxToken = 8 << 10

// Config says whose tokens are taken.
type Config struct {
	// JWKS is the URL of the key set, http or https.
	JWKS string
	// Find returns the key of an ID (kid), for whoever has the keys at hand; then
	// there is no JWKS. The error wraps [ErrUnavailable] if it cannot be told.
	Find func(ctx context.Context, kid string) (ed25519.PublicKey, error)
	// Issuer and Audience that a token must have. Required.
	Issuer   string
	Audience string
	// Leeway for clocks that differ. Default 30 s; below 0 is none.
	Leeway time.Duration
	// Refresh is how often the keys are fetched. Default 5 min.
	Refresh time.Duration
	// Gap is the least time between two fetches that tokens with an unknown key
	// cause. Default 3 s.
	Gap time.Duration
	// Wait is the most that one call of Verify waits for keys. Default 1 s; below 0
	// is not at all.
	Wait time.Duration
	// Client that fetches the keys. nil is one of the verifier's own.
	Client *http.Client
	// Logger is told when the keys cannot be fetched, and when they can again. nil
	// logs nothing.
	Logger *slog.Logger

	now func() time.Time // for tests
}

func (c Config) withDefaults() Config {
	if c.Leeway == 0 {
		c.Leeway = 30 * time.Second
	}
	c.Leeway = max(c.Leeway, 0)
	if c.Refresh == 0 {
		c.Refresh = 5 * time.Minute
	}
	if c.Gap == 0 {
		c.Gap = 3 * time.Second
	}
	if c.Wait == 0 {
		c.Wait = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// Validate reports what is wrong with the settings.
func (c Config) Validate() error {
	if c.Issuer == "" || c.Audience == "" {
		return errors.New("the issuer or the audience of tokens is not set")
	}
	if (c.JWKS == "") == (c.Find == nil) {
		return errors.New("want either the address of the key set (JWKS) or a way to find keys")
	}
	if c.JWKS != "" {
		u, err := url.Parse(c.JWKS)
		if err != nil {
			return fmt.Errorf("the address of the key set (JWKS): %w", err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("the address of the key set (JWKS) is %q: want an http or https URL", u.Redacted())
		}
	}
	if c.Refresh < 0 || c.Gap < 0 {
		return errors.New("the times between fetches of keys are negative")
	}
	return nil
}

// Verifier checks access tokens. Its methods may be called at the same time.
type Verifier struct {
	parser    *jwt.Parser
	validator *jwt.Validator // as the parser has it
	keys      *keys
	wait      time.Duration
	seen      seen
}

// New returns a verifier, at once: the keys are fetched in the background, until ctx
// is done or Close is called.
func New(ctx context.Context, cfg Config) (*Verifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	opts := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(cfg.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(cfg.Leeway),
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(cfg.now),
	}
	return &Verifier{
		parser: jwt.NewParser(opts...), validator: jwt.NewValidator(opts...),
		keys: startKeys(ctx, cfg), wait: cfg.Wait,
	}, nil
}

// Ready reports, as [ErrUnavailable], that the keys have not been there yet since
// the verifier was made, so that no token can be verified.
func (v *Verifier) Ready(context.Context) error {
	if v.keys.given != nil || v.keys.set.Load() != nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cmp.Or(v.keys.failure(), errNoKeys))
}

var errNoKeys = errors.New("the keys are not there yet")

// Close ends the fetching of keys and waits for its end. Verify goes on with the
// keys that are there.
func (v *Verifier) Close() { v.keys.close() }

// Verify checks a token and returns what it says. The error is [ErrInvalid],
// possibly [ErrExpired] too, or [ErrUnavailable]. A token that names an unknown key
// may have the keys fetched first; the call waits for that within ctx and
// [Config.Wait].
func (v *Verifier) Verify(ctx context.Context, raw string) (Claims, error) {
	if len(raw) > maxToken {
		return Claims{}, invalid(fmt.Errorf("it is longer than %d bytes", maxToken))
	}
	for i := range len(raw) { // base64 as Go has it skips line ends
		if raw[i] <= ' ' || raw[i] > '~' {
			return Claims{}, invalid(errors.New("it has a character that no token has"))
		}
	}
	p, err := v.check(ctx, raw)
	switch {
	case err == nil:
		return p.claims(), nil
	case errors.Is(err, ErrUnavailable):
		return Claims{}, fmt.Errorf("token: %w", err)
	case expired(err):
		return Claims{}, fmt.Errorf("token: %w: %w", ErrInvalid, ErrExpired)
	default:
		return Claims{}, invalid(err)
	}
}

// check returns what a token says if it is good now.
func (v *Verifier) check(ctx context.Context, raw string) (p payload, err error) {
	if known, ok := v.seen.get(raw); ok {
		if key, ok := v.keys.get(ctx, known.kid); ok && key.Equal(known.key) {
			return known.payload, v.validator.Validate(&known.payload)
		}
	}
	var s signed
	_, err = v.parser.ParseWithClaims(raw, &p, func(t *jwt.Token) (any, error) {
		s.kid, s.key, err = v.key(ctx, t)
		return s.key, err
	})
	if err == nil {
		s.payload = p
		v.seen.put(raw, s)
	}
	return p, err
}

// key finds the key that a token says it is signed with.
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (kid string, key ed25519.PublicKey, err error) {
	if _, ok := t.Header["crit"]; ok { // RFC 7515, section 4.1.11: we know no extension
		return "", nil, errors.New("its header has critical extensions")
	}
	// RFC 9068, section 4: what the issuer signs for other purposes is no access token.
	if typ, _ := t.Header["typ"].(string); !strings.EqualFold(strings.TrimPrefix(typ, "application/"), "at+jwt") {
		return "", nil, errors.New("it is not an access token")
	}
	kid, ok := t.Header["kid"].(string)
	if !ok || kid == "" {
		return "", nil, errors.New("it does not name its key")
	}
	key, err = v.keys.find(ctx, kid, v.wait)
	return kid, key, err
}

// expired reports whether a token has expired and is good in every other way.
func expired(err error) bool {
	for _, other := range []error{
		errSubject, jwt.ErrTokenRequiredClaimMissing, jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer,
		jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenNotValidYet,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return errors.Is(err, jwt.ErrTokenExpired)
}

func invalid(err error) error { return fmt.Errorf("token: %w: %w", ErrInvalid, err) }
