package accountapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// OIDCPath is where the sign-in by providers of OpenID Connect lies.
const OIDCPath = "/v1/auth/oidc"

// SignInCookie binds a sign-in to the browser that has begun it. It comes with the
// provider's redirect, so it is not SameSite=Strict; and no other host can set it.
const SignInCookie = "__Host-mp3lathe-signin"

// SignInHandlers are those of the sign-in by providers of OpenID Connect.
type SignInHandlers struct {
	Providers  func(context.Context, *struct{}) (*Body[Providers], error)
	Start      func(context.Context, *StartInput) (*PageOutput, error)
	Callback   func(context.Context, *CallbackInput) (*PageOutput, error)
	Exchange   func(context.Context, *CodeInput) (*Body[LoggedIn], error)
	Link       func(context.Context, *LinkInput) (*LinkOutput, error)
	Identities func(context.Context, *Authorization) (*Body[Identities], error)
	Unlink     func(context.Context, *UnlinkInput) (*struct{}, error)
}

// Providers are those that users can sign in with.
type Providers struct {
	Providers []Provider `json:"providers" nullable:"false" doc:"In the order of the settings"`
}

// Provider is one of them.
type Provider struct {
	Name  string `json:"name" doc:"Its name in the addresses here"`
	Label string `json:"label" doc:"Its name for people"`
	Start string `json:"start" doc:"Where a browser begins to sign in"`
}

// CodeBody is what a program has that a browser has signed in for.
type CodeBody struct {
	Code     string `json:"code" maxLength:"100" doc:"What came to the program's address"`
	Verifier string `json:"code_verifier" maxLength:"128" doc:"What the code_challenge was made of (RFC 7636)"`
}

// LinkBody links an identity.
type LinkBody struct {
	Password string `json:"password,omitempty" doc:"The account's password; not needed within 5 minutes of a fresh sign-in"`
	Return   string `json:"return_to,omitempty" maxLength:"1024" doc:"Path on this service where the browser goes in the end"`
}

// Elsewhere is where the browser goes.
type Elsewhere struct {
	Location string `json:"location" doc:"Where the browser goes, within 10 minutes"`
}

// UnlinkBody takes an identity away.
type UnlinkBody struct {
	Password string `json:"password,omitempty" doc:"The account's password; not needed within 5 minutes of a fresh sign-in"`
}

// Identities are those that are linked to an account.
type Identities struct {
	Identities []Identity `json:"identities" nullable:"false" doc:"The oldest first"`
}

// Identity is how a provider knows a user.
type Identity struct {
	ID       string    `json:"id"`
	Provider string    `json:"provider,omitempty" doc:"The provider's name; empty if it is not one of the settings any more"`
	Issuer   string    `json:"issuer" doc:"Who the provider is"`
	Email    string    `json:"email,omitempty" doc:"The address that it gave last"`
	Created  time.Time `json:"created_at"`
	Used     time.Time `json:"used_at" doc:"When it was last signed in by"`
}

// StartInput begins a sign-in.
type StartInput struct {
	Origin
	Page
	Accept   string      `header:"Accept" hidden:"true"`
	Browser  http.Cookie `cookie:"__Host-mp3lathe-signin" hidden:"true"`
	Provider string      `path:"provider" maxLength:"32" doc:"Its name"`
	Return   string      `query:"return_to" maxLength:"1024" doc:"Path on this service where the browser goes in the end"`
	Fresh    bool        `query:"fresh" doc:"Has the provider ask who the user is, even if he is signed in there"`
	// What follows is for programs.
	Redirect  string `query:"redirect_uri" maxLength:"1024" doc:"For programs (RFC 8252): the program's address on this machine, http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH"`
	State     string `query:"state" maxLength:"200" doc:"For programs: comes back to redirect_uri as it is"`
	Challenge string `query:"code_challenge" maxLength:"43" doc:"For programs: SHA-256 of the code_verifier in base64url (RFC 7636)"`
	Method    string `query:"code_challenge_method" enum:"S256" doc:"For programs: S256"`
}

// CallbackInput is what a browser comes back with.
type CallbackInput struct {
	Origin
	Accept   string      `header:"Accept" hidden:"true"`
	Browser  http.Cookie `cookie:"__Host-mp3lathe-signin" hidden:"true"`
	Provider string      `path:"provider" maxLength:"32" doc:"Its name"`
	Code     string      `query:"code"`
	State    string      `query:"state"`
	Issuer   string      `query:"iss"`
	Error    string      `query:"error"`
}

