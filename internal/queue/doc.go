// Package queue carries the ids of jobs from those who know that there is work to
// those who do it: asynq on Redis. Nobody else imports asynq, and nothing but ids
// is carried: what is to be done stands in the job's row.
//
// One side asks for work, as often as it likes:
//
//	c, err := queue.Open(redisconn.At("redis://localhost:6379/0"))
//	err = c.Convert(ctx, id, attempt, 0)
//
// The other side does it, until ctx ends:
//
//	s, err := queue.NewServer(at, queue.Convert, queue.ServerConfig{Concurrency: 2},
//		func(ctx context.Context, id string, attempt int) error { ... })
//	err = s.Run(ctx)
//
// asynq asks Redis for work all the time; a server here waits to be told of it, over a
// channel of Redis, and asks twice a second in case that it was not.
//
// A task is run at least once, and in bad moments twice at the same time: when
// Redis did not hear of its end, when a lease ran out, when Redis lost its data and
// the task was asked for again. Who runs it decides by the row whether there is
// still something to do. A task can also be lost, with the data of Redis or with a
// process that dies between its row and its task; a sweeper over the rows asks
// again.
package queue
