package gateway

import (
	"context"
	"sync"
	"time"
)

const (
	// pulseAge is how long a look at a part is good.
	pulseAge = time.Second
	// pulseWait is how long it may take to answer.
	pulseWait = 2 * time.Second
)

// pulse looks whether a part is there, not more often than once in a while, for those who
// would otherwise take an upload in vain.
type pulse struct {
	ping func(context.Context) error

	mu  sync.Mutex
	at  time.Time
	err error
}

func (p *pulse) look(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < pulseAge {
		return p.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pulseWait)
	defer cancel()
	p.err = p.ping(ctx)
	p.at = time.Now()
	return p.err
}
