package queue

import (
	"context"
	"time"

	"github.com/hibiken/asynq/x/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector returns asynq's own metrics of its queues, asynq_*. It asks Redis at each
// collection.
func (c *Client) Collector() prometheus.Collector {
	return collector{metrics.NewQueueMetricsCollector(c.inspector), c}
}

// collector asks nothing of a Redis that is away, of which others tell: asynq's would
// wait for each command, and write about it past our log.
type collector struct {
	prometheus.Collector
	client *Client
}

// pingTimeout is how long a collection waits for Redis.
const pingTimeout = time.Second

func (c collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	if c.client.Ping(ctx) == nil {
		c.Collector.Collect(ch)
	}
}
