package job

import "errors"

// What the stores answer when a change is not to be. errors.Is finds them.
var (
	// ErrNotFound means that there is no such job.
	ErrNotFound = errors.New("no such job")
	// ErrConflict means that the job is not in a state in which this can be done.
	ErrConflict = errors.New("the job's state does not allow it")
	// ErrTwin means that there is a job that may answer in the place of a new one.
	ErrTwin = errors.New("there is a job of the same bytes and settings")
	// ErrLost means that the attempt does not hold the job any more: it was
	// canceled, deleted, or given to somebody else. What the attempt made must not
	// be kept.
	ErrLost = errors.New("the attempt has lost the job")
)

// Query chooses jobs for a list, newest first.
type Query struct {
	// Owner of the jobs; empty for those of everybody.
	Owner string
	// State of the jobs; empty for any.
	State State
	// Before is the ID of the last job of the page before; empty for the first
	// page.
	Before string
	// Limit is the most jobs to give, at least 1.
	Limit int
}
