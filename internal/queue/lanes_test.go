package queue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/job"
)

// TestLanes: while all lanes have tasks each is served by its weight, and none starves.
func TestLanes(t *testing.T) {
	onBoth(t, func(t *testing.T, at redisconn.Address) {
		c := open(t, at)
		const each = 300
		for i := range each {
			for _, lane := range job.Lanes() {
				id := fmt.Sprintf("%s-%d", lane, i)
				for range 1 + i%2 { // said again, it is there once
					if err := c.ConvertIn(t.Context(), lane, id, 0, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if d := depth(t, c, Convert); d.Pending != 3*each {
			t.Errorf("%+v", d)
		}
		var mu sync.Mutex
		var order []string
		serve(t, at, Convert, ServerConfig{Weights: map[job.Lane]int{job.LaneShort: 5, job.LaneDefault: 3, job.LaneBulk: 2}},
			func(_ context.Context, id string, _ int) error {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, id)
				return nil
			})
		eventually(t, "all are done", func() bool { return depth(t, c, Convert) == Depth{} })
		mu.Lock()
		defer mu.Unlock()
		if len(order) != 3*each {
			t.Fatalf("%d of %d", len(order), 3*each)
		}
		// The share of each in the first 400, when none has run dry yet: 200, 120 and 80,
		// and eight standard deviations around.
		seen, last := map[string]int{}, map[string]int{}
		for _, id := range order[:400] {
			lane, n, _ := strings.Cut(id, "-")
			seen[lane]++
			i := 0
			fmt.Sscan(n, &i)
			if i != last[lane] {
				t.Fatalf("%s comes when it is the turn of %d", id, last[lane])
			}
			last[lane]++
		}
		if seen["short"] < 120 || seen["short"] > 280 || seen[""] < 45 || seen[""] > 195 || seen["bulk"] < 16 || seen["bulk"] > 144 {
			t.Errorf("%v", seen)
		}
	})
}

func TestBadLane(t *testing.T) {
	t.Parallel()
	c := open(t, redisconn.At("redis://127.0.0.1:1/0"))
	if err := c.ConvertIn(t.Context(), "fast", "a", 0, 0); err == nil || !strings.Contains(err.Error(), "fast") {
		t.Error(err)
	}
}
