package rate

import (
	"sync"
	"time"
)

// local counts within one process, as the script does in Redis.
type local struct {
	now func() time.Time

	mu     sync.Mutex
	full   map[string]time.Time // when all that was taken is given back
	forgot time.Time            // when what is over was forgotten last
}

// forgetEvery is how often that is done.
const forgetEvery = time.Minute

func newLocal(now func() time.Time) *local {
	return &local{now: now, full: map[string]time.Time{}, forgot: now()}
}

func (l *local) take(key string, interval, burst time.Duration) (ok bool, taken time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.forgot) > forgetEvery {
		for k, full := range l.full {
			if full.Before(now) {
				delete(l.full, k)
			}
		}
		l.forgot = now
	}
	full := l.full[key]
	if full.Before(now) || full.After(now.Add(burst)) {
		full = now
	}
	if full.Add(interval).After(now.Add(burst)) {
		return false, full.Sub(now)
	}
	l.full[key] = full.Add(interval)
	return true, l.full[key].Sub(now)
}
