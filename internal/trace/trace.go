// Package trace tells a collector what was done for a request and for its job, and how
// long each part took: spans of OpenTelemetry. Nobody else imports its SDK.
//
// Unless [Start] has been called no spans are made, and what is here costs next to
// nothing.
//
// What a span says must be fit for whoever runs the service to read: IDs, sizes, codes,
// names of formats. No secret, no address of a user, no name of a file, and nothing that
// a user wrote.
package trace

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Attr says something about a span.
type Attr = attribute.KeyValue

// Makers of attributes.
var (
	String = attribute.String
	Int    = attribute.Int
	Int64  = attribute.Int64
	Float  = attribute.Float64
	Bool   = attribute.Bool
)

const tracer = "github.com/mp3lathe/mp3lathe"

// format of a span's place in other processes: the headers traceparent and tracestate.
var format propagation.TraceContext

// Span is something that is done.
type Span struct{ span trace.Span }

// Option of a span.
type Option = trace.SpanStartOption

// Kinds of spans, and when one has begun if not now.
var (
	// Consumer does what somebody has asked for before.
	Consumer Option = trace.WithSpanKind(trace.SpanKindConsumer)
	// Producer asks for something to be done later.
	Producer Option = trace.WithSpanKind(trace.SpanKindProducer)
	// Client asks another service.
	Client Option = trace.WithSpanKind(trace.SpanKindClient)

	Began = trace.WithTimestamp
)

// With gives attributes to a span from its beginning.
func With(attrs ...Attr) Option { return trace.WithAttributes(attrs...) }

// Begin begins a span within that of the context, and returns a context with it. It must
// be ended.
func Begin(ctx context.Context, name string, options ...Option) (context.Context, *Span) {
	ctx, span := otel.Tracer(tracer).Start(ctx, name, options...)
	return ctx, &Span{span}
}

// Set says more about it.
func (s *Span) Set(attrs ...Attr) { s.span.SetAttributes(attrs...) }

// Event notes that something has happened while it went on.
func (s *Span) Event(name string, attrs ...Attr) {
	s.span.AddEvent(name, trace.WithAttributes(attrs...))
}

// Fail says that it has failed, by a code: the text of an error may say what a span must
// not.
func (s *Span) Fail(code string) { s.span.SetStatus(codes.Error, code) }

// End ends it.
func (s *Span) End() { s.span.End() }

// Done ends it; an error is a failure.
func (s *Span) Done(err error) {
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		s.Fail("canceled")
	case errors.Is(err, context.DeadlineExceeded):
		s.Fail("timeout")
	default:
		s.Fail("error")
	}
	s.End()
}

// Parent is the place of the context's span in its trace, as [Continue] takes it: the
// header traceparent of W3C Trace Context. Empty if there is none.
func Parent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	format.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Continue returns a context in which spans belong to one of another process, by what
// its [Parent] said. What is none changes nothing.
func Continue(ctx context.Context, parent string) context.Context {
	return format.Extract(ctx, propagation.MapCarrier{"traceparent": parent})
}

// Inject writes the place of the context's span into the headers of a request.
func Inject(ctx context.Context, h http.Header) {
	format.Inject(ctx, propagation.HeaderCarrier(h))
}

// ID of the trace that the context's span belongs to, in hex; empty if there is none.
func ID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// Recorded is [ID], if the trace is recorded; else empty.
func Recorded(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	return ID(ctx)
}

// request begins the span of a request. A parent that a stranger names is believed only
// if trusted: he could have all of his requests recorded, or ours shown in a trace of
// his. Else it becomes a link of a trace that is ours.
func request(r *http.Request, trusted bool) (context.Context, trace.Span) {
	ctx := r.Context()
	theirs := format.Extract(ctx, propagation.HeaderCarrier(r.Header))
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method(r.Method)))}
	if trusted {
		ctx = theirs
	} else if sc := trace.SpanContextFromContext(theirs); sc.IsValid() {
		// Not its state, which has text of his.
		options = append(options, trace.WithLinks(trace.Link{SpanContext: sc.WithTraceState(trace.TraceState{})}))
	}
	return otel.Tracer(tracer).Start(ctx, method(r.Method), options...)
}

// method is that of a request, or "_OTHER", as OpenTelemetry calls those that a client
// has made up.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

// Request begins the span of a request. end is called when it has been answered; route
// is the pattern of it, such as "GET /v1/jobs/{id}", and code that of the problem in the
// answer, if it is one.
func Request(r *http.Request, trusted bool) (ctx context.Context, end func(route string, status int, code string)) {
	ctx, span := request(r, trusted)
	return ctx, func(route string, status int, code string) {
		defer span.End()
		if !span.IsRecording() {
			return
		}
		if route != "" && route != "/" {
			span.SetName(route)
			span.SetAttributes(attribute.String("http.route", route))
		}
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if code != "" {
			span.SetAttributes(attribute.String("error.type", code))
		}
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, code)
		}
	}
}
