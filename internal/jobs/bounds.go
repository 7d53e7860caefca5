package jobs

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mp3lathe/mp3lathe/job"
)

// What all stores keep to.
const (
	// MaxPosition is the most that Position answers: who is further behind is told this,
	// so that a long queue costs no more than a short one.
	MaxPosition = 1000
	// MaxList is the most jobs that one call returns.
	MaxList = 1000
	// MaxWaiting is the most waiting jobs of a user that are counted.
	MaxWaiting = 10_000
	// CanceledRetention is how long a canceled job is listed before it expires.
	CanceledRetention = 24 * time.Hour
	// KeyRetention is how long a key is remembered after it was claimed.
	KeyRetention = 24 * time.Hour

	// LastID sorts after every ID.
	LastID = "~"
	// MaxText is the longest text of others' making that is kept, in bytes. A longer one
	// is cut: a failure must not fail to be written down.
	MaxText = 4000
	// MaxWorker is the longest name of a worker or holder that is kept, in bytes.
	MaxWorker = 255
	// maxOwner is the longest ID of a user.
	maxOwner = 64
)

// Limit keeps a number of rows within reason.
func Limit(n int) int { return min(max(n, 1), MaxList) }

// Clip cuts a text to at most n bytes, and makes it valid UTF-8.
func Clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// FailureColumns are code and detail as they are kept; nil is none.
func FailureColumns(f *job.Failure) (code, detail string) {
	if f == nil {
		return "", ""
	}
	return string(cmp.Or(f.Code, job.Internal)), Clip(f.Detail, MaxText)
}

// ValidOwner reports whether s can be the ID of a user: ASCII without spaces, which the
// comparison of SQL's columns would not tell apart at the end.
func ValidOwner(s string) bool {
	return s != "" && len(s) <= maxOwner && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
