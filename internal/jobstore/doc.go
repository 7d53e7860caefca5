// Package jobstore keeps jobs as rows in SQL: the truth about every job, and the
// outbox of what is to be queued and told. It runs on the two databases of package
// sqldb.
//
//	err := jobstore.Migrate(ctx, db)
//	s := jobstore.New(db)
//	j, err := s.Insert(ctx, job.Job{ID: id, Owner: owner, FileName: "talk.mp4"})
//	j, err = s.Claim(ctx, id, "worker-1", 30*time.Second)
//	err = s.Heartbeat(ctx, id, j.Attempt, job.Progress{Position: done}, 30*time.Second)
//	j, err = s.Succeed(ctx, id, j.Attempt, result, 72*time.Hour)
//
// Every change is one statement that compares before it sets: the state, and for
// what a worker does the attempt, stand in its WHERE. So of many who want the same
// only one gets it, whatever process they are in, and no lock is held while
// somebody thinks. Times are the database's own ([sqldb.DB.Now]); callers pass
// durations, and their clocks do not matter.
//
// The job that a change returns is the row as it was left, or newer if somebody
// changed it again in the meantime.
//
// Calls end after [sqldb.QueryTimeout] if their context does not end them earlier.
// One that ends with another error than those of package job may have happened or
// not: the answer, not the question, can be what got lost. It is safe to ask again.
package jobstore
