package transcode

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/language"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// audioTracks returns the audio tracks of a file.
func audioTracks(f *mp4.File) []*mp4.Track {
	var out []*mp4.Track
	for _, t := range f.Tracks {
		if t.Audio() {
			out = append(out, t)
		}
	}
	return out
}

// defaultTrack returns the index of the track that plays by default: the first
// that is enabled, or the first.
func defaultTrack(tracks []*mp4.Track) int {
	for i, t := range tracks {
		if t.Enabled {
			return i
		}
	}
	return 0
}

// selectTrack returns the track that the options choose, and its number from 1.
func selectTrack(f *mp4.File, opts *Options) (int, *mp4.Track, error) {
	none := func(format string, a ...any) (int, *mp4.Track, error) {
		return 0, nil, &Error{Op: "open", Err: ErrNoAudio, Detail: fmt.Sprintf(format, a...)}
	}
	tracks := audioTracks(f)
	if len(tracks) == 0 {
		for _, t := range f.Tracks {
			if t.Check() != nil { // what it was can't be said
				return 0, nil, t.Check()
			}
		}
		if len(f.Tracks) == 0 {
			return none("the file has no tracks")
		}
		return none("none of the tracks in the file (%d) is audio", len(f.Tracks))
	}
	switch {
	case opts.Track > len(tracks):
		return none("there is no audio track %d; the last is %d", opts.Track, len(tracks))
	case opts.Track > 0:
		return opts.Track, tracks[opts.Track-1], nil
	case opts.Language == "":
		i := defaultTrack(tracks)
		return i + 1, tracks[i], nil
	}
	var found []string
	for i, t := range tracks {
		code, err := trackLanguage(f, t)
		if err != nil {
			return 0, nil, err
		}
		if sameLanguage(code, opts.Language) {
			return i + 1, t, nil
		}
		if code == "" {
			code = "unknown"
		}
		found = append(found, code)
	}
	return none("no track is in %q; there are: %s", opts.Language, strings.Join(found, ", "))
}

// trackLanguage returns the language of a track, "" if it does not say or cannot
// be read.
func trackLanguage(f *mp4.File, t *mp4.Track) (string, error) {
	s, err := describe(f, t, 0)
	if errors.Is(err, mp4.ErrInvalid) || errors.Is(err, ErrInvalidData) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer s.close()
	return s.language, nil
}

// sameLanguage compares languages by whatever code they are given: "de", "deu" and
// "ger" are one. A wish without a region ("en") is also fulfilled with one
// ("en-GB").
func sameLanguage(have, want string) bool {
	if strings.EqualFold(have, want) {
		return true
	}
	h, err := language.All.Parse(have)
	if err != nil {
		return false
	}
	w, err := language.All.Parse(want)
	if err != nil {
		return false
	}
	haveBase, _ := h.Base()
	wantBase, _ := w.Base()
	return haveBase == wantBase && (h == w || !strings.Contains(want, "-"))
}

// checkTrack reports why a track can't be converted before anything of it is
// read.
func checkTrack(f *mp4.File, number int, t *mp4.Track) error {
	if err := t.Check(); err != nil {
		return err
	}
	for _, d := range t.Descriptions {
		switch {
		case d.Encrypted:
			return &Error{Op: "open", Err: ErrEncrypted, Detail: otherTrack(f, number)}
		case d.External:
			return &Error{Op: "open", Err: ErrUnsupported, Codec: printable(d.Format), Detail: "the media lies in another file"}
		}
	}
	return nil
}

// otherTrack names a track that could be converted instead of a track, or returns
// "".
func otherTrack(f *mp4.File, instead int) string {
	for i, t := range audioTracks(f) {
		if i+1 == instead || t.Check() != nil || t.Descriptions[0].Encrypted {
			continue
		}
		s, err := describe(f, t, 0)
		if err != nil {
			continue
		}
		decodable := s.decoder != nil
		s.close()
		if decodable {
			return fmt.Sprintf("track %d (%s) can be converted", i+1, s.codec)
		}
	}
	return ""
}

// newTrack describes a track as far as its index tells.
func newTrack(number int, t *mp4.Track, s *stream) Track {
	out := Track{Number: number, ID: t.ID}
	for _, d := range t.Descriptions {
		out.Encrypted = out.Encrypted || d.Encrypted
	}
	if s == nil {
		return out
	}
	layout := s.params.ChannelLayout()
	out.Codec, out.Language, out.Title = s.codec, s.language, s.title
	out.Profile = profiles[s.codec][int(s.params.Profile())]
	out.SampleRate, out.Channels = max(0, s.params.SampleRate()), layout.Channels()
	out.Layout = layout.String()
	out.Decodable = s.decoder != nil && !out.Encrypted
	return out
}

// observe adds what decoding showed of the track.
func (t *Track) observe(d *decoder) {
	if d.context == nil || d.frames == 0 {
		return
	}
	layout := d.context.ChannelLayout()
	t.Codec = d.stream.codec
	t.SampleRate, t.Channels, t.Layout = d.rate, layout.Channels(), layout.String()
	if p := profiles[d.stream.codec][int(d.context.Profile())]; p != "" {
		t.Profile = p
	}
}

// describeTrack describes the converted track.
func (c *conversion) describeTrack() Track {
	t := newTrack(c.number, c.track, c.decoder.stream)
	t.observe(c.decoder)
	if c.settings.Copied {
		t.SampleRate, t.Channels = c.settings.SampleRate, c.settings.Channels
		t.Layout = target{channels: t.Channels}.layout().String()
	}
	t.Default = c.number == defaultTrack(audioTracks(c.file))+1
	t.Duration = c.shown.duration(c.track.Timescale)
	if t.Duration == 0 {
		t.Duration = sampleTime(c.samples, c.settings.SampleRate)
	}
	if media := c.decoder.demux.ticks; media > 0 {
		t.BitRate = mp4.Rescale(c.decoder.demux.bytes*8, int64(c.track.Timescale), media)
	}
	return t
}
