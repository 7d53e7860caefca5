package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// maxLifetime of an access token.
const maxLifetime = 24 * time.Hour

// minAudit is the shortest time that entries of the audit log may be kept.
const minAudit = 24 * time.Hour

// Config of the service. The zero value of each field but Secrets is a good default.
type Config struct {
	// Secrets seal the signing keys in the database. Required. All processes of a
	// fleet have the same. See [ParseSecrets].
	Secrets *Secrets
	// Issuer and Audience of the tokens. Default "mp3lathe" each.
	Issuer   string
	Audience string
	// TokenLifetime is how long an access token is good. It cannot be called back,
	// so it is short: default 15 min, at most 24 h, in whole seconds.
	TokenLifetime time.Duration
	// SessionLifetime is how long a session lasts at most. Default 30 days.
	SessionLifetime time.Duration
	// SessionIdle is how long a session lasts without being used. Default 7 days, or
	// SessionLifetime if that is shorter.
	SessionIdle time.Duration
	// RegistrationClosed leaves the making of accounts to [Service.CreateUser].
	RegistrationClosed bool
	// Verification is what needs a verified address. Default [VerifyNothing]. Anything
	// else needs a Mailer.
	Verification Verification
	// PublicURL is the gateway's address as users see it, which links in mails, and where
	// providers send browsers back to, begin with. Needed with a Mailer or Providers.
	PublicURL string
	// AuditRetention is how long entries of the audit log are kept, a day or more; 0 is for
	// ever.
	AuditRetention time.Duration
	// Providers of OpenID Connect that users can sign in with. They need a PublicURL.
	Providers []Provider
	// Password says what a hash costs.
	Password PasswordParams
	// Hashes is how many are computed at the same time, each in the memory that
	// Password says. Default GOMAXPROCS.
	Hashes int
	// HashWait is how long a request waits for its turn to have one computed.
	// Default 5 s.
	HashWait time.Duration

	now   func() time.Time // for tests
	rules *limitRules      // for tests
}

// Verification is what needs an address that was verified by a mail.
type Verification string

// The kinds of verification.
const (
	// VerifyNothing needs it for nothing.
	VerifyNothing Verification = "nothing"
	// VerifyJobs needs it to upload: tokens lack [token.ScopeJobsWrite] before.
	VerifyJobs Verification = "jobs"
	// VerifyLogin needs it to log in.
	VerifyLogin Verification = "login"
)

// PasswordParams are the parameters of argon2id. The zero value stands for those
// that OWASP's cheat sheet on password storage gives: 19 MiB, 2 passes, 1 lane.
// When they change, hashes follow with the next login of each user.
type PasswordParams struct {
	// Memory in KiB.
	Memory uint32
	// Iterations are the passes over the memory.
	Iterations uint32
	// Parallelism is the number of lanes.
	Parallelism uint8
}

// Deps are the parts that the service works with.
type Deps struct {
	// Accounts is required.
	Accounts Accounts
	// Mailer sends the mails. nil sends none: addresses are not verified then, and
	// forgotten passwords not replaced.
	Mailer Mailer
	// Gateway is told of accounts that were deleted. nil: that waits for a process
	// which has one.
	Gateway Gateway
	// Limits makes those wait who guess passwords. nil counts in memory.
	Limits Limiter
	// Checks of /readyz, by the name of the part. nil is none.
	Checks map[string]httpapi.Check
	// Logger of requests and of what goes wrong behind them. nil logs nothing.
	Logger *slog.Logger
	// Metrics gets the counts of requests; nil is nobody.
	Metrics prometheus.Registerer
}

// Accounts keeps the accounts. Its errors wrap those of package account.
type Accounts interface {
	AccountFinder
	AccountKeeper
	KeyKeeper
	SessionKeeper
	SessionEnder
	MailKeeper
	MailUser
	Departer
	APIKeyKeeper
	IdentityKeeper
	SignInKeeper
	Administrator
}

// AccountFinder finds accounts.
type AccountFinder interface {
	ByID(ctx context.Context, id string) (account.Account, error)
	// ByEmail finds an account by any address with the same [account.EmailKey].
	ByEmail(ctx context.Context, email string) (account.Account, error)
	// KnownAddress reports whether the account of an e-mail address has a session that
	// began at a network address and goes on.
	KnownAddress(ctx context.Context, email, address string) (bool, error)
}

// AccountKeeper makes and changes accounts.
type AccountKeeper interface {
	// SetPassword replaces the hash old by another. If it is not old any more, the
	// error is [account.ErrConflict].
	SetPassword(ctx context.Context, id, old, hash string) error
}

