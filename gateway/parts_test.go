package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/events"
	"github.com/mp3lathe/mp3lathe/internal/fair"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/job"
)

// TestRealParts: with the real queue and hints, a worker's word reaches a stream at
// another gateway at once, and the job the queue; and without Redis uploads are
// still taken.
func TestRealParts(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	at := redisconn.At("redis://" + redis.Addr())
	q, err := queue.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	bus, err := events.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOf(t, func(c *gateway.Config) { c.Poll = time.Hour }, func(d *gateway.Deps) {
		d.Queue, d.Hints = fair.NewQueue(q, fair.NewTurns(d.Jobs.(faulty).store.(*jobstore.Store), q, d.Logger)), bus
	})
	t.Cleanup(func() { // after the gateway has ended, which uses them
		if err := errors.Join(q.Close(), bus.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { r.stop(); <-r.ended })
	id := r.newJob(t, "alice").ID
	if keys := redis.Keys(); len(keys) == 0 {
		t.Error("nothing is in the queue")
	}
	l := r.listen(t, id, "alice", "")
	l.next(t)
	eventually(t, "the gateway listens", func() bool { return redis.PubSubNumSub(events.Channel)[events.Channel] > 0 })
	r.claim(t, id)
	if err := bus.Publish(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if e := l.next(t); e.job.State != job.Running {
		t.Errorf("%+v", e)
	}
	redis.Close()
	began := time.Now()
	r.newJob(t, "alice")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an upload without Redis took %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = bus.Publish(ctx, id)
}
