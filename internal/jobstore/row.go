package jobstore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mp3lathe/mp3lathe/job"
)

// maxText is the longest text of others' making that is kept, in bytes. A longer
// one is cut: a failure must not fail to be written down.
const maxText = 4000

// scanJob reads a row of columns.
func scanJob(scan func(...any) error) (job.Job, error) {
	var (
		j                                       job.Job
		settings, code, detail, result          string
		position, total                         int64
		created, notBefore, started, ended, due int64
		notified                                int64
		placed                                  bool
	)
	if err := scan(&j.ID, &j.Owner, &j.NotifyTo, &j.FileName, &j.SourceBytes, &j.SourceSHA256, &settings,
		&j.State, &j.Attempt, &j.Tries, &j.Worker, &position, &total, &code, &detail, &result,
		&j.Version, &created, &notBefore, &started, &ended, &due, &notified, &j.Lane, &placed); err != nil {
		return job.Job{}, err
	}
	if err := json.Unmarshal([]byte(settings), &j.Settings); err != nil {
		return job.Job{}, fmt.Errorf("the settings of job %s: %w", j.ID, err)
	}
	if result != "" {
		j.Result = new(job.Result)
		if err := json.Unmarshal([]byte(result), j.Result); err != nil {
			return job.Job{}, fmt.Errorf("the result of job %s: %w", j.ID, err)
		}
	}
	if code != "" {
		j.Failure = &job.Failure{Code: job.Code(code), Detail: detail}
	}
	j.Waits = !placed && j.State == job.Queued
	j.Progress.Position = time.Duration(position) * time.Microsecond
	j.Progress.Total = time.Duration(total) * time.Microsecond
	j.Created, j.NotBefore, j.Started = at(created), at(notBefore), at(started)
	j.Ended, j.Notified = at(ended), at(notified)
	switch {
	case j.State == job.Running:
		j.LeaseUntil = at(due)
	case j.State.Ended():
		j.Expires = at(due)
	}
	return j, nil
}

// at is the time that a column holds, in UTC; 0 is the zero time.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// maxWorker is the longest name of a worker or holder that is kept, in bytes.
const maxWorker = 255

// clip makes text fit its column.
func clip(s string) string { return clipTo(s, maxText) }

func clipTo(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// failureColumns are code and detail as they are kept; nil is none.
func failureColumns(f *job.Failure) (code, detail string) {
	if f == nil {
		return "", ""
	}
	return string(cmp.Or(f.Code, job.Internal)), clip(f.Detail)
}

// maxOwner is the length of the column owner.
const maxOwner = 64

// validOwner reports whether s can be the ID of a user: ASCII without spaces, which
// the comparison of columns would not tell apart at the end.
func validOwner(s string) bool {
	return s != "" && len(s) <= maxOwner && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
