package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// This file has the audit log: what administrators did to the jobs of others. What they
// did to accounts is in that of the auth service.

// sameLook is how long an administrator may look at the same thing again, from the same
// place, without a further entry: it is one in each quarter of an hour of the clock, so
// that a program that asks every second does not fill the log.
const sameLook = 15 * time.Minute

// note writes down what an administrator is about to do to a job of another user. What
// cannot be written down must not be done. Of users' own jobs nothing is noted.
func (g *Gateway) note(ctx context.Context, u user, action job.Action, j *job.Job) error {
	if j.Owner == u.id {
		return nil
	}
	return g.noteAct(ctx, u, job.Act{Action: action, JobID: j.ID, Owner: j.Owner})
}

func (g *Gateway) noteAct(ctx context.Context, u user, a job.Act) error {
	return g.noteFrom(ctx, exchangeOf(ctx).r, u, a)
}

func (g *Gateway) noteFrom(ctx context.Context, r *http.Request, u user, a job.Act) error {
	id, err := uuid.NewV7()
	if err != nil {
		return httpapi.Internal(fmt.Errorf("gateway: the ID of an act: %w", err))
	}
	a.ID, a.Actor, a.ActorEmail = id.String(), u.id, u.email
	if ip, ok := clientIP(r, g.config.TrustedProxies); ok {
		a.Place = ip.WithZone("").String()
	}
	if a.Action.Looks() {
		a.Once = hashOf(a.Actor, a.Place, a.Action, a.JobID, a.Detail, time.Now().Unix()/int64(sameLook/time.Second))
	}
	if err := g.jobs.NoteAct(ctx, a); err != nil {
		return httpapi.Trouble(err)
	}
	return nil
}

type auditInput struct {
	Actor  string `query:"actor" maxLength:"64" doc:"Only acts of this administrator"`
	Job    string `query:"job" maxLength:"64" doc:"Only acts on this job"`
	Owner  string `query:"owner" maxLength:"64" doc:"Only acts on jobs of this user"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"The most acts to give"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
}

type auditOutput struct {
	Body struct {
		Acts []actBody `json:"acts" nullable:"false" doc:"The acts, newest first"`
		Next string    `json:"next_cursor,omitempty" doc:"The cursor of the next page; absent on the last one"`
	} `nameHint:"JobAudit"`
}

type actBody struct {
	ID         string    `json:"id" format:"uuid" doc:"The entry's ID"`
	At         time.Time `json:"at" doc:"When it was noted, which is before it was done"`
	Actor      string    `json:"actor" doc:"The administrator's account"`
	ActorEmail string    `json:"actor_email,omitempty" doc:"Its address then"`
	Place      string    `json:"address,omitempty" doc:"Where the request came from"`
	Action     string    `json:"action" enum:"list,view,events,audio,cancel,retry,delete,queues" doc:"What was done"`
	Job        string    `json:"job,omitempty" doc:"The job's ID; absent for the list of all"`
	Owner      string    `json:"owner,omitempty" doc:"Whose job it was"`
	Detail     string    `json:"detail,omitempty" doc:"For people"`
}

func (g *Gateway) audit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	if !exchangeOf(ctx).user.admin {
		return nil, httpapi.NewProblem(http.StatusForbidden, "forbidden", "This is for administrators.")
	}
	q := job.ActQuery{Actor: in.Actor, JobID: in.Job, Owner: in.Owner, Limit: in.Limit + 1}
	var err error
	if q.Before, err = before(in.Cursor); err != nil {
		return nil, err
	}
	acts, err := g.jobs.Acts(ctx, q)
	if err != nil {
		return nil, httpapi.Trouble(err)
	}
	out := &auditOutput{}
	if len(acts) > in.Limit {
		acts = acts[:in.Limit]
		out.Body.Next = cursor(acts[in.Limit-1].ID)
	}
	out.Body.Acts = make([]actBody, len(acts))
	for i, a := range acts {
		out.Body.Acts[i] = actBody{
			ID: a.ID, At: a.At.UTC(), Actor: a.Actor, ActorEmail: a.ActorEmail, Place: a.Place, Action: string(a.Action), Job: a.JobID, Owner: a.Owner, Detail: a.Detail,
		}
	}
	return out, nil
}
