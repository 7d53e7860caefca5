package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// ServerConfig bounds what a client may hold on to. The zero value of each field
// is a good default.
type ServerConfig struct {
	// ReadHeaderTimeout for the head of a request. Default 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout of a connection between requests. Default 2 min.
	IdleTimeout time.Duration
	// MaxHeaderBytes of the head of a request. Default 16 KiB.
	MaxHeaderBytes int
	// Grace is how long requests may go on after the shutdown has begun; negative is
	// no time. Default 30 s.
	Grace time.Duration
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.ReadHeaderTimeout == 0 {
		c.ReadHeaderTimeout = 10 * time.Second
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 2 * time.Minute
	}
	if c.MaxHeaderBytes == 0 {
		c.MaxHeaderBytes = 16 << 10
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	return c
}

// lastWords is how long a request that was cut off may take to notice.
const lastWords = 5 * time.Second

type drainKey struct{}

// Draining is closed when the server of a request begins to shut down. Answers
// without an end of their own, such as streams of events, end then. Outside of
// [Serve] it is nil, which is never closed.
func Draining(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(drainKey{}).(<-chan struct{})
	return done
}

// Serve serves h on l until ctx is done. Then it takes no more connections, lets
// the requests that are under way finish within cfg.Grace, and cuts off what is
// left, which has five seconds to tidy up. It returns nil after such an end.
func Serve(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger, cfg ServerConfig) error {
	cfg = cfg.withDefaults()
	base := context.WithValue(context.WithoutCancel(ctx), drainKey{}, ctx.Done())
	var running atomic.Int64
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Grace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		logger.Warn("requests were cut off at the end of the grace period", "grace", cfg.Grace)
		_ = srv.Close()
		// Close waits for no handler; what they use must not be closed before them.
		for end := time.Now().Add(lastWords); running.Load() > 0 && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
