package transcode

import (
	"fmt"
	"slices"
	"time"
)

// Options says how to convert. The zero value, and a nil *Options, is a good
// choice for material that one knows nothing about; each field says what its
// zero value means.
type Options struct {
	// Encoding is the bit-rate mode: [CBR], [VBR] or [ABR]. The zero value is
	// [DefaultEncoding].
	Encoding Encoding

	// SampleRate of the MP3 in Hz, one of [SampleRates]. 0 keeps the source's
	// rate where MP3 has it and otherwise takes the lowest MP3 rate that is not
	// below it; sources above 48 kHz go to 44100 where that divides them evenly
	// (88200, 176400) and to 48000 else.
	SampleRate int

	// Channels of the MP3. The zero value, [KeepChannels], keeps mono and
	// stereo and folds anything wider down to stereo.
	Channels Channels

	// Track chooses the audio track by its number among the audio tracks,
	// counted from 1 as [Info].Audio lists them. 0 chooses by Language and then
	// the default track.
	Track int

	// Language chooses the first audio track in this language, given as any ISO
	// 639 code ("de", "deu", "ger") or a BCP 47 tag ("en-GB"). "" is any
	// language. With Track set it must be empty.
	Language string

	// Start of the cut, on the timeline that a player shows. 0 is the
	// beginning. The cut is exact to the sample.
	Start time.Duration
	// End of the cut on the same timeline. 0 is the end of the track. At most
	// one of End and Duration may be set.
	End time.Duration
	// Duration of the cut from Start on. 0 is up to the end of the track.
	Duration time.Duration

	// NoTags leaves out the source's own tags; those in Tags are still written.
	NoTags bool
	// Tags to write. A field that is set replaces the source's, an empty one
	// leaves it as it is.
	Tags Tags
	// NoCover leaves out the source's cover art; Cover is still written.
	NoCover bool
	// Cover replaces the source's cover art. nil takes the source's.
	Cover *Picture
	// ID3 is the version of the tag. The zero value is [ID3v23], which every
	// player reads.
	ID3 ID3Version

	// Parallelism is how many encoders may work on the file at the same time, each on
	// a chunk of it; their chunks are spliced without a seam. The result does not
	// depend on the number: all but 1 give the same bytes, and differ from those of 1
	// in what no ear and hardly a measurement can tell. 0 takes as many as there are
	// processors without work, and leaves them to others who need them: then the
	// bytes can depend on who else is at work. 1 is a single encoder. Each encoder
	// holds up to 17 MiB of sound. Files of less than 15 s have one in any case.
	Parallelism int

	// AllowPartial accepts a source that is cut off or damaged: what could be
	// decoded is the result, and [Result].Partial is set. The zero value refuses
	// such a source with [ErrTruncated] or [ErrInvalidData].
	AllowPartial bool

	// Limits bound what one conversion may cost. The zero value of each is a
	// safe default.
	Limits Limits

	// Progress is called from the converting goroutine, at most ten times a
	// second and once at the end. nil asks for no progress. It must be quick:
	// the conversion waits for it.
	Progress func(Progress) `json:"-"`
}

// maxParallelism bounds what a wrong number can cost.
const maxParallelism = 1024

// Limits bound one conversion. They hold for what is really read and decoded,
// never for what a header claims. In every field 0 is the default given there
// and a negative value is no limit.
type Limits struct {
	// Duration of the audio that may be produced. Default 24 hours.
	Duration time.Duration
	// OutputBytes is the largest MP3, in bytes. Default 4 GiB - 1, which is also
	// all that the Xing header can count.
	OutputBytes int64
	// Channels of the source. Default 16.
	Channels int
	// Tracks, of any kind, in the source. Default 256.
	Tracks int
	// Allocation is the largest single piece of the source held in memory, in
	// bytes: a compressed frame, a box with tags, a picture. Default 8 MiB.
	Allocation int64
}

// Defaults of [Limits].
const (
	DefaultMaxDuration          = 24 * time.Hour
	DefaultMaxOutputBytes int64 = 1<<32 - 1
	DefaultMaxChannels          = 16
	DefaultMaxTracks            = 256
	DefaultMaxAllocation  int64 = 8 << 20
)

