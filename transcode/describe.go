package transcode

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// stream is one sample description of a track, as libav understands it. It owns
// its codec parameters.
type stream struct {
	params   *astiav.CodecParameters
	decoder  *astiav.Codec // nil if this build has none
	codec    string        // libav's name, or the file's four characters
	language string
	title    string
	packing  mp4.Packing
}

func (s *stream) close() {
	s.params.Free()
	owners.Add(-1)
}

// describe lets libav's demuxer read a sample description.
func describe(f *mp4.File, t *mp4.Track, description int) (*stream, error) {
	header, err := f.Header(t, description)
	if err != nil {
		return nil, err
	}
	entry := t.Descriptions[description]
	s := &stream{params: astiav.AllocCodecParameters(), codec: printable(entry.Original)}
	owners.Add(1)
	err = withHeader(header, func(fc *astiav.FormatContext) error {
		for _, st := range fc.Streams() {
			if err := st.CodecParameters().Copy(s.params); err != nil {
				return err
			}
			tags := dictionary(st.Metadata())
			s.language, s.title = tags["language"], tags["title"]
		}
		return nil
	})
	if err != nil {
		s.close()
		return nil, err
	}
	if s.language == "und" {
		s.language = ""
	}
	if t.ExtendedLanguage != "" {
		s.language = t.ExtendedLanguage
	}
	if entry.Original == "iamf" {
		// libav shows the parts of such a track, each as a stream of its own.
		return s, nil
	}
	if id := s.params.CodecID(); s.params.MediaType() == astiav.MediaTypeAudio && id != astiav.CodecIDNone {
		s.codec = id.Name()
		s.decoder = astiav.FindDecoder(id)
	}
	s.packing = packing(s.codec, s.params.ChannelLayout().Channels(), entry)
	return s, nil
}

// packing returns how samples of a fixed packing lie in the file, as QuickTime
// has it for PCM and for codecs from before its version 1 sample entries.
func packing(codec string, channels int, entry mp4.Description) mp4.Packing {
	n := int64(channels)
	switch codec {
	case "mace3":
		return mp4.Packing{Samples: 6, Bytes: 2 * n}
	case "mace6":
		return mp4.Packing{Samples: 6, Bytes: n}
	case "adpcm_ima_qt":
		return mp4.Packing{Samples: 64, Bytes: 34 * n}
	case "gsm":
		return mp4.Packing{Samples: 160, Bytes: 33}
	case "qcelp":
		return mp4.Packing{Samples: 160, Bytes: int64(max(entry.FrameBytes, 35))}
	case "pcm_alaw", "pcm_mulaw":
		return mp4.Packing{Samples: 1, Bytes: n}
	}
	if kind, ok := strings.CutPrefix(codec, "pcm_"); ok {
		// pcm_s16le, pcm_f64be, pcm_u8
		bits, err := strconv.Atoi(strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz"))
		if err == nil {
			return mp4.Packing{Samples: 1, Bytes: int64(bits) / 8 * n}
		}
	}
	return mp4.Packing{Samples: int64(entry.FrameSamples), Bytes: int64(entry.FrameBytes)}
}

// readTags lets libav's demuxer read the movie's tags.
func readTags(f *mp4.File) Tags {
	var t Tags
	// Broken tags are not worth failing for: there are just none then.
	_ = withHeader(f.TagsHeader(), func(fc *astiav.FormatContext) error {
		tags := dictionary(fc.Metadata())
		for name, field := range t.fields() {
			*field = tags[name]
		}
		if t.Description == "" {
			t.Description = tags["synopsis"]
		}
		return nil
	})
	return t
}

var quiet = sync.OnceFunc(func() { astiav.SetLogLevel(astiav.LogLevelQuiet) })

// withHeader opens a header file of package mp4 with libav's mov demuxer for the
// time of a call. Only such headers, which lie in memory and have no samples, are
// ever given to a demuxer of libav, and no other demuxer is asked.
func withHeader(header []byte, use func(*astiav.FormatContext) error) error {
	quiet()
	mov := astiav.FindInputFormat("mov")
	if mov == nil {
		return errors.New("this build of libav has no mov demuxer")
	}
	r := &memory{data: header}
	pb, err := astiav.AllocIOContext(4096, false, r.read, r.seek, nil)
	if err != nil {
		return err
	}
	defer pb.Free()
	fc := astiav.AllocFormatContext()
	if fc == nil {
		return errNoMemory
	}
	fc.SetPb(pb)
	options := astiav.NewDictionary()
	defer options.Free()
	for _, o := range [][2]string{
		{"enable_drefs", "0"}, {"use_absolute_path", "0"}, // no other files
		{"export_all", "1"}, // tags by their own names where there is no other
	} {
		if err := options.Set(o[0], o[1], 0); err != nil {
			return err
		}
	}
	// A failed call frees the format context itself.
	if err := fc.OpenInput("", mov, options); err != nil {
		return &Error{Op: "open", Err: ErrInvalidData, Detail: fmt.Sprintf("the track's description cannot be read: %v", err)}
	}
	defer fc.CloseInput()
	return use(fc)
}

// memory gives libav a byte slice to read.
type memory struct {
	data []byte
	at   int64
}

func (m *memory) read(p []byte) (int, error) {
	if m.at >= int64(len(m.data)) {
		return 0, astiav.ErrEof
	}
	n := copy(p, m.data[m.at:])
	m.at += int64(n)
	return n, nil
}

// Flags of libav's seek callback (avio.h).
const (
	avseekSize  = 0x10000
	avseekForce = 0x20000
)

func (m *memory) seek(offset int64, whence int) (int64, error) {
	switch whence &^ avseekForce {
	case avseekSize:
		return int64(len(m.data)), nil
	case io.SeekCurrent:
		offset += m.at
	case io.SeekEnd:
		offset += int64(len(m.data))
	}
	if offset < 0 {
		return 0, astiav.ErrEio
	}
	m.at = offset
	return offset, nil
}

// dictionary returns a libav dictionary as a map of valid UTF-8.
func dictionary(d *astiav.Dictionary) map[string]string {
	out := map[string]string{}
	if d == nil {
		return out
	}
	var e *astiav.DictionaryEntry
	for {
		e = d.Get("", e, astiav.NewDictionaryFlags(astiav.DictionaryFlagIgnoreSuffix))
		if e == nil {
			return out
		}
		out[e.Key()] = strings.ToValidUTF8(e.Value(), "\uFFFD")
	}
}

// printable returns a four-character code as one can print it.
func printable(code string) string {
	quoted := strconv.QuoteToASCII(strings.TrimRight(code, " \x00"))
	return quoted[1 : len(quoted)-1]
}

// profiles are the names of profiles that libav numbers (avcodec.h), for the
// codecs where they tell something.
var profiles = map[string]map[int]string{
	"aac": {
		0: "Main", 1: "LC", 2: "SSR", 3: "LTP", 4: "HE-AAC", 22: "LD", 28: "HE-AACv2", 38: "ELD", 41: "xHE-AAC",
	},
	"dts": {
		20: "DTS", 30: "DTS-ES", 40: "DTS 96/24", 50: "DTS-HD HRA", 60: "DTS-HD MA", 70: "DTS Express",
	},
	"eac3":   {30: "Atmos"},
	"truehd": {30: "Atmos"},
}
