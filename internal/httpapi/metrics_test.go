package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// TestMetrics: requests are counted by their route and what came of them, whatever a
// client writes into its path.
func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m, err := httpapi.NewMetrics(registry, "things")
	if err != nil {
		t.Fatal(err)
	}
	mux, _ := httpapi.NewAPI("things", "1", "")
	mux.HandleFunc("GET /things/{name}", func(w http.ResponseWriter, r *http.Request) {
		switch r.PathValue("name") {
		case "panic":
			panic("oh")
		case "gone":
			panic(http.ErrAbortHandler)
		case "broken":
			_, _ = io.WriteString(w, "half")
			httpapi.Abort(r.Context(), io.ErrUnexpectedEOF)
		}
		_, _ = io.WriteString(w, "ok")
	})
	h := httpapi.Observe(mux, (&lines{}).logger(), time.Second, m)
	ask := func(method, path string) {
		defer func() { _ = recover() }() // an answer that is cut off
		serve(h, method, path, "")
	}
	for _, path := range []string{"/things/a", "/things/b", "/things/panic", "/things/gone", "/things/broken", "/x", "/y", "/a//b"} {
		ask("GET", path)
	}
	ask("BREW", "/things/a")
	want := `
# HELP mp3lathe_http_requests_in_flight Requests that are being answered.
# TYPE mp3lathe_http_requests_in_flight gauge
mp3lathe_http_requests_in_flight{service="things"} 0
# HELP mp3lathe_http_requests_total Requests by route and the code of their answer; 499 if the client went away before its end.
# TYPE mp3lathe_http_requests_total counter
mp3lathe_http_requests_total{code="200",route="GET /things/{name}",service="things"} 2
mp3lathe_http_requests_total{code="404",route="/",service="things"} 3
mp3lathe_http_requests_total{code="405",route="/",service="things"} 1
mp3lathe_http_requests_total{code="499",route="GET /things/{name}",service="things"} 1
mp3lathe_http_requests_total{code="500",route="GET /things/{name}",service="things"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "mp3lathe_http_requests_in_flight", "mp3lathe_http_requests_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "mp3lathe_http_request_duration_seconds"); n != 2 || err != nil {
		t.Errorf("%d histograms, %v", n, err)
	}
	// Another service of the same process is counted beside it.
	if _, err := httpapi.NewMetrics(registry, "others"); err != nil {
		t.Error(err)
	}
}

// TestExemplar: a request that is part of a trace leads to it.
func TestExemplar(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m, err := httpapi.NewMetrics(registry, "things")
	if err != nil {
		t.Fatal(err)
	}
	mux, _ := httpapi.NewAPI("things", "1", "")
	mux.HandleFunc("GET /x", func(http.ResponseWriter, *http.Request) {})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	h := httpapi.Observe(mux, (&lines{}).logger(), time.Second, m)
	serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(trace.ContextWithSpanContext(context.Background(), span)))
	}), "GET", "/x", "")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, f := range families {
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			for _, l := range b.GetExemplar().GetLabel() {
				found += l.GetName() + "=" + l.GetValue()
			}
		}
	}
	if found != "trace_id=01000000000000000000000000000000" {
		t.Errorf("exemplars: %q", found)
	}
}
