package worker

import (
	"context"
	"errors"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/trace"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// beginSpan begins the span of an attempt, which belongs to the trace of the upload,
// whoever has told the queue of the job since. began is when it was claimed.
func beginSpan(ctx context.Context, j *job.Job, began time.Time) (context.Context, *trace.Span) {
	ctx, span := trace.Begin(trace.Continue(ctx, j.Trace), "convert job", trace.Consumer, trace.Began(began), trace.With(
		trace.String("job.id", j.ID), trace.Int("job.attempt", j.Attempt), trace.String("job.lane", string(j.Lane)), trace.Int64("job.source_bytes", j.SourceBytes)))
	_, claim := trace.Begin(ctx, "claim job", trace.Began(began))
	claim.End()
	since := j.Created
	if j.NotBefore.After(since) {
		since = j.NotBefore
	}
	span.Event("waited", trace.Float("seconds", j.Started.Sub(since).Seconds()))
	return ctx, span
}

// failSpan says how an attempt has ended that made no MP3.
func failSpan(ctx context.Context, span *trace.Span, err error) {
	switch {
	case errors.Is(err, job.ErrLost):
		span.Fail("lost")
	case ctx.Err() != nil:
		span.Fail("interrupted")
	default:
		span.Fail(string(failure(err).Code))
	}
}

// describe says in a span what a conversion has done.
func describe(span *trace.Span, r *transcode.Result) {
	span.Set(
		trace.String("audio.codec", r.Track.Codec), trace.Float("audio.seconds", r.Duration.Seconds()), trace.Int("audio.rate", r.Settings.SampleRate),
		trace.Bool("audio.copied", r.Settings.Copied), trace.Int64("mp3.bytes", r.BytesWritten), trace.Int("audio.decode_errors", r.DecodeErrors),
		trace.Float("stage.read_seconds", r.Stages.Read.Seconds()), trace.Float("stage.decode_seconds", r.Stages.Decode.Seconds()),
		trace.Float("stage.encode_seconds", r.Stages.Encode.Seconds()), trace.Float("stage.write_seconds", r.Stages.Write.Seconds()),
	)
}
