package token

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
)

const (
	// maxSet is the longest key set that is read, in bytes.
	maxSet = 64 << 10
	// fetchTimeout bounds one fetch.
	fetchTimeout = 5 * time.Second
	// The keys are fetched again after firstRetry if that failed, then after twice
	// as long, up to lastRetry; or up to earlyRetry while none are known, since
	// nobody can be served then.
	firstRetry = 250 * time.Millisecond
	earlyRetry = time.Second
	lastRetry  = 30 * time.Second
)

// keys are the public keys of the issuer.
//
// The HTTP storage of package jwkset is not used: its making waits for the first
// fetch, it reads answers of any length, an empty set makes it forget its keys, and
// a token with an unknown key waits in the request for its turn to fetch.
type keys struct {
	url    string
	client *http.Client
	logger *slog.Logger
	gap    time.Duration
	given  func(context.Context, string) (ed25519.PublicKey, error)

	set  atomic.Pointer[map[string]ed25519.PublicKey] // nil before the first
	ctx  context.Context                              // done when fetching is to end
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	flight chan struct{} // the fetch under way, closed at its end; nil if there is none
	began  time.Time     // of the last fetch
	err    error         // of the last fetch
	closed bool
}

func startKeys(ctx context.Context, cfg Config) *keys {
	k := &keys{url: cfg.JWKS, client: cfg.Client, logger: cfg.Logger, gap: cfg.Gap, given: cfg.Find}
	k.ctx, k.stop = context.WithCancel(ctx)
	if k.url == "" {
		return k
	}
	own := k.client == nil
	if own {
		k.client = &http.Client{Transport: &http.Transport{
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: fetchTimeout,
			MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: true,
		}}
	}
	first := k.fetch(true) // begun before New returns, so that the first token finds it under way
	k.wg.Go(func() {
		if own {
			defer k.client.CloseIdleConnections()
		}
		k.run(cfg.Refresh, first)
	})
	return k
}

// close ends the fetching.
func (k *keys) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.stop()
	k.wg.Wait()
}

// run fetches the keys at intervals, and sooner after a failure. done is the fetch
// that has begun already.
func (k *keys) run(interval time.Duration, done <-chan struct{}) {
	retry := firstRetry
	for ; k.ctx.Err() == nil; done = k.fetch(true) {
		if done != nil {
			<-done
		}
		wait := interval
		if k.failure() != nil {
			wait = min(retry, interval)
			if retry = min(2*retry, lastRetry); k.set.Load() == nil {
				retry = min(retry, earlyRetry)
			}
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-k.ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// find returns the key of an ID. If it is not known, the keys may be fetched, which
// the caller waits for.
func (k *keys) find(ctx context.Context, kid string, wait time.Duration) (ed25519.PublicKey, error) {
	if k.given != nil {
		return k.given(ctx, kid)
	}
	if key, ok := k.get(ctx, kid); ok {
		return key, nil
	}
	if done := k.fetch(false); done != nil && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			return nil, fmt.Errorf("%w: the keys are still being fetched", ErrUnavailable)
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	if key, ok := k.get(ctx, kid); ok {
		return key, nil
	}
	// With the keys out of reach, this may well be a good token of a new key.
	if err := k.failure(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if k.set.Load() == nil {
		return nil, fmt.Errorf("%w: the keys are not there yet", ErrUnavailable)
	}
	return nil, errors.New("its key is not known")
}

// get returns the key of an ID if it is known.
func (k *keys) get(ctx context.Context, kid string) (ed25519.PublicKey, bool) {
	if k.given != nil {
		key, err := k.given(ctx, kid)
		return key, err == nil
	}
	set := k.set.Load()
	if set == nil {
		return nil, false
	}
	key, ok := (*set)[kid]
	return key, ok
}

func (k *keys) failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// fetch begins to fetch the keys unless that is under way, and returns what is
// closed when it is done; nil if it was not begun. Unless it must be, it is not begun
// soon after the last time: strangers can cause it with any token.
func (k *keys) fetch(must bool) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.flight != nil:
		return k.flight
	case k.closed, k.ctx.Err() != nil, !must && time.Since(k.began) < k.gap:
		return nil
	}
	done := make(chan struct{})
	k.flight, k.began = done, time.Now()
	k.wg.Go(func() {
		set, err := k.download()
		if err == nil {
			k.set.Store(&set)
		}
		k.mu.Lock()
		was := k.err
		k.flight, k.err = nil, err
		k.mu.Unlock()
		close(done)
		switch {
		case k.ctx.Err() != nil:
		case err != nil && was == nil:
			k.logger.Warn("the keys of access tokens cannot be fetched", "known", k.known(), "error", err)
		case err == nil && was != nil:
			k.logger.Info("the keys of access tokens can be fetched again", "known", k.known())
		}
	})
	return done
}

func (k *keys) known() int {
	if set := k.set.Load(); set != nil {
		return len(*set)
	}
	return 0
}

// download fetches the key set. It returns at least one key.
func (k *keys) download() (map[string]ed25519.PublicKey, error) {
	ctx, cancel := context.WithTimeout(k.ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set: the answer is %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
	if err != nil {
		return nil, fmt.Errorf("the key set: %w", err)
	}
	if len(b) > maxSet {
		return nil, fmt.Errorf("the key set is longer than %d bytes", maxSet)
	}
	return parseSet(b)
}

// parseSet reads a key set and returns its Ed25519 keys for signatures by their IDs.
// Other keys are none of our business; a set without one of ours is an error.
func parseSet(b []byte) (map[string]ed25519.PublicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return nil, fmt.Errorf("the key set: %w", err)
	}
	found := map[string]ed25519.PublicKey{}
	for _, raw := range set.Keys {
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		key, ok := jwk.Key().(ed25519.PublicKey)
		m := jwk.Marshal()
		if !ok || m.KID == "" || m.ALG != "" && m.ALG != jwkset.AlgEdDSA || m.USE != "" && m.USE != jwkset.UseSig {
			continue
		}
		found[m.KID] = key
	}
	if len(found) == 0 {
		return nil, errors.New("the key set has no Ed25519 key for signatures")
	}
	return found, nil
}
