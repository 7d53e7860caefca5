package embedded

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, u string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(u)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedis(t *testing.T) {
	t.Parallel()
	s, err := Redis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if u.Hostname() != "127.0.0.1" {
		t.Errorf("it listens on %s", u.Hostname())
	}
	password, _ := u.User.Password()
	if len(password) < 20 {
		t.Errorf("password of %d characters", len(password))
	}
	for _, userinfo := range []string{"", ":wrong@", "default:wrong@"} {
		err := client(t, fmt.Sprintf("redis://%s%s/0", userinfo, u.Host)).Get(t.Context(), "a").Err()
		if err == nil || !(strings.Contains(err.Error(), "NOAUTH") || strings.Contains(err.Error(), "WRONGPASS")) {
			t.Errorf("%q: %v", userinfo, err)
		}
	}
	// Keys expire, those with a point in time too.
	c := client(t, s.URL())
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

func TestTwoServersAndClose(t *testing.T) {
	t.Parallel()
	a, err := Redis()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Redis()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.URL() == b.URL() {
		t.Error("two servers are one")
	}
	c := client(t, a.URL())
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.Close()
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("it answers after Close")
	}
	if err := client(t, b.URL()).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}
