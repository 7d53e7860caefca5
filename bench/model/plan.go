package model

// Numbers of package transcode's plan, in MP3 frames; a test there compares the two.
const (
	warmup  = 32
	window  = 16
	period  = 49
	longest = 1960

	lookahead = 32 // of its splice, in frames
	batch     = 64 // blocks that a worker encodes at a time
	blocks    = 16 // blocks that the conversion decodes at a time
)

// Plan is how a stream is cut into chunks, as package transcode's plan.
type Plan struct {
	Frames int64 // of the stream
	Chunks int64 // 0 means one encoder
}

// PlanFor returns the plan for a stream of a number of frames, 0 or more.
func PlanFor(frames int64) Plan {
	switch {
	case frames < 600:
		return Plan{frames, 0}
	case frames < 1600:
		return Plan{frames, 2}
	case frames < 8000:
		return Plan{frames, 4}
	}
	const most = 12 * longest
	return Plan{frames, 12 * ((frames + most - 1) / most)}
}

// Begin returns the first block that the encoder of a chunk gets.
func (p Plan) Begin(chunk int64) int64 {
	if chunk == 0 {
		return 0
	}
	return max(1, (chunk*p.Frames/p.Chunks-warmup+period/2)/period) * period
}

// Splice returns the frame at which a chunk is meant to begin.
func (p Plan) Splice(chunk int64) int64 {
	if chunk == 0 {
		return 0
	}
	return p.Begin(chunk) + warmup
}
