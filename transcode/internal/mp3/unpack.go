package mp3

import (
	"bytes"
	"fmt"
)

// Unpacker takes the frames of one encoder apart: it gathers their slots, in which
// the main data lies without regard to frames. Frames are named by their number in
// the whole stream, which is not 0 for the first of an encoder that began later.
type Unpacker struct {
	base   int64 // number of frames[0]
	frames []Frame
	starts []int // of each frame's slot in data
	data   []byte
}

// Reset makes the Unpacker empty; the next frame has the number first. It keeps
// its memory.
func (u *Unpacker) Reset(first int64) {
	u.base = first
	u.frames, u.starts, u.data = u.frames[:0], u.starts[:0], u.data[:0]
}

// Add appends a frame, of which it keeps a copy. It fails with ErrFrame, or with
// ErrMainData where its main data begins before that of all frames kept.
func (u *Unpacker) Add(frame []byte) error {
	f, err := ParseFrame(frame)
	if err != nil {
		return err
	}
	if f.Begin > len(u.data) || f.MainData > f.Begin+f.Slot {
		return fmt.Errorf("%w: %d bytes from %d before the slot of frame %d, of %d bytes",
			ErrMainData, f.MainData, f.Begin, u.End(), f.Slot)
	}
	u.frames = append(u.frames, f)
	u.starts = append(u.starts, len(u.data))
	u.data = append(u.data, frame[f.size:]...)
	return nil
}

// Begin returns the number of the first frame kept.
func (u *Unpacker) Begin() int64 { return u.base }

// End returns the number of the next frame.
func (u *Unpacker) End() int64 { return u.base + int64(len(u.frames)) }

// Frame returns a frame by its number, from Begin to End - 1. It is valid until
// the next Add or Drop.
func (u *Unpacker) Frame(n int64) *Frame { return &u.frames[n-u.base] }

// Main returns a frame's main data, valid as long as the frame.
func (u *Unpacker) Main(n int64) []byte {
	i := n - u.base
	f := &u.frames[i]
	return u.data[u.starts[i]-f.Begin:][:f.MainData]
}

// Drop forgets the frames before a number. It moves the rest only when that is
// less than what is forgotten, so that many small steps cost no more than one.
func (u *Unpacker) Drop(n int64) {
	const reservoir = 511 // of slots that the first frame kept may reach back into
	i := int(n - u.base)
	if i < len(u.frames)-i || i <= 0 {
		return
	}
	from := len(u.data)
	if i < len(u.starts) {
		from = u.starts[i]
	}
	from = max(0, from-reservoir)
	u.frames = append(u.frames[:0], u.frames[i:]...)
	u.starts = append(u.starts[:0], u.starts[i:]...)
	for j := range u.starts {
		u.starts[j] -= from
	}
	u.data = append(u.data[:0], u.data[from:]...)
	u.base = n
}

// same says whether frame n of both sounds the same after the same past.
func (u *Unpacker) same(o *Unpacker, n int64) bool {
	return n >= max(u.Begin(), o.Begin()) && n < min(u.End(), o.End()) &&
		u.Frame(n).same(o.Frame(n)) && bytes.Equal(u.Main(n), o.Main(n))
}
