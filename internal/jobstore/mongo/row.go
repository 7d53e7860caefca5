package mongo

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/job"
)

// submitted is the state of a job of which it is not yet decided whether there is one: see
// intent. To others there is none.
const submitted = "submitted"

// row is a job as it is kept.
type row struct {
	ID               string `bson:"_id"`
	Owner            string `bson:"owner"`
	NotifyTo         string `bson:"notify_to"`
	FileName         string `bson:"file_name"`
	SourceBytes      int64  `bson:"source_bytes"`
	SourceSHA256     string `bson:"source_sha256"`
	Settings         string `bson:"settings"` // JSON
	State            string `bson:"state"`
	Attempt          int    `bson:"attempt"`
	Tries            int    `bson:"tries"`
	Worker           string `bson:"worker"`
	Progress         int64  `bson:"progress"` // microseconds of the output
	ProgressTotal    int64  `bson:"progress_total"`
	FailureCode      string `bson:"failure_code"`
	FailureDetail    string `bson:"failure_detail"`
	Result           string `bson:"result"` // JSON, or nothing
	Version          int64  `bson:"version"`
	CreatedAt        int64  `bson:"created_at"`
	NotBefore        int64  `bson:"not_before"`
	StartedAt        int64  `bson:"started_at"`
	EndedAt          int64  `bson:"ended_at"`
	DueAt            int64  `bson:"due_at"`    // queued: put into the queue; running: the lease ends; ended: the files expire; expired: since
	NoticeAt         int64  `bson:"notice_at"` // last time the notice was asked for; 0: nothing to tell
	NoticeLeaseUntil int64  `bson:"notice_lease_until"`
	NotifiedAt       int64  `bson:"notified_at"`
	NoticeError      string `bson:"notice_error"` // why telling was given up
	Twin             string `bson:"twin"`         // of twinField
	Kept             int64  `bson:"kept"`         // how long the files of a success are kept, microseconds
	Lane             string `bson:"lane"`
	Placed           bool   `bson:"placed"`   // queued: the queue knows it, or it waits for its owner's turn since due_at
	Stored           int64  `bson:"stored"`   // bytes that its files take in the bucket
	KeepFor          int64  `bson:"keep_for"` // longest time that the owner wants the files kept, microseconds; 0: no wish
	Trace            string `bson:"trace"`    // of the upload: W3C traceparent

	Intent *intent `bson:"intent,omitempty"`
}

// twinField is what is kept of a twin. Those who stand alone have one too, which nobody
// shares, for not every server can leave a field out of an index that keeps it unique.
func twinField(twin, id string) string {
	if twin == "" {
		return "alone " + id
	}
	return "twin " + twin
}

// newRow is the row of a submission.
func newRow(j *job.Submission, now int64, placed bool) (*row, error) {
	if !job.ValidID(j.ID) {
		return nil, fmt.Errorf("%q is not the ID of a job", j.ID)
	}
	if !jobs.ValidOwner(j.Owner) {
		return nil, fmt.Errorf("%q is not the ID of a user", j.Owner)
	}
	settings, err := json.Marshal(j.Settings)
	if err != nil {
		return nil, err
	}
	return &row{
		ID: j.ID, Owner: j.Owner, NotifyTo: j.NotifyTo, FileName: j.FileName, SourceBytes: j.SourceBytes, SourceSHA256: j.SourceSHA256,
		Settings: string(settings), State: string(job.Queued), Version: 1, CreatedAt: now, DueAt: now,
		Twin: twinField(j.Twin, j.ID), Lane: string(j.Lane), Placed: placed, Stored: j.SourceBytes, KeepFor: j.Keep.Microseconds(),
		Trace: j.Trace,
	}, nil
}

// job is the job that a row holds.
func (r *row) job() (job.Job, error) {
	j := job.Job{
		ID: r.ID, Owner: r.Owner, NotifyTo: r.NotifyTo, FileName: r.FileName, SourceBytes: r.SourceBytes, SourceSHA256: r.SourceSHA256,
		State: job.State(r.State), Lane: job.Lane(r.Lane), Attempt: r.Attempt, Tries: r.Tries, Worker: r.Worker,
		Progress: job.Progress{Position: micros(r.Progress), Total: micros(r.ProgressTotal)},
		Version:  r.Version, Created: at(r.CreatedAt), NotBefore: at(r.NotBefore), Started: at(r.StartedAt), Ended: at(r.EndedAt), Notified: at(r.NotifiedAt), Trace: r.Trace,
	}
	if err := json.Unmarshal([]byte(r.Settings), &j.Settings); err != nil {
		return job.Job{}, fmt.Errorf("the settings of job %s: %w", r.ID, err)
	}
	if r.Result != "" {
		j.Result = new(job.Result)
		if err := json.Unmarshal([]byte(r.Result), j.Result); err != nil {
			return job.Job{}, fmt.Errorf("the result of job %s: %w", r.ID, err)
		}
	}
	if r.FailureCode != "" {
		j.Failure = &job.Failure{Code: job.Code(r.FailureCode), Detail: r.FailureDetail}
	}
	j.Waits = !r.Placed && j.State == job.Queued
	switch {
	case j.State == job.Running:
		j.LeaseUntil = at(r.DueAt)
	case j.State.Ended():
		j.Expires = at(r.DueAt)
	}
	return j, nil
}

// keep is how long the files of the job are kept that has ended: as long as the service
// keeps them, or as its owner wishes.
func (r *row) keep(retention int64) int64 {
	if r.KeepFor > 0 && r.KeepFor < retention {
		return r.KeepFor
	}
	return retention
}

// notice is when its notice is first asked for at an end.
func (r *row) notice(now int64) int64 {
	if r.NotifyTo == "" {
		return 0
	}
	return now
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// at is the time that a field holds, in UTC; 0 is the zero time.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
