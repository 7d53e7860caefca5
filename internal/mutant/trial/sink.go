package trial

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// sink keeps what is written. A trial's output is limited, so that is little.
type sink struct {
	data []byte
	at   int64
}

func (s *sink) Write(p []byte) (int, error) {
	if missing := s.at + int64(len(p)) - int64(len(s.data)); missing > 0 {
		s.data = append(s.data, make([]byte, missing)...)
	}
	s.at += int64(copy(s.data[s.at:], p))
	return len(p), nil
}

func (s *sink) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += int64(len(s.data))
	}
	if offset < 0 || offset > int64(len(s.data)) {
		return 0, errors.New("a seek to outside of what was written")
	}
	s.at = offset
	return offset, nil
}

// agree compares a result with the bytes that were written, and both with the source and
// the options. With complete, the header frame tells all that there is.
func agree(r *transcode.Result, file []byte, source int, o *transcode.Options, complete bool) error {
	m, err := read(file)
	if err != nil {
		return fmt.Errorf("what was written is no MP3 file: %w", err)
	}
	samples := m.frames * int64(m.perFrame)
	most := int64(o.Limits.Duration / time.Second * time.Duration(r.Settings.SampleRate))
	switch cut := samples - r.Samples; {
	case r.Samples <= 0 || r.Frames <= 0:
		return fmt.Errorf("a result without sound: %+v", r)
	case r.BytesWritten != int64(len(file)):
		return fmt.Errorf("%d bytes are told, and %d were written", r.BytesWritten, len(file))
	case r.Frames != m.frames:
		return fmt.Errorf("%d frames are told, and %d were written", r.Frames, m.frames)
	case r.Settings.SampleRate != m.rate || r.Settings.Channels != m.channels:
		return fmt.Errorf("%+v are told, and there are %d channels at %d Hz", r.Settings, m.channels, m.rate)
	case cut < 0 || cut > 3*1152 && !r.Settings.Copied || cut > 2*4096+1152:
		return fmt.Errorf("%d samples are told, and the frames have %d", r.Samples, samples)
	case !r.Settings.Copied && r.Samples > most+most/100:
		return fmt.Errorf("%d samples, and the limit is %v", r.Samples, o.Limits.Duration)
	case m.tag > 8*source+1<<16:
		return fmt.Errorf("a tag of %d bytes for a source of %d", m.tag, source)
	case complete && m.told != m.frames:
		return fmt.Errorf("the header frame tells of %d frames, and there are %d", m.told, m.frames)
	case complete && m.gapless && cut != int64(m.delay+m.padding):
		return fmt.Errorf("%d samples are told, and the header frame leaves %d", r.Samples, samples-int64(m.delay+m.padding))
	case o.Duration > 0 && !r.Settings.Copied && r.Duration > o.Duration+time.Second/time.Duration(m.rate):
		return fmt.Errorf("%v of audio, and %v were asked for", r.Duration, o.Duration)
	}
	return nil
}
