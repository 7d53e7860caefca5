package job

import "slices"

// State of a job.
type State string

// The states.
const (
	// Queued: accepted, waits for a worker.
	Queued State = "queued"
	// Running: a worker holds its lease and converts.
	Running State = "running"
	// Succeeded: the MP3 can be fetched.
	Succeeded State = "succeeded"
	// Failed: it will not be tried again by itself; Failure says why.
	Failed State = "failed"
	// Canceled by its owner; its files are gone.
	Canceled State = "canceled"
	// Expired: it had ended, and its files were removed after retention.
	Expired State = "expired"
)

// States returns all states in the order of a job's life.
func States() []State {
	return []State{Queued, Running, Succeeded, Failed, Canceled, Expired}
}

var transitions = map[State][]State{
	Queued:    {Running, Canceled},
	Running:   {Queued, Succeeded, Failed, Canceled},
	Succeeded: {Expired},
	Failed:    {Queued, Expired},
	Canceled:  {Expired},
}

// To reports whether a job may go from s to next.
func (s State) To(next State) bool { return slices.Contains(transitions[s], next) }

// Valid reports whether s is one of [States].
func (s State) Valid() bool { return slices.Contains(States(), s) }

// Active reports whether the job still waits or runs.
func (s State) Active() bool { return s == Queued || s == Running }

// Ended reports whether nothing more happens to the job by itself, but for its
// files being removed.
func (s State) Ended() bool { return s.Valid() && !s.Active() }
