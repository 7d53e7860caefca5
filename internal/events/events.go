// Package events spreads the word that a job has changed, over Redis' publish and
// subscribe: a hint to look at the job's row again, and no more. Hints can be lost,
// repeated and out of order.
//
//	bus, err := events.Open(redisconn.At("redis://localhost:6379/0"))
//	err = bus.Publish(ctx, id)
//
//	err = bus.Subscribe(ctx, func(id string) { ... }) // elsewhere, until ctx ends
package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

// Channel is the name of the channel in Redis. Channels are shared by all the
// databases of a Redis.
const Channel = "mp3lathe:jobs"

const (
	// publishTimeout bounds a hint: it is not worth a wait.
	publishTimeout = 200 * time.Millisecond
	// maxPending is how many ids a slow subscriber may have outstanding before
	// they become one "anything".
	maxPending = 1024
)

// Bus publishes and subscribes. It is safe for use by many goroutines.
type Bus struct{ rdb *redis.Client }

// Open makes a bus. It does not connect. Close it at the end.
func Open(at redisconn.Address) (*Bus, error) {
	opt, err := at.Options()
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	opt.MaxRetries = 1 // for a connection that died idle
	return &Bus{redis.NewClient(opt)}, nil
}

// Publish says that a job has changed. It waits at most 200 ms for Redis; whoever
// does not hear of it finds out when he looks next, so an error is for the log at
// most.
func (b *Bus) Publish(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := b.rdb.Publish(ctx, Channel, id).Err(); err != nil {
		return fmt.Errorf("events: publish %s: %w", id, err)
	}
	return nil
}

// Subscribe calls fn with the id of each job that has changed, and with "" when any
// may have: at the start, after the connection was lost and is back, and when fn has
// fallen behind by a thousand jobs. Several changes of a job may come as one. fn is
// called by one goroutine, in no order.
//
// Subscribe connects again by itself, for as long as it takes, and returns when ctx
// ends, with its error. It is used once per process, not once per listener.
func (b *Bus) Subscribe(ctx context.Context, fn func(id string)) error {
	p := b.rdb.Subscribe(ctx, Channel)
	in := p.ChannelWithSubscriptions()

	// What comes in is taken at once, whatever fn does: a subscriber that does not
	// read holds up an embedded Redis as a whole.
	pending := make(map[string]struct{})
	out := make(chan map[string]struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ids := range out {
			if _, any := ids[""]; any {
				fn("")
				continue
			}
			for id := range ids {
				fn(id)
			}
		}
	}()
	defer func() {
		_ = p.Close()
		close(out)
		<-done
	}()
	for {
		send := out
		if len(pending) == 0 {
			send = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case send <- pending:
			pending = make(map[string]struct{})
		case m, ok := <-in:
			if !ok {
				return errors.New("events: the bus is closed")
			}
			switch m := m.(type) {
			case *redis.Subscription:
				pending[""] = struct{}{}
			case *redis.Message:
				if len(pending) >= maxPending {
					pending = map[string]struct{}{"": {}}
				}
				pending[m.Payload] = struct{}{}
			}
		}
	}
}

// Close lets go of the connections and ends subscriptions.
func (b *Bus) Close() error { return b.rdb.Close() }
