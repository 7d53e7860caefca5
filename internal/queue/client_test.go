package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

func TestTaskReachesItsHandler(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		ctx := t.Context()
		c := open(t, at)
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		if got := depth(t, c, Convert); got != (Depth{}) {
			t.Errorf("depth of a new queue: %+v", got)
		}
		if err := errors.Join(c.Convert(ctx, "a", 3, 0), c.Notify(ctx, "b", 4)); err != nil {
			t.Fatal(err)
		}
		if got, want := depth(t, c, Convert), (Depth{Pending: 1}); got != want {
			t.Errorf("depth %+v, want %+v", got, want)
		}
		if d, err := c.Depth(ctx, Notify); err != nil || d.Oldest <= 0 || d.Oldest > time.Minute {
			t.Errorf("the oldest has waited %v (%v)", d.Oldest, err)
		}
		var converts, notices calls
		serve(t, at, Convert, ServerConfig{}, converts.handler)
		serve(t, at, Notify, ServerConfig{}, notices.handler)
		eventually(t, "both tasks run and vanish", func() bool {
			return converts.count() == 1 && notices.count() == 1 &&
				depth(t, c, Convert) == Depth{} && depth(t, c, Notify) == Depth{}
		})
		if converts.all[0] != "a/3" || notices.all[0] != "b/4" {
			t.Errorf("called with %v and %v", converts.all, notices.all)
		}
	})
}

func TestAskingAgainChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		ctx := t.Context()
		c := open(t, at)
		ask := func() {
			t.Helper()
			var wg sync.WaitGroup
			for range 40 {
				wg.Go(func() {
					if err := c.Convert(ctx, "a", 0, 0); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		ask()
		if got, want := depth(t, c, Convert), (Depth{Pending: 1}); got != want {
			t.Fatalf("pending: depth %+v, want %+v", got, want)
		}
		var seen calls
		release := make(chan error)
		serve(t, at, Convert, ServerConfig{Concurrency: 4, Backoff: time.Minute, MaxBackoff: time.Minute},
			func(_ context.Context, id string, attempt int) error {
				seen.add(id, attempt)
				return <-release
			})
		eventually(t, "the task runs", func() bool { return seen.count() == 1 })
		ask()
		if got, want := depth(t, c, Convert), (Depth{Active: 1}); got != want {
			t.Errorf("active: depth %+v, want %+v", got, want)
		}
		release <- errors.New("not yet")
		eventually(t, "the task waits for its next try", func() bool { return depth(t, c, Convert) == Depth{Retry: 1} })
		ask()
		if got, want := depth(t, c, Convert), (Depth{Retry: 1}); got != want {
			t.Errorf("retry: depth %+v, want %+v", got, want)
		}
		if seen.count() != 1 {
			t.Errorf("run %d times", seen.count())
		}
	})
}

func TestAfter(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		ctx := t.Context()
		c := open(t, at)
		started := make(chan time.Time, 4)
		serve(t, at, Convert, ServerConfig{}, func(context.Context, string, int) error {
			started <- time.Now()
			return nil
		})
		const after = 700 * time.Millisecond
		began := time.Now()
		for range 2 {
			if err := c.Convert(ctx, "a", 1, after); err != nil {
				t.Fatal(err)
			}
		}
		if at := <-started; at.Sub(began) < after || at.Sub(began) > 10*time.Second {
			t.Errorf("started %v after, want %v and a little", at.Sub(began), after)
		}

		// What waits for long is brought forward by somebody who asks for less.
		for _, after := range []time.Duration{time.Hour, 2 * time.Hour} {
			if err := c.Convert(ctx, "b", 1, after); err != nil {
				t.Fatal(err)
			}
		}
		// The first task may still be at its end.
		eventually(t, "one task is put off", func() bool { return depth(t, c, Convert) == Depth{Scheduled: 1} })
		info, err := c.inspector.GetTaskInfo("convert", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		if in := time.Until(info.NextProcessAt); in > time.Hour+2*time.Second {
			t.Errorf("put off to %v from now", in)
		}
		if err := c.Convert(ctx, "b", 1, 0); err != nil {
			t.Fatal(err)
		}
		select {
		case <-started:
		case <-time.After(10 * time.Second):
			t.Error("not brought forward")
		}
	})
}

func TestDeadTaskIsReplaced(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		ctx := t.Context()
		c := open(t, at)
		var seen calls
		serve(t, at, Notify, ServerConfig{Poll: 10 * time.Millisecond}, func(_ context.Context, id string, attempt int) error {
			if seen.add(id, attempt) == 1 {
				return Stop(errors.New("no such mailbox"))
			}
			return nil
		})
		if err := c.Notify(ctx, "a", 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task is given up", func() bool { return depth(t, c, Notify) == Depth{Archived: 1} })
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := c.Notify(ctx, "a", 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		eventually(t, "the task is run again and vanishes", func() bool {
			return seen.count() >= 2 && depth(t, c, Notify) == Depth{}
		})
	})
}

