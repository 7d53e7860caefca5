package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
)

// exchange is an auth service that knows keys.
type exchange struct {
	*httptest.Server
	mu    sync.Mutex
	keys  map[string]string // tokens by keys; "" is locked
	asked int
	down  bool
	hold  chan struct{} // answers wait until it is closed
	lasts int           // seconds
}

func newExchange(t *testing.T) *exchange {
	t.Helper()
	e := &exchange{keys: map[string]string{}, lasts: 900}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *exchange) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *exchange) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

func (e *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.asked++
	token, known := e.keys[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	down, hold, lasts := e.down, e.hold, e.lasts
	e.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	say := func(status int, body map[string]any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	switch {
	case down:
		say(503, map[string]any{"code": "unavailable"})
	case r.Method != "POST" || r.URL.Path != "/v1/auth/token":
		say(404, map[string]any{"code": "not_found"})
	case !known:
		say(401, map[string]any{"code": "key_invalid", "detail": "The API key is not valid."})
	case token == "":
		say(403, map[string]any{"code": "account_locked", "detail": "This account is locked."})
	default:
		say(200, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": lasts})
	}
}

const apiKey = "mp3k_ABCDEFGH_SECRETSECRETSECRETSECRET22"

func keyRig(t *testing.T, check time.Duration) (*rig, *exchange) {
	t.Helper()
	e := newExchange(t)
	return newRig(t, func(c *gateway.Config) { c.AuthURL, c.KeyCheck = e.URL, check }), e
}

// TestAPIKey: a key is good for what its token is good for, and auth is asked once for
// many requests.
func TestAPIKey(t *testing.T) {
	t.Parallel()
	r, e := keyRig(t, time.Hour)
	e.set(func() { e.keys[apiKey] = "alice/jobs:read"; e.keys["mp3k_LOCKED_X"] = "" })
	mine, other := r.newJob(t, "alice").ID, r.newJob(t, "bob").ID
	for range 5 {
		if a := r.do(t, "GET", "/v1/jobs/"+mine, apiKey); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	wantProblem(t, r.do(t, "GET", "/v1/jobs/"+other, apiKey), 404, "not_found")
	wantProblem(t, r.do(t, "DELETE", "/v1/jobs/"+mine, apiKey), 403, "insufficient_scope")
	if n := e.count(); n != 1 {
		t.Errorf("auth was asked %d times", n)
	}
	for range 3 {
		wantProblem(t, r.do(t, "GET", "/v1/jobs", "mp3k_LOCKED_X"), 403, "account_locked")
		a := r.do(t, "GET", "/v1/jobs", apiKey+"A")
		wantProblem(t, a, 401, "key_invalid")
		if !strings.Contains(a.Header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%v", a.Header)
		}
	}
	if n := e.count(); n != 3 {
		t.Errorf("auth was asked %d times", n)
	}
	// What has not the form of a key is not asked of.
	if a := r.do(t, "GET", "/v1/jobs", "mp3k_abc"); a.StatusCode != 200 || e.count() != 3 { // a token of the user mp3k_abc here
		t.Errorf("%d, asked %d times", a.StatusCode, e.count())
	}
	if strings.Contains(r.log.String(), "SECRETSECRET") {
		t.Error("the key is in the log")
	}
}

// TestAPIKeyRevoked: a key that was revoked is of no use when its time is over; one that
// was refused may be good again.
func TestAPIKeyRevoked(t *testing.T) {
	t.Parallel()
	const check = 300 * time.Millisecond
	r, e := keyRig(t, check)
	e.set(func() { e.keys[apiKey] = "alice" })
	if a := r.do(t, "GET", "/v1/jobs", apiKey); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	e.set(func() { delete(e.keys, apiKey) })
	began := time.Now()
	for r.do(t, "GET", "/v1/jobs", apiKey).StatusCode != 401 {
		if time.Since(began) > 20*check {
			t.Fatal("it stays good")
		}
	}
	wantProblem(t, r.do(t, "GET", "/v1/jobs", apiKey), 401, "key_invalid")
	e.set(func() { e.keys[apiKey] = "alice" })
	for r.do(t, "GET", "/v1/jobs", apiKey).StatusCode != 200 {
		if time.Since(began) > 60*check {
			t.Fatal("it stays bad")
		}
	}
}

// TestAPIKeyWithoutAuth: with auth down a key that is known is good until its token
// expires, and nobody waits for each request; one that is not gets a 503.
func TestAPIKeyWithoutAuth(t *testing.T) {
	t.Parallel()
	r, e := keyRig(t, time.Millisecond)
	e.set(func() { e.keys[apiKey] = "alice"; e.lasts = 2 })
	if a := r.do(t, "GET", "/v1/jobs", apiKey); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	known := time.Now()
	e.set(func() { e.down = true })
	a := r.do(t, "GET", "/v1/jobs", "mp3k_UNKNOWN_X")
	wantProblem(t, a, 503, "unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to try again")
	}
	good := 0
	for {
		a := r.do(t, "GET", "/v1/jobs", apiKey)
		if a.StatusCode != 200 {
			wantProblem(t, a, 503, "unavailable")
			break
		}
		good++
		time.Sleep(10 * time.Millisecond)
	}
	if d := time.Since(known); good == 0 || d < time.Second || d > 10*time.Second {
		t.Errorf("%d requests, for %v", good, d)
	}
	if n := strings.Count(r.log.String(), "cannot be asked of API keys"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	e.set(func() { e.down = false })
	if a := r.do(t, "GET", "/v1/jobs", apiKey); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if !strings.Contains(r.log.String(), "can be asked of API keys again") {
		t.Error("that it is back is not logged")
	}
}

// TestAPIKeyAtOnce: many who send a key at the same time ask once, and keys of strangers
// do not push a good one out.
func TestAPIKeyAtOnce(t *testing.T) {
	t.Parallel()
	r, e := keyRig(t, time.Hour)
	hold := make(chan struct{})
	e.set(func() { e.keys[apiKey] = "alice"; e.hold = hold })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a := r.do(t, "GET", "/v1/jobs", apiKey); a.StatusCode != 200 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	for e.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	wg.Wait()
	if n := e.count(); n != 1 {
		t.Errorf("auth was asked %d times", n)
	}
	for i := range 5000 { // more than are remembered
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/v1/jobs", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", fmt.Sprintf("Bearer mp3k_STRANGER_%d", i))
			res, err := r.client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if res.StatusCode != 401 {
				t.Errorf("%d", res.StatusCode)
			}
		})
		if i%50 == 49 {
			wg.Wait()
		}
	}
	wg.Wait()
	before := e.count()
	if a := r.do(t, "GET", "/v1/jobs", apiKey); a.StatusCode != 200 || e.count() != before {
		t.Errorf("%d, and auth was asked again: %v", a.StatusCode, e.count() != before)
	}
}
