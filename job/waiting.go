package job

import "time"

// Waiting is what is queued in a lane.
type Waiting struct {
	// Jobs that are queued, those included that wait for their owner's turn or for the
	// time of their next attempt.
	Jobs int64
	// Oldest is for how long the job has waited that has waited for longest, of those
	// that may run; 0 if none may.
	Oldest time.Duration
}
