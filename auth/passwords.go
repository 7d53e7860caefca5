package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/argon2id"
)

// queueLength is how many requests may wait for a hash, for each that is computed at
// the same time. With 25 ms a hash the last of them waits for about a second.
const queueLength = 32

// errBusy means that too many hashes are being computed already.
var errBusy = errors.New("too many passwords are being checked just now")

// hasher computes and checks hashes of passwords, few at a time: each takes memory,
// and anybody can ask for one.
type hasher struct {
	params argon2id.Params
	slots  chan struct{} // holds one for each hash that is being computed
	queue  chan struct{} // and one for each that is being computed or waits
	wait   time.Duration
	// decoy is checked when there is no account, so that this takes as long as with
	// one.
	decoy string
}

func newHasher(cfg Config) (*hasher, error) {
	h := &hasher{
		params: argon2id.Params{
			Memory: cfg.Password.Memory, Iterations: cfg.Password.Iterations, Parallelism: cfg.Password.Parallelism,
			SaltLength: 16, KeyLength: 32,
		},
		slots: make(chan struct{}, cfg.Hashes),
		queue: make(chan struct{}, cfg.Hashes*(1+queueLength)),
		wait:  cfg.HashWait,
	}
	decoy, err := argon2id.CreateHash(rand.Text(), &h.params)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	h.decoy = decoy
	return h, nil
}

// hash returns the encoded hash of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	hash, err := argon2id.CreateHash(password, &h.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// check reports whether a password belongs to a hash. If it does, and the hash was
// made with other parameters than ours, fresh is one made with ours. No password
// belongs to an empty hash; to find that out takes as long.
func (h *hasher) check(ctx context.Context, password, hash string) (ok bool, fresh string, err error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, "", err
	}
	defer leave()
	if hash == "" {
		_, err := argon2id.ComparePasswordAndHash(password, h.decoy)
		return false, "", err
	}
	ok, params, err := argon2id.CheckHash(password, hash)
	if err != nil {
		return false, "", fmt.Errorf("check a password: %w", err)
	}
	if ok && *params != h.params {
		if fresh, err = argon2id.CreateHash(password, &h.params); err != nil {
			return false, "", fmt.Errorf("hash a password: %w", err)
		}
	}
	return ok, fresh, nil
}

// enter waits for the turn of a hash. The error is errBusy, possibly with that of
// ctx.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; <-h.queue }, nil
	case <-ctx.Done():
		<-h.queue
		return nil, fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
}
