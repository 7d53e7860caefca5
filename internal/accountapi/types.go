package accountapi

import (
	"net/http"
	"time"
)

// Credentials are the body of a registration.
type Credentials struct {
	Email    string `json:"email" maxLength:"300" example:"ada@example.org" doc:"An e-mail address, at most 254 characters"`
	Password string `json:"password" doc:"8 to 128 characters of any kind, counted in Unicode's form NFKC; not one of those that are guessed first"`
}

// LoginBody has no limits of its own: what no account can have is wrong as any wrong
// password is.
type LoginBody struct {
	Email    string `json:"email" example:"ada@example.org" doc:"The address of the account"`
	Password string `json:"password" doc:"Its password"`
}

// Registered answers a registration, and the wish for a mail: alike whether there is an
// account of the address.
type Registered struct {
	Email string `json:"email" doc:"The e-mail address, as given; a mail to it says more"`
}

// EmailBody names an account.
type EmailBody struct {
	Email string `json:"email" maxLength:"300" example:"ada@example.org" doc:"The address of the account"`
}

// TokenBody has the token in the link of a mail.
type TokenBody struct {
	Token string `json:"token" doc:"The token in the mail's link"`
}

// ResetBody sets a password.
type ResetBody struct {
	Token    string `json:"token" doc:"The token in the mail's link"`
	Password string `json:"password" doc:"The new password, under the rules of the registration"`
}

// LoggedIn answers a login.
type LoggedIn struct {
	AccessToken string `json:"access_token" doc:"A signed token (JWT) to be sent as Authorization: Bearer"`
	TokenType   string `json:"token_type" enum:"Bearer"`
	ExpiresIn   int    `json:"expires_in" doc:"For how long the token is good, in seconds"`
	// RefreshToken gets the next one.
	RefreshToken     string `json:"refresh_token" doc:"Gets the next access token, once"`
	RefreshExpiresIn int    `json:"refresh_expires_in" doc:"For how long the refresh token is good, in seconds"`
}

// RefreshBody has a refresh token.
type RefreshBody struct {
	RefreshToken string `json:"refresh_token" doc:"The last one that was answered"`
}

// ChangeBody changes a password, or sets the first one.
type ChangeBody struct {
	Current string `json:"current_password,omitempty" doc:"The password as it is. Who has none leaves it out, after a fresh sign-in"`
	New     string `json:"new_password" doc:"The password as it is to be, under the rules of the registration"`
}

// DeleteBody deletes an account.
type DeleteBody struct {
	Password string `json:"password,omitempty" doc:"The account's password; not needed within 5 minutes of a fresh sign-in"`
}

// KeyBody makes an API key.
type KeyBody struct {
	Name     string   `json:"name" doc:"What it is for, for yourself; 1 to 100 characters"`
	Scopes   []string `json:"scopes" nullable:"false" doc:"What it is good for: jobs:read, jobs:write, admin"`
	Days     int      `json:"expires_in_days,omitempty" minimum:"1" maximum:"366" default:"90" doc:"When it expires"`
	Password string   `json:"password,omitempty" doc:"The account's password; not needed within 5 minutes of a fresh sign-in"`
}

// Key is an API key without its secret.
type Key struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Prefix  string     `json:"prefix" doc:"What the key begins with"`
	Scopes  []string   `json:"scopes" nullable:"false"`
	Created time.Time  `json:"created_at"`
	Expires time.Time  `json:"expires_at"`
	Used    *time.Time `json:"used_at,omitempty" doc:"When it was last used, to the minute"`
}

// NewKey is an API key that was just made.
type NewKey struct {
	Key
	Secret string `json:"key" doc:"The key itself, which is not shown again"`
}

// Keys are those of a user.
type Keys struct {
	Keys []Key `json:"keys" nullable:"false" doc:"The newest first"`
}

// Exchanged answers an API key.
type Exchanged struct {
	AccessToken string `json:"access_token" doc:"A signed token (JWT) to be sent as Authorization: Bearer"`
	TokenType   string `json:"token_type" enum:"Bearer"`
	ExpiresIn   int    `json:"expires_in" doc:"For how long the token is good, in seconds"`
	Scope       string `json:"scope" doc:"What it is good for, with spaces between"`
}