// A queue that lost its data works with the clients and servers that it had, the
// look at a task of the same name included.
func TestWipe(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		ctx := t.Context()
		c, rdb := open(t, at), raw(t, at)
		var seen calls
		release := make(chan struct{})
		serve(t, at, Convert, ServerConfig{Concurrency: 2}, func(ctx context.Context, id string, attempt int) error {
			seen.add(id, attempt)
			if id == "held" {
				<-release
			}
			return nil
		})
		if err := c.Convert(ctx, "held", 0, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a task runs", func() bool { return seen.count() == 1 })
		// FLUSHALL would wipe other tests too; to asynq it is the same.
		if err := rdb.FlushDB(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		if got := depth(t, c, Convert); got != (Depth{}) {
			t.Errorf("depth %+v after the wipe", got)
		}
		for range 2 {
			if err := c.Convert(ctx, "later", 0, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := depth(t, c, Convert), (Depth{Scheduled: 1}); got != want {
			t.Errorf("depth %+v, want %+v", got, want)
		}
		if err := c.Convert(ctx, "new", 0, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new task runs", func() bool { return seen.count() == 2 })
		close(release)
		// The end of the task that Redis forgot must not hinder its successor.
		if err := c.Convert(ctx, "held", 0, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all is done", func() bool {
			return seen.count() == 3 && depth(t, c, Convert) == Depth{Scheduled: 1}
		})
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Convert, Notify} {
		for _, attempt := range []int{0, 7, 123456} {
			got, err := attemptOf(kind, "0198-ab", taskName(kind, "0198-ab", attempt))
			if err != nil || got != attempt {
				t.Errorf("%s, attempt %d: %d, %v", kind, attempt, got, err)
			}
		}
		for _, name := range []string{"", ":", "x", "x:1", "0198-ab:", "0198-ab:-1x", "0198-ab:01", "notify:x:1"} {
			if _, err := attemptOf(kind, "0198-ab", name); err == nil {
				t.Errorf("%s: %q is taken for a name", kind, name)
			}
		}
	}
	c := open(t, redisconn.At("redis://127.0.0.1:1/0"))
	for _, err := range []error{
		c.Convert(t.Context(), "", 0, 0), c.Convert(t.Context(), "a:b", 0, 0), c.Notify(t.Context(), "a", -1),
	} {
		if err == nil || !strings.Contains(err.Error(), "cannot be the name") {
			t.Errorf("error %v", err)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://h", "redis://:pw@h:1/3", "rediss://u:pw@h:1/3", "unix:///run/redis.sock?db=2"} {
		if c, err := Open(redisconn.At(url)); err != nil {
			t.Errorf("%s: %v", url, err)
		} else {
			c.Close()
		}
	}
	for _, url := range []string{"", "h:1", "http://h", "redis://:secret@h:1/x", "redis://:secret@h:x", "unix://"} {
		_, err := Open(redisconn.At(url))
		if err == nil {
			t.Errorf("%q is taken", url)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
	}
}

// Whoever asks while Redis is away gets an error, in time.
func TestAskingWithoutRedis(t *testing.T) {
	t.Parallel()
	c := open(t, redisconn.At("redis://127.0.0.1:1/0"))
	began := time.Now()
	if err := c.Convert(t.Context(), "a", 0, 0); err == nil {
		t.Error("no error")
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("Ping: no error")
	}
	if _, err := c.Depth(t.Context(), Convert); err == nil {
		t.Error("Depth: no error")
	}
	if d := time.Since(began); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	const base, limit = time.Second, 30 * time.Second
	for n, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		want *= time.Second
		low, high := want, want
		for range 500 {
			d := backoff(n, base, limit)
			low, high = min(low, d), max(high, d)
			if d < want*3/4 || d > want*5/4 {
				t.Fatalf("retry %d waits %v, want %v and 25 %% at most more or less", n, d, want)
			}
		}
		if low > want*8/10 || high < want*12/10 {
			t.Errorf("retry %d waits between %v and %v only", n, low, high)
		}
	}
	for _, n := range []int{31, 32, 62, 63, 64, 1 << 30} {
		if d := backoff(n, base, limit); d < limit*3/4 || d > limit*5/4 {
			t.Errorf("retry %d waits %v", n, d)
		}
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such mailbox")
	err := fmt.Errorf("mail: %w", Stop(cause))
	if !errors.Is(err, cause) || !errors.Is(err, asynq.SkipRetry) {
		t.Errorf("%v has lost what it wraps", err)
	}
	if err.Error() != "mail: no such mailbox" {
		t.Errorf("text %q", err)
	}
	if Stop(nil) != nil {
		t.Error("Stop(nil) is an error")
	}
}
