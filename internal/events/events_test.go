package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ownRedis(t *testing.T) *testserver.RedisServer {
	t.Helper()
	s, err := testserver.Redis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// onBoth runs a test on a real Redis and on the one inside the process, each of its
// own, for channels are not divided into databases.
func onBoth(t *testing.T, test func(t *testing.T, at redisconn.Address)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, redisconn.At(ownRedis(t).URL))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s := embedded.Redis()
		t.Cleanup(s.Close)
		test(t, s.Address())
	})
}

func open(t *testing.T, at redisconn.Address) *Bus {
	t.Helper()
	b, err := Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// listener is a subscriber that counts what it hears.
type listener struct {
	mu    sync.Mutex
	heard map[string]int
	stop  func() error
}

func listen(t *testing.T, b *Bus, each func(id string)) *listener {
	t.Helper()
	l := &listener{heard: make(map[string]int)}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		result <- b.Subscribe(ctx, func(id string) {
			l.mu.Lock()
			l.heard[id]++
			l.mu.Unlock()
			if each != nil {
				each(id)
			}
		})
	}()
	l.stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = l.stop() })
	return l
}

func (l *listener) count(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard[id]
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

func TestHintsReachEverySubscriber(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		publisher := open(t, at)
		var all []*listener
		for range 3 {
			all = append(all, listen(t, open(t, at), nil))
		}
		for _, l := range all {
			eventually(t, "the subscriber is told to look at everything", func() bool { return l.count("") == 1 })
		}
		const jobs = 300
		for i := range jobs {
			if err := publisher.Publish(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range all {
			for i := range jobs {
				eventually(t, "each hint arrives", func() bool { return l.count(fmt.Sprint(i)) >= 1 })
			}
			if l.count("") != 1 {
				t.Errorf("%d times anything", l.count(""))
			}
			if err := l.stop(); !errors.Is(err, context.Canceled) {
				t.Errorf("Subscribe: %v", err)
			}
		}
	})
}

// A subscriber that is stuck holds up nobody, and hears in the end that anything
// may have changed.
func TestSlowSubscriber(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		publisher := open(t, at)
		release := make(chan struct{})
		slow := listen(t, open(t, at), func(id string) {
			if id == "stuck" {
				<-release
			}
		})
		eventually(t, "it listens", func() bool { return slow.count("") == 1 })
		if err := publisher.Publish(t.Context(), "stuck"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is stuck", func() bool { return slow.count("stuck") == 1 })
		var wg sync.WaitGroup
		var late atomic.Int64 // a busy machine makes some late, a stuck server all
		for part := range 4 {
			wg.Go(func() {
				for i := range 2 * maxPending {
					// Long, so that no buffer of the network takes them all.
					id := fmt.Sprintf("%0500d", part*1_000_000+i)
					if err := publisher.Publish(t.Context(), id); err != nil && late.Add(1) > 100 {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		fresh := listen(t, open(t, at), nil)
		eventually(t, "others are served", func() bool { return fresh.count("") == 1 })
		close(release)
		eventually(t, "the slow one is told to look at everything", func() bool { return slow.count("") >= 2 })
	})
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	publisher := open(t, redisconn.At(server.URL))
	l := listen(t, open(t, redisconn.At(server.URL)), nil)
	eventually(t, "it listens", func() bool { return l.count("") == 1 })
	for round := range 2 {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := publisher.Publish(t.Context(), "lost"); err == nil {
			t.Error("publishing to nobody is no error")
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("publishing without Redis took %v", d)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is told to look at everything", func() bool { return l.count("") >= round+2 })
		id := fmt.Sprint("job", round)
		eventually(t, "hints arrive again", func() bool {
			_ = publisher.Publish(t.Context(), id)
			return l.count(id) > 0
		})
	}
}

// A Redis that is not there yet is waited for, and one that hangs holds up nobody
// for long.
func TestAwayAndHanging(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	b := open(t, redisconn.At(server.URL))
	l := listen(t, b, nil)
	time.Sleep(50 * time.Millisecond)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it listens", func() bool { return l.count("") >= 1 })

	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := b.Publish(t.Context(), "a"); err == nil {
		t.Error("no error")
	}
	if err := l.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe: %v", err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestClose(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		b := open(t, at)
		ended := make(chan error, 1)
		listening := make(chan struct{}, 10)
		go func() { ended <- b.Subscribe(t.Context(), func(string) { listening <- struct{}{} }) }()
		<-listening
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if err == nil {
				t.Error("Subscribe returned nil")
			}
		case <-time.After(10 * time.Second):
			t.Error("Subscribe goes on after Close")
		}
	})
}

func TestURLs(t *testing.T) {
	t.Parallel()
	if _, err := Open(redisconn.At("redis://:secret@h:x")); err == nil {
		t.Error("taken")
	} else if s := err.Error(); s == "" || strings.Contains(s, "secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}
