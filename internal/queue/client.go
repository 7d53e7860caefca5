package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/job"
)

// Kind of a task. Each kind has a queue of its own, and Convert one for each lane.
type Kind string

// The kinds.
const (
	// Convert is an attempt at a job.
	Convert Kind = "convert"
	// Notify is a mail about the end of a job.
	Notify Kind = "notify"
)

func (k Kind) valid() bool { return k == Convert || k == Notify }

// queue is asynq's name of the queue of a kind's lane. Notify has the default one.
func (k Kind) queue(lane job.Lane) string {
	if lane == job.LaneDefault {
		return string(k)
	}
	return string(k) + "-" + string(lane)
}

// queues are the names of all queues of a kind.
func (k Kind) queues() []string {
	if k == Notify {
		return []string{k.queue(job.LaneDefault)}
	}
	var names []string
	for _, lane := range job.Lanes() {
		names = append(names, k.queue(lane))
	}
	return names
}

const (
	// taskTimeout is asynq's bound of one run, which gives the slot away and
	// leaves the handler running. Handlers bound themselves, far below it.
	taskTimeout = 24 * time.Hour
	// maxRetry is asynq's bound of retries. The server has its own.
	maxRetry = 1 << 30
)

// Client asks for work. It is safe for use by many goroutines.
type Client struct {
	rdb       *redis.Client
	inspector *asynq.Inspector
}

// Open makes a client. It does not connect, so that a service starts without Redis;
// see [Client.Ping]. Close it at the end.
func Open(at redisconn.Address) (*Client, error) {
	opt, err := options(at)
	if err != nil {
		return nil, err
	}
	rdb := redis.NewClient(opt)
	return &Client{rdb: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb)}, nil
}

// CheckURL reports that a URL is none that [Open] takes. It does not connect.
func CheckURL(redisURL string) error {
	_, err := options(redisconn.At(redisURL))
	return err
}

func options(at redisconn.Address) (*redis.Options, error) {
	opt, err := at.Options()
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return opt, nil
}

// Convert is [Client.ConvertIn] by the default lane.
func (c *Client) Convert(ctx context.Context, id string, attempt int, after time.Duration) error {
	return c.ConvertIn(ctx, job.LaneDefault, id, attempt, after)
}

// ConvertIn asks for an attempt at a job, by a lane, not before a time from now. attempt is how
// many have been made so far: 0 for a new job. It is nil if the task is there
// already, waiting or running, so it may be asked for again and again; one that
// waits for a later time than asked for now is brought forward. A dead task of the
// same name is replaced. A job is always asked for by the same lane.
//
// Times are those of Redis' clients and count in whole seconds: a task with after >
// 0 starts up to two and a half seconds late and never early.
func (c *Client) ConvertIn(ctx context.Context, lane job.Lane, id string, attempt int, after time.Duration) error {
	if !slices.Contains(job.Lanes(), lane) {
		return fmt.Errorf("queue: there is no lane %q", lane)
	}
	return c.put(ctx, Convert, lane, id, attempt, after)
}

// Notify asks for the mail about the end of a job's attempt. It repeats as well as
// [Client.Convert] does.
func (c *Client) Notify(ctx context.Context, id string, attempt int) error {
	return c.put(ctx, Notify, job.LaneDefault, id, attempt, 0)
}

