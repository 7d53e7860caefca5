// Package embedded holds servers that run inside the process, for a system that
// needs nothing else installed.
package embedded

import (
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	lua "github.com/yuin/gopher-lua"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

// RedisServer is a Redis in this process, for this process: its connections are
// pipes, and no port is open. Its data is in memory and gone with it: the rows of
// jobs are the truth, and the sweeper asks again at the start for what waits.
type RedisServer struct {
	redis *miniredis.Miniredis
	quit  chan struct{}
	done  sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// Each run of a script has a Lua of its own, whose stacks miniredis leaves at
// gopher-lua's defaults: 100 KiB to be cleared for scripts of ten lines.
func init() { lua.RegistrySize, lua.CallStackSize = 1024, 64 }

// tick is how often keys expire.
const tick = time.Second

// Redis starts a server. Close ends it.
func Redis() *RedisServer {
	s := &RedisServer{redis: miniredis.NewMiniRedis(), quit: make(chan struct{})}
	s.done.Go(s.age)
	return s
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

// Address of the server.
func (s *RedisServer) Address() redisconn.Address { return redisconn.Address{Dial: s.dial} }

func (s *RedisServer) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	if s.redis.Server() == nil {
		// The first Dial starts it, without a port. Its own pipe holds nothing back,
		// so that a reader who is late would keep all others waiting: unused.
		first, err := s.redis.Dial()
		if err != nil {
			return nil, err
		}
		first.Close()
	}
	here, there := pipe()
	s.redis.Server().ServeConn(there)
	return here, nil
}

// Close ends the server and its connections. Close may be called again.
func (s *RedisServer) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.quit)
	s.done.Wait()
	s.redis.Close()
}
