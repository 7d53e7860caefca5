package mp3

// DecoderDelay is the delay in samples of a Layer III decoder's hybrid filter
// bank, as encoders and players agree to count it (528+1).
const DecoderDelay = 529

// Padding returns the encoder padding: the samples that the encoder appended
// after the last input sample to fill its last frame. samples is the length of
// the input and frames the number of frames encoded, each of spf samples, all
// for one channel; delay is the encoder delay in samples (576 for LAME),
// without the decoder's.
//
// Players (mpg123 and ffmpeg alike) drop the first delay+DecoderDelay samples
// of what they decode and the last padding-DecoderDelay, because the decoder
// delays the end as it does the start. A padding below DecoderDelay thus means
// that the end of the input never comes out: the encoder was not flushed. The
// tag stores 0..4095, and InfoHeader.Encode refuses a value out of that range.
func Padding(samples, frames int64, spf, delay int) int {
	return int(frames*int64(spf) - int64(delay) - samples)
}
