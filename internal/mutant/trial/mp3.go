package trial

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stream is what an MP3 file says of itself. It is read here anew, and not by the
// converter's own package, so that no mistake is made twice.
type stream struct {
	tag      int   // bytes of the ID3 tag
	frames   int64 // without the header frame
	perFrame int   // samples per channel
	rate     int   // Hz
	channels int

	told           int64 // frames that the header frame counts; -1 without
	gapless        bool
	delay, padding int // samples, with gapless
}

// read walks over a file: a tag, a header frame, frames without a gap to the end.
func read(b []byte) (*stream, error) {
	s := &stream{told: -1}
	if len(b) >= 10 && string(b[:3]) == "ID3" {
		s.tag = 10 + int(b[6])<<21 + int(b[7])<<14 + int(b[8])<<7 + int(b[9])
		if s.tag > len(b) {
			return nil, errors.New("the tag is longer than the file")
		}
		b = b[s.tag:]
	}
	for at, n := 0, 0; at < len(b); n++ {
		size, err := s.header(b[at:])
		if err != nil {
			return nil, fmt.Errorf("frame %d at byte %d: %w", n, at+s.tag, err)
		}
		if at+size > len(b) {
			return nil, fmt.Errorf("frame %d is cut off", n)
		}
		if n > 0 || !s.info(b[at:at+size]) {
			s.frames++
		}
		at += size
	}
	if s.told < 0 {
		return nil, errors.New("there is no header frame")
	}
	return s, nil
}

// header reads that of a frame (ISO/IEC 11172-3, 2.4.1.3) and returns the frame's size.
func (s *stream) header(b []byte) (int, error) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe6 != 0xe2 {
		return 0, errors.New("no frame of layer III")
	}
	version := b[1] >> 3 & 3 // 0 is MPEG-2.5, 2 is MPEG-2, 3 is MPEG-1
	rates := []int{44100, 48000, 32000, 0}
	low := []int{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}
	full := []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}
	rate, bitRate, perFrame := rates[b[2]>>2&3], low[b[2]>>4], 576
	switch version {
	case 0:
		rate /= 4
	case 2:
		rate /= 2
	case 3:
		bitRate, perFrame = full[b[2]>>4], 1152
	}
	channels := 2
	if b[3]>>6 == 3 {
		channels = 1
	}
	if version == 1 || rate == 0 || bitRate == 0 {
		return 0, errors.New("a reserved value in the header")
	}
	if s.rate != 0 && (s.rate != rate || s.channels != channels || s.perFrame != perFrame) {
		return 0, errors.New("the format changes")
	}
	s.rate, s.channels, s.perFrame = rate, channels, perFrame
	return perFrame/8*bitRate*1000/rate + int(b[2]>>1&1), nil
}

// info reads a Xing or Info header with LAME's part.
func (s *stream) info(frame []byte) bool {
	at := 4 + 17 // side information
	if s.perFrame == 1152 && s.channels == 2 {
		at = 4 + 32
	} else if s.perFrame == 576 && s.channels == 1 {
		at = 4 + 9
	}
	if len(frame) < at+8 || string(frame[at:at+4]) != "Xing" && string(frame[at:at+4]) != "Info" {
		return false
	}
	flags := binary.BigEndian.Uint32(frame[at+4:])
	at += 8
	s.told = 0
	for _, field := range []struct {
		flag uint32
		size int
	}{{1, 4}, {2, 4}, {4, 100}, {8, 4}} {
		if flags&field.flag == 0 {
			continue
		}
		if field.flag == 1 && at+4 <= len(frame) {
			s.told = int64(binary.BigEndian.Uint32(frame[at:]))
		}
		at += field.size
	}
	if len(frame) >= at+24 && string(frame[at:at+4]) == "LAME" {
		v := int(frame[at+21])<<16 | int(frame[at+22])<<8 | int(frame[at+23])
		s.delay, s.padding, s.gapless = v>>12, v&0xfff, v != 0
	}
	return true
}
