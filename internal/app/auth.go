package app

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/accountstore"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

// Issuer and audience of the tokens.
const Issuer, Audience = "mp3lathe", "mp3lathe"

// AuthFlags are the settings of the auth service.
type AuthFlags struct {
	TokenLifetime   time.Duration `group:"Service:" placeholder:"TIME" default:"15m" env:"MP3LATHE_TOKEN_LIFETIME" help:"How long an access token is good, up to 24h."`
	SessionLifetime time.Duration `group:"Service:" placeholder:"TIME" default:"720h" env:"MP3LATHE_SESSION_LIFETIME" help:"How long a login lasts at most; then the password is asked for again."`
	SessionIdle     time.Duration `group:"Service:" placeholder:"TIME" default:"168h" env:"MP3LATHE_SESSION_IDLE" help:"How long a login lasts without being used."`
	Registration    string        `group:"Service:" placeholder:"WHO" enum:"open,closed" default:"open" env:"MP3LATHE_REGISTRATION" help:"Who may register: open is everybody, closed nobody."`
	Verification    string        `group:"Service:" placeholder:"WHAT" enum:"nothing,jobs,login" default:"nothing" env:"MP3LATHE_VERIFICATION" help:"What needs an address that was confirmed by a mail: nothing, jobs (uploads) or login. The same for all auth processes."`
	OIDCFlags
}

// Check returns the settings of the service, without those that other flags make.
func (c *AuthFlags) Check(f *Faults) auth.Config {
	f.Time("token-lifetime", c.TokenLifetime, time.Second, 24*time.Hour)
	if c.TokenLifetime%time.Second != 0 {
		f.Add("token-lifetime", "is %s: want whole seconds", c.TokenLifetime)
	}
	f.Time("session-lifetime", c.SessionLifetime, c.TokenLifetime, Long)
	f.Time("session-idle", c.SessionIdle, min(c.TokenLifetime, c.SessionLifetime), c.SessionLifetime)
	return auth.Config{
		Issuer: Issuer, Audience: Audience, TokenLifetime: c.TokenLifetime,
		SessionLifetime: c.SessionLifetime, SessionIdle: c.SessionIdle, RegistrationClosed: c.Registration == "closed",
		Verification: auth.Verification(c.Verification), Providers: c.OIDCFlags.Check(f, c.Registration == "closed"),
	}
}

// AuthKeyFlags name the secret of the auth service.
type AuthKeyFlags struct {
	AuthKey     string `name:"auth-key" group:"Service:" placeholder:"SECRET" env:"MP3LATHE_AUTH_KEY" secret:"" help:"Key that seals the signing keys in the database, at least 32 characters; mp3lathe-auth keygen makes one. Several, one a line: the first seals, all open."`
	AuthKeyFile string `name:"auth-key-file" group:"Service:" placeholder:"FILE" env:"MP3LATHE_AUTH_KEY_FILE" help:"File that holds the key, instead."`
}

// Check returns the secrets; nil if something is wrong.
func (c *AuthKeyFlags) Check(f *Faults) *auth.Secrets {
	text := f.Secret("auth-key", c.AuthKey, c.AuthKeyFile)
	if text == "" {
		return nil // it has been said
	}
	secrets, err := auth.ParseSecrets(text)
	f.Wrong("auth-key", err)
	return secrets
}

// AuthCLI is the command line of the auth service.
type AuthCLI struct {
	Serve      authCmd            `cmd:"" default:"withargs" help:"Serve until SIGTERM or Ctrl-C."`
	Keygen     keygenCmd          `cmd:"" help:"Print a new --auth-key."`
	RotateKey  rotateKeyCmd       `cmd:"" help:"Make a new key that signs tokens. The old one verifies until its tokens have expired."`
	CreateUser createUserCmd      `cmd:"" help:"Make an account. Its password is the first line of standard input."`
	Health     authHealthCmd      `cmd:"" help:"Ask the auth service that runs here whether it is well: exit code 0, or 1."`
	Migrate    accountsMigrateCmd `cmd:"" help:"Bring the tables of accounts up to date, which auth also does at its start."`
}

