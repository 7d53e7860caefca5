package job

import (
	"cmp"
	"time"
)

// QuarantineAfter is how many attempts at a file must have crashed for it to be
// quarantined: then the same bytes are refused, whoever brings them. One crash can
// have another reason.
const QuarantineAfter = 2

// CrashKey is what the crashes of a job are counted by: the bytes of its file, so that
// they count for all jobs that have the same.
func (j *Job) CrashKey() string { return cmp.Or(j.SourceSHA256, j.ID) }

// Suspect is a file with which a conversion has crashed.
type Suspect struct {
	// SHA256 of its bytes, in hex; or the ID of a job that has lost its workers.
	SHA256 string
	// Crashes so far, and how the last one was called.
	Crashes int
	Code    Code
	// Last is when that was.
	Last time.Time
}

// Quarantined reports whether the file is refused.
func (s Suspect) Quarantined() bool { return s.Crashes >= QuarantineAfter }
