package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// The codes of refusals that are the command's own, not transcode's.
const (
	codeExists    transcode.Code = "output_exists"
	codeTaken     transcode.Code = "output_taken"
	codeSameFile  transcode.Code = "output_is_input"
	codeBadOutput transcode.Code = "bad_output"
	codeNotFound  transcode.Code = "not_found"
	codeNotAFile  transcode.Code = "not_a_file"
	codeService   transcode.Code = "service_unavailable"
)

// refusal is a failure of one input that the command itself finds.
type refusal struct {
	code   transcode.Code
	what   string // what is wrong
	advice string // what to do about it
}

func (r *refusal) Error() string { return r.what }

// explanation is a failure in words.
type explanation struct {
	Code    transcode.Code `json:"code"`
	Message string         `json:"message"`
	Detail  string         `json:"detail,omitempty"`
	Codec   string         `json:"codec,omitempty"`
	Advice  string         `json:"advice,omitempty"`
}

// line is what is wrong and what to do, in one line.
func (e explanation) line() string {
	s := e.Message
	if e.Codec != "" {
		s += " " + e.Codec
	}
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// advice says for each code what to do.
var advice = map[transcode.Code]string{
	transcode.CodeNoAudio:     "there is nothing to convert",
	transcode.CodeInvalidData: "if it plays elsewhere, save it again as MP4 there",
	transcode.CodeTruncated:   "download or copy it again, or keep what there is with --allow-partial",
	transcode.CodeUnsupported: "look with mp3lathe probe for a track that can be decoded, or save the audio as AAC elsewhere",
	transcode.CodeEncrypted:   "get a copy without copy protection",
	transcode.CodeLimit:       "if you trust the file, raise --max-duration, or convert a part with --start and --end",
	transcode.CodeOptions:     "mp3lathe probe shows what the file has",
	transcode.CodeCanceled:    "start it again",
	transcode.CodeTimeout:     "start it again",
}

// asked is what of a command line matters to the advice.
type asked struct {
	part    bool // a track or a cut, which may be what is not there
	partial bool // --allow-partial
}

// explain says what an error means and what to do.
func explain(err error, a asked) explanation {
	var own *refusal
	if errors.As(err, &own) {
		return explanation{Code: own.code, Message: own.what, Advice: own.advice}
	}
	var fault *cage.Fault
	if errors.As(err, &fault) {
		return explainFault(fault)
	}
	e := explanation{Code: transcode.CodeOf(err)}
	e.Advice = advice[e.Code]
	switch {
	case e.Code == transcode.CodeNoAudio && a.part:
		e.Advice = "mp3lathe probe shows what the file has"
	case e.Code == transcode.CodeTruncated && a.partial:
		e.Advice = "nothing of it can be kept; download or copy it again"
	}
	cause := err
	var terr *transcode.Error
	if errors.As(err, &terr) {
		e.Detail, e.Codec, cause = terr.Detail, terr.Codec, terr.Err
	}
	switch e.Code {
	case transcode.CodeIO:
		e.Message, e.Advice = explainIO(cause)
	case transcode.CodeCanceled:
		e.Message = "interrupted"
	case transcode.CodeTimeout:
		e.Message = "took too long"
	case transcode.CodeOptions:
		// They fit no input that is like this one; the detail says why.
		if e.Message, e.Detail = e.Detail, ""; e.Message == "" {
			e.Message = cause.Error()
		}
	default:
		e.Message = sentinel(cause).Error()
	}
	if e.Code == transcode.CodeInvalidData && terr != nil && terr.Op == "decode" {
		// It is an MP4 file all the same.
		e.Message = "the audio is damaged"
		if !a.partial {
			e.Advice = advice[transcode.CodeTruncated]
		}
	}
	return e
}

// explainFault words the end of a conversion whose process did not end in order.
func explainFault(f *cage.Fault) explanation {
	code := job.Crashed
	switch f.Kind {
	case cage.OutOfMemory:
		code = job.OutOfMemory
	case cage.TimedOut:
		code = job.TimedOut
	}
	words := job.Failure{Code: code}
	return explanation{
		Code: transcode.Code(code), Detail: f.Detail,
		Message: lower(words.Sentence()), Advice: lower(words.Advice()),
	}
}

// lower makes a part of a line of a sentence.
func lower(s string) string { return strings.ToLower(s[:1]) + strings.TrimSuffix(s[1:], ".") }

// sentinel returns the error of package transcode that err wraps, or err.
func sentinel(err error) error {
	for _, s := range []error{
		transcode.ErrNoAudio, transcode.ErrInvalidData, transcode.ErrTruncated, transcode.ErrUnsupported,
		transcode.ErrEncrypted, transcode.ErrLimit, transcode.ErrOptions,
	} {
		if errors.Is(err, s) {
			return s
		}
	}
	return err
}

// explainIO words the system's errors that people meet.
func explainIO(err error) (message, advice string) {
	// An input that cannot be opened is a refusal already, so a path here is
	// that of the output or of a temporary file.
	subject := ""
	var perr *fs.PathError
	if errors.As(err, &perr) {
		subject = perr.Path + ": "
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return subject + "the disk is full", "make room and start it again"
	case errors.Is(err, fs.ErrPermission):
		return subject + "permission denied", "choose another place for the output"
	case errors.Is(err, syscall.EROFS):
		return subject + "it cannot be written to (read-only)", "choose another place for the output"
	case errors.Is(err, syscall.EPIPE):
		return "the reader of standard output has gone", ""
	case errors.Is(err, syscall.EIO):
		return subject + "the disk or the network failed", "start it again"
	}
	return subject + innermost(err).Error(), ""
}

// refuseOpen turns an error of opening or looking at an input into a refusal.
func refuseOpen(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		if strings.Contains(name, "://") {
			return &refusal{codeNotFound, "addresses are not opened", "download it first and give the file"}
		}
		return &refusal{codeNotFound, "no such file", "check the name"}
	case errors.Is(err, fs.ErrPermission):
		return &refusal{transcode.CodeIO, "permission denied", "ask its owner, or change its rights"}
	}
	return &refusal{transcode.CodeIO, "it cannot be opened: " + innermost(err).Error(), ""}
}

// innermost takes the operation and the path off a system error.
func innermost(err error) error {
	for {
		var (
			perr *fs.PathError
			lerr *os.LinkError
			serr *os.SyscallError
		)
		switch {
		case errors.As(err, &perr):
			err = perr.Err
		case errors.As(err, &lerr):
			err = lerr.Err
		case errors.As(err, &serr):
			err = serr.Err
		default:
			return err
		}
	}
}

// interrupted reports whether err is the end that a signal or a caller asked for.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// brokenPipe reports whether the reader of an output has gone.
func brokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe)
}

// printable returns s as one line without control characters, which a file name
// or a tag can hold and a terminal would obey.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) && strings.ToValidUTF8(s, "") == s {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if unprintable(r) {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable reports control characters and those that turn the direction of
// the text around them.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}
