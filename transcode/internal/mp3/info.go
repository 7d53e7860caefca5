package mp3

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNoRoom means that the Info frame cannot hold the header: the stream's
// frames are too small for it, or its template is not a Layer III header.
var ErrNoRoom = errors.New("mp3: no room for the Info header in a frame of the stream")

// Method is how the encoder spent its bits; the values are codes of the LAME
// extension.
type Method uint8

// The methods. ParseInfo gives one of them for LAME's retired ones as well.
const (
	CBR Method = 1
	ABR Method = 2
	VBR Method = 4 // LAME's default VBR, "mtrh"
)

// Ranges of the LAME extension's fields.
const (
	maxEncoder = 9         // bytes
	maxGap     = 1<<12 - 1 // samples, of delay and of padding
	maxQuality = 100
)

// Flags of the Xing header: which fields follow, in this order.
const (
	flagFrames uint32 = 1 << iota
	flagBytes
	flagTOC
	flagQuality
)

// Sizes in bytes.
const (
	xingSize    = 4 + 4 + 4 + 4 // "Xing" or "Info", flags, frames, bytes
	qualitySize = 4
	lameSize    = 36
)

// InfoHeader is the Xing header (named Info in CBR files) of a stream and its
// LAME extension. A frame without audio holds it, the first of the file; here
// that is called the Info frame.
//
// The size of the frame that Encode makes depends on Frame, Method, Bitrate and
// Gapless alone, so that one written before the stream is known can be replaced
// in place afterwards.
type InfoHeader struct {
	// Frame gives version, sample rate and channel mode of the stream. It can
	// be the header of any of its frames. ParseInfo puts the Info frame's here.
	Frame Header

	Method Method
	// Bitrate in kb/s: CBR's bit rate, ABR's target, VBR's minimum (0 if not
	// known). The LAME extension saturates at 255, which is what ParseInfo then
	// gives for ABR and VBR.
	Bitrate int
	// Quality is LAME's, 100 being the best and 0 the worst, or -1 for none.
	Quality int

	Frames    uint32 // audio frames: the Info frame is not counted
	HasFrames bool
	// Bytes is the size of the whole stream, the Info frame included and tags
	// around it not. A stream of 4 GiB or more has to go without.
	Bytes    uint32
	HasBytes bool
	// TOC is the table of contents, as TOC.Table makes it; nil for none.
	TOC *[tocEntries]byte

	// Gapless says that there is a LAME extension. The fields below are its.
	Gapless bool
	// Encoder is its name and version in 1 to 9 bytes, as in "LAME3.100".
	// ffmpeg heeds Delay and Padding only if it starts with LAME, Lavc or Lavf.
	Encoder string
	Delay   int // encoder delay in samples, 0..4095, without the decoder's
	Padding int // encoder padding in samples, 0..4095; see the function Padding
	Lowpass int // Hz, in steps of 100 up to 25500; 0 if not known
	// SourceRate in Hz is that before any resampling, or 0 for Frame's. Only its
	// class is kept: ParseInfo gives 32000 (or less), 44100, 48000 or 96000 (more
	// than 48000).
	SourceRate int
	MusicCRC   uint16 // CRC16 of all audio frames
}

// sourceRates stand for the classes of source sample rates, in Hz: up to 32 kHz,
// any other, 48 kHz, above that.
var sourceRates = [4]int{32000, 44100, 48000, 96000}

func sourceRateCode(hz int) byte {
	switch {
	case hz <= 32000:
		return 0
	case hz == 48000:
		return 2
	case hz > 48000:
		return 3
	}
	return 1
}

// stereoModes maps a channel mode to the LAME extension's code. That has more
// of them (forced MS, intensity), which the frame header does not tell.
var stereoModes = [4]byte{Mono: 0, Stereo: 1, DualChannel: 2, JointStereo: 3}

// IsInfoFrame says whether the frame holds a Xing, Info or VBRI header and thus
// no audio. Only the first frame of a stream can be one.
func IsInfoFrame(frame []byte) bool {
	h, err := ParseHeader(frame)
	if err != nil || h.Layer != 3 {
		return false
	}
	// VBRI does not move with the size of the side information.
	return isXing(frame, h) || tagAt(frame, headerSize+32) == "VBRI"
}

// isXing looks at where the side information of an unprotected frame ends; a
// CRC does not move the tag.
func isXing(frame []byte, h Header) bool {
	tag := tagAt(frame, headerSize+h.SideInfoSize())
	return tag == "Xing" || tag == "Info"
}

func tagAt(frame []byte, i int) string {
	if len(frame) < i+4 {
		return ""
	}
	return string(frame[i : i+4])
}

// FrameHeader returns the header of the Info frame. In a CBR stream it has the
// stream's bit rate, as all frames have, else the lowest that makes room for
// all fields. It reports false when there is none, which without Gapless takes
// less room than with it.
func (i InfoHeader) FrameHeader() (Header, bool) {
	h, _, ok := i.layout()
	return h, ok
}

// Size returns the length in bytes of the Info frame, or 0 if nothing fits.
func (i InfoHeader) Size() int {
	h, ok := i.FrameHeader()
	if !ok {
		return 0
	}
	return h.FrameSize()
}

