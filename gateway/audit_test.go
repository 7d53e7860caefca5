package gateway_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// onJob are the routes that do something with one job, and what that is called.
var onJob = []struct {
	method, path string // %s is the job
	state        job.State
	want         job.Action
}{
	{"GET", "/v1/jobs/%s", job.Queued, job.ActView},
	{"GET", "/v1/jobs/%s/events", job.Succeeded, job.ActEvents},
	{"GET", "/v1/jobs/%s/audio", job.Succeeded, job.ActAudio},
	{"HEAD", "/v1/jobs/%s/audio", job.Succeeded, job.ActAudio},
	{"GET", "/download?fid=%s", job.Succeeded, job.ActAudio},
	{"HEAD", "/download?fid=%s", job.Succeeded, job.ActAudio},
	{"DELETE", "/v1/jobs/%s", job.Queued, job.ActCancel},
	{"DELETE", "/v1/jobs/%s", job.Running, job.ActCancel},
	{"DELETE", "/v1/jobs/%s", job.Succeeded, job.ActDelete},
	{"POST", "/v1/jobs/%s/retry", job.Failed, job.ActRetry},
}

// jobIn makes a job of a user that is in a state.
func (r *rig) jobIn(t *testing.T, user string, state job.State) (id string) {
	t.Helper()
	id = r.newJob(t, user).ID
	switch state {
	case job.Running:
		r.claim(t, id)
	case job.Succeeded:
		r.succeed(t, id, []byte("mp3"))
	case job.Failed:
		r.fail(t, id, job.Internal)
	}
	return id
}

