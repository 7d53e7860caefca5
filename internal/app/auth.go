package app

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/accountstore"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// Issuer and audience of the tokens.
const Issuer, Audience = "mp3lathe", "mp3lathe"

// AuthFlags are the settings of the auth service.
type AuthFlags struct {
	TokenLifetime time.Duration `group:"Service:" placeholder:"TIME" default:"15m" env:"MP3LATHE_TOKEN_LIFETIME" help:"How long an access token is good, up to 24h."`
	Registration  string        `group:"Service:" placeholder:"WHO" enum:"open,closed" default:"open" env:"MP3LATHE_REGISTRATION" help:"Who may register: open is everybody, closed nobody."`
}

// Check returns the settings of the service, for a key that signs the tokens.
func (c *AuthFlags) Check(f *Faults) auth.Config {
	f.Time("token-lifetime", c.TokenLifetime, time.Second, 24*time.Hour)
	if c.TokenLifetime%time.Second != 0 {
		f.Add("token-lifetime", "is %s: want whole seconds", c.TokenLifetime)
	}
	return auth.Config{
		Issuer: Issuer, Audience: Audience, TokenLifetime: c.TokenLifetime, RegistrationClosed: c.Registration == "closed",
	}
}

// AuthCLI is the command line of the auth service.
type AuthCLI struct {
	Serve      authCmd       `cmd:"" default:"withargs" help:"Serve until SIGTERM or Ctrl-C."`
	Keygen     keygenCmd     `cmd:"" help:"Print a new key for signing tokens (PEM)."`
	CreateUser createUserCmd `cmd:"" help:"Make an account. Its password is the first line of standard input."`
}

type authCmd struct {
	Listen         string `group:"Service:" placeholder:"ADDRESS" default:":8081" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
	SigningKeyFile string `group:"Service:" placeholder:"FILE" env:"MP3LATHE_SIGNING_KEY_FILE" help:"File with the Ed25519 key (PEM) that signs tokens; mp3lathe-auth keygen makes one."`
	AuthFlags
	DatabaseFlags
	LogFlags
}

// Run serves until ctx is done.
func (c *authCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	f.Address("listen", c.Listen)
	cfg := c.AuthFlags.Check(&f)
	cfg.SigningKey = c.signingKey(&f)
	url := c.DatabaseFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return std.Service(c.LogFlags, "auth", func(p *Parts) error { return p.OpenAccounts(ctx, url) }, func(p *Parts) error {
		s, err := p.NewAuth(cfg)
		if err != nil {
			return err
		}
		l, err := Listen(ctx, "listen", c.Listen)
		if err != nil {
			return err
		}
		return p.Auth(ctx, l, s)
	})
}

func (c *authCmd) signingKey(f *Faults) ed25519.PrivateKey {
	if c.SigningKeyFile == "" {
		f.Add("signing-key-file", "is not set; mp3lathe-auth keygen makes a key")
		return nil
	}
	b := f.File("signing-key-file", c.SigningKeyFile)
	if b == nil {
		return nil
	}
	key, err := auth.ParseKey(b)
	f.Wrong("signing-key-file", err)
	return key
}

type keygenCmd struct{}

// Run prints a key.
func (keygenCmd) Run(std *Std) error {
	pem, err := auth.GenerateKeyPEM()
	if err == nil {
		_, err = std.Out.Write(pem)
	}
	return err
}

type createUserCmd struct {
	Email string `arg:"" help:"E-mail address of the user."`
	Role  string `placeholder:"ROLE" enum:"user,admin" default:"user" help:"user or admin."`
	DatabaseFlags
}

// Run makes an account. It needs the database and nothing else.
func (c *createUserCmd) Run(ctx context.Context, std *Std) (err error) {
	var f Faults
	url := c.DatabaseFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	password, err := bufio.NewReader(std.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("the password cannot be read from standard input: %w", err)
	}
	if password = strings.TrimRight(password, "\r\n"); password == "" {
		return errors.New("no password came: it is to be the first line of standard input")
	}
	p := &Parts{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.OpenAccounts(ctx, url); err != nil {
		return err
	}
	// Nothing is signed, so any key will do.
	key, err := auth.NewKey()
	if err != nil {
		return err
	}
	s, err := p.NewAuth(auth.Config{SigningKey: key})
	if err != nil {
		return err
	}
	switch err := s.CreateUser(ctx, c.Email, password, c.Role); {
	case errors.Is(err, account.ErrTaken):
		return fmt.Errorf("%s has an account already", c.Email)
	case err != nil:
		return errors.New(strings.TrimPrefix(Plain(err), "create a user: "))
	}
	_, err = fmt.Fprintf(std.Out, "%s has an account now (%s) in %s\n", c.Email, c.Role, p.DB)
	return err
}

// OpenAccounts opens the database of a URL and brings its tables of accounts up to
// date.
func (p *Parts) OpenAccounts(ctx context.Context, url string) error {
	return p.openDB(ctx, url, accountstore.Migrate)
}

// NewAuth makes the auth service on the open database, which has tables of accounts.
func (p *Parts) NewAuth(cfg auth.Config) (*auth.Service, error) {
	return auth.New(cfg, auth.Deps{
		Accounts: accountstore.New(p.DB), Checks: map[string]httpapi.Check{"database": p.DB.PingContext}, Logger: p.Log,
	})
}

// Auth serves the auth service on l until ctx is done.
func (p *Parts) Auth(ctx context.Context, l net.Listener, s *auth.Service) error {
	p.Log.Info("auth is served", "address", l.Addr().String())
	return httpapi.Serve(ctx, l, s.Handler(), p.Log, httpapi.ServerConfig{})
}
