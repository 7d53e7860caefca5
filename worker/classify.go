package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

var (
	// errTimedOut is the cause of the end of an attempt that took too long.
	errTimedOut = errors.New("the attempt took too long")
	// errMissing: there is no such upload.
	errMissing = errors.New("the source is missing")
	// errQuarantined: conversions of the same bytes have crashed.
	errQuarantined = errors.New("the source is quarantined")
	// errTags: the tags are so large that the header frame behind them is out of
	// the sink's reach when it is to be completed.
	errTags = errors.New("the tags are too large")
)

// storageError is an error of the bucket.
type storageError struct{ err error }

func (e *storageError) Error() string { return "bucket: " + e.err.Error() }
func (e *storageError) Unwrap() error { return e.err }

// source marks what goes wrong in reading as the bucket's fault.
type source struct{ Source }

func (s source) Read(p []byte) (int, error) {
	n, err := s.Source.Read(p)
	return n, readFault(err)
}

func (s source) Seek(offset int64, whence int) (int64, error) {
	n, err := s.Source.Seek(offset, whence)
	return n, readFault(err)
}

// readFault leaves nil and io.EOF as they are: they are no faults. An error that
// only wraps io.EOF is one.
func readFault(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", errMissing, err)
	}
	return &storageError{err}
}

// sink marks what goes wrong in writing as the bucket's fault. Its context is that
// of its Sink.
type sink struct {
	ctx context.Context
	Sink
}

func (s sink) Write(p []byte) (int, error) {
	n, err := s.Sink.Write(p)
	if err != nil {
		err = &storageError{err}
	}
	return n, err
}

// Seek fails at a place that is out of reach, unless the context has ended: a sink
// that could not write has said so before.
func (s sink) Seek(offset int64, whence int) (int64, error) {
	n, err := s.Sink.Seek(offset, whence)
	switch {
	case err == nil:
		return n, nil
	case s.ctx.Err() != nil:
		return n, &storageError{err}
	}
	return n, fmt.Errorf("%w: %w", errTags, err)
}

// crashed returns the code of an attempt that did not end by itself: that its process
// crashed, went beyond its limits, or took too long. "" is every other end.
func crashed(err error) job.Code {
	var fault *cage.Fault
	switch {
	case errors.Is(err, errTimedOut):
		return job.TimedOut
	case !errors.As(err, &fault):
		return ""
	}
	switch fault.Kind {
	case cage.OutOfMemory:
		return job.OutOfMemory
	case cage.TimedOut:
		return job.TimedOut
	}
	return job.Crashed
}

// failure says what an attempt failed of, without a word about the machine.
func failure(err error) job.Failure {
	var storage *storageError
	switch {
	case errors.Is(err, errQuarantined):
		return job.Failure{Code: job.Quarantined}
	case crashed(err) != "":
		return job.Failure{Code: crashed(err)}
	case errors.Is(err, errMissing):
		return job.Failure{Code: job.SourceMissing}
	case errors.Is(err, errTags):
		return job.Failure{Code: job.Limit, Detail: "its tags and cover are too large; leave them out with no-tags and no-cover"}
	case errors.As(err, &storage) && errors.Is(err, syscall.ENOSPC):
		return job.Failure{Code: job.StorageFull}
	case errors.As(err, &storage):
		return job.Failure{Code: job.Storage}
	}
	code := transcode.CodeOf(err)
	switch code {
	case transcode.CodeIO, transcode.CodeCanceled, transcode.CodeTimeout:
		return job.Failure{Code: job.Internal}
	}
	f := job.Failure{Code: job.Code(code)}
	var of *transcode.Error
	if errors.As(err, &of) {
		f.Detail = of.Detail
		if of.Codec != "" {
			f.Detail = strings.TrimSuffix(of.Codec+": "+of.Detail, ": ")
		}
	}
	return f
}
