package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Check reports whether a part that a service needs can be reached.
type Check func(context.Context) error

const (
	checkTimeout = 2 * time.Second
	checkAge     = time.Second // what was found is good for so long
)

// Health serves /livez, which says that the process answers, and /readyz, which
// says whether it can do its work: 503, with the names of what is missing, if a
// check fails or once the shutdown has begun. Failures are logged when they begin
// and end.
func Health(mux *http.ServeMux, logger *slog.Logger, checks map[string]Check) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	h := &health{logger: logger, checks: checks, failing: map[string]bool{}}
	mux.HandleFunc("GET /readyz", h.serve)
}

type health struct {
	logger *slog.Logger
	checks map[string]Check

	mu      sync.Mutex
	at      time.Time
	found   map[string]string
	failing map[string]bool
}

func (h *health) serve(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{"ready", h.look(r.Context())}
	status := http.StatusOK
	for _, state := range answer.Checks {
		if state != "ok" {
			answer.Status, status = "unavailable", http.StatusServiceUnavailable
		}
	}
	select {
	case <-Draining(r.Context()):
		answer.Status, status = "draining", http.StatusServiceUnavailable
	default:
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// look runs all checks at once, unless it has just done so.
func (h *health) look(ctx context.Context) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.found != nil && time.Since(h.at) < checkAge {
		return h.found
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		found = map[string]string{}
	)
	for name, check := range h.checks {
		wg.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			found[name] = "ok"
			if err != nil {
				found[name] = "unavailable" // why is nobody's business outside
			}
			if failing := err != nil; failing != h.failing[name] {
				h.failing[name] = failing
				if failing {
					h.logger.Error("a part that is needed cannot be reached", "part", name, "error", err)
				} else {
					h.logger.Info("a part that was missing is back", "part", name)
				}
			}
		})
	}
	wg.Wait()
	h.found, h.at = found, time.Now()
	return found
}
