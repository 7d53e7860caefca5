package throttle

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// server is started once for all tests.
var server *testserver.RedisServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.Redis, &server)) }

// on runs a test on each kind of limiter.
func on(t *testing.T, f func(*testing.T, *Limiter)) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) *Limiter{
		"memory": func(*testing.T) *Limiter { return New() },
		"redis": func(t *testing.T) *Limiter {
			url, err := server.NewURL()
			if err != nil {
				t.Fatal(err)
			}
			return opened(t, redisconn.At(url), nil)
		},
		"embedded": func(t *testing.T) *Limiter {
			r := embedded.Redis()
			t.Cleanup(r.Close)
			return opened(t, r.Address(), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t)
			l.timeout = time.Minute // the machine may do other things, too
			if err := l.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			f(t, l)
			if l.down {
				t.Error("Redis was not asked")
			}
		})
	}
}

func opened(t *testing.T, at redisconn.Address, logger *slog.Logger) *Limiter {
	t.Helper()
	l, err := Open(at, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// slow are rules whose waits no test sits out.
var slow = Rule{Free: 3, Base: time.Minute, Max: time.Hour, Memory: 2 * time.Hour}

func near(got, want time.Duration) bool { return got <= want && got > want-5*time.Second }

func TestTake(t *testing.T) {
	on(t, func(t *testing.T, l *Limiter) {
		ctx := t.Context()
		a, b := Key{"a", slow}, Key{"b", slow}
		for range slow.Free + 1 { // the last one is followed by a wait
			if d := l.Take(ctx, a); d != 0 {
				t.Fatalf("a free one waits %v", d)
			}
		}
		for range 3 { // which those that come too early do not make longer
			if d := l.Take(ctx, a); !near(d, time.Minute) {
				t.Errorf("%v", d)
			}
		}
		// Together with another one nothing is counted of that.
		for range 5 {
			if d := l.Take(ctx, b, a); !near(d, time.Minute) {
				t.Errorf("%v", d)
			}
		}
		for range slow.Free {
			if d := l.Take(ctx, b); d != 0 {
				t.Errorf("%v", d)
			}
		}
		// Undone it is as if it had not been.
		l.Undo(ctx, a)
		if d := l.Take(ctx, a); d != 0 {
			t.Errorf("%v", d)
		}
		if d := l.Take(ctx, a); !near(d, time.Minute) {
			t.Errorf("%v", d)
		}
		l.Forget(ctx, a, b)
		for range slow.Free + 1 {
			if d := l.Take(ctx, a, b); d != 0 {
				t.Errorf("%v", d)
			}
		}
		if d := l.Take(ctx, b); !near(d, time.Minute) {
			t.Errorf("%v", d)
		}
		for _, k := range []Key{{"never tried", slow}, {"", slow}} {
			l.Undo(ctx, k)
			l.Forget(ctx, k)
			if d := l.Take(ctx, k); d != 0 {
				t.Errorf("%v", d)
			}
		}
	})
}

// TestWaits: they double up to the most, pass, and all is forgotten in the end.
func TestWaits(t *testing.T) {
	on(t, func(t *testing.T, l *Limiter) {
		ctx := t.Context()
		k := Key{"k", Rule{Free: 1, Base: 40 * time.Millisecond, Max: 100 * time.Millisecond, Memory: 1500 * time.Millisecond}}
		if d := l.Take(ctx, k); d != 0 {
			t.Fatal(d)
		}
		for _, want := range []time.Duration{40, 80, 100, 100} {
			want *= time.Millisecond
			began := time.Now()
			for { // until one gets through
				d := l.Take(ctx, k)
				if d == 0 {
					break
				}
				time.Sleep(min(d, 5*time.Millisecond))
			}
			d := l.Take(ctx, k)
			if d <= 0 || d > want {
				t.Errorf("it waits %v of %v", d, want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		}
		began := time.Now()
		for { // it is forgotten: the next one is free, and the one after that is followed by the first wait
			time.Sleep(1600 * time.Millisecond)
			first, second, d := l.Take(ctx, k), l.Take(ctx, k), l.Take(ctx, k)
			if first == 0 && second == 0 && d > 0 && d <= 40*time.Millisecond {
				break
			}
			if time.Since(began) > 20*time.Second {
				t.Fatalf("it is not forgotten: %v, %v, %v", first, second, d)
			}
		}
	})
}

// TestAtOnce: of many at the same time no more get through than may.
func TestAtOnce(t *testing.T) {
	on(t, func(t *testing.T, l *Limiter) {
		var wg sync.WaitGroup
		var through atomic.Int32
		for range 50 {
			wg.Go(func() {
				if l.Take(t.Context(), Key{"k", slow}) == 0 {
					through.Add(1)
				}
			})
		}
		wg.Wait()
		if n := through.Load(); int(n) != slow.Free+1 {
			t.Errorf("%d got through", n)
		}
	})
}

// TestShared: what one process counts another one knows.
func TestShared(t *testing.T) {
	t.Parallel()
	url, err := server.NewURL()
	if err != nil {
		t.Fatal(err)
	}
	a, b := opened(t, redisconn.At(url), nil), opened(t, redisconn.At(url), nil)
	k := Key{"somebody@example.org", slow}
	for range slow.Free + 1 {
		a.Take(t.Context(), k)
	}
	if d := b.Take(t.Context(), k); !near(d, time.Minute) {
		t.Errorf("%v", d)
	}
	keys, err := a.rdb.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || strings.Contains(keys[0], "somebody") {
		t.Errorf("Redis has %q, %v", keys, err)
	}
	if d, err := a.rdb.PTTL(t.Context(), keys[0]).Result(); err != nil || d <= 0 || d > slow.Memory {
		t.Errorf("it is kept for %v, %v", d, err)
	}
}

// TestRedisDown: without Redis each process counts for itself, and nobody waits for it
// with each try.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	r, err := testserver.Redis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	}()
	var log testserver.Output
	l := opened(t, redisconn.At(r.URL), slog.New(slog.NewTextHandler(&log, nil)))
	k := Key{"k", slow}
	if d := l.Take(t.Context(), k); d != 0 {
		t.Fatal(d)
	}
	if err := r.Freeze(); err != nil { // worse than being gone
		t.Fatal(err)
	}
	began := time.Now()
	for range slow.Free + 1 {
		if d := l.Take(t.Context(), k); d != 0 {
			t.Errorf("%v", d)
		}
	}
	if d := l.Take(t.Context(), k); !near(d, time.Minute) {
		t.Errorf("%v", d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Ping(ctx); err == nil {
		t.Error("it answers")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := r.Thaw(); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	l.until = time.Time{} // some seconds later
	l.mu.Unlock()
	if d := l.Take(t.Context(), k); d != 0 {
		t.Errorf("back in Redis: %v", d)
	}
	if text := log.String(); strings.Count(text, "Redis does not answer") != 1 || !strings.Contains(text, "counted in Redis again") {
		t.Errorf("%s", text)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := New()
	for i := range maxTries + 1000 {
		l.Take(t.Context(), Key{fmt.Sprint(i), slow})
	}
	if n := len(l.memory.all); n > maxTries {
		t.Errorf("%d keys", n)
	}
	if _, err := Open(redisconn.At(":secret@x"), nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}
