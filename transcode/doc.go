// Package transcode turns the audio of MP4 files into MP3, in this process, with
// FFmpeg's libraries and LAME, and without running a program.
//
//	result, err := transcode.ConvertFile(ctx, "talk.mp3", "talk.mp4", nil)
//
// It reads the whole MP4 family (MP4, MOV, M4A, M4B, M4V, 3GP, 3G2; fragmented or
// not) from any [io.ReadSeeker] and writes to any [io.Writer]. Of a video only the
// index and the audio are read, and memory stays the same for a file of a megabyte
// and of a terabyte.
//
// # What comes out
//
// Nil options give what suits unknown material: LAME's V2 at the source's sample
// rate, in mono or stereo as the source is, with its tags and its cover. [Options]
// says what else there is. An MP3 track is copied, frame by frame, unless the
// options ask for something that a copy can't give.
//
// The MP3 plays exactly the samples that the source presents: priming and padding
// that the edit list hides are dropped, and what MP3 adds by itself is told to the
// player in the header frame. An empty edit, with which a file delays its sound, is
// silence, so that the MP3 stays in step with the picture.
//
// # What goes wrong
//
// Files come from strangers, and many are broken. Every error is an [*Error], in
// which errors.Is finds what it was: [ErrNoAudio], [ErrInvalidData],
// [ErrTruncated], [ErrUnsupported], [ErrEncrypted], [ErrLimit] or [ErrOptions]; the
// context's error; or the very error that the caller's own reader or writer
// returned. [CodeOf] makes a stable name of it for an API. A file without audio, or
// of which nothing can be decoded, is an error and never an empty MP3.
//
// What a file may cost is bounded by [Limits], which count what is really decoded,
// whatever the file claims.
//
// # Building
//
// The package needs cgo and FFmpeg 7.1's libraries with LAME, found by pkg-config.
// The repository builds a small static set of them: see docs/building.md. A program
// on those needs nothing but libc and libm where it runs.
//
// # Goroutines
//
// A conversion runs in the caller's goroutine and uses one processor. Any number of
// them may run at the same time.
package transcode
