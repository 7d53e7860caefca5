// Package accountapi describes the HTTP API of accounts: its routes, and what they take
// and answer. The auth service serves it, and the gateway, which passes these routes on,
// says of itself what auth says.
package accountapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxBody of a request, in bytes: 128 characters of a password may take 12 each when
// they are written as JSON escapes.
const maxBody = 4 << 10

// Handlers of the routes.
type Handlers struct {
	Register         func(context.Context, *RegisterInput) (*Body[Registered], error)
	SendVerification func(context.Context, *EmailInput) (*Body[Registered], error)
	Verify           func(context.Context, *Body[TokenBody]) (*struct{}, error)
	SendReset        func(context.Context, *EmailInput) (*Body[Registered], error)
	Reset            func(context.Context, *Body[ResetBody]) (*struct{}, error)
	Login            func(context.Context, *LoginInput) (*Body[LoggedIn], error)
	Refresh          func(context.Context, *Body[RefreshBody]) (*Body[LoggedIn], error)
	Logout           func(context.Context, *Body[RefreshBody]) (*struct{}, error)
	Me               func(context.Context, *Authorization) (*Body[Me], error)
	Delete           func(context.Context, *DeleteInput) (*struct{}, error)
	ChangePassword   func(context.Context, *ChangeInput) (*Body[LoggedIn], error)
	Sessions         func(context.Context, *Authorization) (*Body[Sessions], error)
	EndSession       func(context.Context, *OneInput) (*struct{}, error)
	EndOtherSessions func(context.Context, *Authorization) (*struct{}, error)
	CreateKey        func(context.Context, *KeyInput) (*Body[NewKey], error)
	Keys             func(context.Context, *Authorization) (*Body[Keys], error)
	RevokeKey        func(context.Context, *OneInput) (*struct{}, error)
	ExchangeKey      func(context.Context, *Authorization) (*Body[Exchanged], error)
	BrowserLogin     func(context.Context, *BrowserLoginInput) (*CookieOutput, error)
	BrowserRefresh   func(context.Context, *BrowserInput) (*CookieOutput, error)
	BrowserLogout    func(context.Context, *BrowserInput) (*NoCookies, error)
	SignIn           SignInHandlers
	Users            func(context.Context, *UsersInput) (*Body[Users], error)
	Lock             func(context.Context, *LockInput) (*struct{}, error)
	Unlock           func(context.Context, *UserInput) (*struct{}, error)
	LogoutUser       func(context.Context, *UserInput) (*struct{}, error)
	ResetUser        func(context.Context, *UserInput) (*struct{}, error)
	SetQuota         func(context.Context, *QuotaInput) (*struct{}, error)
	Audit            func(context.Context, *AuditInput) (*Body[Audit], error)
	KeySet           func(context.Context, *struct{}) (*KeySetOutput, error)
	BasicLogin       func(context.Context, *BasicInput) (*Text, error)
	Validate         func(context.Context, *Authorization) (*Body[Validated], error)
}

