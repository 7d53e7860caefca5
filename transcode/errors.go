package transcode

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a source or with the options. Every error of this
// package is an [*Error]; errors.Is finds one of these in it, or ctx.Err(), or
// the caller's own reader's or writer's error.
var (
	// ErrNoAudio means that the source has no audio track, or no such track as
	// the options ask for, or nothing in it (an empty cut included).
	ErrNoAudio = errors.New("no audio track")
	// ErrInvalidData means that the source is not of the MP4 family or is
	// damaged beyond use.
	ErrInvalidData = errors.New("not a usable MP4 file")
	// ErrTruncated means that the source ends before what its index says, or
	// before its index: an upload or a recording that was broken off.
	ErrTruncated = errors.New("the file is cut off")
	// ErrUnsupported means that the track's codec cannot be decoded;
	// [Error].Codec names it.
	ErrUnsupported = errors.New("unsupported codec")
	// ErrEncrypted means that the track is protected (Common Encryption,
	// FairPlay or another DRM).
	ErrEncrypted = errors.New("the audio is encrypted")
	// ErrLimit means that one of [Limits] was reached.
	ErrLimit = errors.New("limit exceeded")
	// ErrOptions means that the options contradict one another or ask for what
	// MP3 does not have.
	ErrOptions = errors.New("bad options")
)

// Error is the type of every error that this package returns.
type Error struct {
	// Op is what was being done: "options", "open", "probe", "read", "decode",
	// "encode", "write".
	Op string
	// Err is one of the sentinels, ctx.Err(), or the caller's own I/O error. It
	// is never nil.
	Err error
	// Detail says more in words made for people, or is empty.
	Detail string
	// Codec is the name of the codec that cannot be decoded, with
	// [ErrUnsupported]; else empty.
	Codec string
}

// Error returns what was being done, what is wrong, and the detail.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "transcode: %s: %v", e.Op, e.Err)
	if e.Codec != "" {
		fmt.Fprintf(&b, " %s", e.Codec)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Code is a short stable name for a kind of failure, made for APIs, metrics and
// translations.
type Code string

// The codes that [CodeOf] returns.
const (
	CodeNoAudio     Code = "no_audio"
	CodeInvalidData Code = "invalid_data"
	CodeTruncated   Code = "truncated"
	CodeUnsupported Code = "unsupported_codec"
	CodeEncrypted   Code = "encrypted"
	CodeLimit       Code = "limit_exceeded"
	CodeOptions     Code = "bad_options"
	CodeCanceled    Code = "canceled"
	CodeTimeout     Code = "timed_out"
	CodeIO          Code = "io_error"
)

// codeTable are the errors that have codes.
var codeTable = []struct {
	err  error
	code Code
}{
	{ErrNoAudio, CodeNoAudio},
	{ErrInvalidData, CodeInvalidData},
	{ErrTruncated, CodeTruncated},
	{ErrUnsupported, CodeUnsupported},
	{ErrEncrypted, CodeEncrypted},
	{ErrLimit, CodeLimit},
	{ErrOptions, CodeOptions},
	{context.Canceled, CodeCanceled},
	{context.DeadlineExceeded, CodeTimeout},
}

// CodeOf returns the code of an error of this package, and "" for nil. What is
// not the source's, the options' or the context's fault is [CodeIO]: the
// caller's reader or writer failed, or the machine did, and another try may
// succeed.
func CodeOf(err error) Code {
	for _, c := range codeTable {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if err == nil {
		return ""
	}
	return CodeIO
}

// ErrOf returns the error that a code stands for, the other way around: one of this
// package's or of package context's; nil for [CodeIO], which has none, and for what
// is no code.
func ErrOf(code Code) error {
	for _, c := range codeTable {
		if c.code == code {
			return c.err
		}
	}
	return nil
}
