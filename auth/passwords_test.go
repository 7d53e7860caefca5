package auth

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

// TestRehash: a hash of other parameters is replaced at the next login, and the
// password stays.
func TestRehash(t *testing.T) {
	t.Parallel()
	old := serve(t, nil)
	old.register(email, password)
	before := old.hashOf(email)
	f := serveOn(t, old, func(c *Config, _ *Deps) { c.Password = PasswordParams{Memory: 128, Iterations: 2, Parallelism: 1} })
	if a := f.post("/v1/auth/login", m{"email": email, "password": "wrong"}); a.status != 401 || f.hashOf(email) != before {
		t.Errorf("a wrong password: %d, the hash is %s", a.status, f.hashOf(email))
	}
	f.login(email, password)
	after := f.hashOf(email)
	if !strings.HasPrefix(after, "$argon2id$v=19$m=128,t=2,p=1$") {
		t.Fatalf("the hash is %s", after)
	}
	f.login(email, password)
	if f.hashOf(email) != after {
		t.Error("the hash was replaced once more")
	}
}

// stale is a store whose accounts change behind the service's back.
type stale struct{ Accounts }

func (stale) SetPassword(context.Context, string, string, string) error { return account.ErrConflict }

// failing is a store that takes no new hashes.
type failing struct{ Accounts }

func (failing) SetPassword(context.Context, string, string, string) error {
	return errors.New("the disk is full")
}

// TestRehashFails: the login is good all the same.
func TestRehashFails(t *testing.T) {
	t.Parallel()
	old := serve(t, nil)
	old.register(email, password)
	for _, c := range []struct {
		store  Accounts
		logged bool
	}{{stale{old.store}, false}, {failing{old.store}, true}} {
		f := serveOn(t, old, func(cfg *Config, d *Deps) {
			d.Accounts = c.store
			cfg.Password = PasswordParams{Memory: 128, Iterations: 1, Parallelism: 1}
		})
		f.login(email, password)
		if got := strings.Contains(f.log.String(), "the disk is full"); got != c.logged {
			t.Errorf("the log: %s", f.log)
		}
	}
}

// TestBusy: when the hashes are all taken, logins are turned away in time, and what
// needs no hash goes on.
func TestBusy(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) { c.Hashes = 1; c.HashWait = 50 * time.Millisecond })
	f.register(email, password)
	raw := f.login(email, password)
	f.hasher.slots <- struct{}{}
	for _, send := range []func() answer{
		func() answer { return f.post("/v1/auth/login", m{"email": email, "password": password}) },
		func() answer { return f.post("/v1/auth/login", m{"email": "eve@example.org", "password": password}) },
		func() answer { return f.post("/v1/auth/register", m{"email": "eve@example.org", "password": password}) },
		func() answer { return f.do("POST", "/login", "", basic(email, password)) },
	} {
		began := time.Now()
		a := send()
		if a.status != http.StatusServiceUnavailable || a.code() != "busy" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	}
	if a := f.do("GET", "/v1/auth/me", "", bearer(raw)); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	<-f.hasher.slots
	f.login(email, password)
	if len(f.hasher.queue) != 0 || len(f.hasher.slots) != 0 {
		t.Errorf("%d wait, %d run", len(f.hasher.queue), len(f.hasher.slots))
	}
}

// TestHashesAtOnce: of many who want one, few have one at the same time, few wait,
// and those who are turned away are so at once.
func TestHashesAtOnce(t *testing.T) {
	t.Parallel()
	h, err := newHasher(Config{Password: quick, Hashes: 2}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	var running, most, waiting, refused atomic.Int32
	gate := make(chan struct{})
	var wg sync.WaitGroup
	const n = 500
	for range n {
		wg.Go(func() {
			waiting.Add(1)
			leave, err := h.enter(t.Context())
			if err != nil {
				if !errors.Is(err, errBusy) {
					t.Error(err)
				}
				refused.Add(1)
				return
			}
			now := running.Add(1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			<-gate
			running.Add(-1)
			leave()
		})
	}
	for want := int32(n - 2*(1+queueLength)); refused.Load() < want; runtime.Gosched() {
	}
	close(gate)
	wg.Wait()
	if most.Load() != 2 || refused.Load() != n-2*(1+queueLength) {
		t.Errorf("%d at once, %d turned away", most.Load(), refused.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.slots <- struct{}{}
	h.slots <- struct{}{}
	if _, err := h.hash(ctx, password); !errors.Is(err, errBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	if len(h.queue) != 0 {
		t.Errorf("%d wait", len(h.queue))
	}
}

// TestTiming: an unknown address takes as long as a wrong password. It is measured as
// a ratio of medians, with the parameters that are the default; on a busy machine
// more than once.
func TestTiming(t *testing.T) {
	f := serve(t, func(c *Config, _ *Deps) { c.Password = PasswordParams{} })
	f.register(email, password)
	var ratio float64
	for range 4 {
		var known, unknown []time.Duration
		for range 9 {
			for _, c := range []struct {
				address string
				into    *[]time.Duration
			}{{email, &known}, {"eve@example.org", &unknown}} {
				began := time.Now()
				if a := f.post("/v1/auth/login", m{"email": c.address, "password": "wrong"}); a.status != 401 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				*c.into = append(*c.into, time.Since(began))
			}
		}
		slices.Sort(known)
		slices.Sort(unknown)
		ratio = float64(unknown[4]) / float64(known[4])
		t.Logf("unknown %v, wrong %v: %.2f", unknown[4], known[4], ratio)
		if ratio > 0.5 && ratio < 2 {
			return
		}
	}
	t.Errorf("an unknown address takes %.2f times as long as a wrong password", ratio)
}

func BenchmarkHash(b *testing.B) {
	h, err := newHasher(Config{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.hash(b.Context(), password); err != nil {
			b.Fatal(err)
		}
	}
}
