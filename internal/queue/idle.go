package queue

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// idle keeps a server without work from asking for it all the time. asynq asks for
// the next task, and after a short pause again if there was none; here such a
// question waits until a client has said that there is a new task, or for a while,
// since that word can be lost, and tasks come up for other reasons too. After a while
// it is one cheap question whether there is any, and asynq's for each queue only then.
//
// asynq asks from a single goroutine.
type idle struct {
	pending map[any]bool  // the keys of the lists of waiting tasks
	any     func() bool   // whether there may be one
	most    time.Duration // to wait
	stop    <-chan struct{}
	news    chan struct{} // holds at most one
	empty   int           // so many of the last answers were, one after the other
}

func newIdle(kind Kind, most time.Duration, stop <-chan struct{}) *idle {
	i := &idle{pending: map[any]bool{}, most: most, stop: stop, news: make(chan struct{}, 1)}
	for _, queue := range kind.queues() {
		i.pending[pendingKey(queue)] = true
	}
	i.any = func() bool { return true }
	return i
}

func pendingKey(queue string) string { return "asynq:{" + queue + "}:pending" }

// look has the idle ask Redis whether any list of waiting tasks is there: they are not
// when they are empty.
func (i *idle) look(ctx context.Context, rdb *redis.Client, kind Kind) {
	var keys []string
	for _, queue := range kind.queues() {
		keys = append(keys, pendingKey(queue))
	}
	i.any = func() bool {
		n, err := rdb.Exists(ctx, keys...).Result()
		return err != nil || n > 0 // asynq's question tells what is wrong
	}
}

// asks reports whether a command is asynq's question for the next task: the script
// whose first key is the list of those that wait. asynq asks one queue after the other,
// until one has a task.
func (i *idle) asks(cmd redis.Cmder) bool {
	args := cmd.Args()
	return len(args) > 3 && cmd.Name() == "evalsha" && i.pending[args[3]]
}

// answered takes note of the answer.
func (i *idle) answered(empty bool) {
	i.empty++
	if !empty {
		i.empty = 0
	}
}

// wait waits until it is worth asking, or returns false if the server is to stop.
func (i *idle) wait() bool {
	if i.empty < len(i.pending) {
		return true
	}
	i.empty = 0 // all are asked again
	timer := time.NewTimer(i.most)
	defer timer.Stop()
	for {
		select {
		case <-i.news:
			return true
		case <-timer.C:
			if i.any() {
				return true
			}
			timer.Reset(i.most)
		case <-i.stop:
			return false
		}
	}
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