// CodeInput exchanges a code.
type CodeInput struct {
	Origin
	Body CodeBody
}

// LinkInput links an identity.
type LinkInput struct {
	Authorization
	Origin
	Browser  http.Cookie `cookie:"__Host-mp3lathe-signin" hidden:"true"`
	Provider string      `path:"provider" maxLength:"32" doc:"Its name"`
	Body     LinkBody
}

// UnlinkInput takes an identity away.
type UnlinkInput struct {
	OneInput
	Origin
	Body UnlinkBody
}

// LinkOutput answers the wish to link an identity.
type LinkOutput struct {
	Cookies []http.Cookie `header:"Set-Cookie"`
	Body    Elsewhere
}

// PageOutput is for browsers: a page, or another place.
type PageOutput struct {
	Status      int
	Location    string        `header:"Location"`
	Refresh     string        `header:"Refresh"`
	RetryAfter  string        `header:"Retry-After"`
	Cookies     []http.Cookie `header:"Set-Cookie"`
	ContentType string        `header:"Content-Type"`
	Body        []byte
}

// registerSignIn adds the routes of the sign-in by providers of OpenID Connect.
func registerSignIn(api huma.API, h SignInHandlers, bearer []map[string][]string) {
	page := func(description string) *huma.Response {
		return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: "string"}}}}
	}
	const pages = " Problems are pages for those who accept text/html."
	huma.Register(api, huma.Operation{
		OperationID: "providers", Method: http.MethodGet, Path: OIDCPath,
		Summary: "The providers of OpenID Connect that users can sign in with", Errors: []int{503},
	}, h.Providers)
	huma.Register(api, huma.Operation{
		OperationID: "start-sign-in", Method: http.MethodGet, Path: OIDCPath + "/{provider}/start", DefaultStatus: http.StatusSeeOther,
		Summary: "Send the browser to a provider",
		Description: "A browser that comes back signed in gets the cookies of a session, as by the login of a page, and goes to return_to. " +
			"For a program, redirect_uri, state, code_challenge and code_challenge_method go along: what comes to redirect_uri in the end is a code." + pages,
		Responses: map[string]*huma.Response{"303": {Description: "To the provider"}},
		Errors:    []int{403, 404, 422, 429, 503, 507},
	}, h.Start)
	huma.Register(api, huma.Operation{
		OperationID: "sign-in-callback", Method: http.MethodGet, Path: OIDCPath + "/{provider}/callback",
		Summary: "Where the provider sends the browser back to", Description: "Good once, within 10 minutes, in the browser that began." + pages,
		SkipValidateParams: true, // providers add theirs
		Responses:          map[string]*huma.Response{"200": page("Signed in, or linked")},
		Errors:             []int{403, 404, 409, 422, 429, 502, 503, 507},
	}, h.Callback)
	huma.Register(api, huma.Operation{
		OperationID: "exchange-code", Method: http.MethodPost, Path: OIDCPath + "/token",
		Summary: "Get the tokens of a sign-in, for programs", MaxBodyBytes: maxBody,
		Description: "The code is good once, for a minute.",
		Errors:      []int{400, 403, 413, 415, 422, 429, 503, 507},
	}, h.Exchange)
	huma.Register(api, huma.Operation{
		OperationID: "link-identity", Method: http.MethodPost, Path: OIDCPath + "/{provider}/link",
		Summary: "Link an identity to the account", MaxBodyBytes: maxBody, Security: bearer,
		Description: "The browser goes to the answer's location, and comes back as from a sign-in. The account's address must be confirmed.",
		Errors:      []int{400, 401, 403, 404, 413, 415, 422, 429, 503, 507},
	}, h.Link)
	huma.Register(api, huma.Operation{
		OperationID: "identities", Method: http.MethodGet, Path: "/v1/auth/identities",
		Summary: "The identities that are linked to the account", Security: bearer, Errors: []int{401, 403, 503},
	}, h.Identities)
	huma.Register(api, huma.Operation{
		OperationID: "unlink-identity", Method: http.MethodPost, Path: "/v1/auth/identities/{id}/unlink", DefaultStatus: http.StatusNoContent,
		Summary: "Take an identity from the account", MaxBodyBytes: maxBody, Security: bearer,
		Description: "All other sessions end. The problem's code is last_sign_in if nobody could log in any more.",
		Errors:      []int{400, 401, 403, 404, 409, 413, 415, 422, 429, 503, 507},
	}, h.Unlink)
}
