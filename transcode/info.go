package transcode

import "time"

// Info describes a source, as [Probe] finds it.
type Info struct {
	// Brand is the major brand of the file, such as "isom", "M4A " or "qt  ";
	// empty for old QuickTime files that have none.
	Brand string `json:"brand"`
	// Duration that the file declares. What is really in it may differ. Of a
	// fragmented file that declares none, that of its longest audio track.
	Duration time.Duration `json:"duration"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Fragmented reports a file of movie fragments (DASH, HLS, CMAF, recorders).
	Fragmented bool `json:"fragmented"`
	// IndexFirst reports that the index (moov) lies before the media, so that a
	// player, or a conversion over a network, can start at once.
	IndexFirst bool `json:"index_first"`
	// Audio tracks in the order of the file. Options.Track counts them from 1.
	Audio []Track `json:"audio"`
	// OtherTracks is the number of tracks of any other kind.
	OtherTracks int `json:"other_tracks"`
	// Tags of the file.
	Tags Tags `json:"tags"`
	// Covers are the pictures in the file's tags, without their data.
	Covers []PictureInfo `json:"covers,omitempty"`
	// Chapters in the order of the file.
	Chapters []Chapter `json:"chapters,omitempty"`
	// BytesRead from the source to find all this.
	BytesRead int64 `json:"bytes_read"`
}

// Track is an audio track of a source.
type Track struct {
	// Number among the audio tracks, from 1.
	Number int `json:"number"`
	// ID is the track's identifier in the file.
	ID uint32 `json:"id"`
	// Codec is libav's name of the codec, such as "aac", "alac", "pcm_s16le", or
	// the file's own four-character code where libav has no name for it.
	Codec string `json:"codec"`
	// Profile of the codec, such as "LC" or "HE-AACv2"; empty if it has none or
	// it is not known.
	Profile string `json:"profile,omitempty"`
	// Language as the file says, an ISO 639-2 or BCP 47 code; empty if the file
	// does not say ("und").
	Language string `json:"language,omitempty"`
	// Title of the track, mostly empty.
	Title string `json:"title,omitempty"`
	// SampleRate in Hz, as decoded; 0 if it is not known.
	SampleRate int `json:"sample_rate"`
	// Channels as decoded; 0 if it is not known.
	Channels int `json:"channels"`
	// Layout of the channels, such as "stereo" or "5.1".
	Layout string `json:"layout,omitempty"`
	// BitRate of the track in bit/s, from its index; 0 if it is not known.
	BitRate int64 `json:"bit_rate"`
	// Duration that the track presents, edit list applied.
	Duration time.Duration `json:"duration"`
	// Default reports the track that a conversion takes when it is not told.
	Default bool `json:"default"`
	// Encrypted reports a protected track, which cannot be converted.
	Encrypted bool `json:"encrypted"`
	// Decodable reports whether this build can decode the track.
	Decodable bool `json:"decodable"`
}

// Chapter is a named place in a source.
type Chapter struct {
	// Start on the presentation's timeline.
	Start time.Duration `json:"start"`
	// Title, in UTF-8.
	Title string `json:"title"`
}

// Progress of a conversion.
type Progress struct {
	// Position in the output that has been encoded.
	Position time.Duration
	// Total that is expected from the source's index; 0 if it is not known.
	Total time.Duration
	// Speed as a multiple of real time, over the whole conversion so far.
	Speed float64
	// BytesWritten so far.
	BytesWritten int64
	// Done is true in the last call.
	Done bool
}

// Settings are the settings that a conversion used, defaults filled in.
type Settings struct {
	// Encoding as done; "default" with Copied.
	Encoding Encoding `json:"encoding"`
	// Copied reports that the MP3 frames of the source were taken as they were.
	Copied bool `json:"copied"`
	// SampleRate of the MP3 in Hz.
	SampleRate int `json:"sample_rate"`
	// Channels of the MP3: 1 or 2.
	Channels int `json:"channels"`
}

// StageTimes are what the stages of a conversion took. Each is at least 0; together they
// are less than the wall time with one encoder, since what lies between them belongs to
// none, and can be more with several, which work while the others do.
type StageTimes struct {
	// Read is the time spent in the source's Read and Seek.
	Read time.Duration `json:"read"`
	// Decode is the time from bytes of the source to samples at the MP3's rate, without
	// Read: demuxing, decoding, cutting and resampling. 0 if the MP3 track was copied.
	Decode time.Duration `json:"decode"`
	// Encode is the time in LAME, of all encoders added up: processor time rather than
	// time on the wall. 0 if the MP3 track was copied.
	Encode time.Duration `json:"encode"`
	// Write is the time spent in the destination's Write and Seek.
	Write time.Duration `json:"write"`
}

// Result says what a conversion did.
type Result struct {
	// Track that was converted.
	Track Track `json:"track"`
	// Settings used.
	Settings Settings `json:"settings"`
	// Samples per channel of the MP3, at Settings.SampleRate, as a gapless
	// decoder plays it.
	Samples int64 `json:"samples"`
	// Duration of these samples.
	Duration time.Duration `json:"duration"`
	// Frames of MP3, without the header frame.
	Frames int64 `json:"frames"`
	// BytesRead from the source.
	BytesRead int64 `json:"bytes_read"`
	// BytesWritten to the destination, tags included.
	BytesWritten int64 `json:"bytes_written"`
	// Chunks is how many pieces of the stream were encoded apart and spliced; 1 if
	// one encoder made all of it, 0 if the MP3 track was copied.
	Chunks int `json:"chunks"`
	// Unspliced is how many further pieces were begun in vain: no splice was found,
	// and the encoder of the piece before went on.
	Unspliced int `json:"unspliced"`
	// WallTime that the conversion took.
	WallTime time.Duration `json:"wall_time"`
	// Stages says where the time went.
	Stages StageTimes `json:"stages"`
	// DecodeErrors is the number of compressed frames that could not be decoded
	// and were replaced by silence.
	DecodeErrors int `json:"decode_errors"`
	// Partial reports that the source was cut off or damaged and
	// Options.AllowPartial accepted what there was.
	Partial bool `json:"partial"`
	// PartialReason is the error that AllowPartial put up with; nil if Partial
	// is false.
	PartialReason error `json:"-"`
}

// Speed is the conversion's speed as a multiple of real time.
func (r *Result) Speed() float64 {
	if r.WallTime <= 0 {
		return 0
	}
	return r.Duration.Seconds() / r.WallTime.Seconds()
}
