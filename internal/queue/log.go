package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/hibiken/asynq"
)

// asynqLog is asynq's log in ours. asynq tells every hiccup and its own progress,
// and what matters of tasks is logged by [Server.report]: so nothing of it is more
// than a warning. While Redis is away asynq says so every second, and we once.
type asynqLog struct {
	log   *slog.Logger
	redis *health
}

func (l asynqLog) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLog) Warn(args ...any)  { l.log.Debug(fmt.Sprint(args...)) }

func (l asynqLog) Error(args ...any) {
	level := slog.LevelWarn
	if l.redis.gone.Load() {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, fmt.Sprint(args...))
}

// Fatal would end the process by asynq's habit; that is not for a library to do.
func (l asynqLog) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }

// report logs a failed try, in the one place that does.
func (s *Server) report(ctx context.Context, _ *asynq.Task, err error) {
	name, _ := asynq.GetTaskID(ctx)
	retries, _ := asynq.GetRetryCount(ctx)
	s.cfg.Logger.Warn("task failed", "task", name, "try", retries+1,
		"given_up", errors.Is(err, asynq.SkipRetry), "error", err)
}

// health logs when Redis goes and when it comes back, and nothing in between.
type health struct {
	log  *slog.Logger
	gone atomic.Bool
}

func (h *health) report(err error) {
	switch {
	case err != nil && h.gone.CompareAndSwap(false, true):
		h.log.Warn("redis does not answer", "error", err)
	case err == nil && h.gone.CompareAndSwap(true, false):
		h.log.Info("redis answers again")
	}
}