// User is an account as administrators see it.
type User struct {
	ID       string        `json:"id"`
	Email    string        `json:"email"`
	Verified bool          `json:"email_verified"`
	Roles    []string      `json:"roles" nullable:"false"`
	Created  time.Time     `json:"created_at"`
	Locked   *time.Time    `json:"locked_at,omitempty" doc:"Since when it is locked"`
	Quota    *AccountQuota `json:"quota,omitempty" doc:"What it may take up, if that is not what all others may"`
}

// Users are a page of accounts.
type Users struct {
	Users []User `json:"users" nullable:"false" doc:"In the order of their addresses"`
	Next  string `json:"next,omitempty" doc:"after of the next page, if there may be one"`
}

// AccountQuota is what a user may take up, where that is not what all others may.
type AccountQuota struct {
	Jobs        *int64 `json:"jobs,omitempty" minimum:"0" maximum:"10000" doc:"Jobs that may wait; 0 for any number"`
	DailyBytes  *int64 `json:"daily_bytes,omitempty" minimum:"0" doc:"Bytes that may be uploaded a day; 0 for any number"`
	StoredBytes *int64 `json:"stored_bytes,omitempty" minimum:"0" doc:"Bytes that all files may take; 0 for any number"`
}

// LockBody locks an account.
type LockBody struct {
	Reason string `json:"reason,omitempty" maxLength:"400" doc:"For the audit log"`
}

// Audit is a page of what administrators did.
type Audit struct {
	Acts []Act  `json:"acts" nullable:"false" doc:"The newest first"`
	Next string `json:"next,omitempty" doc:"before of the next page, if there may be one"`
}

// Act is what an administrator did.
type Act struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	Actor      string    `json:"actor,omitempty" doc:"The administrator's account; nobody's if it was a command on the machine"`
	ActorEmail string    `json:"actor_email,omitempty"`
	Place      string    `json:"address,omitempty" doc:"Where the request came from"`
	Action     string    `json:"action" doc:"create, lock, unlock, logout, reset, quota or view"`
	Subject    string    `json:"subject,omitempty" doc:"The account that it was done to"`
	Detail     string    `json:"detail,omitempty"`
}

// Sessions are those of a user that go on.
type Sessions struct {
	Sessions []Session `json:"sessions" nullable:"false" doc:"The last used first"`
}

