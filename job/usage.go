package job

import "time"

// Usage is what a user takes up of the service.
type Usage struct {
	// Waiting jobs, as far as they were counted.
	Waiting int
	// Stored bytes in the bucket: uploads that may be needed, and MP3s.
	Stored int64
	// Today is the bytes of uploads that have come since midnight, UTC.
	Today int64
	// Day is the time until the next midnight.
	Day time.Duration
}
