package objstore

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
)

// chunk is a piece of a buffer of several MiB. A buffer that holds little is small, and
// growing copies nothing.
//
// Chunks lie outside Go's heap. The garbage collector lets a heap grow to twice of what is in
// use: with ten uploads, and 5 MiB of each in the heap, it would leave 50 MiB of garbage from
// the requests before it begins. So it has little to count, and what is freed goes back to
// the system at once.
type chunk [chunkBytes]byte

const chunkBytes = 256 << 10

// chunks is a buffer.
type chunks struct {
	mapped *atomic.Int64 // counts the bytes of all chunks of a bucket
	list   []*chunk
	size   int64
}

// writeAt writes all of p at a place that is not beyond the end.
func (c *chunks) writeAt(p []byte, at int64) error {
	for len(p) > 0 {
		i, off := int(at/chunkBytes), at%chunkBytes
		if i == len(c.list) {
			if err := c.grow(); err != nil {
				return err
			}
		}
		n := copy(c.list[i][off:], p)
		p, at = p[n:], at+int64(n)
		c.size = max(c.size, at)
	}
	return nil
}

func (c *chunks) grow() error {
	b, err := syscall.Mmap(-1, 0, chunkBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("no memory for a buffer: %w", err)
	}
	c.mapped.Add(chunkBytes)
	c.list = append(c.list, (*chunk)(b))
	return nil
}

// reset empties the buffer, which keeps its memory.
func (c *chunks) reset() { c.size = 0 }

// free empties the buffer and gives its memory back. Nothing may read it any more: a request
// has let go of its body when the SDK returns, whatever its connection does.
func (c *chunks) free() {
	for _, piece := range c.list {
		_ = syscall.Munmap(piece[:])
		c.mapped.Add(-chunkBytes)
	}
	c.list, c.size = nil, 0
}

// reader reads a range of the buffer.
func (c *chunks) reader(start, end int64) *chunksReader { return &chunksReader{c, start, end, start} }

// chunksReader is the body of a request. It can be read again, for a retry.
type chunksReader struct {
	c          *chunks
	start, end int64
	pos        int64
}

// piece returns what lies together at the place of the reader; nothing at the end.
func (r *chunksReader) piece() []byte {
	if r.pos >= r.end {
		return nil
	}
	b := r.c.list[r.pos/chunkBytes][r.pos%chunkBytes:]
	return b[:min(int64(len(b)), r.end-r.pos)]
}

func (r *chunksReader) Read(p []byte) (int, error) {
	n := copy(p, r.piece())
	r.pos += int64(n)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// WriteTo spares the SDK, which sums the body up before it sends it, a copy.
func (r *chunksReader) WriteTo(w io.Writer) (int64, error) {
	start := r.pos
	for r.pos < r.end {
		n, err := w.Write(r.piece())
		r.pos += int64(n)
		if err != nil {
			return r.pos - start, err
		}
	}
	return r.pos - start, nil
}

func (r *chunksReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		offset += r.start
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.end
	}
	if offset < r.start {
		return 0, errors.New("seek to before the start")
	}
	r.pos = offset
	return offset - r.start, nil
}
