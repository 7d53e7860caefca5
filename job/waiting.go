package job

import "time"

// Census is how many jobs there are at a moment.
type Census struct {
	// States has the number of jobs in each state; a state without any may be missing.
	States map[State]int64
	// Waiting has what is queued in each lane; a lane without any may be missing.
	Waiting map[Lane]Waiting
}

// Waiting is what is queued in a lane.
type Waiting struct {
	// Jobs that are queued, those included that wait for their owner's turn or for the
	// time of their next attempt.
	Jobs int64
	// Oldest is for how long the job has waited that has waited for longest, of those
	// that may run; 0 if none may.
	Oldest time.Duration
}
