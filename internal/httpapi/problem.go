package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Problem is every answer that is an error: the problem details of RFC 9457 with a
// stable code. A handler returns one as its error.
type Problem struct {
	// Type is a URN made of the code.
	Type string `json:"type" format:"uri" doc:"A URI that identifies the kind of problem"`
	// Title is the text of the status.
	Title string `json:"title" doc:"A short summary of the kind of problem"`
	// Status is that of the answer.
	Status int `json:"status" doc:"The HTTP status"`
	// Code is stable: programs may decide by it.
	Code string `json:"code" example:"not_found" doc:"A stable name for the kind of problem; programs decide by it"`
	// Detail is a sentence for people.
	Detail string `json:"detail,omitempty" doc:"What went wrong, for people"`
	// Instance is the URN of the request, which the log has too.
	Instance string `json:"instance,omitempty" format:"uri" doc:"The request that met the problem, as the service's log names it"`
	// Trace is the ID of the request's trace, if it has one.
	Trace string `json:"trace,omitempty" doc:"The trace that the request belongs to, for whoever runs the service"`
	// Errors name what is wrong with each input.
	Errors []FieldError `json:"errors,omitempty" doc:"What is wrong with each input"`
	// Quota that is used up; nil for other problems.
	Quota *Quota `json:"quota,omitempty" doc:"What is used and what is allowed, if that is the problem"`

	cause   error
	headers http.Header
}

// FieldError says what is wrong with one input.
type FieldError struct {
	// Location of the input: "query.limit", "body.email", "form.bitrate".
	Location string `json:"location" doc:"Where the input stands, such as query.limit or body.email"`
	// Message for people.
	Message string `json:"message" doc:"What is wrong with it"`
}

// Quota is what is used of what is allowed.
type Quota struct {
	Used    int64  `json:"used" doc:"What is used"`
	Allowed int64  `json:"allowed" doc:"What is allowed"`
	Unit    string `json:"unit" enum:"jobs,bytes" doc:"Of what"`
}

// NewProblem returns a problem by its HTTP status, code, and detail for people.
func NewProblem(status int, code, detail string) *Problem {
	return &Problem{
		Type: "urn:mp3lathe:problem:" + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail,
	}
}

// Internal hides an error of ours behind an answer that does not tell it; the log
// line of the request does. cause must not be nil.
func Internal(cause error) *Problem {
	p := NewProblem(http.StatusInternalServerError, "internal", "Something went wrong on our side. Try again later.")
	return p.WithCause(cause)
}

// retryAfter is when a client should try again after a part of ours was down.
const retryAfter = 5 * time.Second

// Trouble says what it means that a part which a service stands on, its database,
// its bucket or another service, answered with an error that the service has no
// other meaning for. This is the one place that tells an outage from a bug: what a
// part says is an outage, over when the part or its operator has done something, so
// that another try is right; what a service finds wrong by itself, a panic say, or a
// row that makes no sense, is a bug, and is answered by [Internal]. A part without
// room ([syscall.ENOSPC]) is an outage that waiting does not end. A problem in err
// stays the answer. err must not be nil.
func Trouble(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, syscall.ENOSPC):
		return NewProblem(http.StatusInsufficientStorage, "storage_full", "The service has no room left. Tell its administrators.").WithCause(err)
	}
	return Unavailable(err, retryAfter)
}

// Unavailable says that something that is needed cannot be had just now, and when to
// try again. For the error of a part there is [Trouble].
func Unavailable(cause error, retry time.Duration) *Problem {
	p := NewProblem(http.StatusServiceUnavailable, "unavailable", "The service cannot do this just now. Try again later.")
	return p.WithCause(cause).WithHeader("Retry-After", strconv.Itoa(max(int(retry/time.Second), 1)))
}

// WithCause keeps an error for the log; users do not see it. It returns p.
func (p *Problem) WithCause(err error) *Problem {
	p.cause = err
	return p
}

// WithHeader sets a header of the answer. It returns p.
func (p *Problem) WithHeader(name, value string) *Problem {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Set(name, value)
	return p
}

// WithField adds what is wrong with one input. It returns p.
func (p *Problem) WithField(location, message string) *Problem {
	p.Errors = append(p.Errors, FieldError{Location: location, Message: message})
	return p
}

// Error returns code and detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Unwrap returns the cause, if there is one.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus implements [huma.StatusError].
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements [huma.HeadersError].
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType implements [huma.ContentTypeFilter].
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Write answers a request with p, for handlers outside of huma. It notes the cause
// for the log.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	note(r.Context(), p)
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// Note is for handlers that answer in another form than p: it gives p the URN of the
// request, and the log p.
func (p *Problem) Note(ctx context.Context) { note(ctx, p) }

// codes are those of problems that huma finds by itself.
var codes = map[int]string{
	http.StatusBadRequest:            "bad_request",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "not_found",
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusNotAcceptable:         "not_acceptable",
	http.StatusRequestTimeout:        "request_timeout",
	http.StatusConflict:              "conflict",
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusUnprocessableEntity:   "invalid_input",
	http.StatusTooManyRequests:       "too_many_requests",
	http.StatusServiceUnavailable:    "unavailable",
}

func fromHuma(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	var p *Problem
	if errors.As(errors.Join(errs...), &p) { // a resolver's own
		if ctx != nil {
			note(ctx.Context(), p)
		}
		return p
	}
	if status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable {
		p = Internal(errors.Join(append([]error{errors.New(message)}, errs...)...))
	} else {
		code, ok := codes[status]
		if !ok {
			code = "error"
		}
		p = NewProblem(status, code, message)
		for _, err := range errs {
			field := FieldError{Message: err.Error()}
			if d, ok := err.(huma.ErrorDetailer); ok {
				detail := d.ErrorDetail()
				field = FieldError{Location: detail.Location, Message: detail.Message}
			}
			p.Errors = append(p.Errors, field)
		}
	}
	if ctx != nil {
		note(ctx.Context(), p)
	}
	return p
}

// note puts the request's URN into the problem, and the problem's cause into the
// request's log line.
func note(ctx interface{ Value(any) any }, p *Problem) {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		p.Instance, p.Trace = "urn:uuid:"+rec.id, rec.trace
		rec.problem = p
	}
}
