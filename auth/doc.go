// Package auth is the service that keeps accounts and signs access tokens.
//
//	POST /v1/auth/register       makes an account
//	POST /v1/auth/login          e-mail and password against an access token and a refresh token
//	POST /v1/auth/refresh        a refresh token against the next of both
//	POST /v1/auth/logout         ends the session of a refresh token
//	POST /v1/auth/password       changes the password
//	     /v1/auth/sessions       what logins have begun
//	     /v1/auth/verify, reset  by the secrets in mails; /v1/auth/pages for people
//	     /v1/auth/keys           API keys of programs
//	     /v1/auth/oidc           sign-in by providers of OpenID Connect; /v1/auth/identities
//	POST /v1/auth/token          an API key against an access token
//	GET  /v1/auth/me             who the token's holder is
//	GET  /.well-known/jwks.json  the public keys that tokens are verified with
//	POST /login, POST /validate  for clients of the Python project before this one
//
// A [Service] is a handler; somebody else gives it a listener:
//
//	s, err := auth.New(auth.Config{Secrets: secrets}, auth.Deps{Accounts: accountstore.New(db)})
//	...
//	err = httpapi.Serve(ctx, listener, s.Handler(), logger, httpapi.ServerConfig{})
//
// Other services verify tokens by themselves, with package token. This one is asked
// only for what it alone can do, so that it may be down while they work.
//
// Passwords are kept as argon2id hashes. Making one costs time and memory, on
// purpose; how many are made at the same time is bounded, and a login that would
// have to wait for long is turned away with a problem of code busy. Neither
// passwords nor tokens get into logs or problems.
package auth
