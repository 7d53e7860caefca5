package job

import (
	"strconv"
	"strings"
	"time"
)

// Job is one conversion of one upload.
type Job struct {
	// ID is a UUID of version 7, so that IDs sort by the time of their making.
	ID string
	// Owner is the ID of the user whose job it is.
	Owner string
	// NotifyTo is the address that is told of the end; empty for nobody.
	NotifyTo string
	// FileName as the user called the upload, cleaned by [CleanFileName]; may be
	// empty.
	FileName string
	// SourceBytes and SourceSHA256 (hex) are those of the upload, counted and
	// hashed as it came in.
	SourceBytes  int64
	SourceSHA256 string
	// Settings that the user asked for.
	Settings Settings

	// Keep is the longest time that the owner wants the files kept after the end; 0 is
	// no wish. What the service keeps them for is the upper bound.
	Keep time.Duration

	State State
	// Lane by which it reaches the workers.
	Lane Lane
	// Waits: it is queued, and the queue is not told of it before its owner's turn has
	// come.
	Waits bool
	// Attempt counts how often a worker has claimed the job: 0 before the first.
	// It is the fence: what an older attempt writes is refused.
	Attempt int
	// Tries is how many attempts have counted against the job since it was
	// queued or last retried by its owner. An attempt that was handed back at a
	// shutdown does not count.
	Tries int
	// Worker that runs it, for operators; empty if none does.
	Worker string
	// LeaseUntil is when a running job counts as lost unless its worker has
	// extended the lease.
	LeaseUntil time.Time
	// Progress of the running attempt.
	Progress Progress
	// Failure of the job if State is Failed, or of its last attempt if it is
	// queued again; else nil.
	Failure *Failure
	// Result if State is Succeeded or if it was before it Expired; else nil.
	Result *Result

	// Trace is the upload's place in a trace, as the header traceparent has it (W3C Trace
	// Context), to which all that is done for the job belongs; empty if it has none.
	Trace string

	// Version grows with every change of the row.
	Version int64

	Created time.Time
	// NotBefore is the earliest time of the next attempt, after an earlier one: of a
	// queued job that may run it is since when it waits.
	NotBefore time.Time
	// Started is when the last attempt began; zero before the first.
	Started time.Time
	// Ended is when the job reached an end; zero before.
	Ended time.Time
	// Expires is when the files of an ended job are removed; zero before the end.
	Expires time.Time
	// Notified is when the end was told, or given up on; zero if not yet.
	Notified time.Time
}

// Progress of a conversion.
type Progress struct {
	// Position in the output that has been encoded.
	Position time.Duration
	// Total that is expected; 0 if it is not known.
	Total time.Duration
}

// Fraction done, 0 to 1; 0 if the total is not known.
func (p Progress) Fraction() float64 {
	if p.Total <= 0 {
		return 0
	}
	return min(max(float64(p.Position)/float64(p.Total), 0), 1)
}

// Result says what a conversion made. Its JSON is what the stores keep.
type Result struct {
	// Key of the MP3 in the bucket, which holds these bytes and never others.
	Key string `json:"key"`
	// Bytes of the MP3.
	Bytes int64 `json:"bytes"`
	// Duration in seconds, and Samples per channel at SampleRate (Hz).
	Duration   float64 `json:"duration_seconds"`
	Samples    int64   `json:"samples"`
	SampleRate int     `json:"sample_rate"`
	Channels   int     `json:"channels"`
	// Encoding as done, such as "VBR 2"; "copy" if MP3 frames were copied.
	Encoding string `json:"encoding"`
	// Track that was converted (from 1), its Codec, and its Language if known.
	Track    int    `json:"track"`
	Codec    string `json:"codec"`
	Language string `json:"language,omitempty"`
	// BytesRead from the source.
	BytesRead int64 `json:"bytes_read"`
	// WallTime of the conversion in seconds.
	WallTime float64 `json:"wall_seconds"`
	// DecodeErrors is the number of damaged frames that became silence.
	DecodeErrors int `json:"decode_errors"`
	// Partial reports that the source was cut off or damaged, and the settings
	// accepted what there was.
	Partial bool `json:"partial"`
}

// SourceKey is the place of a job's upload in the bucket.
func SourceKey(id string) string { return "in/" + id }

// ResultPrefix is the folder of a job's results in the bucket, which ends with "/".
func ResultPrefix(id string) string { return "out/" + id + "/" }

// ResultKey is the place of what one attempt makes. Attempts never share one, so
// that a late one cannot overwrite.
func ResultKey(id string, attempt int) string {
	return ResultPrefix(id) + strconv.Itoa(attempt) + ".mp3"
}

// MarkKey is the place of the object that says which database a bucket belongs to.
const MarkKey = "meta/database"

// OwnerOfKey returns the ID of the job that an object in the bucket belongs to.
func OwnerOfKey(key string) (id string, ok bool) {
	if id, ok = strings.CutPrefix(key, "in/"); ok {
		return id, ValidID(id)
	}
	if id, ok = strings.CutPrefix(key, "out/"); ok {
		id, _, ok = strings.Cut(id, "/")
		return id, ok && ValidID(id)
	}
	return "", false
}

// ValidID reports whether s has the form of a job's ID: a UUID in lower case, as
// RFC 9562, section 4 writes it.
func ValidID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
