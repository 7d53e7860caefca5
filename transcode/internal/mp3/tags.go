package mp3

import (
	"bytes"
	"encoding/binary"
)

// Tags that files put around or between the frames. None of them starts like a
// frame header, but all may hold bytes that look like one.
var (
	id3v2Magic    = []byte("ID3")
	id3v1Magic    = []byte("TAG")
	id3v1ExtMagic = []byte("TAG+") // stands before the ID3v1 tag proper
	apeMagic      = []byte("APETAGEX")
)

// Sizes of tags and their headers in bytes.
const (
	id3v2HeaderSize = 10
	id3v1Size       = 128
	id3v1ExtSize    = 227
	apeHeaderSize   = 32
)

// tagSize says whether b starts with a tag and how many bytes that has.
func tagSize(b []byte) (int64, verdict) {
	switch {
	case startsLike(b, id3v2Magic):
		if len(b) < id3v2HeaderSize {
			return 0, wait
		}
		return id3v2Size(b)
	case startsLike(b, id3v1Magic):
		if len(b) < len(id3v1ExtMagic) {
			return 0, wait
		}
		if bytes.HasPrefix(b, id3v1ExtMagic) {
			return id3v1ExtSize, yes
		}
		return id3v1Size, yes
	case startsLike(b, apeMagic):
		if len(b) < apeHeaderSize {
			return 0, wait
		}
		return apeSize(b), yes
	}
	return 0, no
}

// startsLike says whether b starts with magic, as far as b goes.
func startsLike(b, magic []byte) bool {
	n := min(len(b), len(magic))
	return n > 0 && bytes.Equal(b[:n], magic[:n])
}

// id3v2Size reads the tag header of ID3v2.4 §3.1 (2.2 and 2.3 agree on it).
// The version and size bytes can never look like a frame sync, and what does
// is no tag.
func id3v2Size(b []byte) (int64, verdict) {
	const footer = 0x10
	if b[3] == 0xFF || b[4] == 0xFF || (b[6]|b[7]|b[8]|b[9])&0x80 != 0 {
		return 0, no
	}
	n := int64(b[6])<<21 | int64(b[7])<<14 | int64(b[8])<<7 | int64(b[9])
	if b[5]&footer != 0 {
		n += id3v2HeaderSize
	}
	return n + id3v2HeaderSize, yes
}

// apeSize reads the header or footer of APE tags 1 and 2. A tag's size counts
// its items and footer; met at a footer, the tag is already behind.
func apeSize(b []byte) int64 {
	const isHeader = 1 << 29
	if binary.LittleEndian.Uint32(b[20:])&isHeader == 0 {
		return apeHeaderSize
	}
	return apeHeaderSize + int64(binary.LittleEndian.Uint32(b[12:]))
}