// SessionKeeper keeps the sessions of users.
type SessionKeeper interface {
	// CreateSession begins a session of an account with that hash; if it has another
	// one now, or is locked or gone, the error is [account.ErrConflict].
	CreateSession(ctx context.Context, n account.NewSession, hash string) error
	// Session that goes on, or [account.ErrNotFound].
	Session(ctx context.Context, id string) (account.Session, error)
	Sessions(ctx context.Context, user string) ([]account.Session, error)
	// Refresh replaces the token of a family by the first of next, or gives the answer
	// again that was lost. The error is [account.ErrNotFound] or [account.ErrReused].
	Refresh(ctx context.Context, family, token string, next []string, grace time.Duration) (account.Session, string, error)
}

// SessionEnder ends sessions.
type SessionEnder interface {
	EndFamily(ctx context.Context, family string) error
	// EndSession of a user; [account.ErrNotFound] if he has none of this ID.
	EndSession(ctx context.Context, user, id string) error
	EndSessions(ctx context.Context, user, except string) (int, error)
	// ChangePassword is SetPassword, ends all sessions for the new one, and tells of it.
	ChangePassword(ctx context.Context, id, old, hash string, n account.NewSession, m account.NewMail) error
	PurgeSessions(ctx context.Context) error
}

// MailKeeper keeps mails until they are sent.
type MailKeeper interface {
	// AddMail keeps a mail, unless its address has had too many.
	AddMail(ctx context.Context, m account.NewMail, limits account.MailLimits) (kept bool, err error)
	// ClaimMail leases the next mail to be sent; [account.ErrNotFound] if there is none.
	ClaimMail(ctx context.Context, lease time.Duration) (account.Mail, error)
	MailSent(ctx context.Context, m account.Mail) error
	// MailFailed has it tried again after a time, or never if that is 0.
	MailFailed(ctx context.Context, m account.Mail, again time.Duration, why string) error
	PurgeMails(ctx context.Context) error
}

// MailUser does what the secrets in mails are good for; tokens are their digests. The
// errors wrap [account.ErrNotFound] if one is not good.
type MailUser interface {
	// Register makes an account together with the mail to its owner.
	Register(ctx context.Context, a account.Account, m account.NewMail) error
	Verify(ctx context.Context, token string) error
	// Resettable is the account whose password a secret would set.
	Resettable(ctx context.Context, token string) (account.Account, error)
	// ResetPassword ends all sessions, and tells of it by a mail.
	ResetPassword(ctx context.Context, token, hash string, m account.NewMail) error
}

// Departer deletes accounts, and keeps the departures until the gateway knows.
type Departer interface {
	// Delete removes an account of that hash; [account.ErrConflict] if it has another.
	Delete(ctx context.Context, id, hash string, m account.NewMail) error
	// ClaimDeparture leases one; [account.ErrNotFound] if there is none.
	ClaimDeparture(ctx context.Context, lease time.Duration) (account.Departure, error)
	Departed(ctx context.Context, d account.Departure) error
	DepartLater(ctx context.Context, d account.Departure, after time.Duration) error
}

// Administrator does what administrators do, and notes it: both or neither. What changes
// an account that there is not answers [account.ErrNotFound].
type Administrator interface {
	// CreateNoted makes an account; its times are the store's to fill.
	CreateNoted(ctx context.Context, a account.Account, act account.Act) error
	Users(ctx context.Context, q account.UserQuery) ([]account.Account, error)
	// Lock ends all sessions too.
	Lock(ctx context.Context, act account.Act) error
	Unlock(ctx context.Context, act account.Act) error
	// Logout ends all sessions.
	Logout(ctx context.Context, act account.Act) error
	SetQuota(ctx context.Context, q account.Quota, act account.Act) error
	// AdminReset keeps a mail for a new password.
	AdminReset(ctx context.Context, m account.NewMail, act account.Act) error
	// Note notes what changes nothing.
	Note(ctx context.Context, act account.Act) error
	Audit(ctx context.Context, subject, before string, limit int) ([]account.Act, error)
	// PurgeAudit removes what is older than age.
	PurgeAudit(ctx context.Context, age time.Duration) error
}

// IdentityKeeper keeps what links accounts to providers of OpenID Connect.
type IdentityKeeper interface {
	// Identity of an issuer and a subject, or [account.ErrNotFound].
	Identity(ctx context.Context, issuer, subject string) (account.Identity, error)
	Identities(ctx context.Context, user string) ([]account.Identity, error)
	// CreateLinked makes an account with an identity; [account.ErrTaken] or
	// [account.ErrLinked] if another has its address or that.
	CreateLinked(ctx context.Context, a account.Account, i account.Identity) error
	// Link links an identity to an account whose address is verified, and tells of it by
	// a mail. The error may wrap [account.ErrLinked], [account.ErrConflict] or
	// [account.ErrTooMany].
	Link(ctx context.Context, i account.Identity, m account.NewMail) error
	// Unlink takes one away, ends all sessions but one, and tells of it by a mail. The
	// error may wrap [account.ErrNotFound] or [account.ErrLastWay].
	Unlink(ctx context.Context, user, id, session string, m account.NewMail) error
	// SignIn begins a session of the account that has an identity; if it has it no more,
	// or is locked or gone, the error is [account.ErrConflict].
	SignIn(ctx context.Context, i account.Identity, n account.NewSession) error
}