// Register adds the routes to an API.
func Register(api huma.API, h Handlers) {
	schemes := api.OpenAPI().Components.SecuritySchemes
	if schemes == nil {
		schemes = map[string]*huma.SecurityScheme{}
		api.OpenAPI().Components.SecuritySchemes = schemes
	}
	if schemes["bearer"] == nil {
		schemes["bearer"] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", BearerFormat: "JWT"}
	}
	schemes["basic"] = &huma.SecurityScheme{Type: "http", Scheme: "basic"}
	bearer := []map[string][]string{{"bearer": {}}}

	huma.Register(api, huma.Operation{
		OperationID: "register", Method: http.MethodPost, Path: "/v1/auth/register", DefaultStatus: http.StatusAccepted,
		Summary: "Make an account", MaxBodyBytes: maxBody,
		Description: "Answers alike whether there is an account with the address already: a mail tells its owner. " +
			"The problem's code is registration_closed if accounts are not to be had.",
		Errors: []int{400, 403, 413, 415, 422, 429, 503, 507},
	}, h.Register)
	huma.Register(api, huma.Operation{
		OperationID: "send-verification", Method: http.MethodPost, Path: "/v1/auth/verify/send", DefaultStatus: http.StatusAccepted,
		Summary: "Send the mail that verifies an address, again", MaxBodyBytes: maxBody,
		Description: "Answers alike whether there is an account of the address, and whether it has had enough mails.",
		Errors:      []int{400, 413, 415, 422, 429, 501, 503, 507},
	}, h.SendVerification)
	huma.Register(api, huma.Operation{
		OperationID: "verify", Method: http.MethodPost, Path: "/v1/auth/verify", DefaultStatus: http.StatusNoContent,
		Summary: "Verify an address by the token in a mail", MaxBodyBytes: maxBody,
		Errors: []int{400, 410, 413, 415, 422, 503, 507},
	}, h.Verify)
	huma.Register(api, huma.Operation{
		OperationID: "send-reset", Method: http.MethodPost, Path: "/v1/auth/reset/send", DefaultStatus: http.StatusAccepted,
		Summary: "Send a mail that sets a new password", MaxBodyBytes: maxBody,
		Description: "Answers alike whether there is an account of the address, and whether it has had enough mails.",
		Errors:      []int{400, 413, 415, 422, 429, 501, 503, 507},
	}, h.SendReset)
	huma.Register(api, huma.Operation{
		OperationID: "reset", Method: http.MethodPost, Path: "/v1/auth/reset", DefaultStatus: http.StatusNoContent,
		Summary: "Set a new password by the token in a mail", MaxBodyBytes: maxBody,
		Description: "The token is good once. All sessions of the user end, and the address counts as verified.",
		Errors:      []int{400, 410, 413, 415, 422, 503, 507},
	}, h.Reset)
	huma.Register(api, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: "/v1/auth/login",
		Summary: "Get an access token", MaxBodyBytes: maxBody,
		Description: "The problem's code is bad_credentials whether the address is unknown or the password wrong.",
		Errors:      []int{400, 401, 403, 413, 415, 422, 429, 503, 507},
	}, h.Login)
	huma.Register(api, huma.Operation{
		OperationID: "refresh", Method: http.MethodPost, Path: "/v1/auth/refresh",
		Summary: "Get the next access token", MaxBodyBytes: maxBody,
		Description: "A refresh token is good once: the answer has the next. One that is used again ends its session, unless that is within 30 seconds: " +
			"then the answer, which may have been lost, is given again. The problem's code is session_ended whatever is wrong with the token.",
		Errors: []int{400, 401, 403, 413, 415, 422, 503, 507},
	}, h.Refresh)
	huma.Register(api, huma.Operation{
		OperationID: "logout", Method: http.MethodPost, Path: "/v1/auth/logout", DefaultStatus: http.StatusNoContent,
		Summary: "End the session of a refresh token", MaxBodyBytes: maxBody,
		Description: "Answers alike whether there is such a session. Access tokens of the session are good until they expire.",
		Errors:      []int{400, 413, 415, 422, 503, 507},
	}, h.Logout)
	huma.Register(api, huma.Operation{
		OperationID: "change-password", Method: http.MethodPost, Path: "/v1/auth/password",
		Summary: "Change the password", MaxBodyBytes: maxBody, Security: bearer,
		Description: "Ends all sessions of the user; the answer begins a new one, as a login does. The problem's code is wrong_password if the current one is, and reauthentication_required if it is missing.",
		Errors:      []int{400, 401, 403, 409, 413, 415, 422, 429, 503, 507},
	}, h.ChangePassword)
	huma.Register(api, huma.Operation{
		OperationID: "sessions", Method: http.MethodGet, Path: "/v1/auth/sessions",
		Summary: "The user's sessions", Security: bearer, Errors: []int{401, 403, 503},
	}, h.Sessions)
	huma.Register(api, huma.Operation{
		OperationID: "end-other-sessions", Method: http.MethodDelete, Path: "/v1/auth/sessions", DefaultStatus: http.StatusNoContent,
		Summary: "End all sessions but this one", Security: bearer, Errors: []int{401, 403, 503, 507},
	}, h.EndOtherSessions)
	huma.Register(api, huma.Operation{
		OperationID: "end-session", Method: http.MethodDelete, Path: "/v1/auth/sessions/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "End a session", Security: bearer, Errors: []int{401, 403, 404, 422, 503, 507},
	}, h.EndSession)
	huma.Register(api, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/v1/auth/me",
		Summary: "Tell whose access token it is", Security: bearer, Errors: []int{401, 403, 503},
	}, h.Me)
	huma.Register(api, huma.Operation{
		OperationID: "delete-account", Method: http.MethodPost, Path: "/v1/auth/me/delete", DefaultStatus: http.StatusNoContent,
		Summary: "Delete the account, with its jobs and files", MaxBodyBytes: maxBody, Security: bearer,
		Description: "The account is gone at once; its jobs and files follow, which may take some minutes. The problem's code is wrong_password if the password is.",
		Errors:      []int{400, 401, 403, 409, 413, 415, 422, 429, 503, 507},
	}, h.Delete)
	huma.Register(api, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/v1/auth/keys", DefaultStatus: http.StatusCreated,
		Summary: "Make an API key", MaxBodyBytes: maxBody, Security: bearer,
		Description: "The key itself is shown in this answer only. Programs send it as they send an access token. The problem's code is too_many_keys if there are 50 already.",
		Errors:      []int{400, 401, 403, 409, 413, 415, 422, 429, 503, 507},
	}, h.CreateKey)
	huma.Register(api, huma.Operation{
		OperationID: "keys", Method: http.MethodGet, Path: "/v1/auth/keys",
		Summary: "The user's API keys", Security: bearer, Errors: []int{401, 403, 503},
	}, h.Keys)
	huma.Register(api, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/v1/auth/keys/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Revoke an API key", Security: bearer, Errors: []int{401, 403, 404, 422, 503, 507},
		Description: "It is of no use any more within 5 seconds.",
	}, h.RevokeKey)
	huma.Register(api, huma.Operation{
		OperationID: "exchange-key", Method: http.MethodPost, Path: "/v1/auth/token",
		Summary: "Get an access token for an API key", Security: bearer, Errors: []int{401, 403, 503, 507},
		Description: "The gateway does this itself for whoever sends it an API key; programs need not.",
	}, h.ExchangeKey)
	registerBrowser(api, h)
	registerSignIn(api, h.SignIn, bearer)
	registerAdmin(api, h, bearer)
	huma.Register(api, huma.Operation{
		OperationID: "jwks", Method: http.MethodGet, Path: "/.well-known/jwks.json",
		Summary: "The public keys of access tokens", Description: "A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).",
		Errors: []int{503},
	}, h.KeySet)
	huma.Register(api, huma.Operation{
		OperationID: "basic-login", Method: http.MethodPost, Path: "/login", Deprecated: true,
		Summary: "Get an access token as plain text (old clients)", Description: "As clients of the Python project do.",
		Security: []map[string][]string{{"basic": {}}}, Errors: []int{401, 403, 413, 429, 503, 507},
		Responses: map[string]*huma.Response{"200": {
			Description: "The token", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, h.BasicLogin)
	huma.Register(api, huma.Operation{
		OperationID: "validate", Method: http.MethodPost, Path: "/validate", Deprecated: true,
		Summary: "Tell what an access token says (old clients)", Description: "As clients of the Python project do.",
		Security: bearer, Errors: []int{401, 403, 413, 503},
	}, h.Validate)
}

// registerBrowser adds the routes of pages, whose tokens are in cookies.
func registerBrowser(api huma.API, h Handlers) {
	const pages = "For pages of the same origin: Sec-Fetch-Site, or Origin, must say so. The tokens are in cookies that no script can read."
	huma.Register(api, huma.Operation{
		OperationID: "browser-login", Method: http.MethodPost, Path: BrowserPath + "/login",
		Summary: "Log in from a page", Description: pages, MaxBodyBytes: maxBody,
		Errors: []int{400, 401, 403, 413, 415, 422, 429, 503, 507},
	}, h.BrowserLogin)
	huma.Register(api, huma.Operation{
		OperationID: "browser-refresh", Method: http.MethodPost, Path: BrowserPath + "/refresh",
		Summary: "Get the next tokens from a page", Description: pages, Errors: []int{401, 403, 503, 507},
	}, h.BrowserRefresh)
	huma.Register(api, huma.Operation{
		OperationID: "browser-logout", Method: http.MethodPost, Path: BrowserPath + "/logout", DefaultStatus: http.StatusNoContent,
		Summary: "Log out from a page", Description: pages, Errors: []int{403, 503, 507},
	}, h.BrowserLogout)
}

// registerAdmin adds the routes of administrators. They take an access token of a login;
// what they do is noted in the audit log.
func registerAdmin(api huma.API, h Handlers, bearer []map[string][]string) {
	one := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/v1/auth/users/{id}" + path, DefaultStatus: http.StatusNoContent, MaxBodyBytes: maxBody,
			Summary: summary + " (administrators)", Security: bearer, Errors: append(errors, 401, 403, 404, 422, 503, 507),
		}
	}
	huma.Register(api, huma.Operation{
		OperationID: "users", Method: http.MethodGet, Path: "/v1/auth/users",
		Summary: "Accounts (administrators)", Security: bearer, Errors: []int{401, 403, 422, 503, 507},
	}, h.Users)
	lock := one("lock-user", http.MethodPost, "/lock", "Lock an account", 400, 409, 413, 415)
	lock.Description = "Its sessions end at once, its API keys within 5 seconds; an access token is good until it expires."
	huma.Register(api, lock, h.Lock)
	huma.Register(api, one("unlock-user", http.MethodPost, "/unlock", "Unlock an account"), h.Unlock)
	huma.Register(api, one("logout-user", http.MethodDelete, "/sessions", "End all sessions of an account"), h.LogoutUser)
	huma.Register(api, one("reset-user", http.MethodPost, "/reset", "Send a mail for a new password", 501), h.ResetUser)
	quota := one("set-quota", http.MethodPut, "/quota", "Set what a user may take up", 400, 413, 415)
	quota.Description = "What is left out is as for all users. It counts from the next access token on."
	huma.Register(api, quota, h.SetQuota)
	huma.Register(api, huma.Operation{
		OperationID: "audit", Method: http.MethodGet, Path: "/v1/auth/audit",
		Summary: "What administrators did (administrators)", Security: bearer, Errors: []int{401, 403, 422, 503},
	}, h.Audit)
}

// Describe adds the routes to a description whose owner passes them on.
func Describe(o *huma.OpenAPI) {
	// An API that nobody serves writes into the same description.
	config := huma.DefaultConfig("", "")
	config.OpenAPI = o
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	Register(humago.New(http.NewServeMux(), config), Handlers{})
}
