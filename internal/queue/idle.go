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
	empty   map[any]bool  // those of the lists that had nothing when last asked for
}

func newIdle(kind Kind, most time.Duration, stop <-chan struct{}) *idle {
	i := &idle{pending: map[any]bool{}, empty: map[any]bool{}, most: most, stop: stop, news: make(chan struct{}, 1)}
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

// asks tells the list of which a command asks for the next task, nil if it is none of
// asynq's questions for one: the script whose first key is such a list. asynq asks one
// queue after the other, in an order that it draws each time, until one has a task. It
// begins anew after an error, such as of a Redis that does not know the script yet, so
// that it does not do to count its questions.
func (i *idle) asks(cmd redis.Cmder) (list any) {
	args := cmd.Args()
	if len(args) > 3 && cmd.Name() == "evalsha" && i.pending[args[3]] {
		return args[3]
	}
	return nil
}

// answered takes note of the answer: whether there was nothing in the list.
func (i *idle) answered(list any, empty bool) {
	if empty {
		i.empty[list] = true
		return
	}
	clear(i.empty)
}

// wait waits until it is worth asking, or returns false if the server is to stop.
func (i *idle) wait() bool {
	if len(i.empty) < len(i.pending) {
		return true
	}
	clear(i.empty) // all are asked again
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
