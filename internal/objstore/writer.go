package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"syscall"
)

// headBytes is how much of an object's start [Bucket.Create] keeps back. The tag of an MP3
// holds pictures of up to 8 MiB (transcode.Limits) before the header frame.
const headBytes = 10 << 20

// ErrSeek reports a place that a [Writer] can't go to: it lies beyond the end, or has been
// sent to the server already.
var ErrSeek = errors.New("cannot write at that place any more")

// Writer makes an object. It is an [io.Writer] and an [io.Seeker]. It must be ended, by
// Commit or by Abort; a writer whose context is canceled before is aborted. Its methods are
// for one goroutine at a time. An error of [Bucket.Create], Write or Commit that means that
// the bucket has no room is [syscall.ENOSPC], in a folder and on S3 alike, as far as the
// server says so.
type Writer struct {
	ctx  context.Context
	key  string
	stop func() bool // ends the watch on ctx

	mu   sync.Mutex // held by the methods, and by the watch on ctx
	out  output
	pos  int64
	size int64
	err  error // why nothing more can be written
}

var _ io.WriteSeeker = (*Writer)(nil)

// output is an object being made. Of commit and abort one is called, once, at the end; a
// commit that fails has left nothing.
type output interface {
	// writeAt writes at a place between 0 and the size so far, or returns ErrSeek.
	writeAt(ctx context.Context, p []byte, at int64) (int, error)
	// holds tells whether a place before the end can still be written to.
	holds(at int64) bool
	commit(ctx context.Context) error
	abort()
}

// Create begins an object, whose first 10 MiB can be written again before Commit: see
// [Writer.Seek]. An object of that key is replaced at Commit. The context is for all that
// the writer does.
func (b *Bucket) Create(ctx context.Context, key string) (*Writer, error) {
	return b.create(ctx, key, headBytes)
}

// CreateSequential is [Bucket.Create] for an object that is written from start to end. It
// holds less: at most 5 MiB.
func (b *Bucket) CreateSequential(ctx context.Context, key string) (*Writer, error) {
	return b.create(ctx, key, 0)
}

func (b *Bucket) create(ctx context.Context, key string, head int64) (*Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("objstore: create %s: %w", key, err)
	}
	out, err := b.store.create(ctx, key, head)
	if err != nil {
		return nil, fmt.Errorf("objstore: create %s: %w", key, full(err))
	}
	w := &Writer{ctx: ctx, key: key, out: out}
	w.stop = context.AfterFunc(ctx, func() { w.end(context.Cause(ctx)) })
	return w, nil
}

// Write writes at the current place. After an error other than [ErrSeek] nothing more can
// be written.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, w.wrap("write", err)
	}
	n, err := w.out.writeAt(w.ctx, p, w.pos)
	w.pos += int64(n)
	w.size = max(w.size, w.pos)
	if err == nil {
		return n, nil
	}
	if !errors.Is(err, ErrSeek) {
		w.err = err
	}
	return n, w.wrap("write", err)
}

// Seek sets the place of the next Write. The end, and the first 10 MiB of a writer made by
// [Bucket.Create], are always allowed; other places may be, as long as they have not been
// sent to the server. Else, and beyond the end, the error is [ErrSeek] and the place stays.
func (w *Writer) Seek(offset int64, whence int) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, w.wrap("seek", err)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += w.pos
	case io.SeekEnd:
		offset += w.size
	default:
		return 0, w.wrap("seek", fmt.Errorf("%w: whence is %d", fs.ErrInvalid, whence))
	}
	if offset < 0 {
		return 0, w.wrap("seek", fmt.Errorf("%w: offset %d", fs.ErrInvalid, offset))
	}
	if offset > w.size || offset < w.size && !w.out.holds(offset) {
		return 0, w.wrap("seek", fmt.Errorf("%w: %d of %d", ErrSeek, offset, w.size))
	}
	w.pos = offset
	return offset, nil
}

// Bytes returns the size of the object so far.
func (w *Writer) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Commit makes the object visible, whole and durable, and ends the writer. After an error
// nothing is left, but for one case: if the server's last answer was lost, the object may
// be there, whole.
func (w *Writer) Commit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		return w.wrap("commit", w.err)
	}
	defer w.stop()
	out := w.out
	w.out = nil
	err := w.usable()
	if err != nil {
		out.abort()
	} else {
		err = out.commit(w.ctx)
	}
	if err != nil {
		w.err = err
		return w.wrap("commit", err)
	}
	w.err = fs.ErrClosed
	return nil
}

// Abort ends the writer and removes what it has stored, also when the context is done. After
// Commit or Abort it does nothing. What can't be removed, because the server does not answer,
// is left to [Bucket.SweepUploads].
func (w *Writer) Abort() { w.end(fs.ErrClosed) }

func (w *Writer) end(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		return
	}
	w.stop()
	w.out.abort()
	w.out, w.err = nil, why
}

// usable returns why the writer can't go on, or nil.
func (w *Writer) usable() error {
	if w.err != nil {
		return w.err
	}
	return w.ctx.Err()
}

func (w *Writer) wrap(op string, err error) error {
	return fmt.Errorf("objstore: %s %s: %w", op, w.key, full(err))
}

// full gives an error that means a lack of room the system's name for it.
func full(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && (errors.Is(err, syscall.EDQUOT) || serverFull(err)) {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}
