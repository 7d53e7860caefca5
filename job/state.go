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

// Standing is where a job stands: what it takes to know which of its files it needs.
type Standing struct {
	State State
	// Attempt is the number of attempts made so far; of a job that runs or has
	// succeeded it is the one that does or did.
	Attempt int
}

// Needs reports whether a job needs an object in the bucket whose key names it. The
// upload: until the job has succeeded, or cannot be tried again. An MP3: if it is what
// the attempt makes or has made that holds the job; what an earlier one has left, whose
// process died, nobody will look for.
func (s Standing) Needs(id, key string) bool {
	switch key {
	case SourceKey(id):
		return s.State.Active() || s.State == Failed
	case ResultKey(id, s.Attempt):
		return s.State == Running || s.State == Succeeded
	}
	return false
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
