package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/job"
)

const (
	// rollJobs is the load of TestRoll, rollEvery how many jobs end before the next node
	// is replaced.
	rollJobs, rollEvery = 200, 8
	// rollUsers is how many uploads, and how many looks at jobs, there are at a time.
	rollUsers = 6
)

// TestRoll replaces the workers and the gateway one after the other, again and again, as
// a new version is brought out, while 200 jobs are uploaded and converted. Nothing is
// lost and nothing is made twice; and since all of them end in order, no job has to wait
// until somebody misses its worker.
func TestRoll(t *testing.T) {
	t.Parallel()
	// So little patience that the ends come in the midst of jobs.
	c := newChaos(t, "MP3LATHE_GRACE=20ms", "MP3LATHE_SWEEP_INTERVAL=500ms", "MP3LATHE_RATE_USER=0", "MP3LATHE_CONCURRENCY=2")
	c.promises = c.shortLoad(rollJobs)
	began := time.Now()

	var ended atomic.Int64
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		c.carry(within(t, 3*time.Minute), c.promises, func() { ended.Add(1) })
	}()
	nodes := c.roll(loaded, &ended)
	took := time.Since(began)
	c.check(0, []string{"rolled"}, c.promises)
	c.end()
	t.Logf("%d jobs in %v, %d nodes replaced meanwhile, %d jobs handed back", len(c.promises), took.Round(100*time.Millisecond), nodes, c.again)
	if nodes < 12 || c.again == 0 {
		t.Errorf("%d nodes were replaced and %d jobs interrupted: the test has seen too little", nodes, c.again)
	}
	for _, n := range c.nodes {
		n.missedNobody()
	}
}

// carry uploads what was planned and looks at each job until it has ended.
func (c *chaos) carry(ctx context.Context, promises []*promise, ended func()) {
	uploaded := make(chan *promise, len(promises))
	var watchers sync.WaitGroup
	for range rollUsers {
		watchers.Go(func() {
			for p := range uploaded {
				if err := p.watch(ctx, c.user); err != nil {
					c.t.Errorf("%s: %v", p.name, err)
				}
				ended()
			}
		})
	}
	var uploads errgroup.Group
	uploads.SetLimit(rollUsers)
	for _, p := range promises {
		uploads.Go(func() error {
			if err := p.upload(ctx, c.base, c.user.Token); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			uploaded <- p
			return nil
		})
	}
	if err := uploads.Wait(); err != nil {
		c.t.Error(err)
	}
	close(uploaded)
	watchers.Wait()
}

// roll replaces a node whenever so many more jobs have ended, until the load is done. It
// returns how many it has replaced.
func (c *chaos) roll(loaded <-chan struct{}, ended *atomic.Int64) (n int) {
	for {
		select {
		case <-loaded:
			return n
		case <-time.After(10 * time.Millisecond):
		}
		if ended.Load() < int64((n+1)*rollEvery) {
			continue
		}
		name := []string{"worker", "fast", "gateway"}[n%3]
		node := c.nodes[name]
		node.stop()
		node.missedNobody()
		node.start()
		eventually(c.t, time.Minute, "the new "+name+" is ready", func() bool {
			log := node.log()
			return strings.Contains(log, "the worker is ready") || strings.Contains(log, "the gateway is served")
		})
		n++
	}
}

// shortLoad makes n jobs that take little time, some of them more, so that there is
// something to interrupt.
func (c *chaos) shortLoad(n int) []*promise {
	short := slices.DeleteFunc(slices.Clone(c.clips), func(e example) bool {
		return e.codes[0] == string(job.InvalidData) // the gateway refuses some of those
	})
	slices.SortFunc(short, func(a, b example) int { return len(a.file) - len(b.file) })
	short = short[:len(short)/2]
	all := make([]*promise, n)
	for i := range all {
		f := short[i%len(short)]
		if i%20 == 10 {
			f = c.long
		}
		all[i] = &promise{name: f.path, file: f.file, codes: f.codes, want: f.mp3, slowly: i%4 == 0, key: uuid.NewString()}
	}
	return all
}

// sweptLost is the sweeper's line about jobs whose worker gave no sign of life.
var sweptLost = regexp.MustCompile(`"msg":"swept".*("requeued"|"failed"):[1-9]`)

// missedNobody fails the test if a sweeper of this node has missed a worker.
func (n *node) missedNobody() {
	if line := sweptLost.FindString(n.log()); line != "" {
		n.t.Errorf("a worker that has ended in order was missed: %s", line)
	}
}

// log is what the node has printed since it was started last.
func (n *node) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.service.out.String()
}
