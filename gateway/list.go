package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

type listInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"The most jobs to give"`
	State  string `query:"state" enum:"queued,running,succeeded,failed,canceled,expired" doc:"Only jobs in this state"`
	Cursor string `query:"cursor" doc:"next_cursor of the page before"`
	All    bool   `query:"all" doc:"The jobs of all users; for administrators"`
}

type listOutput struct {
	Body struct {
		Jobs []*jobBody `json:"jobs" nullable:"false" doc:"The jobs, newest first"`
		Next string     `json:"next_cursor,omitempty" doc:"The cursor of the next page; absent on the last one"`
	} `nameHint:"JobList"`
}

func (g *Gateway) list(ctx context.Context, in *listInput) (*listOutput, error) {
	u := exchangeOf(ctx).user
	q := job.Query{Owner: u.id, State: job.State(in.State), Limit: in.Limit + 1}
	if in.All {
		if !u.admin {
			return nil, httpapi.NewProblem(http.StatusForbidden, "forbidden", "Only administrators see the jobs of all users.")
		}
		q.Owner = ""
	}
	var err error
	if q.Before, err = before(in.Cursor); err != nil {
		return nil, err
	}
	if in.All {
		if err := g.noteAct(ctx, u, job.Act{Action: job.ActList, Detail: pageOf(&q)}); err != nil {
			return nil, err
		}
	}
	jobs, err := g.jobs.List(ctx, q)
	if err != nil {
		return nil, storeTrouble(err)
	}
	out := &listOutput{}
	if len(jobs) > in.Limit {
		jobs = jobs[:in.Limit]
		out.Body.Next = cursor(jobs[in.Limit-1].ID)
	}
	out.Body.Jobs = make([]*jobBody, len(jobs))
	for i := range jobs {
		out.Body.Jobs[i] = view(&jobs[i], u)
	}
	return out, nil
}

// pageOf says which jobs a page of the list of all has.
func pageOf(q *job.Query) string {
	var parts []string
	if q.State != "" {
		parts = append(parts, "in state "+string(q.State))
	}
	if q.Before != "" {
		parts = append(parts, "before "+q.Before)
	}
	return strings.Join(parts, ", ")
}

// cursor hides the ID that a page ends with, so that clients do not come to make
// cursors themselves.
func cursor(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// before is the ID in a cursor; "" in none.
func before(cursor string) (id string, err error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || !job.ValidID(string(b)) {
		return "", httpapi.NewProblem(http.StatusUnprocessableEntity, "bad_cursor", "The cursor is not one of ours.").
			WithField("query.cursor", "want next_cursor of the page before")
	}
	return string(b), nil
}
