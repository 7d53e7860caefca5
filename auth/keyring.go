package auth

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
)

const (
	// ringRefresh is how often a process looks for keys that others have made.
	ringRefresh = 30 * time.Second
	// ringRetry is how long what is known is used after the database did not answer,
	// and how long an unknown key is not looked for again.
	ringRetry = 3 * time.Second
	// KeyNotice is how long a new key is published before it signs: longer than the
	// verifiers of others, which fetch the keys every five minutes, and our own
	// ringRefresh take to know it, twice over.
	KeyNotice = 15 * time.Minute
	// keyGrace is how long a key verifies beyond the last token that it has signed: for
	// clocks that differ, and processes that have not noticed yet.
	keyGrace = 2 * time.Minute
	// keyKept is how long a key is kept after it was replaced: longer than any token
	// lives.
	keyKept = maxLifetime + time.Hour
)

// sealedKeys is what the private keys are sealed for.
const sealedKeys = "signing keys"

// keyring holds the keys that sign and verify, as the database has them.
type keyring struct {
	store    KeyKeeper
	secrets  *Secrets
	lifetime time.Duration // of tokens
	now      func() time.Time
	logger   *slog.Logger

	loading sync.Mutex
	ring    atomic.Pointer[ring] // nil before the first
}

// ring is what the database had at a time.
type ring struct {
	keys []signingKey // the oldest first
	old  time.Time    // when it is to be looked at again
	read time.Time    // when it was read
}

// signingKey is a key that was opened.
type signingKey struct {
	number  int64
	id      string
	private ed25519.PrivateKey
	signs   time.Time // from then on
	ends    time.Time // it verifies until then; zero as long as no newer one signs
}

func (k signingKey) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// current is the ring, read anew if it is time, or if must is set and it was not read
// just now. While one caller reads, others use the one before.
func (k *keyring) current(ctx context.Context, must bool) (*ring, error) {
	have := k.ring.Load()
	now := time.Now()
	if have != nil && now.Before(have.old) && (!must || now.Sub(have.read) < ringRetry) {
		return have, nil
	}
	switch {
	case have == nil:
		k.loading.Lock()
	case !k.loading.TryLock():
		return have, nil
	}
	defer k.loading.Unlock()
	if r := k.ring.Load(); r != have {
		return r, nil
	}
	// It is for all, whatever becomes of this caller.
	fresh, err := k.load(context.WithoutCancel(ctx))
	if err != nil && have == nil {
		return nil, err
	}
	if err != nil {
		k.logger.WarnContext(ctx, "the signing keys cannot be read; those that are known are used", "error", err)
		fresh = &ring{keys: have.keys, read: now, old: now.Add(ringRetry)}
	}
	k.ring.Store(fresh)
	return fresh, nil
}

// load reads the keys, and makes the first one if there is none.
func (k *keyring) load(ctx context.Context) (*ring, error) {
	rows, err := k.store.SigningKeys(ctx)
	if err == nil && len(rows) == 0 {
		if err = k.add(ctx, 1, 0, 0); err == nil || errors.Is(err, account.ErrConflict) {
			rows, err = k.store.SigningKeys(ctx)
		}
	}
	if err != nil {
		return nil, &storeError{err}
	}
	now := time.Now()
	r := &ring{read: now, old: now.Add(ringRefresh)}
	for _, row := range rows {
		key, err := k.open(row)
		if err != nil {
			k.logger.WarnContext(ctx, "a signing key cannot be used", "kid", row.ID, "error", err)
			continue
		}
		for i := range r.keys {
			if end := key.signs.Add(k.lifetime + keyGrace); r.keys[i].ends.IsZero() || end.Before(r.keys[i].ends) {
				r.keys[i].ends = end
			}
		}
		r.keys = append(r.keys, key)
	}
	if len(r.keys) == 0 {
		return nil, errors.New("none of the signing keys in the database can be opened: they were sealed with another key than the one that is set")
	}
	return r, nil
}

