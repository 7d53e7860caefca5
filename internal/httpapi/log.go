package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/trace"
)

// record is what becomes known of a request on its way, for its log line.
type record struct {
	id      string
	trace   string // its ID; empty without one
	user    string
	problem *Problem
}

type recordKey struct{}

// SetUser tells the log line of a request whose it is.
func SetUser(ctx context.Context, id string) {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		rec.user = id
	}
}

// Abort cuts off an answer that has begun and cannot be completed, so that the
// client does not take it for whole. The log line of the request says why: the
// problem in cause, or [Internal]. It does not return.
func Abort(ctx context.Context, cause error) {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		rec.problem = AsProblem(cause)
	}
	panic(http.ErrAbortHandler)
}

// NoContent is the policy (Content-Security-Policy) of answers that are no pages.
const NoContent = "default-src 'none'; frame-ancestors 'none'"

type trustKey struct{}

// TrustParents has the requests that a handler made by [Observe] gets go on with the
// traces that they name, as those of our own services do. Those of others begin one.
func TrustParents(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), trustKey{}, true)))
	})
}

// traced reports whether a request is worth a span: nobody has made those that ask
// whether we live.
func traced(r *http.Request) bool {
	return r.URL.Path != "/livez" && r.URL.Path != "/readyz" && r.URL.Path != "/metrics"
}

// Observe wraps the handler of a service: it gives each request an ID (the answer's
// X-Request-Id), a span, logs one line when it is done, turns a panic into a problem, and
// sets the headers that every answer has. Queries are not logged: they may hold
// signatures. What it has logged it counts, in metrics, which may be nil. A request's body has timeout to arrive and its answer to be written,
// unless the handler sets other deadlines. What is no path in its shortest form, such
// as /jobs//audio, is not found.
func Observe(h http.Handler, logger *slog.Logger, timeout time.Duration, metrics *Metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		ended := metrics.began()
		rec := &record{id: uuid.NewString()}
		end := func(string, int, string) {}
		if traced(r) {
			trusted, _ := r.Context().Value(trustKey{}).(bool)
			var ctx context.Context
			ctx, end = trace.Request(r, trusted)
			rec.trace = trace.ID(ctx)
			r = r.WithContext(ctx)
		}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		out := &response{ResponseWriter: w}
		header := w.Header()
		header.Set("X-Request-Id", rec.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", NoContent)
		header.Set("Referrer-Policy", "no-referrer")
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(began.Add(timeout))
		if r.Body != http.NoBody {
			// Also for a body that the handler leaves: the server reads on for a
			// while before it answers, for as long as the client likes.
			_ = control.SetReadDeadline(began.Add(timeout))
		}

		defer func() {
			cut := false
			switch v := recover(); {
			case v == http.ErrAbortHandler:
				cut = true
			case v != nil && out.failed != nil: // the client is gone, and huma panics for it
				cut = true
			case v != nil:
				p := Internal(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
				if cut = out.status != 0; cut {
					rec.problem = p
				} else {
					p.Write(out, r)
				}
			}
			took := time.Since(began)
			ended(r.Context(), r.Pattern, rec.code(out, cut), took)
			logRequest(logger, r, rec, out, took, cut)
			end(r.Pattern, rec.code(out, cut), rec.problemCode())
			if cut { // what was announced can't be kept: the client has to see that
				panic(http.ErrAbortHandler)
			}
		}()
		if !clean(r.URL.Path) {
			NewProblem(http.StatusNotFound, "not_found", "There is nothing at this address.").Write(out, r)
			return
		}
		h.ServeHTTP(out, r)
	})
}

// problemCode is that of the problem in the answer; empty if it is none.
func (rec *record) problemCode() string {
	if rec.problem == nil {
		return ""
	}
	return rec.problem.Code
}

// clean reports whether a path is its own shortest form. Package http would redirect
// to that, in HTML, and a client that left an ID empty would land somewhere else.
func clean(p string) bool {
	short := path.Clean("/" + p)
	return p == short || short != "/" && p == short+"/"
}

func logRequest(logger *slog.Logger, r *http.Request, rec *record, out *response, took time.Duration, cut bool) {
	status := out.status
	if status == 0 {
		status = http.StatusOK
	}
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", status),
		slog.Int64("bytes", out.bytes), slog.Duration("took", took), slog.String("request", rec.id),
	}
	if rec.user != "" {
		attrs = append(attrs, slog.String("user", rec.user))
	}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	if p := rec.problem; p != nil {
		attrs = append(attrs, slog.String("code", p.Code))
		if p.cause != nil {
			attrs = append(attrs, slog.String("error", p.cause.Error()))
			if p.Status >= 500 && !errors.Is(p.cause, context.Canceled) {
				level = slog.LevelError
			}
		}
	}
	switch r.Pattern {
	case "GET /livez", "GET /readyz", "GET /metrics":
		level = slog.LevelDebug
	}
	logger.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attrs...)
}

// response notes status and length of an answer.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
	failed error // of a write
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		w.Header().Del("Content-Type") // of the content that does not follow
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	if err != nil {
		w.failed = err
	}
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
