package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/job"
)

// Handler does the work of one task: of a job, after so many attempts have been
// made. It returns nil once the job's row says what became of it, failures of the
// job included. An error means that it could not get so far (the database is down,
// the mail cannot be sent yet) and that the same task is to be run again later;
// see [Stop] and [LastTry]. A panic is logged and counts as an error.
//
// The context ends when the server has no more patience at its end, with the cause
// [ErrShutdown]; or when asynq could not extend its lease of the task, because
// Redis was away for half a minute or the process was stopped. In the second case
// the task's slot is given away at once and the task to another server soon, so a
// handler that does not stop runs beside its successor.
type Handler func(ctx context.Context, id string, attempt int) error

// ErrShutdown is the cause, as [context.Cause] tells it, of the end of a handler's
// context when its server stops.
var ErrShutdown = errors.New("the server is shutting down")

// ServerConfig sets a [Server]. The zero value is good.
type ServerConfig struct {
	// Concurrency is how many tasks run at once; 0 is 1.
	Concurrency int
	// Grace is how long running handlers may go on after the end of Run's context
	// before their own contexts end; 0 is 20 seconds, negative is no time.
	Grace time.Duration
	// LastWords is how long handlers may take to return after that; 0 is 5
	// seconds. The time that a process has for its end must be above Grace +
	// LastWords + 5 seconds, for Redis may not answer.
	LastWords time.Duration
	// Poll is how often an idle server asks for work that nobody has told it of: what
	// was due later, and what has been handed back. 0 is 500 ms.
	Poll time.Duration
	// Backoff is the wait after the first failed try, doubled after each further
	// one up to MaxBackoff, all of it 25 % more or less; 0 is 1 second for
	// Convert and 10 seconds for Notify. Times are rounded up to whole seconds.
	Backoff time.Duration
	// MaxBackoff; 0 is 30 seconds for Convert and 1 hour for Notify.
	MaxBackoff time.Duration
	// Tries is how often a failing task is run before it is given up; 0 is no
	// bound for Convert, whose handler decides on the job's row, and 20 for
	// Notify, which is half a day. Negative is no bound. Tries that ended with
	// their process do not count.
	Tries int
	// Weights of the lanes of Convert: how often a free slot looks into each first while
	// there are tasks in others too, in proportion. A lane that is not named has 1; nil
	// is 6 for what is short, 3, and 1 for bulk. Notify has one lane.
	Weights map[job.Lane]int
	// Logger for failed tries, for the coming and going of Redis, and for asynq;
	// nil is [slog.Default].
	Logger *slog.Logger
}

