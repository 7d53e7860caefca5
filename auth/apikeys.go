package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// An API key is [token.KeyPrefix], eight characters that are shown for it ever after,
// "_", and 130 random bits, all of which is kept as SHA-256 alone. It is no access token:
// whoever has it exchanges it for one, which lives for as long as any. The gateway does
// so for those who send it a key, and asks again every few seconds, so that a key that
// was revoked is of no use any more.
const (
	prefixLength   = 8
	maxKeyName     = 100 // characters
	defaultKeyDays = 90
	// keyUseGap is how exact the time of the last use of a key is.
	keyUseGap = time.Minute
)

// errKey means that a key is not good.
var errKey = errors.New("the API key is not good")

// keyScopes are those that a key may have.
var keyScopes = [...]string{token.ScopeJobsRead, token.ScopeJobsWrite, token.ScopeAdmin}

func (s *Service) createKey(ctx context.Context, in *accountapi.KeyInput) (*accountapi.Body[accountapi.NewKey], error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	n, err := newKey(h.account, in.Body)
	if err != nil {
		return nil, problemOf(err)
	}
	if err := s.confirm(ctx, h, in.Body.Password, in.Origin); err != nil {
		return nil, problemOf(err)
	}
	m, err := s.newMail(account.MailKey, h.account.ID, h.account.Email)
	if err != nil {
		return nil, problemOf(err)
	}
	n.Prefix = token.KeyPrefix + rand.Text()[:prefixLength]
	raw := n.Prefix + "_" + rand.Text()
	n.Hash = digest(raw)
	k, err := s.accounts.CreateAPIKey(ctx, n, h.account.PasswordHash, m)
	switch {
	case errors.Is(err, account.ErrTooMany):
		return nil, httpapi.NewProblem(http.StatusConflict, "too_many_keys", fmt.Sprintf("There are %d API keys, which is as many as there can be. Revoke one first.", account.MaxAPIKeys))
	case errors.Is(err, account.ErrConflict):
		return nil, accountChanged()
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	s.wake()
	return &accountapi.Body[accountapi.NewKey]{Body: accountapi.NewKey{Key: keyView(k), Secret: raw}}, nil
}

// newKey makes of what a user wants a key without its secret. The error may be an
// *inputError.
func newKey(a account.Account, in accountapi.KeyBody) (account.NewAPIKey, error) {
	name := strings.TrimSpace(in.Name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0 || n > maxKeyName:
		return account.NewAPIKey{}, &inputError{"name", fmt.Sprintf("a name has 1 to %d characters", maxKeyName)}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return account.NewAPIKey{}, &inputError{"name", "a name is one line of text"}
	}
	var scopes []string
	for _, scope := range keyScopes { // in one order, each once
		if slices.Contains(in.Scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	for _, scope := range in.Scopes {
		if !slices.Contains(scopes, scope) {
			return account.NewAPIKey{}, &inputError{"scopes", "the scopes are " + strings.Join(keyScopes[:], ", ")}
		}
	}
	switch {
	case len(scopes) == 0:
		return account.NewAPIKey{}, &inputError{"scopes", "a key without a scope is good for nothing"}
	case slices.Contains(scopes, token.ScopeAdmin) && a.Role != token.RoleAdmin:
		return account.NewAPIKey{}, &inputError{"scopes", "the scope admin is for administrators"}
	}
	days := in.Days
	if days == 0 {
		days = defaultKeyDays
	}
	id, err := uuid.NewV7()
	if err != nil {
		return account.NewAPIKey{}, fmt.Errorf("auth: new key: %w", err)
	}
	return account.NewAPIKey{
		APIKey: account.APIKey{ID: id.String(), User: a.ID, Name: name, Scopes: scopes}, Lifetime: time.Duration(days) * 24 * time.Hour,
	}, nil
}

func keyView(k account.APIKey) accountapi.Key {
	v := accountapi.Key{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, Created: k.Created, Expires: k.Expires}
	if !k.Used.IsZero() {
		v.Used = &k.Used
	}
	return v
}

func (s *Service) listKeys(ctx context.Context, in *accountapi.Authorization) (*accountapi.Body[accountapi.Keys], error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	keys, err := s.accounts.APIKeys(ctx, h.account.ID)
	if err != nil {
		return nil, problemOf(&storeError{err})
	}
	out := &accountapi.Body[accountapi.Keys]{Body: accountapi.Keys{Keys: []accountapi.Key{}}}
	for _, k := range keys {
		out.Body.Keys = append(out.Body.Keys, keyView(k))
	}
	return out, nil
}

func (s *Service) revokeKey(ctx context.Context, in *accountapi.OneInput) (*struct{}, error) {
	h, err := s.holder(ctx, in.Header)
	if err != nil {
		return nil, err
	}
	switch err := s.accounts.RevokeAPIKey(ctx, h.account.ID, in.ID); {
	case errors.Is(err, account.ErrNotFound):
		return nil, httpapi.NewProblem(http.StatusNotFound, "not_found", "There is no such API key.")
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	return nil, nil
}

// exchangeKey answers an API key with an access token that is good for what the key is,
// as far as its user may do that now.
func (s *Service) exchangeKey(ctx context.Context, in *accountapi.Authorization) (*accountapi.Body[accountapi.Exchanged], error) {
	raw, ok := token.Bearer(in.Header)
	if !ok {
		return nil, missingToken()
	}
	if !token.IsKey(raw) {
		return nil, problemOf(errKey)
	}
	k, err := s.accounts.APIKey(ctx, digest(raw))
	switch {
	case errors.Is(err, account.ErrNotFound):
		return nil, problemOf(errKey)
	case err != nil:
		return nil, problemOf(&storeError{err})
	}
	httpapi.SetUser(ctx, k.User)
	a, err := s.account(ctx, k.User)
	switch {
	case errors.Is(err, errSession): // the account is gone
		return nil, problemOf(errKey)
	case err != nil:
		return nil, problemOf(err)
	case s.verification == VerifyLogin && a.Verified.IsZero():
		return nil, problemOf(errUnverified)
	}
	if time.Since(k.Used) > keyUseGap {
		if err := s.accounts.APIKeyUsed(ctx, k.ID, keyUseGap); err != nil {
			s.logger.WarnContext(ctx, "the use of an API key could not be noted", "key", k.ID, "error", err)
		}
	}
	may := s.signer.scopesOf(a)
	scopes := slices.DeleteFunc(slices.Clone(k.Scopes), func(scope string) bool { return !slices.Contains(may, scope) })
	if !slices.Contains(scopes, token.ScopeAdmin) {
		a.Role = token.RoleUser // as which an administrator acts with such a key
	}
	signed, err := s.signer.sign(ctx, a, "", scopes)
	if err != nil {
		return nil, problemOf(err)
	}
	return &accountapi.Body[accountapi.Exchanged]{Body: accountapi.Exchanged{
		AccessToken: signed, TokenType: "Bearer", ExpiresIn: int(s.signer.lifetime.Seconds()), Scope: strings.Join(scopes, " "),
	}}, nil
}
