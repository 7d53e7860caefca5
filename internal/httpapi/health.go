package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Check reports whether a part that a service needs can be reached.
type Check func(context.Context) error

// Spare is a check of a part that a service can do without for a while: if it fails,
// /readyz names the part, but the service is ready all the same.
func Spare(c Check) Check {
	return func(ctx context.Context) error {
		if err := c(ctx); err != nil {
			return &spareError{err}
		}
		return nil
	}
}

type spareError struct{ error }

func (e *spareError) Unwrap() error { return e.error }

const (
	checkTimeout = 2 * time.Second
	checkAge     = time.Second // what was found is good for so long
)

// Health serves /livez, which says that the process answers, and /readyz, which
// says whether it can do its work: 503, with the names of what is missing, if a
// check that is not [Spare] fails or once the shutdown has begun. Failures are logged when they begin
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
	found   finding
	failing map[string]bool
}

// finding is what the checks have found.
type finding struct {
	ready bool
	parts map[string]string // nil: nothing yet
}

func (h *health) serve(w http.ResponseWriter, r *http.Request) {
	found := h.look(r.Context())
	answer := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}{"ready", found.parts}
	status := http.StatusOK
	if !found.ready {
		answer.Status, status = "unavailable", http.StatusServiceUnavailable
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
func (h *health) look(ctx context.Context) finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.found.parts != nil && time.Since(h.at) < checkAge {
		return h.found
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		found = finding{true, map[string]string{}}
	)
	for name, check := range h.checks {
		wg.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			var spare *spareError
			needed := !errors.As(err, &spare)
			found.parts[name] = "ok"
			if err != nil {
				found.parts[name] = "unavailable" // why is nobody's business outside
				found.ready = found.ready && !needed
			}
			if failing := err != nil; failing != h.failing[name] {
				h.failing[name] = failing
				switch {
				case failing && !needed:
					h.logger.Warn("a part cannot be reached that can be done without for a while", "part", name, "error", err)
				case failing:
					h.logger.Error("a part that is needed cannot be reached", "part", name, "error", err)
				default:
					h.logger.Info("a part that was missing is back", "part", name)
				}
			}
		})
	}
	wg.Wait()
	h.found, h.at = found, time.Now()
	return found
}
