// Package token verifies the access tokens that the auth service signs. A service
// does so by itself, with the public keys that auth publishes, so that no request
// waits for auth:
//
//	v, err := token.New(ctx, token.Config{
//		JWKS:     "http://auth:8081/.well-known/jwks.json",
//		Issuer:   "mp3lathe",
//		Audience: "mp3lathe",
//	})
//	...
//	defer v.Close()
//	raw, ok := token.Bearer(r.Header.Get("Authorization"))
//	claims, err := v.Verify(r.Context(), raw)
//
// The keys are fetched in the background. A service may start before auth does:
// until the keys are there Verify says [ErrUnavailable]. Once they are there, auth
// may go away for as long as it likes.
//
// Tokens are JWTs (RFC 7519) signed with Ed25519. No other algorithm is taken,
// whatever a token's header says.
package token
