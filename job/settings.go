package job

import (
	"encoding"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Settings are what a user may ask for: the same names and limits as the flags of
// "mp3lathe convert" have. The zero value is a good choice for unknown material.
// Its JSON is what the stores keep.
type Settings struct {
	// At most one of Bitrate (constant, kb/s), VBR (quality 0 to 9) and ABR
	// (average, kb/s) is set; none is VBR 2.
	Bitrate int  `json:"bitrate,omitempty"`
	VBR     *int `json:"vbr,omitempty"`
	ABR     int  `json:"abr,omitempty"`
	// Rate is the sample rate in Hz; 0 keeps the source's as far as MP3 has it.
	Rate int `json:"rate,omitempty"`
	// Channels: 0 keeps the source's, 1 is mono, 2 stereo.
	Channels int `json:"channels,omitempty"`
	// Track by its number from 1, or by language; at most one of them is set.
	Track int    `json:"track,omitempty"`
	Lang  string `json:"lang,omitempty"`
	// The cut. At most one of End and Duration is set.
	Start    time.Duration `json:"start,omitempty"`
	End      time.Duration `json:"end,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
	// MaxDuration refuses what makes a longer MP3. 0 is the limit of whoever
	// converts, 24 hours unless it is set otherwise there; a negative one is no
	// limit of the user's own.
	MaxDuration time.Duration `json:"max-duration,omitempty"`
	// AllowPartial converts what there is of a file that is cut off or damaged.
	AllowPartial bool `json:"allow-partial,omitempty"`
	// Tags to set, by the names that [TagNames] lists.
	Tags map[string]string `json:"tags,omitempty"`
	// NoTags and NoCover leave out the source's own.
	NoTags  bool `json:"no-tags,omitempty"`
	NoCover bool `json:"no-cover,omitempty"`
	// ID3v24 writes ID3v2.4 instead of ID3v2.3 tags.
	ID3v24 bool `json:"id3v24,omitempty"`
}

// SettingError says which setting cannot be obeyed, and why.
type SettingError struct {
	// Name of the setting, as in [Settings.Set].
	Name string
	// Reason in words made for users.
	Reason string
}

// Error returns name and reason.
func (e *SettingError) Error() string { return e.Name + ": " + e.Reason }

// TagNames returns the names of the tags that can be set.
func TagNames() []string {
	return []string{
		"title", "artist", "album", "album_artist", "composer", "date", "track", "disc",
		"genre", "comment", "copyright", "grouping", "lyrics", "description",
	}
}

const (
	maxTag      = 4096 // bytes of one tag's text
	maxLanguage = 35   // characters of a BCP 47 tag that implementations must hold (RFC 5646, 4.4.1)
)

// setting is one name that [Settings.Set] knows.
type setting struct {
	name string
	set  func(s *Settings, value string) error
}

// as makes a setter of a value type that reads text.
func as[V any, P interface {
	*V
	encoding.TextUnmarshaler
}](store func(*Settings, V)) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		var v V
		if err := P(&v).UnmarshalText([]byte(value)); err != nil {
			return err
		}
		store(s, v)
		return nil
	}
}

func tag(name string) func(*Settings, string) error {
	return func(s *Settings, value string) error { return s.setTag(name, value) }
}

var settings = []setting{
	{"bitrate", as(func(s *Settings, v Kbps) { s.Bitrate = int(v) })},
	{"vbr", func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q: want 0 (best) to 9 (smallest)", value)
		}
		s.VBR = &n
		return nil
	}},
	{"abr", as(func(s *Settings, v Kbps) { s.ABR = int(v) })},
	{"rate", as(func(s *Settings, v Hertz) { s.Rate = int(v) })},
	{"channels", as(func(s *Settings, v Channels) { s.Channels = int(v) })},
	{"track", func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("%q: tracks are counted from 1", value)
		}
		s.Track = n
		return nil
	}},
	{"lang", func(s *Settings, value string) error { s.Lang = value; return nil }},
	{"start", as(func(s *Settings, v Position) { s.Start = time.Duration(v) })},
	{"end", as(func(s *Settings, v Position) { s.End = time.Duration(v) })},
	{"duration", as(func(s *Settings, v Position) { s.Duration = time.Duration(v) })},
	{"max-duration", as(func(s *Settings, v LengthLimit) { s.MaxDuration = time.Duration(v) })},
	{"allow-partial", as(func(s *Settings, v Switch) { s.AllowPartial = bool(v) })},
	{"title", tag("title")},
	{"artist", tag("artist")},
	{"album", tag("album")},
	{"tag", func(s *Settings, value string) error {
		name, value, ok := strings.Cut(value, "=")
		if !ok {
			return fmt.Errorf("want NAME=TEXT, such as genre=Jazz")
		}
		return s.setTag(name, value)
	}},
	{"no-tags", as(func(s *Settings, v Switch) { s.NoTags = bool(v) })},
	{"no-cover", as(func(s *Settings, v Switch) { s.NoCover = bool(v) })},
	{"id3v24", as(func(s *Settings, v Switch) { s.ID3v24 = bool(v) })},
}

// SettingNames returns the names that [Settings.Set] knows.
func SettingNames() []string {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.name
	}
	return names
}

// Set sets one setting by its name, as written in a form, a query or, with two
// dashes before it, on the command line. It reads the value only; [Settings.Validate]
// says whether all of them can be obeyed.
//
// A setting that is set again takes the new value, since settings do not know where
// they come from; who reads a form refuses a field that it has seen. "tag" may be set
// once for each tag. Set fails with a [*SettingError], and then changes nothing.
func (s *Settings) Set(name, value string) error {
	for _, known := range settings {
		if known.name != name {
			continue
		}
		if !utf8.ValidString(value) {
			return &SettingError{name, "the value is not UTF-8"}
		}
		if err := known.set(s, value); err != nil {
			return &SettingError{name, err.Error()}
		}
		return nil
	}
	return &SettingError{name, "no such setting; there are " + strings.Join(SettingNames(), ", ")}
}

func (s *Settings) setTag(name, value string) error {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	switch {
	case !slices.Contains(TagNames(), name):
		return fmt.Errorf("no tag is called %q; there are %s", name, strings.Join(TagNames(), ", "))
	case value == "":
		return fmt.Errorf("the tag %s has no value; no-tags leaves out the source's tags", name)
	case s.Tags[name] != "":
		return fmt.Errorf("the tag %s is given twice", name)
	}
	if s.Tags == nil {
		s.Tags = map[string]string{}
	}
	s.Tags[name] = value
	return nil
}

// Bitrates returns the constant bit rates that MP3 has, in kb/s, ascending
// (ISO/IEC 11172-3, 2.4.2.3, Layer III).
func Bitrates() []int {
	return []int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
}

// SampleRates returns the sample rates that MP3 has, in Hz, ascending.
func SampleRates() []int {
	return []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
}

// Validate reports the first setting that cannot be obeyed whatever the source, as
// a [*SettingError].
func (s *Settings) Validate() error {
	bad := func(name, format string, a ...any) error {
		return &SettingError{name, fmt.Sprintf(format, a...)}
	}
	modes := 0
	for _, set := range []bool{s.Bitrate != 0, s.VBR != nil, s.ABR != 0} {
		if set {
			modes++
		}
	}
	switch {
	case modes > 1:
		return bad("bitrate", "give one of bitrate, vbr and abr")
	case s.Bitrate != 0 && !slices.Contains(Bitrates(), s.Bitrate):
		return bad("bitrate", "MP3 has no constant bit rate of %d kb/s; it has %v", s.Bitrate, Bitrates())
	case s.VBR != nil && (*s.VBR < 0 || *s.VBR > 9):
		return bad("vbr", "%d: want 0 (best) to 9 (smallest)", *s.VBR)
	case s.ABR != 0 && (s.ABR < 8 || s.ABR > 320):
		return bad("abr", "%d kb/s: want 8 to 320", s.ABR)
	case s.Rate != 0 && !slices.Contains(SampleRates(), s.Rate):
		return bad("rate", "MP3 has no sample rate of %d Hz; it has %v", s.Rate, SampleRates())
	case s.Channels < 0 || s.Channels > 2:
		return bad("channels", "%d: want keep, mono or stereo", s.Channels)
	case s.Track < 0:
		return bad("track", "%d: tracks are counted from 1", s.Track)
	case s.Track != 0 && s.Lang != "":
		return bad("track", "choose a track by number or by language, not both")
	case len(s.Lang) > maxLanguage:
		return bad("lang", "longer than any language code")
	case s.Start < 0:
		return bad("start", "lies before the beginning")
	case s.End < 0:
		return bad("end", "lies before the beginning")
	case s.Duration < 0:
		return bad("duration", "is negative")
	case s.End != 0 && s.Duration != 0:
		return bad("end", "give an end or a duration, not both")
	case s.End != 0 && s.End <= s.Start:
		return bad("end", "%v is not after the start %v", s.End, s.Start)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) { // so that of two faults the same one is told
		switch {
		case !slices.Contains(TagNames(), name):
			return bad("tag", "no tag is called %q; there are %s", name, strings.Join(TagNames(), ", "))
		case len(s.Tags[name]) > maxTag:
			return bad("tag", "the tag %s is longer than %d bytes", name, maxTag)
		}
	}
	return nil
}
