package cage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"unicode"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// Converter is a conversion, such as [transcode.Convert] or [Cage.Convert].
type Converter = func(ctx context.Context, dst io.Writer, src io.ReadSeeker, opts *transcode.Options) (*transcode.Result, error)

// task is what a child is to do.
type task struct {
	Options transcode.Options
	// Size of the source in bytes.
	Size int64
	// Seekable: what was written can be written again.
	Seekable bool
	// Encoders that may be at work to begin with.
	Encoders int
}

// verdict is how a conversion ended.
type verdict struct {
	Result *transcode.Result `json:",omitempty"`
	// Partial is the reason of a partial result.
	Partial *failure `json:",omitempty"`
	Failure *failure `json:",omitempty"`
}

// failure is an error on its way out of the cage.
type failure struct {
	Op, Detail, Codec string
	Code              transcode.Code
	NoMemory          bool
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Code: transcode.CodeOf(err), NoMemory: errors.Is(err, syscall.ENOMEM)}
	var of *transcode.Error
	if errors.As(err, &of) {
		f.Op, f.Detail, f.Codec = of.Op, of.Detail, of.Codec
	}
	if f.Code == transcode.CodeIO {
		f.Detail = err.Error()
	}
	return f
}

// maxText bounds what a child can put into logs and answers.
const maxText = 300

// err is the error again. Whatever a child says, it is one that a conversion can end
// with.
func (f *failure) err() error {
	e := &transcode.Error{Op: clean(f.Op, 16), Detail: clean(f.Detail, maxText), Codec: clean(f.Codec, 32)}
	switch f.Code {
	case transcode.CodeCanceled, transcode.CodeTimeout: // nobody in the cage can know
	default:
		e.Err = transcode.ErrOf(f.Code)
	}
	switch {
	case f.NoMemory:
		return &Fault{Kind: OutOfMemory, Detail: e.Detail}
	case e.Err == nil:
		e.Err, e.Detail = fmt.Errorf("in the cage: %s", e.Detail), ""
	}
	return e
}

// clean makes a text that can be shown: printable, and not too long.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for i := range s {
		if i > most {
			return s[:i]
		}
	}
	return s
}
