package mp3

import (
	"bytes"
	"errors"
)

// ErrFreeFormat means that the stream's bit rate is not in its headers, so that
// only a search can find its frames.
var ErrFreeFormat = errors.New("mp3: free-format streams are not supported")

// maxFrameSize bounds a Layer III frame in bytes: 640 kb/s free format at
// 32 kHz, the most that encoders offer. With a bit rate index it is 1441.
const maxFrameSize = 144*640/32 + 1

// verdict is the answer to a question about bytes that may not be there yet.
type verdict int

const (
	no verdict = iota
	yes
	wait // for more bytes
)

// Framer cuts an elementary stream into Layer III frames. It passes over ID3v1,
// ID3v2 and APE tags and over garbage. Where it has no frame to go by, at the
// start or after garbage, it takes a header for one only if a second header of
// the same stream, a tag or the end of the stream stands where its frame ends.
//
// Use it in turns of Write and Next until Next has no more, then Flush and Next
// again. It then keeps no more than two frames of the largest size, a tag's
// header and the last piece written. The zero value is ready for use.
type Framer struct {
	buf     []byte
	pos     int    // start of the unread bytes in buf
	drop    int64  // bytes of a tag still to pass over
	last    Header // of the last frame returned
	lost    bool   // in garbage: no frame, tag or start right before pos
	eof     bool
	skipped int64
	err     error
}

// Write appends a piece of the stream, of any length. It keeps a copy of p and
// makes the frames that Next returned invalid. It never fails; the results
// are those of io.Writer.
func (f *Framer) Write(p []byte) (int, error) {
	if f.err != nil {
		return len(p), nil
	}
	if f.pos > 0 && len(f.buf)+len(p) > cap(f.buf) {
		n := copy(f.buf, f.buf[f.pos:])
		f.buf, f.pos = f.buf[:n], 0
	}
	f.buf = append(f.buf, p...)
	return len(p), nil
}

// Flush says that the stream ends here. Next then also returns frames for which
// it was waiting to see what follows. Nothing may be written afterwards.
func (f *Framer) Flush() {
	f.eof = true
}

// Next returns the next whole frame, which stays valid until the next Write.
// It reports false when it needs another Write, when the stream has ended,
// and for good once Err is not nil.
func (f *Framer) Next() (frame []byte, h Header, ok bool) {
	for f.err == nil {
		f.dropTag()
		b := f.buf[f.pos:]
		if len(b) == 0 {
			break
		}
		if !f.lost { // a tag in garbage may be a false one, which would hide frames
			n, v := tagSize(b)
			if v == yes {
				f.drop = n
				continue
			}
			if f.settle(v) == wait {
				break
			}
		}
		h, v := f.judge(b)
		switch v {
		case wait:
			return nil, Header{}, false
		case yes:
			n := h.FrameSize()
			f.pos += n
			f.last, f.lost = h, false
			return b[:n:n], h, true
		case no:
			f.skip(b)
		}
	}
	return nil, Header{}, false
}

// Skipped returns how many bytes so far were neither of a frame nor of a tag.
func (f *Framer) Skipped() int64 {
	return f.skipped
}

// Err returns ErrFreeFormat when the stream turned out to be free format, and
// nil otherwise.
func (f *Framer) Err() error {
	return f.err
}

func (f *Framer) dropTag() {
	n := min(f.drop, int64(len(f.buf)-f.pos))
	f.pos += int(n)
	f.drop -= n
}

// skip passes over b's first byte and all up to the next that can be a sync.
func (f *Framer) skip(b []byte) {
	n := len(b)
	if i := bytes.IndexByte(b[1:], 0xFF); i >= 0 {
		n = 1 + i
	}
	f.pos += n
	f.skipped += int64(n)
	f.lost = true
}

// settle turns wait into no at the end of the stream.
func (f *Framer) settle(v verdict) verdict {
	if v == wait && f.eof {
		return no
	}
	return v
}

// judge says whether b starts with a frame to be returned, and its header.
func (f *Framer) judge(b []byte) (Header, verdict) {
	if len(b) < headerSize {
		return Header{}, f.settle(wait)
	}
	h, err := ParseHeader(b)
	if err != nil || h.Layer != 3 {
		return Header{}, no
	}
	if h.Bitrate == 0 {
		v := f.freeFormat(b, h)
		if v == yes {
			f.err = ErrFreeFormat
			f.buf, f.pos = nil, 0
			return Header{}, wait
		}
		return Header{}, v
	}
	v := f.confirmed(b, h)
	if v != no || f.lost || !h.sameStream(f.last) || len(b) < h.FrameSize() {
		return h, v
	}
	// The frame before ended here, so this one is good too unless part of it is
	// missing. Then the next one starts inside of what its header claims.
	return h, f.intact(b[:h.FrameSize()], b, h)
}

// confirmed says whether the frame of header h that b starts with is followed
// by another frame of its stream, a tag or the end of the stream.
func (f *Framer) confirmed(b []byte, h Header) verdict {
	n := h.FrameSize()
	if len(b) < n {
		return f.settle(wait)
	}
	rest := b[n:]
	if len(rest) == 0 && f.eof {
		return yes
	}
	if len(rest) < headerSize {
		return f.settle(wait)
	}
	if next, err := ParseHeader(rest); err == nil && next.sameStream(h) {
		return yes
	}
	_, v := tagSize(rest)
	return f.settle(v)
}

// intact says whether no confirmed frame of h's stream starts within frame,
// the first bytes of b, after its own first byte: even its header may be cut.
func (f *Framer) intact(frame, b []byte, h Header) verdict {
	for i := 1; i < len(frame); i++ {
		next, err := ParseHeader(b[i:])
		if err != nil || !next.sameStream(h) {
			continue
		}
		switch f.confirmed(b[i:], next) {
		case yes:
			return no
		case wait:
			return wait
		}
	}
	return yes
}

// freeFormat says whether b, which starts with header h, is a free-format
// stream. Its frames have one size but for the padding slot, so two in a row
// that end in a like header prove it.
func (f *Framer) freeFormat(b []byte, h Header) verdict {
	if len(b) < 2*maxFrameSize+headerSize && !f.eof {
		return wait
	}
	like := func(i int) (Header, bool) {
		if i > len(b) {
			return Header{}, false
		}
		o, err := ParseHeader(b[i:])
		return o, err == nil && o.sameStream(h)
	}
	for n := headerSize + h.SideInfoSize(); n <= maxFrameSize; n++ {
		second, ok := like(n)
		if !ok {
			continue
		}
		end := 2*n - int(bit(h.Padding)) + int(bit(second.Padding))
		if _, ok := like(end); ok {
			return yes
		}
	}
	return no
}
