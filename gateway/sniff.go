package gateway

import "encoding/binary"

// sniffLen is how many bytes [sniff] wants to see: the head of the longest box
// header (ISO/IEC 14496-12, 4.2).
const sniffLen = 16

// firstBoxes are the boxes that a file of the MP4 family may begin with. They are
// those that package transcode takes: newer files begin with ftyp, but what old
// QuickTime, a camera or a segmenter writes first is good too.
var firstBoxes = map[string]bool{
	"ftyp": true, "styp": true, "moov": true, "mdat": true, "free": true, "skip": true,
	"wide": true, "pnot": true, "uuid": true, "moof": true, "sidx": true, "meta": true,
	"pdin": true, "PICT": true, "junk": true, "emsg": true, "prft": true,
}

// sniff reports whether a file that begins with head, its first [sniffLen] bytes
// or all of it, can be of the MP4 family. What it refuses, transcode would too.
func sniff(head []byte) bool {
	if len(head) < 8 || !firstBoxes[string(head[4:8])] {
		return false
	}
	switch size := binary.BigEndian.Uint32(head); size {
	case 0: // to the end of the file
		return true
	case 1:
		return len(head) >= 16 && binary.BigEndian.Uint64(head[8:]) >= 16
	default:
		return size >= 8
	}
}
