package mp3

import (
	"errors"
	"strconv"
)

// Errors of ParseHeader. Both are returned as they are, never wrapped.
var (
	// ErrSync means that the bytes do not start with the 11 sync bits, or that
	// there are fewer than four of them.
	ErrSync = errors.New("mp3: no frame sync")
	// ErrHeader means that a field after the sync bits holds a reserved value.
	ErrHeader = errors.New("mp3: reserved value in frame header")
)

// headerSize is the length of a frame header in bytes, its CRC not counted.
const headerSize = 4

// Version is the MPEG version of a frame. The zero value is none.
type Version uint8

// The versions, by falling sample rate.
const (
	MPEG1  Version = iota + 1 // ISO/IEC 11172-3: 32, 44.1 and 48 kHz
	MPEG2                     // ISO/IEC 13818-3: 16, 22.05 and 24 kHz
	MPEG25                    // unofficial extension: 8, 11.025 and 12 kHz
)

// String returns the usual name, as in "MPEG-2.5".
func (v Version) String() string {
	switch v {
	case MPEG1:
		return "MPEG-1"
	case MPEG2:
		return "MPEG-2"
	case MPEG25:
		return "MPEG-2.5"
	}
	return "Version(" + strconv.Itoa(int(v)) + ")"
}

// ChannelMode is the mode field of a frame header; the values are the codes of
// ISO/IEC 11172-3.
type ChannelMode uint8

// The channel modes.
const (
	Stereo ChannelMode = iota
	JointStereo
	DualChannel
	Mono
)

// String returns the mode's name in the standard's words.
func (m ChannelMode) String() string {
	switch m {
	case Stereo:
		return "stereo"
	case JointStereo:
		return "joint stereo"
	case DualChannel:
		return "dual channel"
	case Mono:
		return "mono"
	}
	return "ChannelMode(" + strconv.Itoa(int(m)) + ")"
}

// Header is an MPEG audio frame header (ISO/IEC 11172-3 §2.4.2.3).
type Header struct {
	Version       Version
	Layer         int  // 1, 2 or 3
	Protected     bool // a CRC-16 follows the header
	Bitrate       int  // kb/s; 0 is free format
	SampleRate    int  // Hz
	Padding       bool // the frame is one slot longer
	Private       bool
	Mode          ChannelMode
	ModeExtension uint8 // 0..3; joint stereo only: in Layer III bit 0 is intensity, bit 1 is MS stereo
	Copyright     bool
	Original      bool
	Emphasis      uint8 // 0 none, 1 50/15 µs, 3 CCITT J.17
}

// ParseHeader reads the frame header that b starts with. Bytes after the
// fourth are not looked at. It fails with ErrSync or ErrHeader.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < headerSize || b[0] != 0xFF || b[1]&0xE0 != 0xE0 {
		return Header{}, ErrSync
	}
	version := versionOfCode[b[1]>>3&3]
	layer := 4 - int(b[1]>>1&3)
	rateIndex := b[2] >> 2 & 3
	bitrateIndex := b[2] >> 4
	emphasis := b[3] & 3
	if version == 0 || layer == 4 || rateIndex == 3 || bitrateIndex == 15 || emphasis == 2 {
		return Header{}, ErrHeader
	}
	h := Header{
		Version:       version,
		Layer:         layer,
		Protected:     b[1]&1 == 0,
		SampleRate:    sampleRates[version][rateIndex],
		Padding:       b[2]&2 != 0,
		Private:       b[2]&1 != 0,
		Mode:          ChannelMode(b[3] >> 6),
		ModeExtension: b[3] >> 4 & 3,
		Copyright:     b[3]&8 != 0,
		Original:      b[3]&4 != 0,
		Emphasis:      emphasis,
	}
	if bitrateIndex > 0 {
		h.Bitrate = bitrates(version, layer)[bitrateIndex-1]
	}
	return h, nil
}

// Bytes returns the header as it stands in the stream. A field whose value has
// no code gets a reserved one, so that ParseHeader refuses the result.
func (h Header) Bytes() [headerSize]byte {
	layer := 4 - h.Layer
	if h.Layer < 1 || h.Layer > 3 {
		layer = 0
	}
	return [headerSize]byte{
		0xFF,
		0xE0 | versionCode(h.Version)<<3 | byte(layer)<<1 | bit(!h.Protected),
		bitrateIndex(h)<<4 | rateIndex(h)<<2 | bit(h.Padding)<<1 | bit(h.Private),
		byte(h.Mode)<<6 | h.ModeExtension&3<<4 | bit(h.Copyright)<<3 | bit(h.Original)<<2 | h.Emphasis&3,
	}
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// FrameSize returns the length of the whole frame in bytes, header included.
// It is 0 for free format, where the header does not tell, and for a header
// without a sample rate.
func (h Header) FrameSize() int {
	if h.Bitrate == 0 || h.SampleRate == 0 {
		return 0
	}
	// A slot is the unit of padding: 4 bytes in Layer I, else 1 byte.
	slot := 1
	if h.Layer == 1 {
		slot = 4
	}
	slots := h.Samples() / 8 / slot * h.Bitrate * 1000 / h.SampleRate
	if h.Padding {
		slots++
	}
	return slots * slot
}

// Samples returns how many samples the frame holds for each channel.
func (h Header) Samples() int {
	switch {
	case h.Layer == 1:
		return 384
	case h.Layer == 3 && h.Version != MPEG1:
		return 576
	}
	return 1152
}

// Channels returns 1 or 2.
func (h Header) Channels() int {
	if h.Mode == Mono {
		return 1
	}
	return 2
}

// SideInfoSize returns the length in bytes of Layer III's side information,
// which follows the header and its CRC. It is 0 in the other layers.
func (h Header) SideInfoSize() int {
	mono := h.Mode == Mono
	switch {
	case h.Layer != 3:
		return 0
	case h.Version == MPEG1 && !mono:
		return 32
	case h.Version != MPEG1 && mono:
		return 9
	}
	return 17
}

// valid says whether every field has a code.
func (h Header) valid() bool {
	b := h.Bytes()
	got, err := ParseHeader(b[:])
	return err == nil && got == h
}

// sameStream says whether h and o can be frames of one stream: bit rate, mode
// extension and the like may change from frame to frame, these may not.
func (h Header) sameStream(o Header) bool {
	return h.Version == o.Version && h.Layer == o.Layer && h.SampleRate == o.SampleRate &&
		h.Channels() == o.Channels() && (h.Bitrate == 0) == (o.Bitrate == 0)
}