// SignInKeeper keeps sign-ins until the browser comes back.
type SignInKeeper interface {
	KeepSignIn(ctx context.Context, id string, sealed []byte, lifetime time.Duration) error
	// TakeSignIn gives it back, once; [account.ErrNotFound] if there is none.
	TakeSignIn(ctx context.Context, id string) ([]byte, error)
	PurgeSignIns(ctx context.Context) error
}

// APIKeyKeeper keeps the API keys of users.
type APIKeyKeeper interface {
	// CreateAPIKey keeps a key of an account of that hash, and tells of it by a mail. The
	// error may wrap [account.ErrConflict] or [account.ErrTooMany].
	CreateAPIKey(ctx context.Context, n account.NewAPIKey, hash string, m account.NewMail) (account.APIKey, error)
	APIKeys(ctx context.Context, user string) ([]account.APIKey, error)
	// RevokeAPIKey of a user; [account.ErrNotFound] if he has none of this ID.
	RevokeAPIKey(ctx context.Context, user, id string) error
	// APIKey by its hash; [account.ErrNotFound] if it is not good.
	APIKey(ctx context.Context, hash string) (account.APIKey, error)
	// APIKeyUsed notes the use of a key, unless another was noted within gap.
	APIKeyUsed(ctx context.Context, id string, gap time.Duration) error
}

// KeyKeeper keeps the keys that sign tokens.
type KeyKeeper interface {
	// SigningKeys are all keys, the oldest first.
	SigningKeys(ctx context.Context) ([]account.SigningKey, error)
	// AddSigningKey keeps a key, and removes those with a number below keep. If there
	// is one of its number, the error is [account.ErrConflict].
	AddSigningKey(ctx context.Context, k account.SigningKey, keep int64) error
}

func (c Config) withDefaults() Config {
	if c.Issuer == "" {
		c.Issuer = "mp3lathe"
	}
	if c.Audience == "" {
		c.Audience = "mp3lathe"
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = 15 * time.Minute
	}
	if c.SessionLifetime == 0 {
		c.SessionLifetime = 30 * 24 * time.Hour
	}
	if c.SessionIdle == 0 {
		c.SessionIdle = min(7*24*time.Hour, c.SessionLifetime)
	}
	if c.Verification == "" {
		c.Verification = VerifyNothing
	}
	if c.Password == (PasswordParams{}) {
		c.Password = PasswordParams{Memory: 19456, Iterations: 2, Parallelism: 1}
	}
	if c.Hashes == 0 {
		c.Hashes = runtime.GOMAXPROCS(0)
	}
	if c.HashWait == 0 {
		c.HashWait = 5 * time.Second
	}
	if c.rules == nil {
		rules := defaultRules()
		c.rules = &rules
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// Validate reports what is wrong with the settings.
func (c Config) Validate() error {
	c = c.withDefaults()
	p := c.Password
	switch {
	case c.Secrets == nil || len(c.Secrets.keys) == 0:
		return errors.New("there are no secrets")
	case c.TokenLifetime < time.Second || c.TokenLifetime > maxLifetime || c.TokenLifetime%time.Second != 0:
		return fmt.Errorf("the lifetime of tokens is %v: want whole seconds up to 24 h", c.TokenLifetime)
	case c.Verification != VerifyNothing && c.Verification != VerifyJobs && c.Verification != VerifyLogin:
		return fmt.Errorf("the verification is %q: want %s, %s or %s", c.Verification, VerifyNothing, VerifyJobs, VerifyLogin)
	case c.SessionIdle < c.TokenLifetime || c.SessionLifetime < c.SessionIdle:
		return fmt.Errorf("a session lasts %v, and %v without use: want no less than a token (%v), and no more than the session", c.SessionLifetime, c.SessionIdle, c.TokenLifetime)
	case p.Iterations < 1 || p.Parallelism < 1 || p.Memory < 8*uint32(p.Parallelism) || p.Memory > 4<<20:
		return fmt.Errorf("the password parameters %+v are out of range: want 1 or more passes and lanes, and 8 KiB a lane to 4 GiB", p)
	case c.Hashes < 1:
		return fmt.Errorf("%d hashes at the same time: want 1 or more", c.Hashes)
	case c.HashWait < 0:
		return fmt.Errorf("the wait for a hash is %v", c.HashWait)
	case c.AuditRetention != 0 && c.AuditRetention < minAudit:
		return fmt.Errorf("the audit log is kept for %v: want a day or more, or 0", c.AuditRetention)
	case len(c.Providers) > 0 && c.PublicURL == "":
		return errors.New("there is no address for providers to send browsers back to")
	}
	return CheckProviders(c.Providers)
}
