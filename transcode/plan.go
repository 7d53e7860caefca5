package transcode

import "github.com/mp3lathe/mp3lathe/transcode/internal/mp3"

// Numbers of the parallel engine, in MP3 frames. They were chosen by measuring; see
// docs/parallel.md.
const (
	// warmup is how much sound an encoder gets, at least, before the first frame that
	// is wanted of it: after 20 to 30 frames its psychoacoustic model and mostly its
	// bit reservoir are where those of an encoder are that has come from far.
	warmup = 32
	// longestWarmup is the most that low bit rates may take; see warmupFor.
	longestWarmup = 192
	// spliceWindow is how far before the end of a chunk the splice may lie.
	spliceWindow = 16
	// onward is how far the left encoder goes on where no splice was found.
	onward = 16
	// paddingPeriod is that of the padding of constant bit rates: at 44.1 kHz and its
	// fractions, frames take their sizes in turn, and after 49 frames the pattern
	// begins again, whatever the bit rate. (At other sample rates all frames have one
	// size.) Encoders begin at multiples of it, so that their patterns agree.
	paddingPeriod = 49
	// longestChunk is bound by the memory for its sound: at 44.1 kHz, 50 s and 17 MiB.
	longestChunk = 1960
	// surplus is by how much a stream must be longer than promised to get one more
	// chunk.
	surplus = 4 * paddingPeriod
)

// plan is how a stream is cut into chunks. It depends on the length that the
// source's index promises and on the encoding, and on nothing else, so that the
// result does not depend on the machine.
type plan struct {
	frames int64 // that chunks have together
	chunks int64 // 0 is one encoder
	warmup int64 // frames
	whole  bool  // frames is the length of the stream, as far as is known
}

// planFor returns the plan for a stream of a number of frames, or -1 for one of
// unknown length. Two, four and multiples of twelve chunks use two, three and four
// processors evenly.
func planFor(frames int64, v encoderConfig) plan {
	p := plan{frames: frames, warmup: warmupFor(v), whole: true}
	const most = 12 * longestChunk
	switch {
	case frames < 0:
		p.frames, p.chunks, p.whole = longestChunk/2, 1, false
	case frames < 600: // 15 s; what an encoder does in some 50 ms
	case frames < 1600:
		p.chunks = 2
	case frames < 8000:
		p.chunks = 4
	default:
		p.chunks = 12 * ((frames + most - 1) / most)
	}
	return p
}

// warmupFor returns the warm-up of a stream. LAME lays by a tenth of each frame until
// the reservoir is full, which at low bit rates takes long: 75 frames at 32 kb/s.
// Frames behind a splice that finds it half full would be starved.
func warmupFor(v encoderConfig) int64 {
	e := v.encoding
	if e.mode == modeVBR {
		return warmup // it takes the bits that it needs
	}
	header := mp3.Header{Layer: 3, SampleRate: v.rate, Bitrate: mp3.NearestBitrate(v.rate, e.value)}
	header.Version, _ = mp3.VersionOf(v.rate)
	if v.channels == 1 {
		header.Mode = mp3.Mono
	}
	reservoir := 511 // bytes
	if header.Version != mp3.MPEG1 {
		reservoir = 255
	}
	slot := max(1, header.FrameSize()-4-header.SideInfoSize())
	return min(max(warmup, int64(12*reservoir/slot)), longestWarmup)
}

// serial reports whether the stream is too short for more than one encoder.
func (p plan) serial() bool { return p.chunks == 0 }

// short reports whether the stream is done in a second or two.
func (p plan) short() bool { return p.whole && p.chunks <= 4 }

// length returns the length of chunks in frames, about.
func (p plan) length() int64 { return p.frames / p.chunks }

// begin returns the first block that the encoder of a chunk gets.
func (p plan) begin(chunk int64) int64 {
	if chunk == 0 {
		return 0
	}
	splice := chunk * p.frames / p.chunks
	if p.whole && chunk >= p.chunks {
		splice += surplus
	}
	return max(1, (splice-p.warmup+paddingPeriod/2)/paddingPeriod) * paddingPeriod
}

// splice returns the frame at which a chunk is meant to begin.
func (p plan) splice(chunk int64) int64 {
	if chunk == 0 {
		return 0
	}
	return p.begin(chunk) + p.warmup
}
