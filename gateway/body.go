package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

var (
	errSlow   = errors.New("the client sends too slowly")
	errBudget = errors.New("too much beside the file")
)

// body reads what a client uploads and gives up on one that is too slow. Only the
// time spent waiting for the client counts, not what the bucket takes.
type body struct {
	r       io.Reader
	control *http.ResponseController
	idle    time.Duration
	rate    int64 // bytes per second; <= 0 for any

	deadline time.Time // that is set
	waited   time.Duration
	n        int64
	left     int64 // bytes that may still be read; negative is no bound
	err      error // that ended it; io.EOF if all was read
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left >= 0 {
		if b.left == 0 {
			b.err = errBudget
			return 0, b.err
		}
		p = p[:min(int64(len(p)), b.left)]
	}
	began := time.Now()
	// Not at each read, which would cost a system timer's reset.
	if due := began.Add(b.idle); due.Sub(b.deadline) > b.idle/8 {
		_ = b.control.SetReadDeadline(due)
		b.deadline = due
	}
	n, err := b.r.Read(p)
	b.waited += time.Since(began)
	b.n += int64(n)
	if b.left >= 0 {
		b.left -= int64(n)
	}
	if err == nil && b.rate > 0 && b.waited > b.idle && float64(b.n) < b.waited.Seconds()*float64(b.rate) {
		err = errSlow
	}
	b.err = err
	return n, err
}

// allow bounds what is read from here on; a negative n is no bound.
func (b *body) allow(n int64) { b.left = n }

// drain reads what may follow what was wanted, up to most bytes and for at most a
// while, so that the connection can be used again, or that a client that sends on
// gets to read its answer.
func (b *body) drain(most int64, while time.Duration) {
	if b.err != nil && !errors.Is(b.err, errBudget) {
		return
	}
	_ = b.control.SetReadDeadline(time.Now().Add(while))
	n, err := io.CopyN(io.Discard, b.r, most)
	b.n += n
	b.err = err
}

// complete reports whether the client has sent all it meant to.
func (b *body) complete() bool { return b.err == io.EOF }

// untouched reports whether nobody has tried to read what the client sends.
func (b *body) untouched() bool { return b.n == 0 && b.err == nil }

// broken says what it means that a body could not be read to its end.
func (b *body) broken(err error) *httpapi.Problem {
	switch {
	case errors.Is(err, errBudget):
		return httpapi.NewProblem(http.StatusRequestEntityTooLarge, "too_large", "The form holds too much beside the file.")
	case errors.Is(err, errSlow), errors.Is(err, os.ErrDeadlineExceeded):
		return httpapi.NewProblem(http.StatusRequestTimeout, "upload_timeout", "The upload came too slowly and was given up.").WithCause(err)
	}
	return httpapi.NewProblem(http.StatusBadRequest, "upload_incomplete", "The upload was broken off before its end.").WithCause(err)
}

// fill reads until p holds at least n bytes or r ends.
func fill(r io.Reader, p []byte, least int) (n int, err error) {
	for n < least && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}
