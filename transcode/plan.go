package transcode

// Numbers of the parallel engine, in MP3 frames. They were chosen by measuring; see
// docs/parallel.md.
const (
	// warmup is how much sound an encoder gets before the first frame that is wanted
	// of it: after 20 to 30 frames its psychoacoustic model and its bit reservoir
	// are where those of an encoder are that has come from far.
	warmup = 32
	// window is how far before the end of a chunk the splice may lie.
	window = 16
	// onward is how far the left encoder goes on where no splice was found.
	onward = 16
	// period is that of the padding of constant bit rates: at 44.1 kHz and its
	// fractions, frames take their sizes in turn, and after 49 frames the pattern
	// begins again, whatever the bit rate. (At other sample rates all frames have one
	// size.) Encoders begin at multiples of it, so that their patterns agree.
	period = 49
	// longest is the longest chunk, bound by the memory for its sound: at 44.1 kHz,
	// 50 s and 17 MiB.
	longest = 1960
)

// plan is how a stream is cut into chunks. It depends on the length that the
// source's index promises and on nothing else, so that the result does not
// depend on the machine.
type plan struct {
	frames int64 // that chunks are meant to have together; the stream may have more or fewer
	chunks int64
}

// planFor returns the plan for a stream of a number of frames, or -1 for one of
// unknown length. Two, four and multiples of twelve chunks use two, three and four
// processors evenly.
func planFor(frames int64) plan {
	switch {
	case frames < 0:
		return plan{longest / 2, 1}
	case frames < 600: // 15 s; what an encoder does in some 50 ms
		return plan{frames, 0}
	case frames < 1600:
		return plan{frames, 2}
	case frames < 8000:
		return plan{frames, 4}
	}
	const most = 12 * longest
	return plan{frames, 12 * ((frames + most - 1) / most)}
}

// serial reports whether the stream is too short for more than one encoder.
func (p plan) serial() bool { return p.chunks == 0 }

// length returns the length of chunks in frames, about.
func (p plan) length() int64 { return p.frames / p.chunks }

// begin returns the first block that the encoder of a chunk gets.
func (p plan) begin(chunk int64) int64 {
	if chunk == 0 {
		return 0
	}
	return max(1, (chunk*p.frames/p.chunks-warmup+period/2)/period) * period
}

// splice returns the frame at which a chunk is meant to begin.
func (p plan) splice(chunk int64) int64 {
	if chunk == 0 {
		return 0
	}
	return p.begin(chunk) + warmup
}
