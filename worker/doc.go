// Package worker converts jobs: it claims a job's row, reads the source out of the
// bucket by ranges, runs package transcode, streams the MP3 back, and says in the
// row what became of it. It is the only service that links libav.
//
// # Who owns a job
//
// A claim makes an attempt, whose number fences all that follows: a worker that was
// thought dead and comes back finds its attempt refused, and throws away what it
// made. While it runs, an attempt extends its lease and tells its progress in one
// statement, a few times a second; the same statement tells it when the job was
// canceled or given to somebody else, and libav stops at its next packet.
//
// # How an attempt ends
//
//	converted                  succeeded
//	the source's fault         failed, at once: another try would end the same way
//	our fault (the bucket)     queued again with a growing delay; failed after MaxTries
//	the worker is shut down    queued again at once, and not counted
//	canceled, deleted, fenced  nothing: the row says it already
//	the process dies           the lease runs out, and the [Sweeper] queues it again
//
// # The sweeper
//
// SQL and Redis share no transaction. The row is the truth and the outbox; the
// [Sweeper] makes Redis and the bucket agree with it. One of all workers does it at
// a time, by a lease.
package worker