func (k *keyring) open(row account.SigningKey) (signingKey, error) {
	seed, err := k.secrets.open(sealedKeys, row.ID, row.Sealed)
	if err != nil {
		return signingKey{}, err
	}
	if len(seed) != ed25519.SeedSize {
		return signingKey{}, errors.New("it is no Ed25519 key")
	}
	key := signingKey{number: row.Number, id: row.ID, private: ed25519.NewKeyFromSeed(seed), signs: k.now().Add(row.SignsIn)}
	if KeyID(key.public()) != row.ID {
		return signingKey{}, errors.New("its ID is that of another key")
	}
	return key, nil
}

// add makes a key that signs after a time, and removes those with numbers below keep.
func (k *keyring) add(ctx context.Context, number int64, after time.Duration, keep int64) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	id := KeyID(public)
	sealed, err := k.secrets.seal(sealedKeys, id, private.Seed())
	if err != nil {
		return err
	}
	return k.store.AddSigningKey(ctx, account.SigningKey{Number: number, ID: id, Sealed: sealed, SignsIn: after}, keep)
}

// signing returns the key to sign with: the newest that may.
func (k *keyring) signing(ctx context.Context) (signingKey, error) {
	r, err := k.current(ctx, false)
	if err != nil {
		return signingKey{}, err
	}
	now := k.now()
	for i := len(r.keys) - 1; i > 0; i-- {
		if !r.keys[i].signs.After(now) {
			return r.keys[i], nil
		}
	}
	return r.keys[0], nil
}

// verifying returns the keys that tokens may have been signed with, or will be soon.
func (k *keyring) verifying(r *ring) (keys []signingKey) {
	for _, key := range r.keys {
		if key.ends.IsZero() || k.now().Before(key.ends) {
			keys = append(keys, key)
		}
	}
	return keys
}

// find returns a public key, for [token.Config.Find].
func (k *keyring) find(ctx context.Context, id string) (ed25519.PublicKey, error) {
	for _, must := range []bool{false, true} {
		r, err := k.current(ctx, must)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", token.ErrUnavailable, err)
		}
		for _, key := range k.verifying(r) {
			if key.id == id {
				return key.public(), nil
			}
		}
	}
	return nil, errors.New("its key is not known")
}

// set is what is published.
func (k *keyring) set(ctx context.Context) (accountapi.KeySet, error) {
	r, err := k.current(ctx, false)
	if err != nil {
		return accountapi.KeySet{}, err
	}
	set := accountapi.KeySet{Keys: []accountapi.PublicKey{}}
	for _, key := range k.verifying(r) {
		set.Keys = append(set.Keys, accountapi.PublicKey{
			KeyType: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig", ID: key.id, X: encodeKey(key.public()),
		})
	}
	return set, nil
}

// Prepare makes the first signing key if there is none yet, and reports keys that
// cannot be used. A service that was not prepared does so with the first request that
// needs a key.
func (s *Service) Prepare(ctx context.Context) error {
	if _, err := s.keys.current(ctx, false); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}

// RotateKey makes a new signing key and returns its ID and when it begins to sign: after
// [KeyNotice], so that everybody knows it by then. The old ones verify until what they
// have signed has expired. With revoke the new key signs at once, and the old ones are
// gone, for one that has been stolen: every access token of theirs is refused as soon as
// the verifiers have looked at the keys again.
func (s *Service) RotateKey(ctx context.Context, revoke bool) (id string, begins time.Duration, err error) {
	rows, err := s.keys.store.SigningKeys(ctx)
	if err != nil {
		return "", 0, fmt.Errorf("auth: rotate the signing key: %w", err)
	}
	number, keep, begins := int64(1), int64(0), KeyNotice
	for _, row := range rows {
		number = row.Number + 1
		if row.SignsIn < -keyKept { // nothing that is good was signed by those before it
			keep = row.Number
		}
	}
	if revoke {
		keep, begins = number, 0
	}
	if err := s.keys.add(ctx, number, begins, keep); err != nil {
		return "", 0, fmt.Errorf("auth: rotate the signing key: %w", err)
	}
	s.keys.ring.Store(nil)
	r, err := s.keys.current(ctx, true)
	if err != nil {
		return "", 0, fmt.Errorf("auth: rotate the signing key: %w", err)
	}
	return r.keys[len(r.keys)-1].id, begins, nil
}
