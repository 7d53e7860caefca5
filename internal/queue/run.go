package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// redisPatience is how long the end of a server may wait for Redis.
const redisPatience = 5 * time.Second

// run is one life of a server: it knows which handlers run, which asynq does not
// tell.
type run struct {
	server *Server

	// halt ends the handlers' contexts. asynq's own are left alone, for when one
	// of those ends asynq gives the task away at once, its handler still running.
	halt context.Context
	stop context.CancelFunc
	// over is closed when asynq has let go of all tasks.
	over chan struct{}

	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when running falls to 0, if somebody waits
}

func newRun(s *Server) *run {
	r := &run{server: s, over: make(chan struct{})}
	r.halt, r.stop = context.WithCancel(context.Background())
	return r
}

func (r *run) end() {
	r.stop()
	close(r.over)
}

// process is the handler that asynq calls.
func (r *run) process(ctx context.Context, task *asynq.Task) error {
	id := string(task.Payload())
	name, _ := asynq.GetTaskID(ctx)
	attempt, err := attemptOf(r.server.kind, id, name)
	if err != nil {
		return Stop(err)
	}
	if !r.enter() {
		return r.handBack(ErrShutdown)
	}
	retries, _ := asynq.GetRetryCount(ctx)
	tries := r.server.cfg.Tries
	last := tries > 0 && retries+1 >= tries

	inner, cancel := context.WithCancelCause(context.WithValue(ctx, lastTryKey{}, last))
	defer context.AfterFunc(r.halt, func() { cancel(ErrShutdown) })()
	err = r.server.call(inner, id, attempt)
	cancel(nil)
	r.leave()
	switch {
	case err == nil:
		return nil
	case r.halt.Err() != nil:
		return r.handBack(err)
	case last:
		return Stop(err)
	}
	return err
}

// handBack keeps an interrupted task until asynq's shutdown pushes it back to the
// queue. If asynq heard the error it would count as a failed try, and the last one
// would be the end of the task.
func (r *run) handBack(err error) error {
	<-r.over
	return err
}

func (r *run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halt.Err() != nil {
		return false
	}
	r.running++
	return true
}

func (r *run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running--
	if r.running == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// wait waits until no handler runs, but not longer than d. It returns how many run.
func (r *run) wait(d time.Duration) int {
	r.mu.Lock()
	if r.running > 0 && d > 0 {
		if r.idle == nil {
			r.idle = make(chan struct{})
		}
		idle := r.idle
		r.mu.Unlock()
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	return r.running
}

// shutdown ends asynq's server. cut makes Redis unreachable for it, so that it ends
// even if Redis hangs.
func (r *run) shutdown(server *asynq.Server, cut func()) error {
	began := time.Now()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.Stop()
	}()
	// Stop waits for a request to Redis that is on its way, which may bring one
	// more task.
	select {
	case <-stopped:
	case <-time.After(r.server.cfg.Grace):
	}
	r.wait(r.server.cfg.Grace - time.Since(began))

	r.mu.Lock()
	r.stop()
	r.mu.Unlock()
	left := r.wait(r.server.cfg.LastWords)

	timer := time.AfterFunc(redisPatience, cut)
	server.Shutdown()
	timer.Stop()
	<-stopped
	if left > 0 {
		return fmt.Errorf("queue: %d handlers did not return in time; their tasks are back in the queue", left)
	}
	return nil
}
