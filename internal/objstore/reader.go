package objstore

import (
	"context"
	"fmt"
	"io"
	"io/fs"
)

// Reader reads an object at any place. It is for one goroutine at a time.
type Reader struct {
	ctx context.Context
	key string
	in  input // nil when closed
	pos int64

	size, fetched int64 // of in, when closed
}

var _ io.ReadSeekCloser = (*Reader)(nil)

// input is an object being read.
type input interface {
	// readAt reads some of what is at a place before the end: at least a byte, or an
	// error that is not io.EOF.
	readAt(ctx context.Context, p []byte, at int64) (int, error)
	size() int64
	fetched() int64
	close() error
}

// NewReader opens an object for reading. If there is none the error is [fs.ErrNotExist].
// The context is for all that the reader does.
func (b *Bucket) NewReader(ctx context.Context, key string) (*Reader, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	in, err := b.store.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("objstore: open %s: %w", key, err)
	}
	return &Reader{ctx: ctx, key: key, in: in}, nil
}

// Read implements [io.Reader]. io.EOF means that the object's last byte has been read, never
// that something went wrong on the way.
func (r *Reader) Read(p []byte) (int, error) {
	if r.in == nil {
		return 0, r.wrap("read", fs.ErrClosed)
	}
	if err := r.ctx.Err(); err != nil {
		return 0, r.wrap("read", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	left := r.in.size() - r.pos
	if left <= 0 {
		return 0, io.EOF
	}
	n, err := r.in.readAt(r.ctx, p[:min(int64(len(p)), left)], r.pos)
	r.pos += int64(n)
	if err != nil {
		return n, r.wrap("read", err)
	}
	return n, nil
}

// Seek implements [io.Seeker]. It costs nothing; only Read fetches.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	if r.in == nil {
		return 0, r.wrap("seek", fs.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.in.size()
	default:
		return 0, r.wrap("seek", fmt.Errorf("%w: whence is %d", fs.ErrInvalid, whence))
	}
	if offset < 0 {
		return 0, r.wrap("seek", fmt.Errorf("%w: offset %d", fs.ErrInvalid, offset))
	}
	r.pos = offset
	return offset, nil
}

// Size returns the number of bytes of the object.
func (r *Reader) Size() int64 {
	if r.in == nil {
		return r.size
	}
	return r.in.size()
}

// BytesRead returns how many bytes have been fetched from the bucket so far: what was read
// ahead in vain, or fetched twice because of a fault, included.
func (r *Reader) BytesRead() int64 {
	if r.in == nil {
		return r.fetched
	}
	return r.in.fetched()
}

// Close ends the reader. Size and BytesRead can still be asked.
func (r *Reader) Close() error {
	if r.in == nil {
		return r.wrap("close", fs.ErrClosed)
	}
	r.size, r.fetched = r.in.size(), r.in.fetched()
	err := r.in.close()
	r.in = nil
	if err != nil {
		return r.wrap("close", err)
	}
	return nil
}

func (r *Reader) wrap(op string, err error) error {
	return fmt.Errorf("objstore: %s %s: %w", op, r.key, err)
}