// authListen is its own flag, since the command health has it too.
type authListen struct {
	Listen string `group:"Service:" placeholder:"ADDRESS" default:":8081" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
}

type authHealthCmd struct {
	authListen
	AskFlags
}

// Run asks.
func (c *authHealthCmd) Run(ctx context.Context, std *Std) error {
	return c.Ask(ctx, std.Out, "listen", c.Listen)
}

type authCmd struct {
	authListen
	PublicURL  string `group:"Service:" placeholder:"URL" env:"MP3LATHE_PUBLIC_URL" help:"The gateway's address as users see it, for links in mails and the way back from providers of OpenID Connect. Needed with either."`
	GatewayURL string `group:"Parts:" placeholder:"URL" env:"MP3LATHE_GATEWAY_URL" help:"A gateway, which is told of accounts that were deleted. Default: the public URL."`
	HealthFlags
	AuthKeyFlags
	AuthFlags
	AuditFlags
	MailFlags
	DatabaseFlags
	RedisFlags
	LogFlags
}

// Run serves until ctx is done.
func (c *authCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	f.Address("listen", c.Listen)
	cfg := c.AuthFlags.Check(&f)
	cfg.AuditRetention = c.AuditFlags.Check(&f)
	cfg.Secrets = c.AuthKeyFlags.Check(&f)
	with := AuthParts{Mailer: c.mailer(&f), Gateway: cmp.Or(c.GatewayURL, c.PublicURL), Redis: c.RedisFlags.Optional(&f)}
	if c.GatewayURL != "" {
		f.httpURL("gateway-url", c.GatewayURL, "http://gateway:8080")
	}
	cfg.PublicURL = c.PublicURL
	health := c.HealthFlags.Check(&f)
	url := c.DatabaseFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return Service(std, c.LogFlags, "auth", func(p *Parts) error { return p.OpenAccounts(ctx, url) }, func(p *Parts) error {
		if with.Mailer == nil {
			p.Log.Warn("there is no mail server (--smtp): addresses are not confirmed, and who has forgotten his password gets no new one")
		}
		if with.Gateway == "" {
			p.Log.Warn("no gateway is named (--gateway-url or --public-url): the jobs of accounts that are deleted stay until one is")
		}
		if with.Redis.URL == "" {
			p.Log.Warn("no Redis is named (--redis): tries of passwords are counted by each auth process for itself")
		}
		s, err := p.NewAuth(cfg, with)
		if err != nil {
			return err
		}
		if err := s.Prepare(ctx); err != nil {
			return err
		}
		l, err := Listen(ctx, "listen", c.Listen)
		if err != nil {
			return err
		}
		return p.Auth(ctx, l, s, health)
	})
}

// mailer returns the sender of mails; nil if there is none.
func (c *authCmd) mailer(f *Faults) auth.Mailer {
	sender := c.MailFlags.Check(f, c.Verification != string(auth.VerifyNothing))
	switch {
	case c.PublicURL != "":
		CheckPublicURL(f, c.PublicURL)
	case c.SMTP != "":
		f.Add("public-url", "is not set, but there is a mail server")
	case c.OIDC != "" || c.OIDCFile != "":
		f.Add("public-url", "is not set, but there are providers of OpenID Connect")
	}
	if sender == nil {
		return nil // and no interface around it
	}
	return sender
}

type keygenCmd struct{}

// Run prints a key.
func (keygenCmd) Run(std *Std) error {
	_, err := fmt.Fprintln(std.Out, auth.NewSecret())
	return err
}

type rotateKeyCmd struct {
	Revoke bool `help:"For a key that was stolen: the old ones are refused at once, and every access token with them."`
	AuthKeyFlags
	DatabaseFlags
}

// Run makes a key. It needs the database and nothing else.
func (c *rotateKeyCmd) Run(ctx context.Context, std *Std) error {
	var f Faults
	secrets, url := c.AuthKeyFlags.Check(&f), c.DatabaseFlags.Check(&f)
	if err := f.Err(); err != nil {
		return err
	}
	return onAccounts(ctx, url, secrets, func(p *Parts, s *auth.Service) error {
		if err := s.Prepare(ctx); err != nil {
			return err
		}
		id, begins, err := s.RotateKey(ctx, c.Revoke)
		switch {
		case errors.Is(err, account.ErrConflict):
			return errors.New("somebody else has just made a new key")
		case err != nil:
			return err
		case begins > 0:
			_, err = fmt.Fprintf(std.Out, "the key %s signs in %s; those before verify until their tokens have expired\n", id, short(begins))
		default:
			_, err = fmt.Fprintf(std.Out, "the key %s signs now; those before are refused\n", id)
		}
		return err
	})
}

// onAccounts calls f with an auth service on the database of a URL.
func onAccounts(ctx context.Context, url string, secrets *auth.Secrets, f func(*Parts, *auth.Service) error) (err error) {
	p := &Parts{}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := p.OpenAccounts(ctx, url); err != nil {
		return err
	}
	s, err := p.NewAuth(auth.Config{Secrets: secrets}, AuthParts{})
	if err != nil {
		return err
	}
	return f(p, s)
}

type createUserCmd struct {
	Email string `arg:"" help:"E-mail address of the user."`
	Role  string `placeholder:"ROLE" enum:"user,admin" default:"user" help:"user or admin."`
	DatabaseFlags
}

// Run makes an account. It needs the database and nothing else.
func (c *createUserCmd) Run(ctx context.Context, std *Std) error {
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
	made, err := CreateUser(ctx, url, c.Email, password, c.Role)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, made)
	return err
}

// CreateUser makes an account in the database of a URL, and returns what was done in a
// line for people.
func CreateUser(ctx context.Context, url, email, password, role string) (made string, err error) {
	// Nothing is sealed, so any secret will do.
	secrets, err := auth.ParseSecrets(auth.NewSecret())
	if err != nil {
		return "", err
	}
	return made, onAccounts(ctx, url, secrets, func(p *Parts, s *auth.Service) error {
		switch err := s.CreateUser(ctx, email, password, role); {
		case errors.Is(err, account.ErrTaken):
			return fmt.Errorf("%s has an account already", email)
		case err != nil:
			return errors.New(strings.TrimPrefix(Plain(err), "create a user: "))
		}
		made = fmt.Sprintf("%s has an account now (%s) in %s", email, role, p.Database)
		return nil
	})
}

// OpenAccounts opens the database of a URL and brings its tables of accounts up to
// date.
func (p *Parts) OpenAccounts(ctx context.Context, url string) error {
	return p.openDB(ctx, url, accountstore.Migrate)
}

// AuthParts are what the auth service works with beside its database. The zero value of
// each does without.
type AuthParts struct {
	Mailer auth.Mailer
	// Gateway is the URL of one.
	Gateway string
	// Redis counts tries of passwords, for all auth processes.
	Redis redisconn.Address
}

// NewAuth makes the auth service on the open database, which has tables of accounts.
func (p *Parts) NewAuth(cfg auth.Config, with AuthParts) (*auth.Service, error) {
	checks := map[string]httpapi.Check{"database": p.ping}
	deps := auth.Deps{Accounts: accountstore.New(p.DB), Checks: checks, Logger: p.Log, Metrics: p.Metrics()}
	if with.Mailer != nil {
		var err error
		if deps.Mailer, err = mail.NewCounted(with.Mailer, p.Metrics(), "auth"); err != nil {
			return nil, err
		}
	}
	if with.Gateway != "" {
		deps.Gateway = GatewayAt(with.Gateway)
	}
	if with.Redis.URL != "" || with.Redis.Dial != nil {
		limits, err := throttle.Open(with.Redis, p.Log)
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, limits.Close)
		deps.Limits, checks["redis"] = limits, httpapi.Spare(limits.Ping)
	}
	return auth.New(cfg, deps)
}

// Auth serves the auth service on l, and sends its mails, until ctx is done. health is an
// address for /livez, /readyz and /metrics, or empty.
func (p *Parts) Auth(ctx context.Context, l net.Listener, s *auth.Service, health string) error {
	p.Log.Info("auth is served", "address", l.Addr().String())
	g, gctx := errgroup.WithContext(ctx)
	if err := p.ServeHealth(gctx, g, health, p.Checks()); err != nil {
		return err
	}
	g.Go(func() error { return s.Run(gctx) })
	g.Go(func() error { return httpapi.Serve(gctx, l, s.Handler(), p.Log, httpapi.ServerConfig{}) })
	return g.Wait()
}
