package mp3

import "fmt"

// Packer lays main data into the slots of frames anew, as early as the format
// allows, and gives out whole frames. Frames keep their sizes: it writes
// main_data_begin, and the CRC where there is one. What it leaves free between the
// main data of two frames is stuffing (ancillary data), all zeros.
type Packer struct {
	emit  func([]byte) error
	buf   []byte   // of the frames in queue
	queue []packed // frames that are not full yet
	level int      // bytes free in their slots
}

// packed is a frame by its places in the buffer; its slot is free from at on.
type packed struct{ at, end int }

// NewPacker returns a Packer for a stream that begins with the next frame. emit
// gets each frame, in order; the bytes are valid until it returns.
func NewPacker(emit func([]byte) error) *Packer { return &Packer{emit: emit} }

// Level returns how many bytes the next frame's main data could begin before its
// slot, if its main_data_begin could say so.
func (p *Packer) Level() int { return p.level }

// Add appends a frame and its main data. It fails with ErrMainData, and has changed
// nothing, if that does not fit; see [Frame.After]. Else errors are emit's.
func (p *Packer) Add(f *Frame, main []byte) error {
	begin, after := min(p.level, f.Most), f.After(p.level)
	if after < 0 || len(main) != f.MainData {
		return fmt.Errorf("%w: %d bytes into %d and %d", ErrMainData, len(main), begin, f.Slot)
	}
	p.use(p.level-begin, nil)
	p.buf = f.appendHead(p.buf, begin)
	p.queue = append(p.queue, packed{len(p.buf), len(p.buf) + f.Slot})
	p.buf = append(p.buf, make([]byte, f.Slot)...)
	p.use(len(main), main)
	p.level = after
	return p.give(false)
}

// Flush gives out the frames that still have room. The next frame's main data
// begins in its own slot.
func (p *Packer) Flush() error {
	p.level = 0
	return p.give(true)
}

// use takes the next n free bytes, for main data or, if that is nil, for none.
func (p *Packer) use(n int, main []byte) {
	for i := 0; n > 0; i++ {
		q := &p.queue[i]
		step := min(n, q.end-q.at)
		if main != nil {
			copy(p.buf[q.at:], main[:step])
			main = main[step:]
		}
		q.at += step
		n -= step
	}
}

// give gives out the frames that are full, or all.
func (p *Packer) give(all bool) error {
	n, from := 0, 0
	for n < len(p.queue) && (all || p.queue[n].at == p.queue[n].end) {
		end := p.queue[n].end
		if err := p.emit(p.buf[from:end]); err != nil {
			return err
		}
		n, from = n+1, end
	}
	if n == 0 {
		return nil
	}
	p.buf = append(p.buf[:0], p.buf[from:]...)
	p.queue = append(p.queue[:0], p.queue[n:]...)
	for i := range p.queue {
		p.queue[i].at -= from
		p.queue[i].end -= from
	}
	return nil
}
