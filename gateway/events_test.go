package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// event is one server-sent event, or a comment.
type event struct {
	name, id, data, comment string
	job                     jobView
	at                      time.Time
}

// listener reads a stream of events.
type listener struct {
	res    *http.Response
	cancel context.CancelFunc
	events chan event // closed at the end of the stream
}

func (r *rig) listen(t *testing.T, id, user, last string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", r.url+"/v1/jobs/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+user)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	l := &listener{res: res, cancel: cancel, events: make(chan event, 1000)}
	go func() {
		defer close(l.events)
		defer res.Body.Close()
		var e event
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			name, value, _ := strings.Cut(s.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case s.Text() == "":
				e.at = time.Now()
				if e.name == "job" {
					if err := r.contract.fits("#/components/schemas/JobBody", []byte(e.data)); err != nil {
						t.Errorf("an event does not fit: %v", err)
					}
					_ = json.Unmarshal([]byte(e.data), &e.job)
				}
				l.events <- e
				e = event{}
			case name == "event":
				e.name = value
			case name == "id":
				e.id = value
			case name == "data":
				e.data = value
			case name == "":
				e.comment = "." + value
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range l.events { // until the reader has ended
		}
	})
	return l
}

// next returns the next event that is none of the comments and settings.
func (l *listener) next(t *testing.T) event {
	t.Helper()
	for {
		select {
		case e, ok := <-l.events:
			if !ok {
				return event{name: "closed"}
			}
			if e.name != "" {
				return e
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no event within 10 s")
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func() error{"hints": nil, "no hints": down} {
		r := newRig(t, nil)
		r.faults.set("Publish", fault)
		id := r.newJob(t, "alice").ID
		l := r.listen(t, id, "alice", "")
		if e := l.next(t); e.name != "job" || e.job.State != job.Queued || e.job.Position != 1 || e.id != "1" {
			t.Errorf("%s: first %+v", name, e)
		}
		hint := func() { _ = r.wire.Publish(t.Context(), id) }
		r.claim(t, id)
		hint()
		if e := l.next(t); e.job.State != job.Running || e.id != "2" {
			t.Errorf("%s: then %+v", name, e)
		}
		began := time.Now()
		for i := range 50 {
			if err := r.jobs.Heartbeat(t.Context(), id, 1, job.Progress{Position: time.Duration(i+1) * time.Second, Total: time.Minute}, time.Minute); err != nil {
				t.Fatal(err)
			}
			hint()
			time.Sleep(10 * time.Millisecond)
		}
		ended := time.Now()
		must(t)(r.jobs.Fail(t.Context(), id, 1, job.Failure{Code: job.NoAudio}, retention))
		hint()
		last, n := int64(2), 0
		for {
			e := l.next(t)
			if e.name == "end" {
				if e.data != `{"state":"failed"}` {
					t.Errorf("%s: the end says %s", name, e.data)
				}
				break
			}
			if v, _ := strconv.ParseInt(e.id, 10, 64); v <= last || v != e.job.Version {
				t.Errorf("%s: version %s after %d", name, e.id, last)
			} else {
				last = v
			}
			if e.job.State == job.Running {
				n++
			} else if e.job.Failure == nil || e.at.Sub(ended) > time.Second {
				t.Errorf("%s: the end came %v late: %+v", name, e.at.Sub(ended), e)
			}
		}
		if most := int(ended.Sub(began)/(200*time.Millisecond)) + 2; n < 1 || n > most {
			t.Errorf("%s: %d events of progress, want at most %d", name, n, most)
		}
		if e := l.next(t); e.name != "closed" {
			t.Errorf("%s: after the end: %+v", name, e)
		}
	}
}

// TestResume: a client that comes back is told what it does not know, and no more.
func TestResume(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	r.claim(t, id)
	for _, last := range []string{"1", "", "nonsense", "99", "-5"} {
		l := r.listen(t, id, "alice", last)
		if e := l.next(t); e.id != "2" {
			t.Errorf("from %q: %+v", last, e)
		}
	}
	l := r.listen(t, id, "alice", "2")
	time.Sleep(150 * time.Millisecond) // three looks; what is sent at once would be here
	select {
	case e := <-l.events:
		if e.name != "" {
			t.Errorf("told again: %+v", e)
		}
	default:
	}
	must(t)(r.jobs.Fail(t.Context(), id, 1, job.Failure{Code: job.NoAudio}, retention))
	_ = r.wire.Publish(t.Context(), id)
	if e := l.next(t); e.id != "3" || e.job.State != job.Failed {
		t.Errorf("news: %+v", e)
	}
	if e := l.next(t); e.name != "end" {
		t.Errorf("end: %+v", e)
	}
	// An ended job: all at once; and nothing at all for who knows it.
	l = r.listen(t, id, "alice", "2")
	if a, b, c := l.next(t), l.next(t), l.next(t); a.id != "3" || b.name != "end" || c.name != "closed" {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
	req := r.request(t, "GET", "/v1/jobs/"+id+"/events", "alice", nil)
	req.Header.Set("Last-Event-ID", "3")
	if a := r.send(t, req); a.StatusCode != 204 || len(a.body) != 0 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	wantProblem(t, r.do(t, "GET", "/v1/jobs/"+id+"/events", "bob"), 404, "not_found")
}

// TestEventsOfPlace: who waits sees the queue move.
func TestEventsOfPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first, id := r.newJob(t, "bob").ID, r.newJob(t, "alice").ID
	l := r.listen(t, id, "alice", "")
	if e := l.next(t); e.job.Position != 2 {
		t.Errorf("%+v", e)
	}
	r.claim(t, first)
	if e := l.next(t); e.job.Position != 1 || e.id != "1" {
		t.Errorf("%+v", e)
	}
	// A job that is removed.
	a := r.do(t, "DELETE", "/v1/jobs/"+id, "alice")
	if e := l.next(t); a.StatusCode != 200 || e.job.State != job.Canceled {
		t.Errorf("%+v", e)
	}
	if e := l.next(t); e.name != "end" {
		t.Errorf("%+v", e)
	}
}

// TestEventsEnd: the ways in which a stream ends before its job.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	const most = 3
	r := newRig(t, func(c *gateway.Config) { c.MaxStreams, c.Heartbeat = most, 20*time.Millisecond })
	id := r.newJob(t, "alice").ID
	var all []*listener
	for range most {
		l := r.listen(t, id, "alice", "")
		l.next(t)
		all = append(all, l)
	}
	a := r.do(t, "GET", "/v1/jobs/"+id+"/events", "alice")
	wantProblem(t, a, 429, "too_many_streams")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.listen(t, id, "root", "").next(t) // another user has his own
	// A client that goes away makes room.
	all[0].cancel()
	eventually(t, "there is room", func() bool {
		req := r.request(t, "GET", "/v1/jobs/"+id+"/events", "alice", nil)
		ctx, cancel := context.WithCancel(req.Context())
		defer cancel()
		res, err := r.client.Do(req.WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode == 200
	})
	beats := 0
	for beats < 3 {
		select {
		case e, ok := <-all[1].events:
			if !ok {
				t.Fatal("the stream ended")
			}
			if e.name == "" {
				beats++
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no heartbeat")
		}
	}
	// The token expires.
	brief := r.newJob(t, "brief").ID
	l := r.listen(t, brief, "brief", "")
	l.next(t)
	if e := l.next(t); e.name != "closed" {
		t.Errorf("%+v", e)
	}
	// The job is removed from under the stream.
	other := r.newJob(t, "bob").ID
	l = r.listen(t, other, "bob", "")
	l.next(t)
	r.faults.set("Get", func() error { return fmt.Errorf("get: %w", job.ErrNotFound) })
	if e := l.next(t); e.name != "end" || e.data != `{"state":"deleted"}` {
		t.Errorf("%+v", e)
	}
	r.faults.set("Get", nil)
	// SQL goes away and comes back.
	other = r.newJob(t, "bob").ID
	l = r.listen(t, other, "bob", "")
	l.next(t)
	r.faults.set("Get", down)
	time.Sleep(150 * time.Millisecond)
	r.claim(t, other)
	r.faults.set("Get", nil)
	if e := l.next(t); e.job.State != job.Running {
		t.Errorf("%+v", e)
	}
	// The server shuts down, and does not wait for streams.
	began := time.Now()
	r.stop()
	for {
		if e := l.next(t); e.name == "closed" {
			break
		}
	}
	<-r.ended
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
}

// TestManyEvents: hints for other jobs, and very many of them, do not hurt.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.Poll = time.Hour })
	ids := make([]string, 20)
	ls := make([]*listener, len(ids))
	for i := range ids {
		ids[i] = r.newJob(t, "alice").ID
		ls[i] = r.listen(t, ids[i], "alice", "")
		ls[i].next(t)
	}
	for range 20 {
		for _, id := range ids {
			_ = r.wire.Publish(t.Context(), id)
		}
		_ = r.wire.Publish(t.Context(), "")
		_ = r.wire.Publish(t.Context(), "unknown")
	}
	for i, id := range ids {
		must(t)(r.jobs.Cancel(t.Context(), id))
		_ = r.wire.Publish(t.Context(), id)
		for {
			e := ls[i].next(t)
			if e.name == "end" {
				break
			}
			if e.job.ID != id {
				t.Fatalf("an event of %s", e.job.ID)
			}
		}
	}
}

// lagging is a store whose every other look sees the row as it first was.
type lagging struct {
	store
	mu    sync.Mutex
	first map[string]job.Job
	n     int
}

func (l *lagging) Get(ctx context.Context, id string) (job.Job, error) {
	j, err := l.store.Get(ctx, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.first[id]; !ok && err == nil {
		l.first[id] = j
	}
	if l.n++; l.n%2 == 0 && err == nil {
		return l.first[id], nil
	}
	return j, err
}

// TestNoWayBack: a copy of SQL that lags behind does not make a stream go back.
func TestNoWayBack(t *testing.T) {
	t.Parallel()
	l := &lagging{first: map[string]job.Job{}}
	r := newRigOf(t, func(c *gateway.Config) { c.Poll = 10 * time.Millisecond }, func(d *gateway.Deps) {
		l.store = d.Jobs.(faulty).store
		d.Jobs = l
	})
	id := r.newJob(t, "alice").ID
	s := r.listen(t, id, "alice", "")
	if e := s.next(t); e.id != "1" {
		t.Errorf("%+v", e)
	}
	r.claim(t, id)
	if e := s.next(t); e.id != "2" {
		t.Errorf("%+v", e)
	}
	looked := func() int { l.mu.Lock(); defer l.mu.Unlock(); return l.n }
	n := looked()
	eventually(t, "there were more looks", func() bool { return looked() > n+10 })
	must(t)(r.jobs.Cancel(t.Context(), id))
	if e := s.next(t); e.id != "3" {
		t.Errorf("%+v", e)
	}
	if e := s.next(t); e.name != "end" {
		t.Errorf("%+v", e)
	}
}
