package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

func TestFailingTaskIsTriedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		c := open(t, at)
		var seen calls
		var log testserver.Output
		serve(t, at, Convert, ServerConfig{Backoff: 10 * time.Millisecond, Logger: newLog(&log)},
			func(ctx context.Context, id string, attempt int) error {
				if LastTry(ctx) {
					t.Error("a try of boundless ones is said to be the last")
				}
				switch seen.add(id, attempt) {
				case 1:
					return errors.New("the database is down")
				case 2:
					panic("a hole in the handler")
				}
				return nil
			})
		if err := c.Convert(t.Context(), "a", 2, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task succeeds", func() bool { return seen.count() == 3 && depth(t, c, Convert) == Depth{} })
		text := log.String()
		if strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "stack=") != 1 ||
			!strings.Contains(text, "server_test.go") || !strings.Contains(text, "a hole in the handler") {
			t.Errorf("a panic is to be logged once, with its stack:\n%s", text)
		}
		if !strings.Contains(text, "the database is down") || !strings.Contains(text, "task=a:2") {
			t.Errorf("the failure is not logged:\n%s", text)
		}
	})
}

func TestTries(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		c := open(t, at)
		var mu sync.Mutex
		var last []bool
		serve(t, at, Notify, ServerConfig{Backoff: 10 * time.Millisecond, Poll: 10 * time.Millisecond, Tries: 2},
			func(ctx context.Context, id string, attempt int) error {
				mu.Lock()
				defer mu.Unlock()
				last = append(last, LastTry(ctx))
				return errors.New("the mail server is away")
			})
		if err := c.Notify(t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task is given up", func() bool { return depth(t, c, Notify) == Depth{Archived: 1} })
		mu.Lock()
		defer mu.Unlock()
		if fmt.Sprint(last) != "[false true]" {
			t.Errorf("LastTry was %v", last)
		}
	})
}

// What is not ours ends in the archive and not in a handler.
func TestStrangeTask(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		c := open(t, at)
		var seen calls
		serve(t, at, Convert, ServerConfig{}, seen.handler)
		_, err := asynq.NewClientFromRedisClient(c.rdb).EnqueueContext(t.Context(),
			asynq.NewTask("convert", []byte("a")), asynq.Queue("convert"), asynq.TaskID("b:1"))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is given up", func() bool { return depth(t, c, Convert) == Depth{Archived: 1} })
		if seen.count() != 0 {
			t.Errorf("the handler was called with %v", seen.all)
		}
	})
}

// 200 tasks, two servers, one of which stops in the middle: each task is run once.
func TestStopInTheMiddle(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		const tasks = 200
		c := open(t, at)
		var mu sync.Mutex
		runs := make(map[string]int)
		var first, second atomic.Int64
		handler := func(n *atomic.Int64) Handler {
			return func(ctx context.Context, id string, attempt int) error {
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
					t.Errorf("%s was interrupted: %v", id, context.Cause(ctx))
				}
				n.Add(1)
				mu.Lock()
				defer mu.Unlock()
				runs[id]++
				return nil
			}
		}
		stop := serve(t, at, Convert, ServerConfig{Concurrency: 4}, handler(&first))
		serve(t, at, Convert, ServerConfig{Concurrency: 4}, handler(&second))
		for i := range tasks {
			if err := c.Convert(t.Context(), fmt.Sprint("job", i), 0, 0); err != nil {
				t.Fatal(err)
			}
			if i == tasks/2 {
				eventually(t, "both servers work", func() bool { return first.Load() > 5 && second.Load() > 5 })
				if err := stop(); err != nil {
					t.Error(err)
				}
			}
		}
		eventually(t, "all is done", func() bool { return depth(t, c, Convert) == Depth{} })
		mu.Lock()
		defer mu.Unlock()
		if len(runs) != tasks {
			t.Errorf("%d tasks were run, want %d", len(runs), tasks)
		}
		for id, n := range runs {
			if n != 1 {
				t.Errorf("%s was run %d times", id, n)
			}
		}
	})
}

// At its end a server waits for its handlers, then ends their contexts, then hands
// their tasks back, at once and without a failed try.
func TestShutdown(t *testing.T) {
	for name, test := range map[string]struct {
		cfg ServerConfig
		// handler gets its context and a channel that is closed when Run's ends.
		handler func(ctx context.Context, ending <-chan struct{}) error
		want    Depth
		err     bool
	}{
		"finishes within grace": {
			cfg: ServerConfig{Grace: 10 * time.Second},
			handler: func(ctx context.Context, ending <-chan struct{}) error {
				<-ending
				time.Sleep(200 * time.Millisecond)
				return ctx.Err()
			},
		},
		"hands back by itself": {
			cfg: ServerConfig{Grace: 100 * time.Millisecond},
			handler: func(ctx context.Context, _ <-chan struct{}) error {
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), ErrShutdown) {
					return fmt.Errorf("cause %w", context.Cause(ctx))
				}
				return nil
			},
		},
		"gives up with an error": {
			cfg: ServerConfig{Grace: -1, Tries: 1},
			handler: func(ctx context.Context, _ <-chan struct{}) error {
				<-ctx.Done()
				return ctx.Err()
			},
			want: Depth{Pending: 1},
		},
		"does not return": {
			cfg: ServerConfig{Grace: 50 * time.Millisecond, LastWords: 50 * time.Millisecond},
			handler: func(_ context.Context, ending <-chan struct{}) error {
				<-ending
				time.Sleep(time.Second)
				return nil
			},
			want: Depth{Pending: 1},
			err:  true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, at redisconn.Address) {
				c := open(t, at)
				running, ending, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
				stop := serve(t, at, Convert, test.cfg, func(ctx context.Context, _ string, _ int) error {
					defer close(returned)
					close(running)
					return test.handler(ctx, ending)
				})
				if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
					t.Fatal(err)
				}
				<-running
				began := time.Now()
				close(ending)
				err := stop()
				if (err != nil) != test.err {
					t.Errorf("Run: %v", err)
				}
				if d := time.Since(began); d > 4*time.Second {
					t.Errorf("the end took %v", d)
				}
				if got := depth(t, c, Convert); got != test.want {
					t.Errorf("depth %+v, want %+v", got, test.want)
				}
				<-returned
				if test.want.Pending == 0 {
					return
				}
				info, err := c.inspector.GetTaskInfo("convert", "a:0")
				if err != nil || info.Retried != 0 {
					t.Errorf("%d failed tries are counted (%v)", info.Retried, err)
				}
				if d, err := c.Depth(t.Context(), Convert); err != nil || d.Oldest != 0 {
					t.Errorf("a task that was handed back is %v old (%v)", d.Oldest, err)
				}
				var seen calls
				serve(t, at, Convert, ServerConfig{}, seen.handler)
				eventually(t, "another server takes the task", func() bool {
					return seen.count() == 1 && depth(t, c, Convert) == Depth{}
				})
			})
		})
	}
}

func TestIdleServerStopsAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		c := open(t, at)
		var seen calls
		stop := serve(t, at, Convert, ServerConfig{Poll: time.Hour}, seen.handler)
		if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it works", func() bool { return seen.count() == 1 })
		time.Sleep(50 * time.Millisecond) // until it waits
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("the end took %v", d)
		}
	})
}

// A server without work waits to be told of some, and begins with it at once. Time is
// that of a bubble, which stands still while anything is under way.
func TestIdleServerIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		var seen calls
		s, err := NewServer(redisconn.At("redis://bubble"), Convert, ServerConfig{Poll: time.Hour, Logger: newLog(t.Output())}, seen.handler)
		if err != nil {
			t.Fatal(err)
		}
		s.opt.Dialer = func(context.Context, string, string) (net.Conn, error) { return m.Dial() }
		opt := *s.opt
		rdb := redis.NewClient(&opt)
		defer rdb.Close()
		c := &Client{rdb: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb)}
		if err := c.Ping(t.Context()); err != nil { // the first connection starts it
			t.Fatal(err)
		}
		var asked atomic.Int64
		pending := newIdle(Convert, time.Hour, nil).pending
		m.Server().SetPreHook(func(_ *server.Peer, cmd string, args ...string) bool {
			if cmd == "EVALSHA" && len(args) > 2 && pending[args[2]] {
				asked.Add(1)
			}
			return false
		})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- s.Run(ctx) }()

		const while = 10 * time.Second
		time.Sleep(while) // until it has begun and found nothing
		for i := 0; i < 20 && !t.Failed(); i++ {
			before := asked.Load()
			if err := c.Convert(t.Context(), strconv.Itoa(i), 0, 0); err != nil {
				t.Error(err)
				break
			}
			began := time.Now()
			for seen.count() <= i && time.Since(began) < while {
				time.Sleep(time.Millisecond)
			}
			if d := time.Since(began); d > 20*time.Millisecond {
				t.Errorf("it began with task %d after %v", i, d)
			}
			time.Sleep(while)
			// Of each lane until the task is found, and of each again after it; not every
			// millisecond.
			n := asked.Load() - before
			if most := int64(4 * len(pending)); n < 1 || n > most {
				t.Errorf("it asked %d times in %v with one task, want 1 to %d", n, while, most)
			}
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// What nobody has told it of, it finds by itself.
func TestLostWord(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		var seen calls
		serve(t, at, Convert, ServerConfig{Poll: 100 * time.Millisecond}, seen.handler)
		c := open(t, at)
		if err := c.Convert(t.Context(), "a", 0, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it works", func() bool { return seen.count() == 1 })
		silent := asynq.NewClientFromRedisClient(raw(t, at))
		_, err := silent.EnqueueContext(t.Context(), asynq.NewTask("convert", []byte("b")), asynq.Queue("convert"), asynq.TaskID("b:0"))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it looks by itself", func() bool { return seen.count() == 2 })
	})
}

func TestServerConfig(t *testing.T) {
	t.Parallel()
	handler := func(context.Context, string, int) error { return nil }
	at := redisconn.At("redis://127.0.0.1:1/0")
	if _, err := NewServer(at, Convert, ServerConfig{}, handler); err != nil {
		t.Error(err)
	}
	for name, make := range map[string]func() (*Server, error){
		"URL":         func() (*Server, error) { return NewServer(redisconn.At("x"), Convert, ServerConfig{}, handler) },
		"kind":        func() (*Server, error) { return NewServer(at, "x", ServerConfig{}, handler) },
		"handler":     func() (*Server, error) { return NewServer(at, Convert, ServerConfig{}, nil) },
		"concurrency": func() (*Server, error) { return NewServer(at, Convert, ServerConfig{Concurrency: -1}, handler) },
		"weights": func() (*Server, error) {
			return NewServer(at, Convert, ServerConfig{Weights: map[job.Lane]int{job.LaneBulk: 0}}, handler)
		},
		"lane": func() (*Server, error) {
			return NewServer(at, Convert, ServerConfig{Weights: map[job.Lane]int{"fast": 1}}, handler)
		},
		"poll":    func() (*Server, error) { return NewServer(at, Convert, ServerConfig{Poll: 1}, handler) },
		"backoff": func() (*Server, error) { return NewServer(at, Convert, ServerConfig{Backoff: -1}, handler) },
	} {
		if _, err := make(); err == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
}
