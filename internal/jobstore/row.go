package jobstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
)

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
		&j.Version, &created, &notBefore, &started, &ended, &due, &notified, &j.Lane, &placed, &j.Trace); err != nil {
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
