// Package embedded holds servers that run inside the process, for a system that
// needs nothing else installed.
package embedded

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// RedisServer is a Redis in this process, on a port of loopback that is protected by
// a password, for other users of the machine reach the port too. Its data is in
// memory and gone with it: the rows of jobs are the truth, and the sweeper asks
// again at the start for what waits.
type RedisServer struct {
	redis    *miniredis.Miniredis
	password string
	quit     chan struct{}
	done     sync.WaitGroup
	once     sync.Once
}

// tick is how often keys expire.
const tick = time.Second

// Redis starts a server. Close ends it.
func Redis() (*RedisServer, error) {
	s := &RedisServer{redis: miniredis.NewMiniRedis(), password: rand.Text(), quit: make(chan struct{})}
	s.redis.RequireAuth(s.password)
	if err := s.redis.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	s.done.Go(s.age)
	return s, nil
}

// age lets keys expire, which miniredis does not do by itself. Its ClockTTL would,
// but sorts all keys at each access of any: too much when thousands of jobs wait.
// Its clock for TIME and EXPIREAT is the machine's as long as nobody sets it.
func (s *RedisServer) age() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-s.quit:
			return
		case <-ticker.C:
		}
		now := time.Now()
		s.redis.FastForward(now.Sub(last))
		last = now
	}
}

// URL of the server, password included: not for logs.
func (s *RedisServer) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", s.password), Host: s.redis.Addr(), Path: "/0"}
	return u.String()
}

// Close ends the server and its connections. Close may be called again.
func (s *RedisServer) Close() {
	s.once.Do(func() {
		close(s.quit)
		s.done.Wait()
		s.redis.Close()
	})
}