func (c *Client) put(ctx context.Context, kind Kind, lane job.Lane, id string, attempt int, after time.Duration) error {
	if id == "" || strings.Contains(id, ":") || attempt < 0 {
		return fmt.Errorf("queue: %q, attempt %d cannot be the name of a task", id, attempt)
	}
	at := time.Now()
	if after > 0 {
		at = wholeSecond(at.Add(after))
	}
	name, queue := taskName(kind, id, attempt), kind.queue(lane)
	opts := []asynq.Option{
		asynq.Queue(queue), asynq.TaskID(name), asynq.MaxRetry(maxRetry),
		asynq.Timeout(taskTimeout), asynq.Retention(0), asynq.ProcessAt(at),
	}
	var err error
	// A task of that name can change its state while we look, a few times at most.
	for range 5 {
		// asynq announces the queue in Redis once per client, and would not know
		// that Redis has lost it. So each call has a client, which costs one more
		// round trip and no connection.
		_, err = asynq.NewClientFromRedisClient(c.rdb).
			EnqueueContext(ctx, asynq.NewTask(string(kind), []byte(id)), opts...)
		if !errors.Is(err, asynq.ErrTaskIDConflict) {
			break
		}
		var there bool
		if there, err = c.present(queue, name, at); there || err != nil {
			break
		}
		err = errors.New("its task does not stay in one state")
	}
	if err != nil {
		return fmt.Errorf("queue: %s %s: %w", kind, name, err)
	}
	if after <= 0 {
		// A word that is lost costs the task a server's Poll, no more.
		_ = c.rdb.Publish(ctx, channel(kind), "").Err()
	}
	return nil
}

// present reports whether a task waits or runs that fits what is asked for. What
// does not fit is removed.
func (c *Client) present(queue, name string, at time.Time) (bool, error) {
	info, err := c.inspector.GetTaskInfo(queue, name)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return false, nil // it has just ended
	case err != nil:
		return false, err
	}
	switch info.State {
	case asynq.TaskStateArchived, asynq.TaskStateCompleted:
	case asynq.TaskStateScheduled:
		if !info.NextProcessAt.After(at) {
			return true, nil
		}
	default:
		return true, nil
	}
	// It fails if the task has become active or has gone; the next look tells.
	_ = c.inspector.DeleteTask(queue, name)
	return false, nil
}

// Ping reports whether Redis answers.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("queue: redis: %w", err)
	}
	return nil
}

// Depth is how many tasks of a kind there are.
type Depth struct {
	// Pending tasks could run now, Active ones do.
	Pending, Active int
	// Scheduled tasks wait for their time, Retry ones for their next try.
	Scheduled, Retry int
	// Archived tasks have been given up.
	Archived int
	// Oldest is for how long the next pending task has waited; 0 if there is none
	// or if it has been handed back by a server that stopped.
	Oldest time.Duration
}

// Depth counts the tasks of a kind, in all lanes, for metrics. A queue that nobody has used yet
// has none.
func (c *Client) Depth(ctx context.Context, kind Kind) (Depth, error) {
	if err := ctx.Err(); err != nil {
		return Depth{}, fmt.Errorf("queue: depth of %s: %w", kind, err)
	}
	var d Depth
	for _, queue := range kind.queues() {
		info, err := c.inspector.GetQueueInfo(queue)
		if err != nil {
			// asynq tells a queue that does not exist by an error of an internal type.
			if names, e := c.inspector.Queues(); e == nil && !slices.Contains(names, queue) {
				continue
			}
			return Depth{}, fmt.Errorf("queue: depth of %s: %w", kind, err)
		}
		d.Pending += info.Pending
		d.Active += info.Active
		d.Scheduled += info.Scheduled
		d.Retry += info.Retry
		d.Archived += info.Archived
		d.Oldest = max(d.Oldest, info.Latency)
	}
	return d, nil
}

// Close lets go of the connections. The client cannot be used after that.
func (c *Client) Close() error { return c.rdb.Close() }

// taskName is asynq's id of a task. Attempts do not share one: a dead task keeps
// its name taken.
func taskName(kind Kind, id string, attempt int) string {
	name := id + ":" + strconv.Itoa(attempt)
	if kind == Notify {
		name = "notify:" + name
	}
	return name
}

// attemptOf reads the attempt from the name of a job's task.
func attemptOf(kind Kind, id, name string) (int, error) {
	attempt, err := strconv.Atoi(name[strings.LastIndexByte(name, ':')+1:])
	if err != nil || name != taskName(kind, id, attempt) {
		return 0, fmt.Errorf("queue: the task %q of job %q is not one of ours", name, id)
	}
	return attempt, nil
}

// wholeSecond rounds up, since asynq keeps times in seconds and rounds down.
func wholeSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Before(t) {
		return whole.Add(time.Second)
	}
	return t
}