// Session is what a login began.
type Session struct {
	ID      string    `json:"id"`
	Current bool      `json:"current" doc:"Whether the request was made in it"`
	Address string    `json:"address,omitempty" doc:"Where the login came from, if it is known"`
	Agent   string    `json:"user_agent,omitempty" doc:"What the client that logged in called itself"`
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"used_at" doc:"When an access token was last made in it"`
	Expires time.Time `json:"expires_at" doc:"When it ends if it is not used again"`
}

// Me tells whose an access token is.
type Me struct {
	ID    string `json:"id" doc:"The account's ID"`
	Email string `json:"email" doc:"Its e-mail address, as given"`
	// Verified as in OpenID Connect.
	Verified bool     `json:"email_verified" doc:"Whether its owner has confirmed the address by a mail"`
	Roles    []string `json:"roles" nullable:"false" doc:"What its user may be: user, admin"`
	Password bool     `json:"has_password" doc:"Whether a password opens the account"`
}

// Validated is what a token says, in the names of JWT, and in those that clients of
// the Python project know.
type Validated struct {
	Subject  string   `json:"sub" doc:"The account's ID"`
	Email    string   `json:"email"`
	Roles    []string `json:"roles" nullable:"false"`
	ID       string   `json:"jti" doc:"The token's ID"`
	Issued   int64    `json:"iat" doc:"When the token was made, in seconds since 1970"`
	Expires  int64    `json:"exp" doc:"When it ends, in seconds since 1970"`
	Username string   `json:"username" doc:"The e-mail address once more"`
	Admin    bool     `json:"admin" doc:"Whether admin is among the roles"`
}

// KeySet is a JWKS (RFC 7517) of Ed25519 keys.
type KeySet struct {
	Keys []PublicKey `json:"keys" nullable:"false"`
}

// PublicKey is one key of a [KeySet].
type PublicKey struct {
	KeyType   string `json:"kty" enum:"OKP"`
	Curve     string `json:"crv" enum:"Ed25519"`
	Algorithm string `json:"alg" enum:"EdDSA"`
	Use       string `json:"use" enum:"sig"`
	ID        string `json:"kid" doc:"The key's thumbprint (RFC 7638)"`
	X         string `json:"x" doc:"The key, in base64url"`
}

// Body is a request or an answer that has nothing else.
type Body[T any] struct{ Body T }

// Authorization is for routes that read the header themselves; the description has it
// as a security scheme.
type Authorization struct {
	Header string `header:"Authorization" hidden:"true"`
}

// Origin is where a request comes from, as the gateway tells it.
type Origin struct {
	Forwarded string `header:"X-Forwarded-For" hidden:"true"`
	Agent     string `header:"User-Agent" hidden:"true"`
}

// LoginInput is a login.
type LoginInput struct {
	Origin
	Body LoginBody
}

// RegisterInput is a registration.
type RegisterInput struct {
	Origin
	Body Credentials
}

// EmailInput asks for a mail.
type EmailInput struct {
	Origin
	Body EmailBody
}

// BasicInput is a login of old clients.
type BasicInput struct {
	Authorization
	Origin
}

// ChangeInput is a change of a password.
type ChangeInput struct {
	Authorization
	Origin
	Body ChangeBody
}

// DeleteInput deletes an account.
type DeleteInput struct {
	Authorization
	Origin
	Body DeleteBody
}

// KeyInput makes an API key.
type KeyInput struct {
	Authorization
	Origin
	Body KeyBody
}

// OneInput names one of several things of a user's.
type OneInput struct {
	Authorization
	ID string `path:"id" maxLength:"64" doc:"Its ID, as in the list"`
}

// Page is what a browser says of the page that a request comes from.
type Page struct {
	FetchSite  string `header:"Sec-Fetch-Site" hidden:"true"`
	PageOrigin string `header:"Origin" hidden:"true"`
	// Host that the page's request was made to, as the gateway had it.
	Host string `header:"X-Forwarded-Host" hidden:"true"`
}

// BrowserLoginInput is a login of a page.
type BrowserLoginInput struct {
	Origin
	Page
	Body LoginBody
}

// BrowserInput is of a page that is logged in.
type BrowserInput struct {
	Page
	Refresh http.Cookie `cookie:"__Secure-mp3lathe-refresh" hidden:"true"`
}

// InCookies answers a page whose tokens are in cookies.
type InCookies struct {
	ExpiresIn        int `json:"expires_in" doc:"For how long the access token is good, in seconds"`
	RefreshExpiresIn int `json:"refresh_expires_in" doc:"For how long the refresh token is good, in seconds"`
}

// CookieOutput sets the cookies of a session.
type CookieOutput struct {
	Cookies []http.Cookie `header:"Set-Cookie"`
	Body    InCookies
}

// NoCookies removes them.
type NoCookies struct {
	Cookies []http.Cookie `header:"Set-Cookie"`
}

// UsersInput asks for accounts.
type UsersInput struct {
	Authorization
	Origin
	Email string `query:"email" maxLength:"254" doc:"What their addresses begin with"`
	After string `query:"after" maxLength:"254" doc:"The address of the last one of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"100"`
}

// UserInput names an account.
type UserInput struct {
	Authorization
	Origin
	ID string `path:"id" maxLength:"64" doc:"The account's ID"`
}

// LockInput locks an account.
type LockInput struct {
	UserInput
	Body LockBody
}

// QuotaInput sets what an account may take up.
type QuotaInput struct {
	UserInput
	Body AccountQuota
}

// AuditInput asks for what was done.
type AuditInput struct {
	Authorization
	Subject string `query:"subject" maxLength:"64" doc:"To which account"`
	Before  string `query:"before" maxLength:"64" doc:"The ID of the last one of the page before"`
	Limit   int    `query:"limit" minimum:"1" maximum:"100" default:"100"`
}

// KeySetOutput is the answer with the keys.
type KeySetOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         KeySet
}

// Text is an answer of text.
type Text struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}
