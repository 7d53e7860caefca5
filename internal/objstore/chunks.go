package objstore

import (
	"errors"
	"fmt"
	"io"
	"os"
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
//
// All the chunks of a bucket have maxMapped bytes of memory. What goes beyond that lies in
// files of its writers in the system's folder for temporary files, which have no name and
// end with the writer, so that memory does not grow with the number of writers. Where there
// can't be such a file, memory takes it all the same.
type chunk [chunkBytes]byte

const (
	chunkBytes = 256 << 10
	// maxMapped is enough for one upload.
	maxMapped = 6 << 20
)

// chunks is a buffer.
type chunks struct {
	mapped *atomic.Int64 // counts the bytes of all chunks of a bucket
	list   []*chunk      // nil where the chunk lies in the file
	file   *os.File      // nil as long as no chunk lies in it
	dir    string        // of the file; "" is the system's
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
		n := int(min(int64(len(p)), chunkBytes-off))
		if c.list[i] == nil {
			if _, err := c.file.WriteAt(p[:n], at); err != nil {
				if err := c.recall(i, err); err != nil {
					return err
				}
			}
		}
		if piece := c.list[i]; piece != nil {
			copy(piece[off:], p[:n])
		}
		p, at = p[n:], at+int64(n)
		c.size = max(c.size, at)
	}
	return nil
}

// grow adds a chunk.
func (c *chunks) grow() error {
	if c.mapped.Load() >= maxMapped && c.spill() {
		c.list = append(c.list, nil)
		return nil
	}
	piece, err := c.alloc()
	if err == nil {
		c.list = append(c.list, piece)
	}
	return err
}

func (c *chunks) alloc() (*chunk, error) {
	b, err := syscall.Mmap(-1, 0, chunkBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("no memory for a buffer: %w", err)
	}
	c.mapped.Add(chunkBytes)
	return (*chunk)(b), nil
}

// spill reports whether there is a file.
func (c *chunks) spill() bool {
	if c.file != nil {
		return true
	}
	f, err := os.CreateTemp(c.dir, "mp3lathe-buffer-")
	if err != nil {
		return false
	}
	if os.Remove(f.Name()) != nil {
		_ = f.Close()
		return false
	}
	c.file = f
	return true
}

// recall moves a chunk into memory, since the file doesn't take more of it.
func (c *chunks) recall(i int, why error) error {
	piece, err := c.alloc()
	if err != nil {
		return errors.Join(err, why)
	}
	at := int64(i) * chunkBytes
	filled := min(max(c.size-at, 0), chunkBytes)
	if _, err := c.file.ReadAt(piece[:filled], at); err != nil {
		_ = syscall.Munmap(piece[:])
		c.mapped.Add(-chunkBytes)
		return fmt.Errorf("buffer: %w", errors.Join(why, err))
	}
	c.list[i] = piece
	return nil
}

// reset empties the buffer, which keeps its memory.
func (c *chunks) reset() { c.size = 0 }

// free empties the buffer and gives its memory back. Nothing may read it any more: a request
// has let go of its body when the SDK returns, whatever its connection does.
func (c *chunks) free() {
	for _, piece := range c.list {
		if piece != nil {
			_ = syscall.Munmap(piece[:])
			c.mapped.Add(-chunkBytes)
		}
	}
	if c.file != nil {
		_ = c.file.Close()
	}
	c.list, c.file, c.size = nil, nil, 0
}

// reader reads a range of the buffer.
func (c *chunks) reader(start, end int64) *chunksReader { return &chunksReader{c, start, end, start} }

// chunksReader is the body of a request. It can be read again, for a retry.
type chunksReader struct {
	c          *chunks
	start, end int64
	pos        int64
}

// piece returns what lies together at the place of the reader, in memory or, as ok says, in
// the file; n is 0 at the end.
func (r *chunksReader) piece() (b []byte, n int64, ok bool) {
	if r.pos >= r.end {
		return nil, 0, true
	}
	off := r.pos % chunkBytes
	n = min(chunkBytes-off, r.end-r.pos)
	if piece := r.c.list[r.pos/chunkBytes]; piece != nil {
		return piece[off : off+n], n, true
	}
	return nil, n, false
}

func (r *chunksReader) Read(p []byte) (int, error) {
	b, n, inMemory := r.piece()
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	if inMemory {
		n := copy(p, b)
		r.pos += int64(n)
		return n, nil
	}
	got, err := r.c.file.ReadAt(p[:min(int64(len(p)), n)], r.pos)
	r.pos += int64(got)
	if err != nil {
		err = fmt.Errorf("buffer: %w", err)
	}
	return got, err
}

// WriteTo spares the SDK, which sums the body up before it sends it, a copy.
func (r *chunksReader) WriteTo(w io.Writer) (int64, error) {
	start := r.pos
	var scratch []byte // for what lies in the file
	for r.pos < r.end {
		b, n, inMemory := r.piece()
		if !inMemory {
			if scratch == nil {
				scratch = make([]byte, 32<<10)
			}
			b = scratch[:min(int64(len(scratch)), n)]
			if _, err := r.c.file.ReadAt(b, r.pos); err != nil {
				return r.pos - start, fmt.Errorf("buffer: %w", err)
			}
		}
		written, err := w.Write(b)
		r.pos += int64(written)
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
