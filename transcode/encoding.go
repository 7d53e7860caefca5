package transcode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// Encoding is an MP3 bit-rate mode and its setting. Make one with [CBR], [VBR],
// [ABR] or [ParseEncoding]; the zero value stands for [DefaultEncoding].
// Encodings can be compared with ==.
type Encoding struct {
	mode  mode
	value int // kb/s for CBR and ABR, LAME's V number for VBR
}

type mode uint8

const (
	modeDefault mode = iota
	modeCBR
	modeVBR
	modeABR
)

// CBR is constant bit rate in kb/s: 32, 40, 48, 56, 64, 80, 96, 112, 128, 160,
// 192, 224, 256 or 320. Every frame of the file has it. Below 32 kHz sample rate
// MP3 ends at 160 kb/s (64 kb/s at 8 to 12 kHz) and lacks some of the steps
// between: then the nearest one is used, and [Settings] says which.
func CBR(kbps int) Encoding { return Encoding{modeCBR, kbps} }

// VBR is variable bit rate at a constant quality, LAME's -V: 0 is the best
// (about 245 kb/s for music in stereo), 2 about 190, 4 about 165, 9 the smallest
// (about 65).
func VBR(quality int) Encoding { return Encoding{modeVBR, quality} }

// ABR is variable bit rate around an average in kb/s, 8 to 320.
func ABR(kbps int) Encoding { return Encoding{modeABR, kbps} }

// DefaultEncoding is VBR(2). One does not know beforehand what a video holds: V2
// is transparent for music, spends only what speech needs, and next to nothing
// on silence, where any constant bit rate is too low for one and wasteful for
// the other.
var DefaultEncoding = VBR(2)

func (e Encoding) orDefault() Encoding {
	if e.mode == modeDefault {
		return DefaultEncoding
	}
	return e
}

// String returns "CBR 192", "VBR 2" or "ABR 160", and "default" for the zero
// value. [ParseEncoding] reads it back.
func (e Encoding) String() string {
	switch e.mode {
	case modeCBR:
		return "CBR " + strconv.Itoa(e.value)
	case modeVBR:
		return "VBR " + strconv.Itoa(e.value)
	case modeABR:
		return "ABR " + strconv.Itoa(e.value)
	}
	return "default"
}

// ParseEncoding reads what [Encoding.String] writes, in any case. It fails with
// [ErrOptions].
func ParseEncoding(s string) (Encoding, error) {
	bad := func(detail string) (Encoding, error) {
		return Encoding{}, &Error{Op: "options", Err: ErrOptions, Detail: detail}
	}
	name, number, _ := strings.Cut(strings.TrimSpace(s), " ")
	if strings.EqualFold(name, "default") && number == "" {
		return Encoding{}, nil
	}
	value, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return bad(fmt.Sprintf("encoding %q: want CBR, VBR or ABR and a number", s))
	}
	var e Encoding
	switch strings.ToUpper(name) {
	case "CBR":
		e = CBR(value)
	case "VBR":
		e = VBR(value)
	case "ABR":
		e = ABR(value)
	default:
		return bad(fmt.Sprintf("encoding %q: want CBR, VBR or ABR and a number", s))
	}
	if detail := e.validate(); detail != "" {
		return bad(detail)
	}
	return e, nil
}

// MarshalText implements [encoding.TextMarshaler].
func (e Encoding) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *Encoding) UnmarshalText(b []byte) error {
	parsed, err := ParseEncoding(string(b))
	if err == nil {
		*e = parsed
	}
	return err
}

// Bitrates returns the constant bit rates that [CBR] takes, in kb/s, ascending.
func Bitrates() []int { return mp3.Bitrates(mp3.MPEG1) }

// validate returns what is wrong with e, or "".
func (e Encoding) validate() string {
	switch {
	case e.mode == modeCBR && !slices.Contains(Bitrates(), e.value):
		return fmt.Sprintf("MP3 has no constant bit rate of %d kb/s; it has %v", e.value, Bitrates())
	case e.mode == modeVBR && (e.value < 0 || e.value > 9):
		return fmt.Sprintf("VBR quality %d: want 0 (best) to 9 (smallest)", e.value)
	case e.mode == modeABR && (e.value < 8 || e.value > 320):
		return fmt.Sprintf("average bit rate %d kb/s: want 8 to 320", e.value)
	}
	return ""
}

// at returns the encoding as it can be done at a sample rate in Hz.
func (e Encoding) at(sampleRate int) Encoding {
	e = e.orDefault()
	switch e.mode {
	case modeCBR:
		return CBR(mp3.NearestBitrate(sampleRate, min(e.value, highestBitrate(sampleRate))))
	case modeABR:
		return ABR(min(e.value, highestBitrate(sampleRate)))
	}
	return e
}

// highestBitrate returns the highest bit rate at a sample rate in Hz, in kb/s.
// The format has 160 kb/s for MPEG-2.5 too, but LAME, like other encoders, ends at
// 64 there.
func highestBitrate(sampleRate int) int {
	version, _ := mp3.VersionOf(sampleRate)
	if version == mp3.MPEG25 {
		return 64
	}
	return slices.Max(mp3.Bitrates(version))
}
