package workers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/notifier"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// users takes any token for the name of a user.
type users struct{}

func (users) Verify(_ context.Context, raw string) (token.Claims, error) {
	return token.Claims{
		Subject: raw, Email: raw + "@example.org", Roles: []string{token.RoleUser}, Verified: true,
		Scopes: []string{token.ScopeJobsRead, token.ScopeJobsWrite}, Expires: time.Now().Add(time.Hour),
	}, nil
}

// post fails at every seventh mail.
type post struct{ n int }

func (p *post) Send(context.Context, mail.Message) error {
	if p.n++; p.n%7 == 0 {
		return errors.New("away")
	}
	return nil
}

// outcomes are what conversions come to, in turn.
func outcomes() []error {
	all := []error{nil, nil, errors.New("odd"), &cage.Fault{Kind: cage.Crashed}, &cage.Fault{Kind: cage.TimedOut}}
	for _, code := range []transcode.Code{transcode.CodeNoAudio, transcode.CodeTruncated, transcode.CodeUnsupported, transcode.CodeEncrypted} {
		all = append(all, &transcode.Error{Op: "decode", Err: transcode.ErrOf(code), Codec: "made up", Detail: "in " + string(code)})
	}
	return all
}

// system is the services on the embedded parts, with conversions that are none.
type system struct {
	t         *testing.T
	parts     *app.Parts
	api       http.Handler
	worker    *worker.Worker
	sweeper   *worker.Sweeper
	notifier  *notifier.Notifier
	converted int
	jobs      []string
}

