package gateway

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// maxWaiting is the most that [Quota].Waiting can be: so many rows are counted.
const maxWaiting = 10_000

// Quota is what a user may take up. 0 is no limit.
type Quota struct {
	// Waiting is the most jobs that wait for a worker; at most 10,000.
	Waiting int
	// DailyBytes is the most bytes of uploads between two midnights, UTC.
	DailyBytes int64
	// StoredBytes is the most bytes in the bucket: uploads that may be needed, and MP3s.
	StoredBytes int64
}

// quotaOf returns what a user may take up: what his token says, and what is the same for
// all where it says nothing.
func (g *Gateway) quotaOf(u user) Quota {
	q := g.config.Quota
	if u.quota == nil {
		return q
	}
	if n := u.quota.Jobs; n != nil {
		q.Waiting = int(min(*n, maxWaiting))
	}
	if n := u.quota.DailyBytes; n != nil {
		q.DailyBytes = *n
	}
	if n := u.quota.StoredBytes; n != nil {
		q.StoredBytes = *n
	}
	return q
}

// allowance is what is left to a user for one upload.
type allowance struct {
	quota Quota
	used  job.Usage
}

// allowanceOf asks what a user takes up, and counts his waiting jobs at least up to most.
func (g *Gateway) allowanceOf(ctx context.Context, u user, most int) (*allowance, error) {
	a := &allowance{quota: g.quotaOf(u)}
	if a.quota == (Quota{}) && most <= 0 {
		return a, nil
	}
	var err error
	if a.used, err = g.jobs.Usage(ctx, u.id, max(most, a.quota.Waiting)); err != nil {
		return nil, httpapi.Trouble(err)
	}
	return a, nil
}

// job refuses one more job.
func (a *allowance) job() error {
	if a.quota.Waiting > 0 && a.used.Waiting >= a.quota.Waiting {
		return quotaProblem(http.StatusTooManyRequests, "quota_jobs", int64(a.used.Waiting), int64(a.quota.Waiting), "jobs",
			fmt.Sprintf("%d of your jobs wait already, and no more than %d may.", a.used.Waiting, a.quota.Waiting)).
			WithHeader("Retry-After", "30")
	}
	return nil
}

// bytes refuses a file of so many bytes, or of more than so many; at least one.
func (a *allowance) bytes(n int64) error {
	switch n = max(n, 1); {
	case n > left(a.quota.StoredBytes, a.used.Stored):
		return quotaProblem(http.StatusForbidden, "quota_stored", a.used.Stored, a.quota.StoredBytes, "bytes",
			fmt.Sprintf("Your files take %d bytes, and may take no more than %d. Remove jobs that you do not need any more.", a.used.Stored, a.quota.StoredBytes))
	case n > left(a.quota.DailyBytes, a.used.Today):
		return a.daily()
	}
	return nil
}

// left is what is left of an allowance; 0 allows anything.
func left(allowed, used int64) int64 {
	if allowed == 0 {
		return math.MaxInt64
	}
	return allowed - used
}

func (a *allowance) daily() *httpapi.Problem {
	return quotaProblem(http.StatusTooManyRequests, "quota_daily", a.used.Today, a.quota.DailyBytes, "bytes",
		fmt.Sprintf("You have uploaded %d bytes today, and may upload no more than %d. The day ends at midnight, UTC.", a.used.Today, a.quota.DailyBytes)).
		WithHeader("Retry-After", strconv.Itoa(int(a.used.Day/time.Second)+1))
}

func quotaProblem(status int, code string, used, allowed int64, unit, detail string) *httpapi.Problem {
	p := httpapi.NewProblem(status, code, detail)
	p.Quota = &httpapi.Quota{Used: used, Allowed: allowed, Unit: unit}
	return p
}

// admit refuses an upload for which its user has no room, or the service no bucket, before
// its body has come. What the head tells of its length is looked at.
func (u *upload) admit(x *exchange) error {
	if u.idle {
		return nil
	}
	// Without a quota too: this tells whether the database is there.
	a, err := u.g.allowanceOf(u.ctx, x.user, 1)
	if err != nil {
		return err
	}
	if err := a.job(); err != nil {
		return err
	}
	length := x.r.ContentLength
	if !u.isRaw { // the form around the file counts for nothing
		length -= formSlack
	}
	u.room = a
	if err := a.bytes(length); err != nil {
		return err
	}
	if err := u.g.pulse.look(u.ctx); err != nil {
		return httpapi.Trouble(err)
	}
	return nil
}

// spend counts the bytes of a file that has come, and chooses the lane of its job.
func (u *upload) spend(x *exchange, sub *job.Submission) error {
	a, err := u.g.allowanceOf(u.ctx, x.user, max(u.g.config.BulkAfter, 0))
	if err != nil {
		return err
	}
	// Much may have changed since it began to come.
	if err := a.job(); err != nil {
		return err
	}
	if err := a.bytes(u.bytes); err != nil {
		return err
	}
	if a.quota.DailyBytes > 0 {
		ok, err := u.g.jobs.Spend(u.ctx, x.user.id, u.bytes, a.quota.DailyBytes)
		if err != nil {
			return httpapi.Trouble(err)
		}
		if !ok { // another one was quicker
			return a.daily()
		}
		tellLimit(x.w.Header(), fmt.Sprintf(`"daily";q=%d;qu="content-bytes";w=86400`, a.quota.DailyBytes),
			fmt.Sprintf(`"daily";r=%d;t=%d`, max(a.quota.DailyBytes-a.used.Today-u.bytes, 0), int(a.used.Day/time.Second)+1))
	}
	sub.Lane = u.lane(sub, a.used.Waiting)
	return nil
}

// lane chooses how a job reaches the workers: by what is known to be little work, the
// size of the file or a cut that was asked for (what the file says of its length may be a
// lie, and often stands at its end), unless there is no hurry with it. waiting is how many
// its owner has waiting already.
func (u *upload) lane(sub *job.Submission, waiting int) job.Lane {
	cfg := &u.g.config
	if u.form.bulk || cfg.BulkAfter > 0 && waiting >= cfg.BulkAfter {
		return job.LaneBulk
	}
	cut := sub.Settings.Duration
	if end := sub.Settings.End; end > 0 {
		cut = end - sub.Settings.Start
	}
	if sub.SourceBytes <= cfg.ShortBytes || cut > 0 && cut <= cfg.ShortLength {
		return job.LaneShort
	}
	return job.LaneDefault
}