func (c ServerConfig) withDefaults(kind Kind) ServerConfig {
	or := func(v *time.Duration, convert, notify time.Duration) {
		if *v == 0 {
			*v = convert
			if kind == Notify {
				*v = notify
			}
		}
	}
	or(&c.Grace, 20*time.Second, 20*time.Second)
	or(&c.LastWords, 5*time.Second, 5*time.Second)
	or(&c.Poll, 500*time.Millisecond, 500*time.Millisecond)
	or(&c.Backoff, time.Second, 10*time.Second)
	or(&c.MaxBackoff, 30*time.Second, time.Hour)
	if c.Concurrency == 0 {
		c.Concurrency = 1
	}
	if c.Weights == nil {
		c.Weights = map[job.Lane]int{job.LaneShort: 6, job.LaneDefault: 3, job.LaneBulk: 1}
	}
	if c.Tries == 0 && kind == Notify {
		c.Tries = 20
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate reports what is wrong with the settings, in words for an operator.
func (c ServerConfig) Validate() error {
	switch {
	case c.Concurrency < 0:
		return fmt.Errorf("queue: %d tasks at once; want 1 or more", c.Concurrency)
	case c.LastWords < 0, c.Backoff < 0, c.MaxBackoff < 0:
		return errors.New("queue: a time is negative")
	case !weighty(c.Weights):
		return errors.New("queue: the weight of a lane must be 1 to 1000, and the lane one of ours")
	case c.Poll < 0, c.Poll > 0 && c.Poll < time.Millisecond:
		return fmt.Errorf("queue: asking every %v; want 1 ms or more", c.Poll)
	}
	return nil
}

func weighty(weights map[job.Lane]int) bool {
	for lane, w := range weights {
		if w < 1 || w > 1000 || !slices.Contains(job.Lanes(), lane) {
			return false
		}
	}
	return true
}

// Server runs the tasks of one kind.
type Server struct {
	opt     *redis.Options
	kind    Kind
	cfg     ServerConfig
	handler Handler
}

// NewServer makes a server for the tasks of one kind. It does not connect.
func NewServer(at redisconn.Address, kind Kind, cfg ServerConfig, handler Handler) (*Server, error) {
	opt, err := options(at)
	if err != nil {
		return nil, err
	}
	if !kind.valid() {
		return nil, fmt.Errorf("queue: there is no kind %q", kind)
	}
	if handler == nil {
		return nil, errors.New("queue: a server needs a handler")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Server{opt: opt, kind: kind, cfg: cfg.withDefaults(kind), handler: handler}, nil
}

// Run does tasks until ctx is done. Then it takes no more, gives running handlers
// Grace, ends their contexts, gives them LastWords, and hands what is left back to
// the queue, where it does not count as a failed try. It returns nil, or an error
// if handlers were still running.
//
// Redis may be away at the start, at the end and in between: Run goes on when it is
// back, and its data may be lost.
//
// Tasks of a process that died are taken over when their lease of 30 seconds has
// been over for another 30: by a server that starts at once, else within a minute.
func (s *Server) Run(ctx context.Context) error {
	wireCtx, cut := context.WithCancel(context.Background())
	defer cut()
	redisHealth := &health{log: s.cfg.Logger}
	tasks := newIdle(s.kind, s.cfg.Poll, ctx.Done())
	w := wire{wireCtx, redisHealth, tasks}
	rdb := redis.NewClient(w.options(s.opt))
	rdb.AddHook(w)
	tasks.look(wireCtx, rdb, s.kind)
	defer rdb.Close()

	// As long as nothing has begun, the end may cut off a Redis that hangs.
	keep := context.AfterFunc(ctx, cut)
	if !await(ctx, rdb, redisHealth) || !keep() {
		return nil
	}
	r := newRun(s)
	defer r.end()
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency:              s.cfg.Concurrency,
		Queues:                   s.queues(),
		TaskCheckInterval:        time.Millisecond, // the wire waits
		DelayedTaskCheckInterval: time.Second,
		// Handlers had their time before asynq's shutdown begins. What still
		// holds a task then is pushed back.
		ShutdownTimeout: 100 * time.Millisecond,
		RetryDelayFunc:  s.retryDelay,
		// A try that ended with its process is no failure of the task.
		IsFailure:    func(err error) bool { return err != nil && !errors.Is(err, asynq.ErrLeaseExpired) },
		ErrorHandler: asynq.ErrorHandlerFunc(s.report),
		Logger:       asynqLog{s.cfg.Logger.With("from", "asynq"), redisHealth},
		LogLevel:     asynq.InfoLevel,
	})
	if err := server.Start(asynq.HandlerFunc(r.process)); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	tasks.listen(ctx, rdb, s.kind)
	<-ctx.Done()
	return r.shutdown(server, cut)
}

// await waits until Redis answers; false if ctx ends before.
func await(ctx context.Context, rdb *redis.Client, h *health) bool {
	for ctx.Err() == nil {
		err := rdb.Ping(ctx).Err()
		if ctx.Err() != nil {
			break
		}
		h.report(err)
		if err == nil {
			return true
		}
		// The wire has paused.
	}
	return false
}

// queues are asynq's queues with their weights. asynq draws lots, so that none starves.
func (s *Server) queues() map[string]int {
	weights := map[string]int{}
	for _, queue := range s.kind.queues() {
		weights[queue] = 1
	}
	if s.kind == Convert {
		for lane, w := range s.cfg.Weights {
			weights[s.kind.queue(lane)] = w
		}
	}
	return weights
}

func (s *Server) retryDelay(retries int, _ error, _ *asynq.Task) time.Duration {
	now := time.Now()
	return wholeSecond(now.Add(backoff(retries, s.cfg.Backoff, s.cfg.MaxBackoff))).Sub(now)
}

// call runs the handler. It logs a panic, the one place that knows the stack, and
// turns it into an error, whose text asynq keeps in Redis.
func (s *Server) call(ctx context.Context, id string, attempt int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Logger.Error("handler panicked", "kind", string(s.kind), "job", id, "attempt", attempt,
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return s.handler(ctx, id, attempt)
}
