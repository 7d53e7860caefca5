package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// This file has the handlers that look at one job and change it.

type jobInput struct {
	ID string `path:"id" doc:"The job's ID"`
}

type jobOutput struct {
	Status       int
	CacheControl string `header:"Cache-Control"`
	ETag         string `header:"ETag" doc:"Changes when the answer does"`
	Body         *jobBody
}

type acceptedOutput struct {
	Status   int
	Location string `header:"Location" doc:"Where the job is"`
	Body     *jobBody
}

type getInput struct {
	ID          string `path:"id" doc:"The job's ID"`
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of the answer that the client has"`
}

func (g *Gateway) get(ctx context.Context, in *getInput) (*jobOutput, error) {
	u := exchangeOf(ctx).user
	j, err := g.jobOf(ctx, in.ID, u, job.ActView)
	if err != nil {
		return nil, err
	}
	b := g.viewOne(ctx, &j, u)
	out := &jobOutput{Status: http.StatusOK, CacheControl: "private, no-cache", ETag: b.tag(), Body: b}
	if matches(in.IfNoneMatch, out.ETag) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

// matches reports whether a list of entity tags has tag, by the weak comparison
// (RFC 9110, 13.1.2).
func matches(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// maxRaces is how often a job may change its state under the hands of a handler.
const maxRaces = 5

func (g *Gateway) remove(ctx context.Context, in *jobInput) (*jobOutput, error) {
	u := exchangeOf(ctx).user
	for range maxRaces {
		j, err := g.find(ctx, in.ID, u)
		if err != nil {
			return nil, err
		}
		action := job.ActDelete
		if j.State.Active() {
			action = job.ActCancel
		}
		if err := g.note(ctx, u, action, &j); err != nil {
			return nil, err
		}
		// What has been begun is brought to its end without the client too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		status := http.StatusOK
		if action == job.ActCancel {
			j, err = g.jobs.Cancel(ctx, j.ID)
		} else {
			status = http.StatusNoContent
			err = g.jobs.Delete(ctx, j.ID)
		}
		if errors.Is(err, job.ErrConflict) {
			continue // it ended, or was tried again, just now
		}
		if err != nil {
			return nil, storeTrouble(err)
		}
		if status == http.StatusOK {
			g.counts.canceled.Inc()
		}
		g.publish(ctx, j.ID)
		g.removeFiles(ctx, j.ID)
		out := &jobOutput{Status: status, CacheControl: "no-store"}
		if status == http.StatusOK {
			out.Body = view(&j, u)
			out.ETag = out.Body.tag()
		}
		return out, nil
	}
	return nil, conflict("conflict", "The job keeps changing. Try again.")
}

// removeFiles deletes a job's files. What cannot be deleted now is found by the
// sweeper.
func (g *Gateway) removeFiles(ctx context.Context, id string) {
	err := errors.Join(g.bucket.Delete(ctx, job.SourceKey(id)), g.bucket.DeletePrefix(ctx, job.ResultPrefix(id)))
	if err != nil {
		g.logger.WarnContext(ctx, "files of a job could not be deleted; the sweeper will do it", "job", id, "error", err)
	}
}

func (g *Gateway) retry(ctx context.Context, in *jobInput) (*acceptedOutput, error) {
	x := exchangeOf(ctx)
	u := x.user
	if x.made != nil {
		return g.accepted(ctx, x.made, u), nil
	}
	j, err := g.jobOf(ctx, in.ID, u, job.ActRetry)
	if err != nil {
		return nil, err
	}
	if j.State != job.Failed {
		return nil, notRetryable(j.State)
	}
	owner := user{id: j.Owner}
	if u.id == j.Owner {
		owner = u
	}
	a, err := g.allowanceOf(ctx, owner, 0)
	if err == nil {
		err = a.job()
	}
	if err != nil {
		return nil, err
	}
	switch there, err := g.bucket.exists(ctx, job.SourceKey(j.ID)); {
	case err != nil:
		return nil, httpapi.Trouble(err)
	case !there:
		return nil, gone("source_gone", "The uploaded file has been deleted. Upload it again.")
	}
	j, err = g.jobs.RetryOnce(ctx, j.ID, x.keyed)
	switch {
	case errors.Is(err, job.ErrLost):
		return nil, keyInUse().WithCause(err)
	case errors.Is(err, job.ErrConflict):
		return nil, conflict("not_retryable", "The job has just changed. Look at it again.")
	case err != nil:
		return nil, storeTrouble(err)
	}
	g.counts.retried.Inc()
	g.enqueue(ctx, j)
	return g.accepted(ctx, &j, u), nil
}

func (g *Gateway) accepted(ctx context.Context, j *job.Job, u user) *acceptedOutput {
	return &acceptedOutput{Status: http.StatusAccepted, Location: jobPath(j.ID), Body: g.viewOne(ctx, j, u)}
}

func notRetryable(s job.State) error {
	switch s {
	case job.Succeeded:
		return conflict("not_retryable", "The job has succeeded; there is nothing to try again.")
	case job.Canceled:
		return conflict("job_canceled", "The job was canceled, and its file was deleted with it. Upload the file again.")
	case job.Expired:
		return conflict("not_retryable", "The job has expired. Upload the file again.")
	}
	return conflict("not_retryable", "The job has not ended yet.")
}