func newSystem(t *testing.T) *system {
	t.Helper()
	p, _ := newParts(t)
	s := &system{t: t, parts: p}
	jobs, turns := p.Turns(1)
	links, err := link.New("http://mp3.example.org", []byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{}, gateway.Deps{
		Jobs: jobs, Keys: jobs, Queue: turns, Hints: p.Hints, Bucket: gateway.BucketOf(p.Bucket), Tokens: users{}, Links: links,
		Logger: p.Log, Metrics: p.Metrics(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.api = g.Handler()
	cfg := worker.Config{MaxTries: 1, Slots: 2, Metrics: p.Metrics(), Backoff: time.Nanosecond, Sweep: worker.SweepConfig{Stale: time.Hour}}
	all := outcomes()
	s.worker, err = worker.New(cfg, worker.Deps{
		Jobs: jobs, Queue: turns, Hints: p.Hints, Bucket: worker.BucketOf(p.Bucket),
		Convert: func(_ context.Context, dst io.Writer, _ io.ReadSeeker, _ *transcode.Options) (*transcode.Result, error) {
			s.converted++
			if err := all[s.converted%len(all)]; err != nil {
				return nil, err
			}
			n, err := io.WriteString(dst, "mp3")
			return &transcode.Result{BytesWritten: int64(n), Duration: time.Minute, WallTime: time.Second}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.sweeper, err = worker.NewSweeper(cfg, worker.SweepDeps{Jobs: jobs, Queue: turns, Hints: p.Hints, Bucket: SweepBucket(p.Bucket)}); err != nil {
		t.Fatal(err)
	}
	mailer, err := mail.NewCounted(&post{}, p.Metrics(), "notifier")
	if err != nil {
		t.Fatal(err)
	}
	if s.notifier, err = notifier.New(notifier.Config{Metrics: p.Metrics()}, notifier.Deps{Jobs: p.Jobs, Mailer: mailer, Links: links}); err != nil {
		t.Fatal(err)
	}
	p.Metrics().MustRegister(metrics.NewFleet(p.Jobs, "test", p.Log, metrics.NewJobs(p.Jobs, p.Log), p.Queue.Collector()))
	return s
}

// do makes a request of a user.
func (s *system) do(method, path, user, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+user)
	r.Header.Set("User-Agent", "curl of "+user)
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	return w
}

var location = regexp.MustCompile(`^/v1/jobs/([0-9a-f-]{36})$`)

// job has a user bring a file, and sees it to its end and beyond.
func (s *system) job(user string, i int) {
	s.t.Helper()
	w := s.do("POST", fmt.Sprintf("/v1/jobs?title=song%d&filename=file%d.mp4", i, i), user, fmt.Sprintf("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom %d", i))
	m := location.FindStringSubmatch(w.Header().Get("Location"))
	if m == nil {
		s.t.Fatalf("%d: %s", w.Code, w.Body)
	}
	id, ctx := m[1], s.t.Context()
	s.jobs = append(s.jobs, id)
	if i%11 == 0 {
		s.do("DELETE", "/v1/jobs/"+id, user, "")
	}
	for range 3 { // it may be queued again
		if err := s.worker.Handle(ctx, id, 0); err != nil {
			s.t.Fatal(err)
		}
	}
	j, err := s.parts.Jobs.Get(ctx, id)
	if err != nil || j.State.Active() {
		s.t.Fatalf("%+v, %v", j, err)
	}
	_ = s.notifier.Handle(ctx, id, j.Attempt) // an error means later
	s.do("GET", "/v1/jobs/"+id+"/audio?inline=true", user, "")
	s.do("GET", "/v1/jobs/"+id, "somebody-else", "")
	s.do("GET", "/wp-admin/"+id+".php", user, "")
	s.do(fmt.Sprintf("BREW%d", i), "/"+user, user, "")
}

// series are all that are told, by name and labels.
func series(t *testing.T, from prometheus.Gatherer) []string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			text := f.GetName()
			for _, l := range m.GetLabel() {
				text += " " + l.GetName() + "=" + l.GetValue()
			}
			all = append(all, text)
			for _, b := range m.GetHistogram().GetBucket() {
				all = append(all, fmt.Sprintf("%s le=%v", text, b.GetUpperBound()))
			}
		}
	}
	return all
}

// TestSeries: a thousand jobs of a hundred users make no more series than the first few
// do, and nobody's name, file or job is in any.
func TestSeries(t *testing.T) {
	s := newSystem(t)
	run := func(from, to int) {
		for i := from; i < to; i++ {
			s.job(fmt.Sprintf("user-%d", i%100), i)
		}
		if _, err := s.sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run(0, 200) // until each has ended in every way
	before := series(t, s.parts.Metrics())
	run(200, 1000)
	after := series(t, s.parts.Metrics())
	if len(after) != len(before) {
		t.Errorf("%d series became %d", len(before), len(after))
	}
	ours := 0
	for _, text := range after {
		if strings.HasPrefix(text, "mp3lathe_") {
			ours++
		}
		if regexp.MustCompile(`user-|song|file\d|BREW|wp-admin|curl|made up|[0-9a-f]{8}-[0-9a-f]{4}`).MatchString(text) {
			t.Errorf("a series of one job or user: %s", text)
		}
	}
	t.Logf("%d series, %d of them of our own", len(after), ours)
	if ours > 600 {
		t.Errorf("%d series", ours)
	}
	// They have counted what has happened.
	sum := 0.0
	families, err := s.parts.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "mp3lathe_jobs_ended_total", "mp3lathe_jobs_canceled_total":
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	if sum != 1000 {
		t.Errorf("%v jobs have ended", sum)
	}
}

// TestNames: the metrics are named as is the custom.
func TestNames(t *testing.T) {
	s := newSystem(t)
	s.job("ada", 1)
	families, err := s.parts.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "mp3lathe_") {
			names = append(names, f.GetName())
		}
	}
	if len(names) < 25 {
		t.Errorf("only %q", names)
	}
	problems, err := testutil.GatherAndLint(s.parts.Metrics(), names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEveryCode: a failure of each code has its series before the first has happened.
func TestEveryCode(t *testing.T) {
	s := newSystem(t)
	all := strings.Join(series(t, s.parts.Metrics()), "\n")
	for _, code := range job.Codes() {
		if !strings.Contains(all, "mp3lathe_jobs_ended_total code="+string(code)+" state=failed") {
			t.Errorf("none of %s", code)
		}
	}
}
