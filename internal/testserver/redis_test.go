package testserver

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedis(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := Redis(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := s.NewURL()
	b, errB := s.NewURL()
	if err := errors.Join(errA, errB); err != nil || a == b {
		t.Fatalf("URLs %q and %q (%v)", a, b, err)
	}
	ca, cb := redisClient(t, a), redisClient(t, b)
	if err := ca.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := cb.Get(ctx, "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("databases are not apart: %v", err)
	}

	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := s.say(short, "PING"); err == nil {
		t.Error("a frozen server answers")
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := s.say(ctx, "PING"); err != nil {
		t.Error(err)
	}

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.say(ctx, "PING"); err == nil {
		t.Error("it answers after Kill")
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := ca.Get(ctx, "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("data outlived a crash: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
}
