package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/trace"
)

const (
	// keyTimeout bounds the question whether a key is good.
	keyTimeout = 3 * time.Second
	// keyQuestions is how many are asked at the same time.
	keyQuestions = 16
	// maxKeys that are remembered.
	maxKeys = 4096
	// maxExchange is the longest answer that is read, in bytes.
	maxExchange = 64 << 10
)

// apiKeys exchanges API keys for access tokens, at the auth service. A token is used for
// Config.KeyCheck; then auth is asked again, so that a key that was revoked is of no use
// after that time. If auth cannot be reached the token that there is stays good until it
// expires: nobody can revoke a key then, and uploads go on as they do for those who have
// tokens themselves.
type apiKeys struct {
	url    string
	client *http.Client
	check  time.Duration
	logger *slog.Logger
	slots  chan struct{}

	mu    sync.Mutex
	known map[[sha256.Size]byte]*knownKey
	down  bool // auth did not answer the last question
}

// knownKey is what auth said of a key.
type knownKey struct {
	asked  chan struct{} // closed when the question under way is answered; nil if none is
	at     time.Time     // of the answer
	token  string        // "" if there is none
	until  time.Time     // when the token expires
	refuse *refusal      // nil if the key is good
	err    error         // why nothing is known
}

// refusal is auth's problem with a key.
type refusal struct {
	status       int
	code, detail string
}

func (r refusal) problem() *httpapi.Problem {
	p := httpapi.NewProblem(r.status, r.code, r.detail)
	if r.status == http.StatusUnauthorized {
		p.WithHeader("WWW-Authenticate", `Bearer realm="mp3lathe", error="invalid_token"`)
	}
	return p
}

func newAPIKeys(authURL string, transport http.RoundTripper, check time.Duration, logger *slog.Logger) *apiKeys {
	return &apiKeys{
		url: authURL + "/v1/auth/token", check: check, logger: logger, slots: make(chan struct{}, keyQuestions),
		known:  map[[sha256.Size]byte]*knownKey{},
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// token returns an access token for a key.
func (k *apiKeys) token(ctx context.Context, key string) (string, *httpapi.Problem) {
	id := sha256.Sum256([]byte(key))
	k.mu.Lock()
	e := k.known[id]
	if e == nil {
		k.makeRoom()
		e = &knownKey{}
		k.known[id] = e
	}
	fresh := time.Since(e.at) < k.check && (e.refuse != nil || time.Now().Before(e.until))
	if !fresh && e.asked == nil {
		e.asked = make(chan struct{})
		// It is for all who send the key, whatever becomes of this one.
		go k.ask(context.WithoutCancel(ctx), key, e)
	}
	asked := e.asked
	k.mu.Unlock()
	if !fresh {
		select {
		case <-asked:
		case <-ctx.Done():
			return "", httpapi.Trouble(ctx.Err())
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case e.refuse != nil:
		return "", e.refuse.problem()
	case e.token != "" && time.Now().Before(e.until):
		return e.token, nil
	case e.err != nil:
		return "", httpapi.Trouble(e.err)
	}
	return "", httpapi.Trouble(errors.New("the token of an API key has expired"))
}

// ask asks auth of a key, and notes the answer.
func (k *apiKeys) ask(ctx context.Context, key string, e *knownKey) {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	token, lasts, refuse, err := k.exchange(ctx, key)
	k.mu.Lock()
	defer k.mu.Unlock()
	e.at, e.err = time.Now(), err
	switch {
	case refuse != nil:
		e.token, e.refuse = "", refuse
	case err == nil:
		e.token, e.until, e.refuse = token, time.Now().Add(lasts), nil
	default: // what is known stays, as long as the token is good
		e.refuse = nil
	}
	close(e.asked)
	e.asked = nil
	if down := err != nil; down != k.down {
		k.down = down
		if down {
			k.logger.WarnContext(ctx, "the auth service cannot be asked of API keys; those that are known are taken until their tokens expire", "error", err)
		} else {
			k.logger.InfoContext(ctx, "the auth service can be asked of API keys again")
		}
	}
}

// exchange asks auth once. It returns a token and how long it lasts, or why the key is
// refused, or why that is not known.
func (k *apiKeys) exchange(ctx context.Context, key string) (token string, lasts time.Duration, refuse *refusal, err error) {
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return "", 0, nil, fmt.Errorf("too many API keys are asked of: %w", ctx.Err())
	}
	ctx, span := trace.Begin(ctx, "exchange API key", trace.Client)
	defer func() { span.Done(err) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url, nil)
	if err != nil {
		return "", 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	trace.Inject(ctx, req.Header)
	res, err := k.client.Do(req)
	if err != nil {
		return "", 0, nil, err
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		Code        string `json:"code"`
		Detail      string `json:"detail"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxExchange)).Decode(&answer)
	switch {
	case err != nil:
		return "", 0, nil, fmt.Errorf("the answer to an API key, %s: %w", res.Status, err)
	case res.StatusCode == http.StatusOK && answer.AccessToken != "" && answer.ExpiresIn > 0:
		return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, nil, nil
	case (res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden) && answer.Code != "":
		return "", 0, &refusal{res.StatusCode, answer.Code, answer.Detail}, nil
	}
	return "", 0, nil, fmt.Errorf("the answer to an API key is %s", res.Status)
}

// makeRoom forgets keys if there are too many: those that are of no use first, which
// anybody can send as many of as he likes.
func (k *apiKeys) makeRoom() {
	for _, all := range []bool{false, true} {
		if len(k.known) < maxKeys {
			return
		}
		for id, e := range k.known {
			if e.asked == nil && (e.token == "" || !time.Now().Before(e.until)) || all && len(k.known) >= maxKeys {
				delete(k.known, id)
			}
		}
	}
}
