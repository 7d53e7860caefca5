package transcode

import "github.com/asticode/go-astiav"

// sound is a stretch of a stream's blocks, numbered from the stream's first. Those
// that were dropped are written to again.
type sound struct {
	begin, end int64
	blocks     []*astiav.Frame // of begin..end-1
	spare      []*astiav.Frame
}

func (s *sound) len() int64 { return s.end - s.begin }

// swap appends blocks and puts others in their place, which fresh makes where there
// are none.
func (s *sound) swap(blocks []*astiav.Frame, fresh func() (*astiav.Frame, error)) error {
	for i, b := range blocks {
		var other *astiav.Frame
		if n := len(s.spare); n > 0 {
			other, s.spare = s.spare[n-1], s.spare[:n-1]
		} else {
			var err error
			if other, err = fresh(); err != nil {
				return err
			}
		}
		s.blocks = append(s.blocks, b)
		s.end++
		blocks[i] = other
	}
	return nil
}

// read appends the blocks from..to-1 to dst, as far as they have come.
func (s *sound) read(dst []*astiav.Frame, from, to int64) []*astiav.Frame {
	return append(dst, s.blocks[min(from, s.end)-s.begin:min(to, s.end)-s.begin]...)
}

// drop lets go of the blocks before a number.
func (s *sound) drop(before int64) {
	n := max(0, before-s.begin)
	s.spare = append(s.spare, s.blocks[:n]...)
	s.blocks = append(s.blocks[:0], s.blocks[n:]...)
	s.begin += n
}

func (s *sound) free() {
	for _, f := range append(s.blocks, s.spare...) {
		f.Free()
	}
	*s = sound{}
}