// acts are all that was noted, newest first.
func (r *rig) acts(t *testing.T) []job.Act {
	t.Helper()
	acts, err := r.jobs.Acts(t.Context(), job.ActQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return acts
}

// TestAudit: whatever an administrator does with a job of another is one entry, which
// says who, from where, what and whose; and nothing that anybody does with his own is one,
// nor what is refused him.
func TestAudit(t *testing.T) {
	t.Parallel()
	e := newExchange(t)
	const adminKey = "mp3k_ADMIN_A"
	e.set(func() { e.keys[adminKey] = "root/admin+jobs:read+jobs:write" })
	r := newRigOf(t, func(c *gateway.Config) { c.AuthURL = e.URL }, nil)
	silent := func(what string, do func()) {
		t.Helper()
		before := len(r.acts(t))
		do()
		if n := len(r.acts(t)) - before; n != 0 {
			t.Errorf("%s: %d entries", what, n)
		}
	}
	for _, c := range onJob {
		name := c.method + " " + c.path + " of one that is " + string(c.state)
		for _, admin := range []string{"root", adminKey} {
			before := len(r.acts(t))
			id := r.jobIn(t, "alice", c.state)
			if a := r.do(t, c.method, fmt.Sprintf(c.path, id), admin); a.StatusCode >= 300 {
				t.Fatalf("%s: %d %s", name, a.StatusCode, a.body)
			}
			all := r.acts(t)
			if len(all) != before+1 {
				t.Fatalf("%s: %d entries", name, len(all)-before)
			}
			got := all[0]
			if d := time.Since(got.At); d < -time.Minute || d > time.Minute {
				t.Errorf("%s: noted at %v", name, got.At)
			}
			got.ID, got.At = "", time.Time{}
			if want := (job.Act{Actor: "user-root", ActorEmail: "root@example.org", Place: "127.0.0.1", Action: c.want, JobID: id, Owner: "user-alice"}); got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
		for _, own := range []string{"alice", "root"} {
			id := r.jobIn(t, own, c.state)
			silent(name+", "+own+"'s own", func() {
				if a := r.do(t, c.method, fmt.Sprintf(c.path, id), own); a.StatusCode >= 300 {
					t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
				}
			})
		}
		id := r.jobIn(t, "alice", c.state)
		// With the role or the scope alone nobody is an administrator.
		for _, other := range []string{"bob", "alice/admin", "root/jobs:read+jobs:write", "", "forged"} {
			silent(name+" by "+other, func() {
				if a := r.do(t, c.method, fmt.Sprintf(c.path, id), other); a.StatusCode < 400 {
					t.Errorf("%s by %q: %d", name, other, a.StatusCode)
				}
			})
		}
	}
	silent("a signed link", func() {
		id := r.jobIn(t, "alice", job.Succeeded)
		signed, err := url.Parse(r.links.Audio(id, time.Now().Add(time.Minute)))
		if err != nil {
			t.Fatal(err)
		}
		if a := r.do(t, "GET", signed.RequestURI(), ""); a.StatusCode != 200 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	silent("what is not there", func() {
		wantProblem(t, r.do(t, "GET", "/v1/jobs/018f0000-0000-7000-8000-000000000001", "root"), 404, "not_found")
	})
	// A route that is new has to be in the table above.
	for path, item := range r.contract.doc["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/v1/jobs/{id}") && path != "/download" {
			continue
		}
		for method := range item.(map[string]any) {
			if !slices.ContainsFunc(onJob, func(c struct {
				method, path string
				state        job.State
				want         job.Action
			}) bool {
				p, _, _ := strings.Cut(strings.ReplaceAll(c.path, "%s", "{id}"), "?")
				return strings.EqualFold(c.method, method) && p == path
			}) {
				t.Errorf("%s %s is not tried here", method, path)
			}
		}
	}
}

// TestAuditOfLists: the list of all is noted with what it was asked for; users' own are
// not.
func TestAuditOfLists(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for range 3 {
		r.newJob(t, "alice")
	}
	for _, q := range []string{"", "?all=false"} {
		if a := r.do(t, "GET", "/v1/jobs"+q, "root"); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	wantProblem(t, r.do(t, "GET", "/v1/jobs?all=true", "alice"), 403, "forbidden")
	if acts := r.acts(t); len(acts) != 0 {
		t.Errorf("%+v", acts)
	}
	var page struct {
		Jobs []jobView `json:"jobs"`
		Next string    `json:"next_cursor"`
	}
	decode(t, r.do(t, "GET", "/v1/jobs?all=true&limit=2&state=queued", "root"), &page)
	if len(page.Jobs) != 2 || page.Next == "" {
		t.Fatalf("%+v", page)
	}
	r.do(t, "GET", "/v1/jobs?all=true&limit=2&cursor="+page.Next, "root")
	wantProblem(t, r.do(t, "GET", "/v1/jobs?all=true&cursor=x", "root"), 422, "bad_cursor")
	acts := r.acts(t)
	var details []string
	for _, a := range acts {
		if a.Action != job.ActList || a.JobID != "" || a.Owner != "" || a.Actor != "user-root" {
			t.Errorf("%+v", a)
		}
		details = append(details, a.Detail)
	}
	if want := []string{"before " + page.Jobs[1].ID, "in state queued"}; !slices.Equal(details, want) {
		t.Errorf("%q, want %q", details, want)
	}
}

// quarter is the one of an hour of now.
func quarter() int64 { return time.Now().Unix() / 900 }

// TestAuditOnce: who looks again and again has one entry for each quarter of an hour; from
// another place, or for what changes something, there is another.
func TestAuditOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	id, other := r.newJob(t, "alice").ID, r.newJob(t, "alice").ID
	// entries made by f, which is done again if a quarter of an hour ended meanwhile.
	entries := func(f func()) int {
		t.Helper()
		for {
			before, began := len(r.acts(t)), quarter()
			f()
			if quarter() == began {
				return len(r.acts(t)) - before
			}
		}
	}
	look := func(id, from string) {
		t.Helper()
		req := r.request(t, "GET", "/v1/jobs/"+id, "root", nil)
		req.Header.Set("X-Forwarded-For", from)
		if a := r.send(t, req); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if n := entries(func() {
		for range 5 {
			look(id, "192.0.2.1")
		}
	}); n != 1 {
		t.Errorf("%d entries of five looks", n)
	}
	if n := entries(func() { look(other, "192.0.2.1"); look(other, "2001:db8::1"); look(other, "2001:db8::1") }); n != 2 {
		t.Errorf("%d entries of looks from two places", n)
	}
	if place := r.acts(t)[0].Place; place != "2001:db8::1" {
		t.Errorf("the place is %q", place)
	}
	if n := entries(func() {
		for range 3 {
			r.do(t, "GET", "/v1/jobs?all=true", "root")
		}
	}); n != 1 {
		t.Errorf("%d entries of three lists", n)
	}
	before := len(r.acts(t))
	for range 2 { // each fails anew
		r.fail(t, id, job.Internal)
		if a := r.do(t, "POST", "/v1/jobs/"+id+"/retry", "root"); a.StatusCode != 202 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	for range 2 { // it is canceled, and then removed
		r.do(t, "DELETE", "/v1/jobs/"+id, "root")
	}
	var got []job.Action
	for _, a := range r.acts(t)[:len(r.acts(t))-before] {
		got = append(got, a.Action)
	}
	if want := []job.Action{job.ActDelete, job.ActCancel, job.ActRetry, job.ActRetry}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAuditDown: what cannot be noted is not done, and not shown. Users' own jobs do not
// depend on it.
func TestAuditDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for _, c := range onJob {
		id := r.jobIn(t, "alice", c.state)
		was, err := r.jobs.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		r.faults.set("NoteAct", down)
		a := r.do(t, c.method, fmt.Sprintf(c.path, id), "root")
		wantProblem(t, a, 503, "unavailable")
		if is, err := r.jobs.Get(t.Context(), id); err != nil || is.State != c.state || is.Version != was.Version {
			t.Errorf("%s %s: the job is %s, version %d and not %d, %v", c.method, c.path, is.State, is.Version, was.Version, err)
		}
		if c.state == job.Succeeded {
			if ok, err := r.bucket.Exists(t.Context(), was.Result.Key); err != nil || !ok {
				t.Errorf("%s %s: the MP3 is there: %t, %v", c.method, c.path, ok, err)
			}
		}
		if a := r.do(t, c.method, fmt.Sprintf(c.path, id), "alice"); a.StatusCode >= 300 {
			t.Errorf("%s %s by its owner: %d %s", c.method, c.path, a.StatusCode, a.body)
		}
		r.faults.set("NoteAct", nil)
	}
	r.faults.set("NoteAct", down)
	wantProblem(t, r.do(t, "GET", "/v1/jobs?all=true", "root"), 503, "unavailable")
	r.faults.set("NoteAct", func() error { return syscall.ENOSPC })
	wantProblem(t, r.do(t, "GET", "/v1/jobs?all=true", "root"), 507, "storage_full")
	r.faults.set("Acts", down)
	wantProblem(t, r.do(t, "GET", "/v1/audit", "root"), 503, "unavailable")
}

// TestAuditLog: administrators read it, page by page and by what they ask for, and nobody
// else; to read it is no entry.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var ids []string
	for i := range 5 {
		id := r.newJob(t, []string{"alice", "bob"}[i%2]).ID
		r.do(t, "GET", "/v1/jobs/"+id, "root")
		ids = append(ids, id)
	}
	r.do(t, "GET", "/v1/jobs?all=true", "root")
	type act struct {
		ID, At, Actor, Action, Job, Owner, Detail string
		Email                                     string `json:"actor_email"`
		Address                                   string
	}
	read := func(query string) (all []act, pages int) {
		t.Helper()
		cursor := ""
		for {
			var page struct {
				Acts []act
				Next string `json:"next_cursor"`
			}
			a := r.do(t, "GET", "/v1/audit?"+query+cursor, "root")
			decode(t, a, &page)
			if a.StatusCode != 200 || page.Acts == nil {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			all, pages = append(all, page.Acts...), pages+1
			if page.Next == "" {
				return all, pages
			}
			cursor = "&cursor=" + page.Next
		}
	}
	all, pages := read("limit=2")
	if len(all) != 6 || pages != 3 {
		t.Fatalf("%d acts on %d pages: %+v", len(all), pages, all)
	}
	if all[0].Action != "list" || all[0].Job != "" {
		t.Errorf("the newest is %+v", all[0])
	}
	for i, a := range all[1:] {
		if a.Job != ids[4-i] || a.Action != "view" || a.Actor != "user-root" || a.Email != "root@example.org" || a.Address != "127.0.0.1" || a.Owner != []string{"user-alice", "user-bob"}[i%2] {
			t.Errorf("%d: %+v", i, a)
		}
	}
	for query, want := range map[string]int{
		"": 6, "owner=user-bob": 2, "owner=user-alice&limit=1": 3, "job=" + ids[0]: 1, "actor=user-root": 6, "actor=user-alice": 0,
		"owner=user-bob&job=" + ids[0]: 0, "owner=user-bob&actor=user-root": 2, "job=x": 0, "owner=%C3%A4": 0,
	} {
		if got, _ := read(query); len(got) != want {
			t.Errorf("%s: %d acts, want %d", query, len(got), want)
		}
	}
	for query, code := range map[string]string{"cursor=x": "bad_cursor", "limit=0": "invalid_input", "limit=101": "invalid_input"} {
		wantProblem(t, r.do(t, "GET", "/v1/audit?"+query, "root"), 422, code)
	}
	wantProblem(t, r.do(t, "GET", "/v1/audit", "alice"), 403, "forbidden")
	wantProblem(t, r.do(t, "GET", "/v1/audit", "alice/admin+jobs:read"), 403, "forbidden")
	wantProblem(t, r.do(t, "GET", "/v1/audit", "root/jobs:read"), 403, "forbidden")
	wantProblem(t, r.do(t, "GET", "/v1/audit", "root/admin"), 403, "insufficient_scope")
	wantProblem(t, r.do(t, "GET", "/v1/audit", ""), 401, "unauthorized")
	if n := len(r.acts(t)); n != 6 {
		t.Errorf("%d entries after they were read", n)
	}
}
