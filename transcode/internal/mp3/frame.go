package mp3

import (
	"bytes"
	"errors"
	"fmt"
)

// Errors of ParseFrame and Unpacker.Add, wrapped with what was wrong.
var (
	// ErrFrame means that the bytes are not one whole Layer III frame with audio.
	ErrFrame = errors.New("mp3: not a Layer III frame")
	// ErrMainData means that main data lies where it cannot be.
	ErrMainData = errors.New("mp3: main data out of place")
)

const (
	crcSize     = 2
	maxHeadSize = headerSize + crcSize + 32
)

// Frame is what a Layer III frame says of its audio, apart from where that lies:
// the main data of a frame may begin in the slots of frames before it, the bit
// reservoir (ISO/IEC 11172-3 §2.4.3.4 and annex C.1.5.4.2.2).
type Frame struct {
	// Slot is the room for main data in the frame itself, in bytes: what follows
	// the side information.
	Slot int
	// MainData is the size of the frame's own main data in bytes, without stuffing.
	MainData int
	// Begin is main_data_begin as the encoder had it: how many bytes before the
	// slot the main data begins, slots alone counted. 0..511, in MPEG-2 0..255.
	Begin int
	// Ends holds the block type of the last granule and whether it is mixed, 3 bits
	// a channel. The next frame's first granule overlaps it, and the windows have
	// to fit.
	Ends uint8
	// Most is the largest main_data_begin that the frame may have: as its field,
	// and a decoder's buffer of 7,680 bits for each granule, allow.
	Most int

	head [maxHeadSize]byte // header, CRC and side information
	size uint8             // of head
	crc  bool
	wide bool // main_data_begin has 9 bits, as in MPEG-1; else 8
}

// ParseFrame reads the head of a whole frame. It fails with ErrFrame, wrapped, for
// anything else than one frame of Layer III, for free format, and for main data
// that no slots could hold.
func ParseFrame(b []byte) (Frame, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Frame{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	size := headerSize + h.SideInfoSize()
	if h.Protected {
		size += crcSize
	}
	if h.Layer != 3 || h.FrameSize() != len(b) || size > len(b) {
		return Frame{}, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	f := Frame{Slot: len(b) - size, size: uint8(size), crc: h.Protected, wide: h.Version == MPEG1}
	copy(f.head[:], b[:size])
	f.Most = max(0, min(1<<f.beginBits()-1, f.buffer()-len(b)))
	f.readSideInfo(h)
	if f.MainData > f.Slot+1<<f.beginBits()-1 {
		return Frame{}, fmt.Errorf("%w: %d bytes of main data", ErrFrame, f.MainData)
	}
	return f, nil
}

// beginBits is the width of main_data_begin.
func (f *Frame) beginBits() int {
	if f.wide {
		return 9
	}
	return 8
}

// buffer is what LAME takes decoders to be able to hold of main data and frame,
// in bytes: 7,680 bits for each granule (ISO/IEC 11172-3 §2.4.3.4, main_data_begin).
func (f *Frame) buffer() int {
	if f.wide {
		return 2 * 7680 / 8
	}
	return 7680 / 8
}

// sideInfo returns the side information.
func (f *Frame) sideInfo() []byte {
	if f.crc {
		return f.head[headerSize+crcSize : f.size]
	}
	return f.head[headerSize:f.size]
}

// readSideInfo takes what matters from the side information (ISO/IEC 11172-3
// §2.4.1.7, ISO/IEC 13818-3 §2.4.1.7).
func (f *Frame) readSideInfo(h Header) {
	r := bitReader{b: f.sideInfo()}
	channels := h.Channels()
	granules, scalefac, flags := 1, 9, 2
	f.Begin = r.read(f.beginBits())
	if f.wide {
		granules, scalefac, flags = 2, 4, 3
		// Private bits, and scfsi, which speaks of this frame's granules alone.
		r.skip([...]int{1: 5, 2: 3}[channels] + 4*channels)
	} else {
		r.skip(channels)
	}
	bits := 0
	for range granules {
		f.Ends = 0
		for c := range channels {
			bits += r.read(12) // part2_3_length
			r.skip(9 + 8 + scalefac)
			if switched := r.read(1) == 1; switched {
				f.Ends |= uint8(r.read(3)) << (3 * c)
				r.skip(19)
			} else {
				r.skip(22)
			}
			r.skip(flags)
		}
	}
	f.MainData = (bits + 7) / 8
}

// After returns the reservoir's level behind the frame, in bytes, when it is laid
// at a level: how far its successor's main data could begin before its slot. It is
// negative where the main data does not fit.
func (f *Frame) After(level int) int { return min(level, f.Most) + f.Slot - f.MainData }

// appendHead appends the frame's head with another main_data_begin.
func (f *Frame) appendHead(b []byte, begin int) []byte {
	h := *f
	s := h.sideInfo()
	if f.wide {
		s[0], s[1] = byte(begin>>1), byte(begin<<7)|s[1]&0x7F
	} else {
		s[0] = byte(begin)
	}
	if f.crc {
		crc := frameCRC(frameCRC(0xFFFF, h.head[2:headerSize]), s)
		h.head[headerSize], h.head[headerSize+1] = byte(crc>>8), byte(crc)
	}
	return append(b, h.head[:f.size]...)
}

// same says whether two frames sound the same after the same past: all but
// main_data_begin is equal. The main data is compared elsewhere.
func (f *Frame) same(o *Frame) bool {
	if f.size != o.size || f.wide != o.wide || f.MainData != o.MainData {
		return false
	}
	a, b := f.sideInfo(), o.sideInfo()
	mask := byte(0xFF)
	if f.wide {
		mask = 0x7F
	}
	// The bit rate may differ: it is the slot's.
	return f.head[3] == o.head[3] && a[1]&mask == b[1]&mask && bytes.Equal(a[2:], b[2:])
}

// frameCRC extends the CRC of protected frames: polynomial 0x8005, the highest bit
// first, from 0xFFFF (ISO/IEC 11172-3 §2.4.3.1).
func frameCRC(crc uint16, p []byte) uint16 {
	for _, b := range p {
		crc ^= uint16(b) << 8
		for range 8 {
			crc = crc<<1 ^ 0x8005*(crc>>15)
		}
	}
	return crc
}

// bitReader reads numbers from bytes, the highest bit first. Behind the end it
// reads zeros.
type bitReader struct {
	b  []byte
	at int
}

func (r *bitReader) skip(n int) { r.at += n }

func (r *bitReader) read(n int) int {
	v := 0
	for range n {
		v <<= 1
		if i := r.at >> 3; i < len(r.b) {
			v |= int(r.b[i]>>(7-r.at&7)) & 1
		}
		r.at++
	}
	return v
}
