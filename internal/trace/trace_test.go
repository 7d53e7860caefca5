package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/internal/trace"
)

// The spans of a process go to one collector, so that these tests do not run side by side.

func start(t *testing.T, ratio float64) (*testserver.OTLPServer, *testserver.Output, func()) {
	t.Helper()
	c, err := testserver.OTLP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	log := &testserver.Output{}
	stop, err := trace.Start(t.Context(), trace.Config{URL: c.URL, Ratio: ratio, Service: "test", Version: "v1", Logger: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return c, log, stop
}

// TestOff: without a collector there are no spans, and nothing says that there were.
func TestOff(t *testing.T) {
	ctx, span := trace.Begin(t.Context(), "nothing", trace.With(trace.String("a", "b")))
	span.Set(trace.Int("n", 1))
	span.Event("e")
	span.Done(nil)
	if trace.Parent(ctx) != "" || trace.ID(ctx) != "" {
		t.Errorf("parent %q, trace %q", trace.Parent(ctx), trace.ID(ctx))
	}
	var b bytes.Buffer
	slog.New(trace.Log(slog.NewJSONHandler(&b, nil))).InfoContext(ctx, "m")
	if strings.Contains(b.String(), "trace") {
		t.Error(b.String())
	}
}

// TestSpans: they arrive at a collector, connected, also from one process to another, and
// the log names them.
func TestSpans(t *testing.T) {
	c, _, stop := start(t, 1)
	ctx, first := trace.Begin(t.Context(), "first", trace.Producer)
	var b bytes.Buffer
	slog.New(trace.Log(slog.NewJSONHandler(&b, nil))).With("k", "v").WithGroup("g").InfoContext(ctx, "m")
	parent := trace.Parent(ctx)
	first.End()
	// Elsewhere, after a while.
	later, second := trace.Begin(trace.Continue(context.Background(), parent), "second", trace.Consumer, trace.With(trace.Int64("n", 7)))
	_, third := trace.Begin(later, "third")
	third.Event("seen")
	third.Done(fmt.Errorf("bucket http://user:secret@host: %w", context.DeadlineExceeded))
	second.End()
	stop()
	by := map[string]testserver.OTLPSpan{}
	for _, s := range c.Spans() {
		by[s.Name] = s
	}
	if err := c.Err(); err != nil || len(by) != 3 {
		t.Fatalf("%v: %+v", err, by)
	}
	a, m, z := by["first"], by["second"], by["third"]
	if a.Parent != "" || m.Parent != a.ID || z.Parent != m.ID || m.Trace != a.Trace || z.Trace != a.Trace || a.Service != "test" {
		t.Errorf("%+v", by)
	}
	if !strings.Contains(m.Attrs["n"], "7") || len(z.Events) != 1 || z.Fault != "timeout" {
		t.Errorf("%+v", by)
	}
	for _, raw := range c.Raw() {
		if bytes.Contains(raw, []byte("secret")) {
			t.Error("the text of an error is in a span")
		}
	}
	var line struct {
		G struct {
			TraceID string `json:"trace_id"`
			SpanID  string `json:"span_id"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.G.TraceID != a.Trace || line.G.SpanID != a.ID {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestRatio: what is not recorded has an ID all the same, and who goes on with it does
// not record it either.
func TestRatio(t *testing.T) {
	c, _, stop := start(t, 0)
	ctx, span := trace.Begin(t.Context(), "first")
	if trace.ID(ctx) == "" || !strings.HasSuffix(trace.Parent(ctx), "-00") {
		t.Errorf("%q", trace.Parent(ctx))
	}
	_, next := trace.Begin(trace.Continue(context.Background(), trace.Parent(ctx)), "second")
	next.End()
	span.End()
	// What is not a parent changes nothing.
	for _, parent := range []string{"", "00-zz-1-01", strings.Repeat("x", 1000)} {
		if trace.ID(trace.Continue(context.Background(), parent)) != "" {
			t.Errorf("%q is a parent", parent)
		}
	}
	stop()
	if s := c.Spans(); len(s) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestStrangers: a request that names a trace begins one of its own, with a link, and
// goes on with the other only if it is to be trusted; either way nothing of its own words
// is told.
func TestStrangers(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		for _, sampled := range []bool{false, true} {
			c, _, stop := start(t, 1)
			const theirs = "0af7651916cd43dd8448eb211c80319c"
			r := httptest.NewRequest("BREW", "/x", nil)
			r.Header.Set("traceparent", "00-"+theirs+"-b7ad6b7169203331-0"+map[bool]string{true: "1", false: "0"}[sampled])
			r.Header.Set("tracestate", "vendor=theirwords")
			r.Header.Set("baggage", "k=theirwords")
			ctx, end := trace.Request(r, trusted)
			own := trace.ID(ctx)
			out := http.Header{}
			trace.Inject(ctx, out)
			end("GET /x/{id}", 503, "unavailable")
			stop()
			spans := c.Spans()
			switch {
			case trusted && own != theirs, !trusted && own == theirs:
				t.Errorf("trusted %v: it goes on with %s", trusted, own)
			case trusted && !sampled:
				if len(spans) != 0 {
					t.Errorf("recorded: %+v", spans)
				}
				continue
			}
			if len(spans) != 1 {
				t.Fatalf("%+v", spans)
			}
			s := spans[0]
			if s.Name != "GET /x/{id}" || s.Attrs["http.request.method"] != "_OTHER" || s.Fault != "unavailable" || s.Attrs["http.route"] != "GET /x/{id}" {
				t.Errorf("%+v", s)
			}
			if !trusted && (len(s.Links) != 1 || s.Links[0] != theirs || s.Parent != "") {
				t.Errorf("a stranger's: %+v", s)
			}
			for _, raw := range c.Raw() {
				if !trusted && bytes.Contains(raw, []byte("theirwords")) {
					t.Error("words of a stranger are told")
				}
			}
			if !trusted && strings.Contains(fmt.Sprint(out), "theirwords") {
				t.Errorf("they go on: %v", out)
			}
		}
	}
}

// TestCollectorAway: a collector that hangs or refuses holds nobody up, neither while work
// goes on nor at the end, and is told of once.
func TestCollectorAway(t *testing.T) {
	for name, spoil := range map[string]func(*testserver.OTLPServer){
		"hangs":   func(c *testserver.OTLPServer) { c.Hang(true) },
		"refuses": func(c *testserver.OTLPServer) { c.Answer(500) },
		"gone":    func(c *testserver.OTLPServer) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := testserver.OTLP()
			if err != nil {
				t.Fatal(err)
			}
			if name != "gone" {
				defer c.Close()
			}
			spoil(c)
			log := &testserver.Output{}
			stop, err := trace.Start(t.Context(), trace.Config{URL: c.URL, Ratio: 1, Service: "test", Logger: slog.New(slog.NewJSONHandler(log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for range 20_000 { // ten times what is kept
				_, span := trace.Begin(t.Context(), "work")
				span.End()
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("20,000 spans took %v", took)
			}
			began = time.Now()
			stop()
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("the end took %v", took)
			}
			if n := strings.Count(log.String(), "spans cannot be sent"); n > 1 {
				t.Errorf("it was told %d times: %s", n, log)
			}
		})
	}
}

func TestBadURL(t *testing.T) {
	for _, u := range []string{"", "collector:4318", "grpc://collector:4317", "http://", "http://u:secret@collector:4318", "http://collector/?a=b", "%"} {
		err := trace.CheckURL(u)
		if err == nil {
			t.Errorf("%q is taken", u)
		} else if strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
	for _, u := range []string{"http://collector:4318", "https://collector.example.org/otlp/v1/traces"} {
		if err := trace.CheckURL(u); err != nil {
			t.Error(err)
		}
	}
}
