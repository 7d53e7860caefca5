package queue

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// idle keeps a server without work from asking for it all the time. asynq asks for
// the next task, and after a short pause again if there was none; here such a
// question waits until a client has said that there is a new task, or for a while,
// since that word can be lost, and tasks come up for other reasons too.
//
// asynq asks from a single goroutine.
type idle struct {
	pending string        // the key of the list of waiting tasks
	most    time.Duration // to wait
	stop    <-chan struct{}
	news    chan struct{} // holds at most one
	empty   bool          // so was the last answer
}

func newIdle(kind Kind, most time.Duration, stop <-chan struct{}) *idle {
	return &idle{pending: "asynq:{" + string(kind) + "}:pending", most: most, stop: stop, news: make(chan struct{}, 1)}
}

// asks reports whether a command is asynq's question for the next task: the script
// whose first key is the list of those that wait.
func (i *idle) asks(cmd redis.Cmder) bool {
	args := cmd.Args()
	return len(args) > 3 && cmd.Name() == "evalsha" && args[3] == i.pending
}

// wait waits until it is worth asking, or returns false if the server is to stop.
func (i *idle) wait() bool {
	if !i.empty {
		return true
	}
	timer := time.NewTimer(i.most)
	defer timer.Stop()
	select {
	case <-i.news:
	case <-timer.C:
	case <-i.stop:
		return false
	}
	return true
}

// wake ends the wait, or the next one.
func (i *idle) wake() {
	select {
	case i.news <- struct{}{}:
	default:
	}
}

// listen wakes at the word of clients until ctx ends.
func (i *idle) listen(ctx context.Context, rdb *redis.Client, kind Kind) {
	p := rdb.Subscribe(ctx, channel(kind))
	defer p.Close()
	in := p.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-in: // a message, or the subscription, before which words were lost
			if !ok {
				return
			}
			i.wake()
		}
	}
}

// channel is where clients say that there is a new task.
func channel(kind Kind) string { return "mp3lathe:queue:" + string(kind) }
