package job

import "time"

// Departure is of an owner who is gone: his account was deleted, and his jobs and files
// are to be removed.
type Departure struct {
	// Owner is the ID that stands in his jobs.
	Owner string
	// Age is how long ago it became known.
	Age time.Duration
}
