package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Submission is a new job on its way into the store.
type Submission struct {
	Job
	// Twin, see [Job.Twin], if the job may be answered by an earlier one and answer
	// later ones; empty for a job that stands alone.
	Twin string
	// Key of the request; nil if it has none.
	Key *Keyed
}

// defaultVBR is what no choice of an encoding means.
const defaultVBR = 2

// Twin is a text that jobs share if they are of the same owner and are to make the
// same of the same bytes: 64 characters of ASCII.
func (j *Job) Twin() string {
	s := j.Settings
	if s.VBR != nil && *s.VBR == defaultVBR {
		s.VBR = nil
	}
	parts := []any{j.Owner, j.SourceSHA256, s}
	if j.Keep > 0 { // or the one would expire too early for the other
		parts = append(parts, j.Keep)
	}
	// Its fields have an order, and so have the tags in JSON; what is not set is not
	// there, so that a new setting changes nothing for those who do not use it.
	b, _ := json.Marshal(parts)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
