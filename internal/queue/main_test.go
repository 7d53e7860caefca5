package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// childURL names the variable that turns the test program into a server that takes
// one task and holds it, to be killed.
const childURL = "QUEUE_TEST_CHILD_URL"

var shared *testserver.RedisServer

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(redisconn.At(url))
	}
	os.Exit(testserver.Main(m, testserver.Redis, &shared))
}

// onBoth runs a test on a real Redis and on the one inside the process.
func onBoth(t *testing.T, test func(t *testing.T, at redisconn.Address)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		url, err := shared.NewURL()
		if err != nil {
			t.Fatal(err)
		}
		test(t, redisconn.At(url))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		s := embedded.Redis()
		t.Cleanup(s.Close)
		test(t, s.Address())
	})
}

func open(t testing.TB, at redisconn.Address) *Client {
	t.Helper()
	c, err := Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw is a client that bypasses the package.
func raw(t testing.TB, at redisconn.Address) *redis.Client {
	t.Helper()
	opt, err := at.Options()
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// serve runs a server until the test ends or stop is called, which returns what Run
// does.
func serve(t testing.TB, at redisconn.Address, kind Kind, cfg ServerConfig, h Handler) (stop func() error) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := NewServer(at, kind, cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

func depth(t testing.TB, c *Client, kind Kind) Depth {
	t.Helper()
	d, err := c.Depth(context.Background(), kind)
	if err != nil {
		t.Fatal(err)
	}
	d.Oldest = 0
	return d
}

// calls records what a handler was called with.
type calls struct {
	mu  sync.Mutex
	all []string
}

func (c *calls) add(id string, attempt int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf("%s/%d", id, attempt))
	return len(c.all)
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// handler records and succeeds.
func (c *calls) handler(_ context.Context, id string, attempt int) error {
	c.add(id, attempt)
	return nil
}

func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, nil))
}

// child takes a task, says so, and never ends by itself.
func child(at redisconn.Address) {
	s, err := NewServer(at, Convert, ServerConfig{Logger: slog.New(slog.DiscardHandler)},
		func(context.Context, string, int) error {
			fmt.Println("taken")
			select {}
		})
	if err == nil {
		err = s.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
