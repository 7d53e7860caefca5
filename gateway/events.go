package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

const (
	// sendGap is the least time between two events of which the second tells no
	// new state.
	sendGap = 200 * time.Millisecond
	// lookGap is the least time between two looks at the row.
	lookGap = 10 * time.Millisecond
	// blindTime is how long SQL may be down before a stream gives up.
	blindTime = time.Minute
)

type eventsInput struct {
	ID          string `path:"id" doc:"The job's ID"`
	LastEventID string `header:"Last-Event-ID" doc:"The version that the client knows; an EventSource sends it when it connects again"`
}

func (g *Gateway) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	x := exchangeOf(ctx)
	j, err := g.jobOf(ctx, in.ID, x.user, job.ActEvents)
	if err != nil {
		return nil, err
	}
	known, err := strconv.ParseInt(in.LastEventID, 10, 64)
	if err != nil || known != j.Version {
		known = -1
	}
	if known >= 0 && j.State.Ended() {
		// Nothing is to come. This answer, unlike the end of a stream, keeps an
		// EventSource from connecting again.
		return &huma.StreamResponse{Body: func(ctx huma.Context) { ctx.SetStatus(http.StatusNoContent) }}, nil
	}
	ear, ok := g.hub.watch(j.ID, x.user.id, g.config.MaxStreams)
	if !ok {
		return nil, httpapi.NewProblem(http.StatusTooManyRequests, "too_many_streams", "Too many streams of events are open.").
			WithHeader("Retry-After", "5")
	}
	return &huma.StreamResponse{Body: func(huma.Context) {
		defer g.hub.leave(j.ID, x.user.id, ear)
		g.counts.streams.Inc()
		defer g.counts.streams.Dec()
		s := &stream{
			g: g, user: x.user, id: j.ID, w: x.w, control: http.NewResponseController(x.w),
			ear: ear, version: known,
		}
		if known >= 0 {
			s.state, s.position = j.State, -1 // the place it had is not known
		}
		if err := s.run(x.r.Context()); err != nil {
			httpapi.Abort(x.r.Context(), err)
		}
	}}, nil
}

// stream is one client's stream of one job's events.
type stream struct {
	g       *Gateway
	user    user
	id      string
	w       http.ResponseWriter
	control *http.ResponseController
	ear     *watcher

	// What was sent last. The version is -1 before.
	version  int64
	state    job.State
	position int
	sentAt   time.Time

	lookedAt time.Time
	seenAt   time.Time // when SQL answered last
}

var (
	errEnded = errors.New("the stream has come to its end")
	errGone  = errors.New("the client is gone")
)

// run sends events until there are no more to come, or none to send them to.
func (s *stream) run(ctx context.Context) error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // for nginx in front of us
	s.w.WriteHeader(http.StatusOK)
	err := s.write([]byte("retry: 2000\n\n"))
	var expired <-chan time.Time
	if !s.user.until.IsZero() {
		t := time.NewTimer(time.Until(s.user.until))
		defer t.Stop()
		expired = t.C
	}
	beat := time.NewTicker(s.g.config.Heartbeat)
	defer beat.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	s.seenAt = time.Now()
	for err == nil {
		select {
		case <-look.C:
			var again time.Duration
			again, err = s.look(ctx)
			look.Reset(again)
		case <-s.ear.news:
			look.Reset(max(0, lookGap-time.Since(s.lookedAt)))
		case <-beat.C:
			err = s.write([]byte(":\n\n"))
		case <-expired:
			_ = s.write([]byte(": the token has expired\n\n"))
			err = errEnded
		case <-httpapi.Draining(ctx):
			_ = s.write([]byte(": the server ends; connect again\n\n"))
			err = errEnded
		case <-ctx.Done():
			err = errGone
		}
	}
	if err == errEnded || err == errGone {
		return nil
	}
	return err
}

// look looks at the job and sends what is new. It returns when to look again.
func (s *stream) look(ctx context.Context) (time.Duration, error) {
	s.lookedAt = time.Now()
	j, err := s.g.jobs.Get(ctx, s.id)
	switch {
	case ctx.Err() != nil:
		return 0, errGone
	case errors.Is(err, job.ErrNotFound):
		return 0, s.end("deleted")
	case err != nil:
		if time.Since(s.seenAt) > blindTime {
			return 0, storeTrouble(err)
		}
		return s.g.config.Poll, nil
	}
	s.seenAt = time.Now()
	b := s.g.viewOne(ctx, &j, s.user)
	if s.position < 0 {
		s.position = b.Position
	}
	again := s.g.config.Poll
	switch gap := sendGap - time.Since(s.sentAt); {
	case j.Version < s.version:
		return again, nil // a copy of SQL that lags behind
	case j.Version == s.version && b.Position == s.position && s.state != "":
	case gap > 0 && j.State == s.state:
		return min(gap, again), nil
	default:
		if err := s.send(b); err != nil {
			return 0, err
		}
		s.version, s.state, s.position, s.sentAt = j.Version, j.State, b.Position, time.Now()
	}
	if j.State.Ended() {
		return 0, s.end(string(j.State))
	}
	return again, nil
}

// send sends the job.
func (s *stream) send(b *jobBody) error {
	data, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("gateway: an event: %w", err)
	}
	var e bytes.Buffer
	fmt.Fprintf(&e, "event: job\nid: %d\ndata: %s\n\n", b.Version, data)
	return s.write(e.Bytes())
}

// end says that nothing is to come.
func (s *stream) end(state string) error {
	if err := s.write(fmt.Appendf(nil, "event: end\ndata: {\"state\":%q}\n\n", state)); err != nil {
		return err
	}
	return errEnded
}

func (s *stream) write(p []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.g.config.Timeout))
	if _, err := s.w.Write(p); err != nil {
		return errGone
	}
	if err := s.control.Flush(); err != nil {
		return errGone
	}
	return nil
}
