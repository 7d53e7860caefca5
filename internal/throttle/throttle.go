// Package throttle makes those wait who try too often: the first tries of a key are
// free, each further one is followed by a wait, which doubles. It counts in Redis, for
// all processes at once, and in memory as long as Redis cannot be reached.
//
//	l, err := throttle.Open(redisconn.At("redis://localhost:6379/0"), logger)
//	...
//	wait := l.Take(ctx, throttle.Key{Name: "login " + user, Rule: rule})
//	if wait > 0 {
//		// Not now.
//	}
//	...
//	l.Forget(ctx, key) // it was right, in the end
package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

// Rule says how often something may be tried.
type Rule struct {
	// Free tries cost nothing.
	Free int
	// Base is the wait after the first that does. It doubles with each further one, up
	// to Max. Both are counted in milliseconds.
	Base, Max time.Duration
	// Memory is how long after the last try all of them are forgotten. It is longer
	// than Max.
	Memory time.Duration
}

// wait after the nth try, from 1.
func (r Rule) wait(n int) time.Duration {
	if n <= r.Free {
		return 0
	}
	return min(r.Base<<min(n-r.Free-1, 30), r.Max)
}

// Key is something that is tried, and how often it may be.
type Key struct {
	// Name of any form and length; Redis gets a hash of it.
	Name string
	Rule Rule
}

func (k Key) id() string {
	sum := sha256.Sum256([]byte(k.Name))
	return "mp3lathe:throttle:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

const (
	// redisTimeout is how long anybody waits for Redis.
	redisTimeout = 300 * time.Millisecond
	// rest is how long Redis is not asked after it did not answer.
	rest = 5 * time.Second
)

// Limiter counts tries. Its methods may be called at the same time.
type Limiter struct {
	rdb     *redis.Client // nil: memory alone
	logger  *slog.Logger
	memory  memory
	timeout time.Duration // of Redis

	mu    sync.Mutex
	until time.Time // Redis is not asked before
	down  bool
}

// New returns a limiter that counts in the memory of this process.
func New() *Limiter { return &Limiter{logger: slog.New(slog.DiscardHandler), timeout: redisTimeout} }

// Open returns a limiter that counts in a Redis. It does not connect. Close it at the
// end. A nil logger logs nothing.
func Open(at redisconn.Address, logger *slog.Logger) (*Limiter, error) {
	opt, err := at.Options()
	if err != nil {
		return nil, fmt.Errorf("throttle: %w", err)
	}
	opt.MaxRetries = 1 // for a connection that died idle
	l := New()
	l.rdb = redis.NewClient(opt)
	if logger != nil {
		l.logger = logger
	}
	return l, nil
}

// Ping reports whether Redis answers.
func (l *Limiter) Ping(ctx context.Context) error {
	if l.rdb == nil {
		return nil
	}
	if err := l.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("throttle: %w", err)
	}
	return nil
}

// Close lets go of the connections.
func (l *Limiter) Close() error {
	if l.rdb == nil {
		return nil
	}
	return l.rdb.Close()
}

// take: for each key the number that are free, the base, the most and the memory, in
// milliseconds. If one has to wait nothing is counted.
var take = redis.NewScript(`
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local wait = 0
for _, key in ipairs(KEYS) do
	local next = tonumber(redis.call('HGET', key, 'next') or '0')
	if next - now > wait then wait = next - now end
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
	local free, base, most, memory = tonumber(ARGV[4*i-3]), tonumber(ARGV[4*i-2]), tonumber(ARGV[4*i-1]), ARGV[4*i]
	local n = redis.call('HINCRBY', key, 'n', 1)
	if n > free then
		redis.call('HSET', key, 'next', string.format('%.0f', now + math.min(base * 2 ^ math.min(n - free - 1, 30), most)))
	end
	redis.call('PEXPIRE', key, memory)
end
return 0`)

// undo takes back the last try of each key.
var undo = redis.NewScript(`
for _, key in ipairs(KEYS) do
	if redis.call('EXISTS', key) == 1 then
		if redis.call('HINCRBY', key, 'n', -1) <= 0 then
			redis.call('DEL', key)
		else
			redis.call('HDEL', key, 'next')
		end
	end
end
return 0`)

// Take counts a try of all keys and returns 0, or, if one of them has to wait, counts
// none and returns for how long. Of many at the same time no more get through than the
// rules allow.
func (l *Limiter) Take(ctx context.Context, keys ...Key) time.Duration {
	args := make([]any, 0, 4*len(keys))
	for _, k := range keys {
		args = append(args, k.Rule.Free, k.Rule.Base.Milliseconds(), k.Rule.Max.Milliseconds(), k.Rule.Memory.Milliseconds())
	}
	if ms, ok := l.run(ctx, take, keys, args...); ok {
		return time.Duration(ms) * time.Millisecond
	}
	return l.memory.take(keys)
}

// Undo takes back the last try of each key: it was none of those that are to be counted.
func (l *Limiter) Undo(ctx context.Context, keys ...Key) {
	if _, ok := l.run(ctx, undo, keys); !ok {
		l.memory.undo(keys)
	}
}

// forget removes keys.
var forget = redis.NewScript(`return redis.call('DEL', unpack(KEYS))`)

// Forget forgets all tries of each key.
func (l *Limiter) Forget(ctx context.Context, keys ...Key) {
	if _, ok := l.run(ctx, forget, keys); !ok {
		l.memory.forget(keys)
	}
}

// run runs a script in Redis. ok is false if that is not to be had.
func (l *Limiter) run(ctx context.Context, script *redis.Script, keys []Key, args ...any) (n int64, ok bool) {
	if l.rdb == nil || len(keys) == 0 {
		return 0, false
	}
	l.mu.Lock()
	resting := time.Now().Before(l.until)
	l.mu.Unlock()
	if resting {
		return 0, false
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.id()
	}
	// Whoever hangs up is counted all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	n, err := script.Run(ctx, l.rdb, ids, args...).Int64()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.until = time.Now().Add(rest)
	}
	if down := err != nil; down != l.down {
		l.down = down
		if down {
			l.logger.WarnContext(ctx, "tries are counted in memory, by each process for itself: Redis does not answer", "error", err)
		} else {
			l.logger.InfoContext(ctx, "tries are counted in Redis again")
		}
	}
	return n, err == nil
}
