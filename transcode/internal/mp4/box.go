package mp4

import (
	"encoding/binary"
	"errors"
	"io"
)

const (
	// windowSize is how much of a table is held while it is walked, and so the
	// most that is read beyond what is used of one.
	windowSize = 16 << 10
	// wholeSize is the size up to which an index is held as a whole, which
	// saves reading parts of it twice.
	wholeSize = 256 << 10
)

// region is a stretch of a file with a window that moves over it. Its offsets
// are relative to its start. Slices that it returns are valid until the next
// call.
type region struct {
	r    io.ReaderAt
	base int64 // of the region in r
	size int64

	window []byte
	at     int64 // of the window in the region
}

// newRegion returns the region of r from base on. Small ones are read at once.
func newRegion(r io.ReaderAt, base, size int64) (*region, error) {
	g := &region{r: r, base: base, size: size}
	if size <= wholeSize {
		g.window = make([]byte, size)
		if err := readFull(r, g.window, base); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// fork returns the same region with a window of its own, for a second place to
// read at the same time.
func (g *region) fork() *region {
	f := *g
	if int64(len(g.window)) != g.size {
		f.window, f.at = nil, 0
	}
	return &f
}

// bytes returns n bytes at off, n at most windowSize.
func (g *region) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > g.size-int64(n) {
		return nil, invalid("box ends early")
	}
	if off < g.at || off+int64(n) > g.at+int64(len(g.window)) {
		size := min(windowSize, g.size-off)
		if int64(cap(g.window)) < size {
			g.window = make([]byte, size)
		}
		g.window, g.at = g.window[:size], off
		if err := readFull(g.r, g.window, g.base+off); err != nil {
			g.window = g.window[:0]
			return nil, err
		}
	}
	return g.window[off-g.at:][:n:n], nil
}

func (g *region) u32(off int64) (uint32, error) {
	b, err := g.bytes(off, 4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

func (g *region) u64(off int64) (uint64, error) {
	b, err := g.bytes(off, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// copy returns a copy of [from, to), which must not be longer than most.
func (g *region) copy(from, to, most int64) ([]byte, error) {
	n := to - from
	if n < 0 || from < 0 || to > g.size {
		return nil, invalid("box ends early")
	}
	if n > most {
		return nil, overLimit("a box of %d bytes; at most %d are read into memory", n, most)
	}
	out := make([]byte, n)
	if from >= g.at && to <= g.at+int64(len(g.window)) {
		copy(out, g.window[from-g.at:])
		return out, nil
	}
	return out, readFull(g.r, out, g.base+from)
}

// readFull reads all of p. A source that ends early is ErrTruncated; its own
// errors come unchanged, also those that wrap io.EOF, as of a lost connection.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF || err == io.ErrUnexpectedEOF:
		return truncated("at byte %d", off+int64(n))
	}
	return err
}

// box is a box in a region. start is that of its header, body that of its
// payload, end the end of both (ISO/IEC 14496-12, 4.2).
type box struct {
	kind             string
	start, body, end int64
}

func (b box) size() int64 { return b.end - b.body }

// boxes calls f for each box in [from, to). A box that claims more than its
// parent has ends with its parent, as in every reader that meets such files.
func (g *region) boxes(from, to int64, f func(box) error) error {
	for to-from >= 8 {
		h, err := g.bytes(from, 8)
		if err != nil {
			return err
		}
		b := box{kind: string(h[4:8]), start: from, body: from + 8}
		size := int64(binary.BigEndian.Uint32(h))
		switch size {
		case 0: // up to the end of the parent
			size = to - from
		case 1:
			if to-from < 16 {
				return nil // damage, as below
			}
			large, err := g.u64(from + 8)
			if err != nil {
				return err
			}
			b.body += 8
			size = int64(min(large, 1<<62))
		}
		if size < b.body-from {
			// Some writers end a list of boxes with a zero word (QuickTime
			// udta); anything else here is damage, and there is no way to
			// find the next box.
			return nil
		}
		b.end = min(from+size, to)
		if err := f(b); err != nil {
			return err
		}
		from = b.end
	}
	return nil
}

// child returns the first box of a kind in [from, to).
func (g *region) child(from, to int64, kind string) (box, bool, error) {
	var found box
	err := g.boxes(from, to, func(b box) error {
		if b.kind == kind {
			found = b
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return found, true, nil
	}
	return box{}, false, err
}

// errStop ends a walk over boxes early.
var errStop = errors.New("stop")

// appendBox appends a box to dst.
func appendBox(dst []byte, kind string, payload ...[]byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = append(dst, kind...)
	for _, p := range payload {
		dst = append(dst, p...)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}
