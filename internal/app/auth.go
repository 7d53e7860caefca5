package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"os"
	"time"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/internal/accountstore"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// AuthFlags are the settings of the auth service.
type AuthFlags struct {
	SigningKeyFile string        `group:"Service:" placeholder:"FILE" env:"MP3LATHE_SIGNING_KEY_FILE" help:"File with the Ed25519 key (PEM) that signs tokens; mp3lathe-auth keygen makes one."`
	TokenLifetime  time.Duration `group:"Service:" placeholder:"TIME" default:"15m" env:"MP3LATHE_TOKEN_LIFETIME" help:"How long an access token is good."`
	Registration   string        `group:"Service:" enum:"open,closed" default:"open" env:"MP3LATHE_REGISTRATION" help:"Who may register: open is everybody, closed nobody."`
}

// Issuer and audience of the tokens.
const Issuer, Audience = "mp3lathe", "mp3lathe"

// Key reads the signing key.
func (f *AuthFlags) Key() (ed25519.PrivateKey, error) {
	if f.SigningKeyFile == "" {
		return nil, errors.New("--signing-key-file is not set")
	}
	b, err := os.ReadFile(f.SigningKeyFile)
	if err != nil {
		return nil, err
	}
	return auth.ParseKey(b)
}

// OpenAccounts opens a database, unless one is open, brings its tables of accounts
// up to date, and makes the auth service on it. key signs the tokens.
func (p *Parts) OpenAccounts(ctx context.Context, open func(context.Context) (*sqldb.DB, error), flags AuthFlags, key ed25519.PrivateKey) (*auth.Service, error) {
	if p.DB == nil {
		var err error
		if p.DB, err = open(ctx); err != nil {
			return nil, err
		}
		p.closers = append(p.closers, p.DB.Close)
	}
	if err := accountstore.Migrate(ctx, p.DB); err != nil {
		return nil, err
	}
	return auth.New(auth.Config{
		SigningKey: key, Issuer: Issuer, Audience: Audience, TokenLifetime: flags.TokenLifetime,
		RegistrationClosed: flags.Registration == "closed",
	}, auth.Deps{
		Accounts: accountstore.New(p.DB), Checks: map[string]httpapi.Check{"database": p.DB.PingContext}, Logger: p.Log,
	})
}

// Auth serves the auth service on l until ctx is done.
func (p *Parts) Auth(ctx context.Context, l net.Listener, s *auth.Service) error {
	p.Log.Info("auth is served", "address", l.Addr().String())
	return httpapi.Serve(ctx, l, s.Handler(), p.Log, httpapi.ServerConfig{})
}
