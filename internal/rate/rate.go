// Package rate limits how often somebody may do something, over all processes of a
// fleet: by the generic cell rate algorithm, in Redis. A limit of 60 in a minute lets
// 60 through at once and then one each second.
//
//	l, err := rate.Open(redisconn.At("redis://localhost:6379/0"), logger)
//	v := l.Take(ctx, "user:"+id, rate.Limit{Requests: 60, Per: time.Minute})
//
// Nothing is lost with Redis' data but the memory of the last minute. While Redis is
// away everything is let through: to turn users away would lose more. A process that has
// its Redis inside is alone, and counts by itself: a script costs that Redis a quarter of
// a millisecond.
package rate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

const (
	// patience is how long a request waits for Redis.
	patience = 250 * time.Millisecond
	// rest is how long Redis is left alone after it has failed to answer.
	rest = time.Second
	// prefix of the keys.
	prefix = "mp3lathe:rate:"
)

// Limit is how often something may be done. The zero value is no limit.
type Limit struct {
	Requests int
	// Per is at least a microsecond for each request.
	Per time.Duration
}

// interval is the time in which one more request becomes possible.
func (l Limit) interval() time.Duration { return l.Per / time.Duration(l.Requests) }

// Verdict is the answer to [Limiter.Take].
type Verdict struct {
	Allowed bool
	// Known: it was counted. Else there is no limit, or Redis is away.
	Known bool
	// Remaining is how many more would be let through at once.
	Remaining int
	// Next is when one more will be than would be now.
	Next time.Duration
}

// Limiter counts. It is safe for use by many goroutines.
type Limiter struct {
	rdb   *redis.Client // or
	local *local
	log   *slog.Logger
	until atomic.Int64 // Redis is left alone until then, in Unix nanoseconds
	gone  atomic.Bool
}

// Open makes a limiter. It does not connect. Close it at the end.
func Open(at redisconn.Address, logger *slog.Logger) (*Limiter, error) {
	if at.Dial != nil {
		return &Limiter{local: newLocal(time.Now)}, nil
	}
	opt, err := at.Options()
	if err != nil {
		return nil, fmt.Errorf("rate: %w", err)
	}
	opt.MaxRetries = 1 // for a connection that died idle
	return &Limiter{rdb: redis.NewClient(opt), log: logger}, nil
}

// Close lets go of the connections.
func (l *Limiter) Close() error {
	if l.rdb == nil {
		return nil
	}
	return l.rdb.Close()
}

// take keeps under a key the time at which all that was taken is given back, in
// microseconds by Redis' clock. It answers whether there was room, and the time from now
// to that one.
var take = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
if full < now or full > now + burst then full = now end
if full + interval > now + burst then return {0, full - now} end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil((full - now) / 1000)))
return {1, full - now}
`)

// Take counts one request of whom key names, unless it goes beyond the limit.
func (l *Limiter) Take(ctx context.Context, key string, limit Limit) Verdict {
	if limit.Requests <= 0 || time.Now().UnixNano() < l.until.Load() {
		return Verdict{Allowed: true}
	}
	interval := max(limit.interval(), time.Microsecond)
	burst := interval * time.Duration(limit.Requests)
	if l.local != nil {
		ok, taken := l.local.take(key, interval, burst)
		return verdict(ok, taken, interval, burst)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := take.Run(ctx, l.rdb, []string{prefix + key}, interval.Microseconds(), burst.Microseconds()).Int64Slice()
	if err == nil && len(answer) != 2 {
		err = fmt.Errorf("the script answers %v", answer)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return Verdict{Allowed: true} // the client has gone, which says nothing of Redis
	}
	if err != nil {
		l.until.Store(time.Now().Add(rest).UnixNano())
		if l.gone.CompareAndSwap(false, true) {
			l.log.Warn("requests are not counted: redis does not answer", "error", err)
		}
		return Verdict{Allowed: true}
	}
	if l.gone.CompareAndSwap(true, false) {
		l.log.Info("requests are counted again")
	}
	return verdict(answer[0] == 1, time.Duration(answer[1])*time.Microsecond, interval, burst)
}

// verdict tells of a request that was counted. taken is the time in which all is given
// back.
func verdict(allowed bool, taken, interval, burst time.Duration) Verdict {
	v := Verdict{Allowed: allowed, Known: true, Remaining: int((burst - taken) / interval)}
	// The unit that comes back next is the one that was begun to be given back.
	if v.Next = taken % interval; v.Next == 0 && taken > 0 {
		v.Next = interval
	}
	return v
}
