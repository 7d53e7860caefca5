package httpapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/internal/trace"
)

// TestTrace: a request has a span by its route, which its log line and a problem name; only
// those of our own services go on with the trace that they name, and nobody's health is
// traced. It is not parallel: spans are the process's.
func TestTrace(t *testing.T) {
	collector, err := testserver.OTLP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = collector.Close() })
	stop, err := trace.Start(t.Context(), trace.Config{URL: collector.URL, Ratio: 1, Service: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	log := &testserver.Output{}
	logger := slog.New(trace.Log(slog.NewJSONHandler(log, nil)))
	mux, _ := httpapi.NewAPI("test", "", "")
	httpapi.Health(mux, logger, nil)
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		httpapi.NewProblem(http.StatusConflict, "conflict", "No.").Write(w, r)
	})
	observed := httpapi.Observe(mux, logger, time.Second, nil)
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	for name, h := range map[string]http.Handler{"strangers": observed, "ours": httpapi.TrustParents(observed)} {
		r := httptest.NewRequest("GET", "/things/private?query=private", nil)
		r.Header.Set("traceparent", "00-"+theirs+"-b7ad6b7169203331-01")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var p struct{ Trace string }
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Trace == "" || (p.Trace == theirs) != (name == "ours") {
			t.Errorf("%s: %v %s", name, err, w.Body)
		}
		if !strings.Contains(log.String(), `"trace_id":"`+p.Trace+`"`) {
			t.Errorf("%s: the log does not name %s: %s", name, p.Trace, log)
		}
	}
	observed.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/readyz", nil))
	observed.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/nowhere", nil))
	stop()
	routes := map[string]int{}
	for _, s := range collector.Spans() {
		routes[s.Name]++
		if s.Name == "GET /things/{id}" && (s.Attrs["error.type"] != "conflict" || s.Fault != "") {
			t.Errorf("%+v", s)
		}
		for k, v := range s.Attrs {
			if strings.Contains(v, "private") {
				t.Errorf("%s is %s", k, v)
			}
		}
	}
	if len(routes) != 2 || routes["GET /things/{id}"] != 2 || routes["GET"] != 1 {
		t.Errorf("the spans are %v", routes)
	}
}
