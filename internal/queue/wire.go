package queue

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// errCut is what every use of Redis gives after the wire is cut.
var errCut = errors.New("the server has stopped")

// pause follows a failed command. asynq asks for the next task again at once after
// an error, which would turn a wrong password or a full Redis into a busy loop.
const pause = 250 * time.Millisecond

// wire is a server's way to Redis, which can be cut: all of asynq's shutdown talks
// to Redis without a bound on time, and closing the client under it makes it panic.
// It is cut when its context ends.
type wire struct {
	ctx    context.Context
	health *health
	idle   *idle
}

func (w wire) options(opt *redis.Options) *redis.Options {
	o := *opt
	dial := o.Dialer
	if dial == nil {
		dial = redis.NewDialer(&o)
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w.ctx.Err() != nil {
			return nil, errCut
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		wired := &wireConn{Conn: conn, forget: context.AfterFunc(w.ctx, func() { _ = conn.Close() })}
		if s, ok := conn.(syscall.Conn); ok {
			return &wireSocket{wireConn: wired, Conn: s}, nil
		}
		return wired, nil
	}
	return &o
}

type wireConn struct {
	net.Conn
	forget func() bool
}

func (c *wireConn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// wireSocket is a connection that is a socket, where go-redis sees whether the other
// side has closed it. (A wireConn that offered this and failed, as it would for TLS,
// would make go-redis connect anew for each command.)
type wireSocket struct {
	*wireConn
	syscall.Conn
}

// DialHook implements [redis.Hook].
func (w wire) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (w wire) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if w.ctx.Err() != nil {
			return errCut
		}
		list := w.idle.asks(cmd)
		if list != nil && !w.idle.wait() {
			return redis.Nil // the server stops
		}
		answer := next(ctx, cmd)
		if list != nil {
			w.idle.answered(list, errors.Is(answer, redis.Nil))
		}
		err := answer
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		// What Redis refuses is no sign of its coming or going.
		if refused := redis.Error(nil); !errors.As(err, &refused) && w.ctx.Err() == nil {
			w.health.report(err)
		}
		if err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			timer := time.NewTimer(pause)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			case <-w.ctx.Done():
			}
		}
		return answer
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (w wire) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
