package embedded

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, s *RedisServer) *redis.Client {
	t.Helper()
	opt, err := s.Address().Options()
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedis(t *testing.T) {
	t.Parallel()
	s := Redis()
	t.Cleanup(s.Close)
	// Keys expire, those with a point in time too.
	c := client(t, s)
	ctx := context.Background()
	c.Set(ctx, "stays", 1, 0)
	c.Set(ctx, "later", 1, time.Hour)
	c.Set(ctx, "span", 1, 500*time.Millisecond)
	c.Set(ctx, "point", 1, 0)
	if err := c.ExpireAt(ctx, "point", time.Now().Add(time.Second)).Err(); err != nil {
		t.Fatal(err)
	}
	if now, err := c.Time(ctx).Result(); err != nil || time.Since(now).Abs() > 5*time.Second {
		t.Errorf("its clock says %v (%v)", now, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n, err := c.Exists(ctx, "span", "point").Result()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("keys do not expire")
		}
	}
	if n := c.Exists(ctx, "stays", "later").Val(); n != 2 {
		t.Errorf("of the keys that stay %d are there", n)
	}
	if left := c.TTL(ctx, "later").Val(); left > time.Hour-time.Second/2 || left < time.Hour-time.Minute {
		t.Errorf("an hour has become %v", left)
	}
}

// A script that collects as much as the largest of asynq's does.
func TestLargeScript(t *testing.T) {
	t.Parallel()
	s := Redis()
	t.Cleanup(s.Close)
	c := client(t, s)
	ctx := context.Background()
	for i := range 2000 {
		if err := c.RPush(ctx, "list", i).Err(); err != nil {
			t.Fatal(err)
		}
	}
	n, err := c.Eval(ctx, `
		local all = redis.call("LRANGE", KEYS[1], 0, -1)
		local res = {}
		for _, id in ipairs(all) do
			redis.call("HSET", "h:" .. id, "state", "pending", "msg", ARGV[1])
			table.insert(res, id)
		end
		return #res`, []string{"list"}, string(make([]byte, 100<<10))).Int()
	if err != nil || n != 2000 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTwoServersAndClose(t *testing.T) {
	t.Parallel()
	a, b := Redis(), Redis()
	t.Cleanup(b.Close)
	c, other := client(t, a), client(t, b)
	if err := c.Set(t.Context(), "a", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := other.Exists(t.Context(), "a").Result(); err != nil || n != 0 {
		t.Errorf("two servers are one: %d, %v", n, err)
	}
	a.Close()
	a.Close()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("it answers after Close")
	}
	if err := other.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

// TestPipeline: a client that reads nothing until it has sent all is served.
func TestPipeline(t *testing.T) {
	t.Parallel()
	s := Redis()
	t.Cleanup(s.Close)
	c := client(t, s)
	value := strings.Repeat("x", 1000)
	answers, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range 1000 {
			p.Set(t.Context(), strconv.Itoa(i), value, 0)
			p.Get(t.Context(), strconv.Itoa(i))
		}
		return nil
	})
	if err != nil || len(answers) != 2000 {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for i, a := range answers {
		if get, ok := a.(*redis.StringCmd); ok && get.Val() != value {
			t.Fatalf("answer %d is %.20q", i, get.Val())
		}
	}
}

// TestSlowSubscriber: who does not read what is published keeps nobody waiting.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	s := Redis()
	t.Cleanup(s.Close)
	c := client(t, s)
	sub := c.Subscribe(t.Context(), "a")
	t.Cleanup(func() { sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := c.Publish(t.Context(), "a", i).Err(); err != nil {
			t.Fatalf("word %d: %v", i, err)
		}
	}
	for i := range 1000 {
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil || m.Payload != strconv.Itoa(i) {
			t.Fatalf("word %d: %v, %v", i, m, err)
		}
	}
}
