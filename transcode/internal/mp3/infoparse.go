package mp3

import (
	"encoding/binary"
	"errors"
	"strings"
)

// ErrNoInfo means that the frame holds no Xing or Info header, or only a part
// of the fields that it claims to hold. VBRI headers are not read.
var ErrNoInfo = errors.New("mp3: no Xing or Info header")

// Offsets into the LAME extension.
const (
	lameMethod   = 9
	lameLowpass  = 10
	lameBitrate  = 20
	lameGaps     = 21
	lameMisc     = 24
	lameMusicCRC = 32
	lameTagCRC   = 34
)

// lameNames start the encoder names whose extension ffmpeg goes by without
// looking at the tag CRC, which old versions of them wrote wrong or not at all.
var lameNames = []string{"LAME", "Lavc", "Lavf"}

// ParseInfo reads the Info frame that encoders put first into a file. It fails
// with ErrNoInfo, or as ParseHeader does. There is a LAME extension if its CRC
// is right or its encoder name one that players trust.
func ParseInfo(frame []byte) (InfoHeader, error) {
	h, err := ParseHeader(frame)
	if err != nil {
		return InfoHeader{}, err
	}
	if h.Layer != 3 || !isXing(frame, h) {
		return InfoHeader{}, ErrNoInfo
	}
	if n := h.FrameSize(); n > 0 && n < len(frame) {
		frame = frame[:n]
	}
	i := InfoHeader{Frame: h, Method: VBR, Quality: -1}
	start := headerSize + h.SideInfoSize()
	if tagAt(frame, start) == "Info" {
		i.Method = CBR
	}
	rest, ok := i.parseXing(frame[start+4:])
	if !ok {
		return InfoHeader{}, ErrNoInfo
	}
	if hasLAME(frame, rest) {
		i.parseLAME(rest)
	}
	if i.Method == CBR {
		i.Bitrate = h.Bitrate
	}
	return i, nil
}

// parseXing reads the fields after "Xing" or "Info" and returns what follows
// them. It reports false if b ends before they do.
func (i *InfoHeader) parseXing(b []byte) (rest []byte, ok bool) {
	ok = true
	take := func(n int) []byte {
		if len(b) < n {
			b, ok = nil, false
			return make([]byte, n)
		}
		field := b[:n]
		b = b[n:]
		return field
	}
	flags := binary.BigEndian.Uint32(take(4))
	if flags&flagFrames != 0 {
		i.Frames, i.HasFrames = binary.BigEndian.Uint32(take(4)), true
	}
	if flags&flagBytes != 0 {
		i.Bytes, i.HasBytes = binary.BigEndian.Uint32(take(4)), true
	}
	if flags&flagTOC != 0 {
		i.TOC = (*[tocEntries]byte)(append([]byte(nil), take(tocEntries)...))
	}
	if flags&flagQuality != 0 {
		// Xing's own scale and odd values are no quality in LAME's sense.
		if q := binary.BigEndian.Uint32(take(4)); q <= maxQuality {
			i.Quality = int(q)
		}
	}
	return b, ok
}

// hasLAME says whether rest, the end of the frame, starts with the extension.
func hasLAME(frame, rest []byte) bool {
	if len(rest) < lameSize || rest[0] == 0 {
		return false
	}
	for _, name := range lameNames {
		if strings.HasPrefix(string(rest[:4]), name) {
			return true
		}
	}
	before := len(frame) - len(rest) + lameTagCRC
	return CRC16(0, frame[:before]) == binary.BigEndian.Uint16(rest[lameTagCRC:])
}

func (i *InfoHeader) parseLAME(b []byte) {
	i.Gapless = true
	i.Encoder = strings.TrimRight(string(b[:maxEncoder]), "\x00 ")
	// 8 and 9 are two-pass CBR and ABR, 3, 5 and 6 older VBR routines; 0 is not
	// known, then the name of the Xing header decides.
	switch b[lameMethod] & 0xF {
	case 1, 8:
		i.Method = CBR
	case 2, 9:
		i.Method = ABR
	case 3, 4, 5, 6:
		i.Method = VBR
	}
	i.Lowpass = int(b[lameLowpass]) * 100
	i.Bitrate = int(b[lameBitrate])
	gaps := binary.BigEndian.Uint32(b[lameGaps:])
	i.Delay = int(gaps >> 20)
	i.Padding = int(gaps >> 8 & maxGap)
	i.SourceRate = sourceRates[b[lameMisc]>>6]
	i.MusicCRC = binary.BigEndian.Uint16(b[lameMusicCRC:])
}
