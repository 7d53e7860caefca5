package transcode

import "github.com/asticode/go-astiav"

// blockQueue is a stretch of a stream's blocks, numbered from the stream's first. Those
// that were dropped are written to again.
type blockQueue struct {
	begin, end int64
	blocks     []*astiav.Frame // of begin..end-1
	spare      []*astiav.Frame
}

func (q *blockQueue) len() int64 { return q.end - q.begin }

// swap appends blocks and puts others in their place, which fresh makes where there
// are none.
func (q *blockQueue) swap(blocks []*astiav.Frame, fresh func() (*astiav.Frame, error)) error {
	for i, b := range blocks {
		var other *astiav.Frame
		if n := len(q.spare); n > 0 {
			other, q.spare = q.spare[n-1], q.spare[:n-1]
		} else {
			var err error
			if other, err = fresh(); err != nil {
				return err
			}
		}
		q.blocks = append(q.blocks, b)
		q.end++
		blocks[i] = other
	}
	return nil
}

// read appends the blocks from..to-1 to dst, as far as they have come.
func (q *blockQueue) read(dst []*astiav.Frame, from, to int64) []*astiav.Frame {
	return append(dst, q.blocks[min(from, q.end)-q.begin:min(to, q.end)-q.begin]...)
}

// drop lets go of the blocks before a number.
func (q *blockQueue) drop(before int64) {
	n := max(0, before-q.begin)
	q.spare = append(q.spare, q.blocks[:n]...)
	q.blocks = append(q.blocks[:0], q.blocks[n:]...)
	q.begin += n
}

func (q *blockQueue) free() {
	for _, f := range append(q.blocks, q.spare...) {
		f.Free()
	}
	*q = blockQueue{}
}
