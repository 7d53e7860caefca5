package queue

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"
)

// Stop wraps an error of a handler to say that trying again is no use: the task is
// given up. nil stays nil.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return stopped{err}
}

type stopped struct{ error }

func (s stopped) Unwrap() []error { return []error{s.error, asynq.SkipRetry} }

type lastTryKey struct{}

// LastTry reports, within a handler, whether its task is given up if it fails this
// time. It is never so if the tries are not bounded.
func LastTry(ctx context.Context) bool {
	last, _ := ctx.Value(lastTryKey{}).(bool)
	return last
}

// backoff is how long to wait after a failed try: base doubled n times up to a
// limit, a quarter more or less, so that what failed together does not come back
// together.
func backoff(n int, base, limit time.Duration) time.Duration {
	d := limit
	if n < 32 && base<<n>>n == base {
		d = min(base<<n, limit)
	}
	return d*3/4 + rand.N(d/2+1)
}
