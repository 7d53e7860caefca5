package queue

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

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

// Redis is away at the start, comes, crashes with its data, and comes again.
func TestRedisComesAndGoes(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	c := open(t, redisconn.At(server.URL))
	var seen calls
	var log testserver.Output
	stop := serve(t, redisconn.At(server.URL), Convert, ServerConfig{Logger: newLog(&log)}, seen.handler)
	eventually(t, "the log says that Redis is away", func() bool {
		return strings.Contains(log.String(), "redis does not answer")
	})
	for round := range 2 {
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the client goes on", func() bool { return c.Convert(t.Context(), "a", round, 0) == nil })
		eventually(t, "the server goes on", func() bool { return seen.count() == round+1 })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > redisPatience+3*time.Second {
		t.Errorf("the end took %v", d)
	}
}

// A server that never found Redis ends when it is told to.
func TestRedisNeverCame(t *testing.T) {
	t.Parallel()
	stop := serve(t, redisconn.At("redis://127.0.0.1:1/0"), Convert, ServerConfig{}, (&calls{}).handler)
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("the end took %v", d)
	}
}

// A Redis that hangs holds nobody up: not a server that starts, not one that ends.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	server := ownRedis(t)
	c := open(t, redisconn.At(server.URL))
	running := make(chan struct{})
	stopBusy := serve(t, redisconn.At(server.URL), Convert, ServerConfig{Grace: 100 * time.Millisecond, LastWords: 100 * time.Millisecond},
		func(ctx context.Context, _ string, _ int) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		})
	if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
		t.Fatal(err)
	}
	<-running
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	stopNew := serve(t, redisconn.At(server.URL), Notify, ServerConfig{}, (&calls{}).handler)
	time.Sleep(100 * time.Millisecond)
	for name, stop := range map[string]func() error{"busy": stopBusy, "new": stopNew} {
		began := time.Now()
		if err := stop(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(began); d > redisPatience+3*time.Second {
			t.Errorf("%s: the end took %v", name, d)
		}
	}
	// Nothing was lost: the task is active with a lease that will run out.
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis answers", func() bool { return c.Ping(t.Context()) == nil })
	if got, want := depth(t, c, Convert), (Depth{Active: 1}); got != want {
		t.Errorf("depth %+v, want %+v", got, want)
	}
}

// The task of a process that was killed goes to another one. (A Redis inside the
// process would be gone too.)
func TestDeadProcess(t *testing.T) {
	t.Parallel()
	url, err := shared.NewURL()
	if err != nil {
		t.Fatal(err)
	}
	at := redisconn.At(url)
	c := open(t, at)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+at.URL)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	defer kill()
	if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "taken\n" {
		t.Fatalf("the child says %q (%v)", line, err)
	}
	kill()
	if got, want := depth(t, c, Convert), (Depth{Active: 1}); got != want {
		t.Fatalf("depth %+v, want %+v", got, want)
	}
	// A minute passes.
	past := redis.Z{Score: float64(time.Now().Add(-31 * time.Second).Unix()), Member: "a:0"}
	if n, err := raw(t, at).ZAddArgs(t.Context(), "asynq:{convert}:lease",
		redis.ZAddArgs{XX: true, Ch: true, Members: []redis.Z{past}}).Result(); err != nil || n != 1 {
		t.Fatalf("the lease was not found (%v)", err)
	}
	var seen calls
	serve(t, at, Convert, ServerConfig{Tries: 1}, seen.handler)
	eventually(t, "the task is taken over", func() bool {
		return seen.count() == 1 && depth(t, c, Convert) == Depth{}
	})
}

// Redis refuses, and the server does not ask as fast as it can.
func TestRefusalIsNoBusyLoop(t *testing.T) {
	t.Parallel()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	var seen calls
	serve(t, redisconn.At("redis://"+m.Addr()), Convert, ServerConfig{}, seen.handler)
	c := open(t, redisconn.At("redis://"+m.Addr()))
	if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it works", func() bool { return seen.count() == 1 })
	m.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	const span = time.Second
	before := m.CommandCount()
	time.Sleep(span)
	if n := m.CommandCount() - before; n > 40 {
		t.Errorf("%d commands in %v", n, span)
	}
	m.SetError("")
	if err := c.Convert(t.Context(), "b", 0, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it works again", func() bool { return seen.count() == 2 })
}

func TestWrongPasswordIsNoBusyLoop(t *testing.T) {
	t.Parallel()
	m := miniredis.NewMiniRedis()
	m.RequireAuth("right")
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	var log testserver.Output
	stop := serve(t, redisconn.At("redis://:wrong@"+m.Addr()), Convert, ServerConfig{Logger: newLog(&log)}, (&calls{}).handler)
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "redis does not answer") })
	time.Sleep(500 * time.Millisecond)
	if n := m.TotalConnectionCount(); n > 10 {
		t.Errorf("%d connections", n)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A handler hears of it when Redis is away for longer than the lease, and the task
// is run again when Redis is back. The minutes pass in a bubble.
func TestLostLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		var away atomic.Bool
		conns := make(chan net.Conn, 1000)
		dial := func(context.Context, string, string) (net.Conn, error) {
			if away.Load() {
				return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
			}
			conn, err := m.Dial()
			if err == nil {
				conns <- conn
			}
			return conn, err
		}
		var seen calls
		lost := make(chan error, 1)
		s, err := NewServer(redisconn.At("redis://bubble"), Convert, ServerConfig{Logger: newLog(t.Output())},
			func(ctx context.Context, id string, attempt int) error {
				if seen.add(id, attempt) > 1 {
					return nil
				}
				<-ctx.Done()
				lost <- context.Cause(ctx)
				return ctx.Err()
			})
		if err != nil {
			t.Fatal(err)
		}
		s.opt.Dialer = dial
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- s.Run(ctx) }()

		opt := *s.opt
		rdb := redis.NewClient(&opt)
		defer rdb.Close()
		c := &Client{rdb: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb)}
		if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute) // a lease is kept, however long it takes
		select {
		case err := <-lost:
			t.Fatalf("lost while Redis was there: %v", err)
		default:
		}
		began := time.Now()
		away.Store(true)
		for len(conns) > 0 {
			(<-conns).Close()
		}
		if err := <-lost; err != context.Canceled {
			t.Errorf("cause %v", err)
		}
		if d := time.Since(began); d < 20*time.Second || d > time.Minute {
			t.Errorf("lost after %v", d)
		}
		time.Sleep(time.Minute)
		away.Store(false)
		began = time.Now()
		for seen.count() < 2 && time.Since(began) < 5*time.Minute {
			time.Sleep(time.Second)
		}
		if d := time.Since(began); d > 100*time.Second || seen.count() != 2 {
			t.Errorf("run %d times, after %v", seen.count(), d)
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}