func (l Limits) withDefaults() Limits {
	const unlimited = 1<<63 - 1
	return Limits{
		Duration:    limit(l.Duration, DefaultMaxDuration, unlimited),
		OutputBytes: limit(l.OutputBytes, DefaultMaxOutputBytes, unlimited),
		Channels:    limit(l.Channels, DefaultMaxChannels, unlimited),
		Tracks:      limit(l.Tracks, DefaultMaxTracks, unlimited),
		Allocation:  limit(l.Allocation, DefaultMaxAllocation, unlimited),
	}
}

func limit[T int | int64 | time.Duration](v, standard, unlimited T) T {
	switch {
	case v == 0:
		return standard
	case v < 0:
		return unlimited
	}
	return v
}

// Channels is a channel count wish.
type Channels int

const (
	// KeepChannels keeps mono and stereo; wider sources become stereo.
	KeepChannels Channels = iota
	// Mono folds everything down to one channel.
	Mono
	// Stereo makes two channels; a mono source is put on both.
	Stereo
)

// String returns "keep", "mono" or "stereo".
func (c Channels) String() string {
	switch c {
	case KeepChannels:
		return "keep"
	case Mono:
		return "mono"
	case Stereo:
		return "stereo"
	}
	return fmt.Sprintf("Channels(%d)", int(c))
}

// ID3Version is the version of the ID3 tag at the head of the MP3.
type ID3Version int

const (
	// ID3v23 writes ID3v2.3 with UTF-16 text.
	ID3v23 ID3Version = iota
	// ID3v24 writes ID3v2.4 with UTF-8 text.
	ID3v24
)

// SampleRates returns the sample rates that MP3 has, in Hz, ascending: those of
// MPEG-2.5, MPEG-2 and MPEG-1 Layer III.
func SampleRates() []int {
	return []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
}

// outputRate is the MP3 sample rate for a source rate, both in Hz.
func (o *Options) outputRate(source int) int {
	if o.SampleRate != 0 {
		return o.SampleRate
	}
	for _, r := range SampleRates() {
		if source <= r {
			return r
		}
	}
	if source%44100 == 0 {
		return 44100
	}
	return 48000
}

// outputChannels is the channel count of the MP3 for a source's.
func (o *Options) outputChannels(source int) int {
	switch o.Channels {
	case Mono:
		return 1
	case Stereo:
		return 2
	}
	return min(source, 2)
}

// changesAudio reports whether the options ask for something that a copy of an
// MP3 track cannot give.
func (o *Options) changesAudio() bool {
	return o.Encoding != (Encoding{}) || o.SampleRate != 0 || o.Channels != KeepChannels ||
		o.Start != 0 || o.End != 0 || o.Duration != 0
}

// Validate reports the first option that cannot be obeyed whatever the source,
// as an [*Error] that wraps [ErrOptions]. [Convert] calls it first.
func (o *Options) Validate() error {
	bad := func(format string, a ...any) error {
		return &Error{Op: "options", Err: ErrOptions, Detail: fmt.Sprintf(format, a...)}
	}
	if err := o.Encoding.validate(); err != "" {
		return bad("%s", err)
	}
	switch {
	case o.SampleRate != 0 && !slices.Contains(SampleRates(), o.SampleRate):
		return bad("MP3 has no sample rate of %d Hz; it has %v", o.SampleRate, SampleRates())
	case o.Channels < KeepChannels || o.Channels > Stereo:
		return bad("unknown channels value %d", int(o.Channels))
	case o.Track < 0:
		return bad("track %d: tracks are counted from 1", o.Track)
	case o.Track != 0 && o.Language != "":
		return bad("choose a track by number or by language, not both")
	case o.Start < 0:
		return bad("start %v lies before the beginning", o.Start)
	case o.End < 0:
		return bad("end %v lies before the beginning", o.End)
	case o.Duration < 0:
		return bad("duration %v is negative", o.Duration)
	case o.End != 0 && o.Duration != 0:
		return bad("give an end or a duration, not both")
	case o.End != 0 && o.End <= o.Start:
		return bad("end %v is not after start %v", o.End, o.Start)
	case o.Parallelism < 0 || o.Parallelism > maxParallelism:
		return bad("parallelism %d: want 0 (as many as are idle) to %d", o.Parallelism, maxParallelism)
	case o.ID3 != ID3v23 && o.ID3 != ID3v24:
		return bad("unknown ID3 version %d", int(o.ID3))
	case o.Cover != nil && pictureType(o.Cover.Data) == "":
		return bad("the cover is neither a JPEG nor a PNG picture")
	}
	return nil
}
