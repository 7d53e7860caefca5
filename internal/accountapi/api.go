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

// Registered answers a registration.
type Registered struct {
	ID    string `json:"id" doc:"The account's ID"`
	Email string `json:"email" doc:"Its e-mail address, as given"`
}

// LoggedIn answers a login.
type LoggedIn struct {
	AccessToken string `json:"access_token" doc:"A signed token (JWT) to be sent as Authorization: Bearer"`
	TokenType   string `json:"token_type" enum:"Bearer"`
	ExpiresIn   int    `json:"expires_in" doc:"For how long the token is good, in seconds"`
}

// Me tells whose an access token is.
type Me struct {
	ID    string   `json:"id" doc:"The account's ID"`
	Email string   `json:"email" doc:"Its e-mail address, as given"`
	Roles []string `json:"roles" nullable:"false" doc:"What its user may be: user, admin"`
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

// Handlers of the routes.
type Handlers struct {
	Register   func(context.Context, *Body[Credentials]) (*Body[Registered], error)
	Login      func(context.Context, *Body[LoginBody]) (*Body[LoggedIn], error)
	Me         func(context.Context, *Authorization) (*Body[Me], error)
	KeySet     func(context.Context, *struct{}) (*KeySetOutput, error)
	BasicLogin func(context.Context, *Authorization) (*Text, error)
	Validate   func(context.Context, *Authorization) (*Body[Validated], error)
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
		OperationID: "register", Method: http.MethodPost, Path: "/v1/auth/register", DefaultStatus: http.StatusCreated,
		Summary: "Make an account", MaxBodyBytes: maxBody,
		Description: "The problem's code is email_taken if there is an account with the address, and registration_closed " +
			"if accounts are not to be had.",
		Errors: []int{400, 403, 409, 413, 415, 422, 503, 507},
	}, h.Register)
	huma.Register(api, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: "/v1/auth/login",
		Summary: "Get an access token", MaxBodyBytes: maxBody,
		Description: "The problem's code is bad_credentials whether the address is unknown or the password wrong.",
		Errors:      []int{400, 401, 403, 413, 415, 422, 503},
	}, h.Login)
	huma.Register(api, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/v1/auth/me",
		Summary: "Tell whose access token it is", Security: bearer, Errors: []int{401, 403, 503},
	}, h.Me)
	huma.Register(api, huma.Operation{
		OperationID: "jwks", Method: http.MethodGet, Path: "/.well-known/jwks.json",
		Summary: "The public keys of access tokens", Description: "A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).",
		Errors: []int{503},
	}, h.KeySet)
	huma.Register(api, huma.Operation{
		OperationID: "basic-login", Method: http.MethodPost, Path: "/login", Deprecated: true,
		Summary: "Get an access token as plain text (old clients)", Description: "As clients of the Python project do.",
		Security: []map[string][]string{{"basic": {}}}, Errors: []int{401, 403, 413, 503},
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

// Describe adds the routes to a description whose owner passes them on.
func Describe(o *huma.OpenAPI) {
	// An API that nobody serves writes into the same description.
	config := huma.DefaultConfig("", "")
	config.OpenAPI = o
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	Register(humago.New(http.NewServeMux(), config), Handlers{})
}
