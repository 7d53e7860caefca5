package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// maxBody of a request, in bytes: 128 characters of a password may take 12 each when
// they are written as JSON escapes.
const maxBody = 4 << 10

// credentials are the body of a registration.
type credentials struct {
	Email    string `json:"email" maxLength:"300" example:"ada@example.org" doc:"An e-mail address, at most 254 characters"`
	Password string `json:"password" minLength:"8" maxLength:"128" doc:"8 to 128 characters of any kind"`
}

// loginBody has no limits of its own: what no account can have is wrong as any wrong
// password is.
type loginBody struct {
	Email    string `json:"email" example:"ada@example.org" doc:"The address of the account"`
	Password string `json:"password" doc:"Its password"`
}

type registered struct {
	ID    string `json:"id" doc:"The account's ID"`
	Email string `json:"email" doc:"Its e-mail address, as given"`
}

type loggedIn struct {
	AccessToken string `json:"access_token" doc:"A signed token (JWT) to be sent as Authorization: Bearer"`
	TokenType   string `json:"token_type" enum:"Bearer"`
	ExpiresIn   int    `json:"expires_in" doc:"For how long the token is good, in seconds"`
}

type me struct {
	ID    string   `json:"id" doc:"The account's ID"`
	Email string   `json:"email" doc:"Its e-mail address, as given"`
	Roles []string `json:"roles" nullable:"false" doc:"What its user may be: user, admin"`
}

// validated is what a token says, in the names of JWT, and in those that clients of
// the Python project know.
type validated struct {
	Subject  string   `json:"sub" doc:"The account's ID"`
	Email    string   `json:"email"`
	Roles    []string `json:"roles" nullable:"false"`
	ID       string   `json:"jti" doc:"The token's ID"`
	Issued   int64    `json:"iat" doc:"When the token was made, in seconds since 1970"`
	Expires  int64    `json:"exp" doc:"When it ends, in seconds since 1970"`
	Username string   `json:"username" doc:"The e-mail address once more"`
	Admin    bool     `json:"admin" doc:"Whether admin is among the roles"`
}

type body[T any] struct{ Body T }

// authorization is for routes that read the header themselves; OpenAPI describes it
// as a security scheme.
type authorization struct {
	Header string `header:"Authorization" hidden:"true"`
}

type keySetOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         keySet
}

type textOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// routes returns the API.
func (s *Service) routes() *http.ServeMux {
	mux, api := httpapi.NewAPI("mp3lathe auth", "1", "Accounts and access tokens of mp3lathe.")
	api.OpenAPI().Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
		"basic":  {Type: "http", Scheme: "basic"},
	}
	bearer := []map[string][]string{{"bearer": {}}}

	huma.Register(api, huma.Operation{
		OperationID: "register", Method: http.MethodPost, Path: "/v1/auth/register", DefaultStatus: http.StatusCreated,
		Summary: "Make an account", MaxBodyBytes: maxBody,
		Description: "The problem's code is email_taken if there is an account with the address, and registration_closed " +
			"if accounts are not to be had.",
		Errors: []int{400, 403, 409, 413, 415, 422, 503, 507},
	}, s.register)
	huma.Register(api, huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: "/v1/auth/login",
		Summary: "Get an access token", MaxBodyBytes: maxBody,
		Description: "The problem's code is bad_credentials whether the address is unknown or the password wrong.",
		Errors:      []int{400, 401, 403, 413, 415, 422, 503},
	}, s.login)
	huma.Register(api, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/v1/auth/me",
		Summary: "Tell whose access token it is", Security: bearer, Errors: []int{401, 403, 503},
	}, s.me)
	huma.Register(api, huma.Operation{
		OperationID: "jwks", Method: http.MethodGet, Path: "/.well-known/jwks.json",
		Summary: "The public keys of access tokens", Description: "A JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).",
	}, s.jwks)
	huma.Register(api, huma.Operation{
		OperationID: "basic-login", Method: http.MethodPost, Path: "/login",
		Summary: "Get an access token as plain text", Description: "As clients of the Python project do.",
		Security: []map[string][]string{{"basic": {}}}, Errors: []int{401, 403, 503},
		Responses: map[string]*huma.Response{"200": {
			Description: "The token", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}},
		}},
	}, s.basicLogin)
	huma.Register(api, huma.Operation{
		OperationID: "validate", Method: http.MethodPost, Path: "/validate",
		Summary: "Tell what an access token says", Description: "As clients of the Python project do.",
		Security: bearer, Errors: []int{401, 403},
	}, s.validate)
	return mux
}