// layout returns the Info frame's header and whether it has room for the table
// of contents and the quality. CBR frames of a low bit rate do not, and can do
// without the table: there a position follows from the time.
func (i InfoHeader) layout() (h Header, full, ok bool) {
	h = i.Frame
	// The zeros that follow are no CRC, and no coded stereo.
	h.Protected, h.Padding, h.ModeExtension = false, false, 0

	need := headerSize + h.SideInfoSize() + xingSize
	if i.Gapless {
		need += lameSize
	}
	needFull := need + tocEntries + qualitySize

	if i.Method == CBR {
		h.Bitrate = i.Bitrate
		if h.Layer != 3 || !h.valid() || h.FrameSize() < need {
			return Header{}, false, false
		}
		return h, h.FrameSize() >= needFull, true
	}
	for _, h.Bitrate = range bitrates(h.Version, h.Layer) {
		if h.Layer == 3 && h.valid() && h.FrameSize() >= needFull {
			return h, true, true
		}
	}
	return Header{}, false, false
}

// Encode returns the Info frame. In a CBR stream of small frames it leaves out
// the table of contents and the quality. It fails with ErrNoRoom, or with
// another error when a field is out of its range.
func (i InfoHeader) Encode() ([]byte, error) {
	h, full, ok := i.layout()
	if !ok {
		return nil, ErrNoRoom
	}
	if err := i.check(); err != nil {
		return nil, err
	}
	if !full {
		i.TOC, i.Quality = nil, -1
	}

	frame := make([]byte, h.FrameSize())
	head := h.Bytes()
	copy(frame, head[:])
	// The appends below fill frame in place: layout made sure of the room.
	b := frame[:headerSize+h.SideInfoSize()]
	if i.Method == CBR {
		b = append(b, "Info"...)
	} else {
		b = append(b, "Xing"...)
	}
	b = i.appendXing(b)
	if i.Gapless {
		b = i.appendLAME(b)
		binary.BigEndian.PutUint16(frame[len(b):], CRC16(0, b))
	}
	return frame, nil
}

func (i InfoHeader) check() error {
	switch {
	case i.Method != CBR && i.Method != ABR && i.Method != VBR:
		return fmt.Errorf("mp3: unknown encoding method %d", i.Method)
	case i.Quality > maxQuality:
		return fmt.Errorf("mp3: quality %d is above %d", i.Quality, maxQuality)
	case i.Gapless && (i.Encoder == "" || len(i.Encoder) > maxEncoder):
		return fmt.Errorf("mp3: encoder name %q is not of 1..%d bytes", i.Encoder, maxEncoder)
	case i.Gapless && (i.Delay < 0 || i.Delay > maxGap):
		return fmt.Errorf("mp3: encoder delay %d is not in 0..%d", i.Delay, maxGap)
	case i.Gapless && (i.Padding < 0 || i.Padding > maxGap):
		return fmt.Errorf("mp3: encoder padding %d is not in 0..%d", i.Padding, maxGap)
	}
	return nil
}

func (i InfoHeader) appendXing(b []byte) []byte {
	var flags uint32
	flagsAt := len(b)
	b = append(b, 0, 0, 0, 0)
	if i.HasFrames {
		flags |= flagFrames
		b = binary.BigEndian.AppendUint32(b, i.Frames)
	}
	if i.HasBytes {
		flags |= flagBytes
		b = binary.BigEndian.AppendUint32(b, i.Bytes)
	}
	if i.TOC != nil {
		flags |= flagTOC
		b = append(b, i.TOC[:]...)
	}
	if i.Quality >= 0 {
		flags |= flagQuality
		b = binary.BigEndian.AppendUint32(b, uint32(i.Quality))
	}
	binary.BigEndian.PutUint32(b[flagsAt:], flags)
	return b
}

// appendLAME appends the LAME extension up to its tag CRC. What only the
// encoder knows and no player needs (peak, ReplayGain, ATH type, noise shaping,
// preset) is 0, "not set".
func (i InfoHeader) appendLAME(b []byte) []byte {
	var name [maxEncoder]byte
	copy(name[:], i.Encoder)
	source := i.SourceRate
	if source == 0 {
		source = i.Frame.SampleRate
	}
	music := i.Bytes
	if !i.HasBytes {
		music = 0
	}

	b = append(b, name[:]...)
	b = append(b, byte(i.Method)) // high nibble: tag revision 0
	b = append(b, saturate((i.Lowpass+50)/100))
	b = append(b, make([]byte, 4+2+2)...) // peak, track gain, album gain
	b = append(b, 0)                      // encoding flags, ATH type
	b = append(b, saturate(i.Bitrate))
	b = append(b, byte(i.Delay>>4), byte(i.Delay<<4)|byte(i.Padding>>8), byte(i.Padding))
	b = append(b, stereoModes[i.Frame.Mode]<<2|sourceRateCode(source)<<6)
	b = append(b, 0)    // MP3Gain
	b = append(b, 0, 0) // surround, preset
	b = binary.BigEndian.AppendUint32(b, music)
	return binary.BigEndian.AppendUint16(b, i.MusicCRC)
}

func saturate(n int) byte {
	return byte(min(max(n, 0), 255))
}
