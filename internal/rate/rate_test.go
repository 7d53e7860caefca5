package rate

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var server *testserver.RedisServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.Redis, &server)) }

func open(t testing.TB, at redisconn.Address, log *slog.Logger) *Limiter {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := Open(at, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// onBoth runs a test on a server, and where Redis is inside.
func onBoth(t *testing.T, test func(t *testing.T, at redisconn.Address)) {
	t.Parallel()
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		url, err := server.NewURL()
		if err != nil {
			t.Fatal(err)
		}
		test(t, redisconn.At(url))
	})
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		test(t, redisconn.Address{Dial: func() (net.Conn, error) { return nil, errors.New("nobody asks it") }})
	})
}

// TestLimit: so many at once and no more; others are others.
func TestLimit(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		l := open(t, at, nil)
		hourly := Limit{Requests: 5, Per: 5 * time.Hour}
		for i := range 5 {
			v := l.Take(t.Context(), "a", hourly)
			if !v.Allowed || !v.Known || v.Remaining != 4-i || v.Next <= 0 || v.Next > time.Hour {
				t.Errorf("number %d: %+v", i, v)
			}
		}
		for range 3 {
			v := l.Take(t.Context(), "a", hourly)
			if v.Allowed || !v.Known || v.Remaining != 0 || v.Next < 59*time.Minute || v.Next > time.Hour {
				t.Errorf("one more: %+v", v)
			}
		}
		if v := l.Take(t.Context(), "b", hourly); !v.Allowed || v.Remaining != 4 {
			t.Errorf("another: %+v", v)
		}
		for _, none := range []Limit{{}, {Requests: -1, Per: time.Hour}} {
			if v := l.Take(t.Context(), "a", none); !v.Allowed || v.Known {
				t.Errorf("no limit: %+v", v)
			}
		}
		// A limit that was lowered does not lock out for longer than it says.
		if v := l.Take(t.Context(), "a", Limit{Requests: 1, Per: time.Second}); !v.Allowed {
			t.Errorf("lowered: %+v", v)
		}
	})
}

// TestRecovery: what was taken is given back one by one.
func TestRecovery(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 25, 12, 0, 0, 123456000, time.UTC)
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		m, now := miniredis.RunT(t), begin
		m.SetTime(now)
		l := open(t, redisconn.At("redis://"+m.Addr()), nil)
		recovery(t, l, func(d time.Duration) {
			now = now.Add(d)
			m.SetTime(now)
			m.FastForward(d)
		}, func() int { return len(m.Keys()) })
	})
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		now := begin
		l := &Limiter{local: newLocal(func() time.Time { return now })}
		recovery(t, l, func(d time.Duration) { now = now.Add(d) }, func() int {
			l.Take(t.Context(), "b", Limit{Requests: 1, Per: time.Microsecond})
			return len(l.local.full) - 1
		})
	})
}

func recovery(t *testing.T, l *Limiter, pass func(time.Duration), keys func() int) {
	limit := Limit{Requests: 60, Per: time.Minute}
	taken := func(n int) (allowed int) {
		for range n {
			if l.Take(t.Context(), "a", limit).Allowed {
				allowed++
			}
		}
		return allowed
	}
	if n := taken(100); n != 60 {
		t.Errorf("%d at once", n)
	}
	pass(999 * time.Millisecond)
	if n := taken(5); n != 0 {
		t.Errorf("%d too early", n)
	}
	pass(time.Millisecond)
	if n := taken(5); n != 1 {
		t.Errorf("%d after a second", n)
	}
	pass(10500 * time.Millisecond)
	if n := taken(50); n != 10 {
		t.Errorf("%d after ten", n)
	}
	if v := l.Take(t.Context(), "a", limit); v.Allowed || v.Next != 500*time.Millisecond {
		t.Errorf("%+v, the next comes in half a second", v)
	}
	pass(time.Hour)
	if n := keys(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	if n := taken(100); n != 60 {
		t.Errorf("%d after an hour", n)
	}
	// In a long run it is the rate that counts.
	total := 0
	for range 600 {
		pass(100 * time.Millisecond)
		total += taken(2)
	}
	if total != 60 {
		t.Errorf("%d in a minute", total)
	}
	// A clock that was set back does not lock anybody out.
	pass(-24 * time.Hour)
	if n := taken(100); n != 60 {
		t.Errorf("%d after the clock was set back", n)
	}
}

// TestAtOnce: of many in two processes so many get through as may.
func TestAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		limiters := []*Limiter{open(t, at, nil), open(t, at, nil)}
		if at.Dial != nil { // there is one process
			limiters[1] = limiters[0]
		}
		var allowed atomic.Int32
		var wg sync.WaitGroup
		for g := range 10 {
			wg.Go(func() {
				for range 20 {
					if v := limiters[g%2].Take(t.Context(), "a", Limit{Requests: 70, Per: 700 * time.Hour}); v.Allowed && v.Known {
						allowed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := allowed.Load(); n != 70 {
			t.Errorf("%d got through", n)
		}
	})
}

// TestAway: while Redis is away all get through, without much of a wait, and the log says
// so once.
func TestAway(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	var log bytes.Buffer
	l := open(t, redisconn.At("redis://"+m.Addr()), slog.New(slog.NewTextHandler(&log, nil)))
	limit := Limit{Requests: 1, Per: time.Hour}
	l.Take(t.Context(), "a", limit)
	if v := l.Take(t.Context(), "a", limit); v.Allowed {
		t.Fatalf("%+v", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v := l.Take(ctx, "a", limit); !v.Allowed || v.Known {
		t.Errorf("%+v", v)
	}
	m.Close()
	began := time.Now()
	for range 500 {
		if v := l.Take(t.Context(), "a", limit); !v.Allowed || v.Known {
			t.Fatalf("%+v", v)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("500 requests waited %v", took)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); l.Take(t.Context(), "a", limit).Allowed; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is never counted again")
		}
	}
	if n := strings.Count(log.String(), "not counted"); n != 1 || strings.Count(log.String(), "counted again") != 1 {
		t.Errorf("the log:\n%s", log.String())
	}
}

// BenchmarkTake is what a count costs each request.
func BenchmarkTake(b *testing.B) {
	url, err := server.NewURL()
	if err != nil {
		b.Fatal(err)
	}
	inside := redisconn.Address{Dial: func() (net.Conn, error) { return nil, errors.New("nobody asks it") }}
	for name, at := range map[string]redisconn.Address{"server": redisconn.At(url), "local": inside} {
		b.Run(name, func(b *testing.B) {
			l := open(b, at, nil)
			for b.Loop() {
				l.Take(b.Context(), "a", Limit{Requests: 1 << 30, Per: time.Hour * 1000})
			}
		})
	}
}