func (s *Service) register(ctx context.Context, in *body[credentials]) (*body[registered], error) {
	if !s.open {
		return nil, httpapi.NewProblem(http.StatusForbidden, "registration_closed", "Accounts are made by the administrators here.")
	}
	a, err := s.create(ctx, in.Body.Email, in.Body.Password, token.RoleUser)
	if err != nil {
		return nil, problemOf(err)
	}
	httpapi.SetUser(ctx, a.ID)
	return &body[registered]{registered{ID: a.ID, Email: a.Email}}, nil
}

func (s *Service) login(ctx context.Context, in *body[loginBody]) (*body[loggedIn], error) {
	raw, err := s.tokenFor(ctx, in.Body.Email, in.Body.Password)
	if err != nil {
		return nil, problemOf(err)
	}
	return &body[loggedIn]{loggedIn{AccessToken: raw, TokenType: "Bearer", ExpiresIn: int(s.signer.lifetime.Seconds())}}, nil
}

func (s *Service) basicLogin(ctx context.Context, in *authorization) (*textOutput, error) {
	r := http.Request{Header: http.Header{"Authorization": {in.Header}}}
	email, password, ok := r.BasicAuth()
	if !ok {
		return nil, httpapi.NewProblem(http.StatusUnauthorized, "unauthorized", "This needs an e-mail address and a password (HTTP Basic).").
			WithHeader("WWW-Authenticate", basicChallenge)
	}
	raw, err := s.tokenFor(ctx, email, password)
	if err != nil {
		p := problemOf(err)
		if p.Status == http.StatusUnauthorized {
			p.WithHeader("WWW-Authenticate", basicChallenge)
		}
		return nil, p
	}
	return &textOutput{ContentType: "text/plain; charset=utf-8", Body: []byte(raw)}, nil
}

func (s *Service) tokenFor(ctx context.Context, email, password string) (string, error) {
	a, err := s.authenticate(ctx, email, password)
	if err != nil {
		return "", err
	}
	return s.signer.sign(a)
}

func (s *Service) me(ctx context.Context, in *authorization) (*body[me], error) {
	raw, ok := token.Bearer(in.Header)
	if !ok {
		return nil, missingToken()
	}
	c, err := s.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, badToken(http.StatusUnauthorized, err)
	}
	httpapi.SetUser(ctx, c.Subject)
	a, err := s.accounts.ByID(ctx, c.Subject)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return nil, badToken(http.StatusUnauthorized, err)
	case err != nil:
		return nil, problemOf(&storeError{err})
	case !a.Locked.IsZero():
		return nil, problemOf(errLocked)
	}
	return &body[me]{me{ID: a.ID, Email: a.Email, Roles: rolesOf(a)}}, nil
}

func (s *Service) validate(ctx context.Context, in *authorization) (*body[validated], error) {
	raw, ok := token.Bearer(in.Header)
	if !ok {
		return nil, missingToken()
	}
	c, err := s.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, badToken(http.StatusForbidden, err)
	}
	httpapi.SetUser(ctx, c.Subject)
	return &body[validated]{validated{
		Subject: c.Subject, Email: c.Email, Roles: c.Roles, ID: c.ID, Issued: c.Issued.Unix(), Expires: c.Expires.Unix(),
		Username: c.Email, Admin: c.Is(token.RoleAdmin),
	}}, nil
}

func (s *Service) jwks(context.Context, *struct{}) (*keySetOutput, error) {
	return &keySetOutput{CacheControl: "public, max-age=300", Body: s.signer.keySet()}, nil
}
