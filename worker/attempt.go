package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/trace"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// attempt converts a job that has been claimed. The error wraps [job.ErrLost] if
// the job was taken away.
func (w *Worker) attempt(ctx context.Context, j job.Job) (job.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.cfg.Timeout, errTimedOut)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var progress atomic.Pointer[job.Progress]
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		w.beat(ctx, j, &progress, stop)
	}()
	result, err := w.convert(ctx, j, func(p transcode.Progress) {
		progress.Store(&job.Progress{Position: p.Position, Total: p.Total})
	})
	// The causes of the two ends of ctx that are known here say more than the error.
	if cause := context.Cause(ctx); err != nil && (errors.Is(cause, job.ErrLost) || errors.Is(cause, errTimedOut)) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	stop(nil)
	<-beating
	return result, err
}

// beat holds the lease and tells the progress until ctx is done. It ends the attempt
// if the job is not its own any more, or may not be: if the row could not be reached
// for as long as the lease lasts.
func (w *Worker) beat(ctx context.Context, j job.Job, progress *atomic.Pointer[job.Progress], stop context.CancelCauseFunc) {
	tick := time.NewTicker(w.cfg.Heartbeat)
	defer tick.Stop()
	var told job.Progress
	failing := false
	for held := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := told
		if p := progress.Load(); p != nil {
			now = *p
		}
		asked, ends := time.Now(), held.Add(w.cfg.Lease)
		err := w.heartbeat(ctx, j, now, ends)
		switch {
		case err == nil:
			held, failing = asked, false
			if now != told {
				told = now
				w.publish(ctx, j.ID)
			}
		case errors.Is(err, job.ErrLost):
			stop(err)
			return
		case ctx.Err() != nil:
			return
		case time.Now().After(ends):
			stop(fmt.Errorf("%w: its lease ran out: %w", job.ErrLost, err))
			return
		case !failing:
			failing = true
			w.log.WarnContext(ctx, "a heartbeat failed", "job", j.ID, "error", err)
		}
	}
}

// heartbeat gives a sign of life, which is of no use after the end of the lease.
func (w *Worker) heartbeat(ctx context.Context, j job.Job, p job.Progress, ends time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	return w.deps.Jobs.Heartbeat(ctx, j.ID, j.Attempt, p, w.cfg.Lease)
}

// checkQuarantine refuses a source that is quarantined.
func (w *Worker) checkQuarantine(ctx context.Context, j job.Job) error {
	yes, err := w.deps.Jobs.Quarantined(ctx, j.CrashKey())
	if err == nil && yes {
		err = errQuarantined
	}
	return err
}

// convert reads the source, converts it and stores the MP3.
func (w *Worker) convert(ctx context.Context, j job.Job, progress func(transcode.Progress)) (job.Result, error) {
	if err := w.checkQuarantine(ctx, j); err != nil {
		return job.Result{}, err
	}
	src, err := w.deps.Bucket.open(ctx, job.SourceKey(j.ID))
	if err != nil {
		return job.Result{}, readFault(err)
	}
	defer src.Close()
	key := job.ResultKey(j.ID, j.Attempt)
	dst, err := w.deps.Bucket.create(ctx, key)
	if err != nil {
		return job.Result{}, &storageError{err}
	}
	defer dst.Abort()

	opts := Options(j.Settings)
	opts.Limits = bounded(w.cfg.Limits, j.Settings.MaxDuration)
	opts.Parallelism = w.cfg.Parallelism
	opts.Progress = progress
	converting, span := trace.Begin(ctx, "convert")
	r, err := w.deps.Convert(converting, sink{converting, dst}, source{src}, &opts)
	if err == nil {
		describe(span, r)
	}
	span.Done(err)
	w.counts.read.Add(float64(src.BytesRead()))
	if err != nil {
		return job.Result{}, err
	}
	began := time.Now()
	_, storing := trace.Begin(ctx, "store MP3", trace.With(trace.Int64("bytes", r.BytesWritten)))
	err = dst.Commit()
	storing.Done(err)
	if err != nil {
		w.remove(ctx, key) // it may be there, if only the answer was lost
		return job.Result{}, &storageError{err}
	}
	w.counts.converted(ctx, r, time.Since(began))
	encoding := r.Settings.Encoding.String()
	if r.Settings.Copied {
		encoding = "copy"
	}
	return job.Result{
		Key: key, Bytes: r.BytesWritten, Duration: r.Duration.Seconds(), Samples: r.Samples,
		SampleRate: r.Settings.SampleRate, Channels: r.Settings.Channels, Encoding: encoding,
		Track: r.Track.Number, Codec: r.Track.Codec, Language: r.Track.Language,
		BytesRead: src.BytesRead(), WallTime: r.WallTime.Seconds(), DecodeErrors: r.DecodeErrors, Partial: r.Partial,
	}, nil
}
