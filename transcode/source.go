package transcode

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// source reads from the caller's reader at any place. It counts the bytes and the time, gives
// the caller's errors back unchanged and obeys the context at every read.
type source struct {
	ctx  context.Context
	r    io.ReadSeeker
	size int64
	pos  int64 // of r
	read int64 // bytes, in total
	took time.Duration
}

func newSource(ctx context.Context, r io.ReadSeeker) (*source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return &source{ctx: ctx, r: r, size: size, pos: size}, nil
}

// ReadAt implements [io.ReaderAt], for one goroutine at a time.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	defer func(began time.Time) { s.took += time.Since(began) }(time.Now())
	var short error
	if rest := s.size - off; int64(len(p)) > rest {
		p, short = p[:rest], io.EOF
	}
	if s.pos != off {
		pos, err := s.r.Seek(off, io.SeekStart)
		if err != nil {
			s.pos = -1
			return 0, err
		}
		s.pos = pos
	}
	n, empty := 0, 0
	for n < len(p) {
		if err := s.ctx.Err(); err != nil {
			return n, err
		}
		m, err := s.r.Read(p[n:])
		n += m
		s.pos += int64(m)
		s.read += int64(m)
		if n == len(p) {
			break // bytes first: an error that came with them can wait
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			if empty++; empty == 100 {
				return n, io.ErrNoProgress
			}
			continue
		}
		empty = 0
	}
	return n, short
}

// fail makes an [*Error] of an error from any stage.
func fail(op string, err error) error {
	if err == nil {
		return nil // before what allocates: most calls end here
	}
	var done *Error
	if errors.As(err, &done) {
		return err
	}
	for _, known := range []struct{ theirs, ours error }{
		{mp4.ErrNotMP4, ErrInvalidData},
		{mp4.ErrInvalid, ErrInvalidData},
		{mp4.ErrTruncated, ErrTruncated},
		{mp4.ErrLimit, ErrLimit},
	} {
		if errors.Is(err, known.theirs) {
			detail := strings.Replace(err.Error(), known.theirs.Error()+": ", "", 1)
			return &Error{Op: op, Err: known.ours, Detail: detail}
		}
	}
	return &Error{Op: op, Err: err}
}
