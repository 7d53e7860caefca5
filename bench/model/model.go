// Package model predicts how long the parallel engine of package transcode takes for
// a file on a number of processors. It plays through what the engine does, in small
// steps: one goroutine decodes, resamples, splices and writes; workers take chunks as
// soon as the sound for them has come, start early to warm up, and go on into the
// next chunk while nobody else has begun it.
//
// It knows nothing of memory bandwidth, of caches, or of processors that run slower
// when all are busy, but for [Costs].Crowd.
package model

import "slices"

// Costs are in seconds of one processor.
type Costs struct {
	Start   float64 `json:"start"`    // of the process, once
	Decode  float64 `json:"decode"`   // for each MP3 frame: read, decode, resample
	Encode  float64 `json:"encode"`   // for each frame: LAME
	Lay     float64 `json:"lay"`      // for each frame: splice and write; zero for one encoder's frames
	NewLAME float64 `json:"new_lame"` // for each chunk
	// Crowd is how much longer all of that takes while several processors are busy:
	// 1 is no longer. The zero value is 1.
	Crowd float64 `json:"crowd"`
}

// Engine is what does the work.
type Engine struct {
	Processors int // 1 or more
	// Encoders is Options.Parallelism: 0 for as many as there are processors.
	Encoders int
}

// Prediction is what comes of it.
type Prediction struct {
	Wall    float64 `json:"wall_seconds"`
	CPU     float64 `json:"cpu_seconds"`
	Encoded int64   `json:"encoded_frames"` // with those that were thrown away
	Held    int64   `json:"held_blocks"`    // of sound at most, each of one MP3 frame
}

// Predict plays a conversion through. frames is the length of the stream.
func Predict(c Costs, frames int64, e Engine) Prediction {
	p := PlanFor(frames)
	if p.Chunks == 0 || e.Encoders == 1 || e.Encoders == 0 && e.Processors == 1 {
		t := c.Start + c.NewLAME + float64(frames)*(c.Decode+c.Encode)
		return Prediction{Wall: t, CPU: t, Encoded: frames, Held: blocks}
	}
	g := &game{costs: c, plan: p, engine: e, eager: e.Encoders > 0, most: e.Encoders}
	if !g.eager {
		g.most = e.Processors
	}
	return g.play()
}

// game is a conversion being played.
type game struct {
	costs  Costs
	plan   Plan
	engine Engine
	eager  bool
	most   int // workers

	decoded float64 // blocks
	laid    float64 // frames
	chunks  []*chunk
	made    int64
	workers []*chunk // what each is at; nil is nothing
	encoded float64
	held    float64
}

// chunk is a stretch of the stream.
type chunk struct {
	begin, end float64
	at         float64 // blocks encoded, up to
	opening    float64 // seconds of work before it begins
	taken      bool
}

// done reports whether a chunk has all that is needed of it: LAME gives a frame out
// when it has the next block.
func (g *game) done(c *chunk) bool { return c.at >= min(c.end+1, float64(g.plan.Frames)) }

func (g *game) play() Prediction {
	// Small against all that goes on, a batch or the room for decoded sound.
	step := 4 * (g.costs.Decode + g.costs.Encode)
	processors := float64(g.engine.Processors)
	now, used := 0.0, 0.0
	for g.laid < float64(g.plan.Frames) {
		g.divide()
		encoders := 0.0
		for _, c := range g.workers {
			if c != nil && g.fed(c) {
				encoders++
			}
		}
		encoders = min(encoders, processors) // the pool
		slower := 1.0
		if encoders > 0 && processors > 1 && g.costs.Crowd > 1 {
			slower = g.costs.Crowd
		}
		// The system shares the processors evenly among what can run; what the
		// conversion's own goroutine does not need of its share is the encoders'.
		own := g.convert(step*min(1, processors/(encoders+1))/slower) * slower
		now, used = now+step, used+own
		if encoders > 0 {
			each := min(step, (processors*step-own)/encoders)
			used += slower * g.encode(each/slower, int(encoders))
		} else if own == 0 {
			panic("model: nothing can go on")
		}
		g.held = max(g.held, g.decoded-g.first())
	}
	return Prediction{Wall: g.costs.Start + now, CPU: g.costs.Start + used, Encoded: int64(g.encoded), Held: int64(g.held)}
}

// convert lets the conversion's goroutine work, for so many seconds at most, and
// returns how many it used.
func (g *game) convert(work float64) float64 {
	left := work
	if more := g.layable() - g.laid; more > 0 && g.costs.Lay == 0 {
		g.laid += more
		left -= work * 1e-9 // something was done
	} else if more > 0 {
		n := min(left/g.costs.Lay, more)
		g.laid += n
		left -= n * g.costs.Lay
	}
	if room := min(float64(g.plan.Frames), g.first()+g.room()) - g.decoded; room > 0 {
		n := min(left/g.costs.Decode, room)
		g.decoded += n
		left -= n * g.costs.Decode
	}
	return work - left
}

// divide makes chunks for which there is sound, and gives them to workers.
func (g *game) divide() {
	for g.made < g.plan.Chunks && (g.made == 0 || g.decoded > float64(g.plan.Begin(g.made))) {
		c := &chunk{begin: float64(g.plan.Begin(g.made)), end: float64(g.plan.Frames), opening: g.costs.NewLAME}
		if g.made+1 < g.plan.Chunks {
			c.end = float64(g.plan.Splice(g.made + 1))
		}
		c.at = c.begin
		g.chunks = append(g.chunks, c)
		g.made++
	}
	for i := range g.workers {
		if c := g.workers[i]; c != nil && g.done(c) {
			// Up to here it was one encoder's alone; so is the next, if nobody has it.
			if next := slices.Index(g.chunks, c) + 1; !g.eager && next > 0 && next < len(g.chunks) && !g.chunks[next].taken {
				c.end = g.chunks[next].end
				g.chunks = slices.Delete(g.chunks, next, next+1)
			} else {
				g.workers[i] = nil
			}
		}
	}
	for i := range g.workers {
		if g.workers[i] == nil {
			g.workers[i] = g.take()
		}
	}
	for len(g.workers) < g.most {
		c := g.take()
		if c == nil {
			return
		}
		g.workers = append(g.workers, c)
	}
}

// take returns the first chunk that no worker has.
func (g *game) take() *chunk {
	for _, c := range g.chunks {
		if !c.taken {
			c.taken = true
			return c
		}
	}
	return nil
}

// fed reports whether a chunk's encoder can go on: it waits for a whole batch.
func (g *game) fed(c *chunk) bool {
	if g.done(c) {
		return false
	}
	frames := float64(g.plan.Frames)
	return g.decoded >= min(c.at+batch, c.end+1, frames) || g.decoded >= frames
}

// encode lets so many workers work, those with the earliest sound first, each for so
// many seconds at most. It returns how many they used together.
func (g *game) encode(work float64, workers int) float64 {
	used := 0.0
	order := slices.Clone(g.workers)
	slices.SortFunc(order, func(a, b *chunk) int {
		switch {
		case a == nil || b == nil:
			return 0
		case a.begin < b.begin:
			return -1
		}
		return 1
	})
	for _, c := range order {
		if c == nil || !g.fed(c) || workers == 0 {
			continue
		}
		workers--
		opening := min(work, c.opening)
		c.opening -= opening
		n := min((work-opening)/g.costs.Encode, min(c.end+1, float64(g.plan.Frames), g.decoded)-c.at)
		c.at += n
		g.encoded += n
		used += opening + n*g.costs.Encode
	}
	return used
}

// layable returns up to which frame the stream can be laid: where the leftmost
// chunk has come to, or its end once the next one has got over it.
func (g *game) layable() float64 {
	for len(g.chunks) > 1 {
		c, next := g.chunks[0], g.chunks[1]
		if !g.done(c) || g.laid < c.end-window-1 || next.at < min(c.end+lookahead, next.end) {
			break
		}
		g.chunks = g.chunks[1:]
		g.laid = max(g.laid, c.end) // the rest of the window takes no time to speak of
	}
	c := g.chunks[0]
	if len(g.chunks) == 1 && g.made == g.plan.Chunks && g.done(c) {
		return float64(g.plan.Frames)
	}
	return max(g.laid, min(c.at-1, c.end-window))
}

// first returns the first block that is still needed.
func (g *game) first() float64 {
	low := min(g.decoded, float64(g.plan.Begin(min(g.made, g.plan.Chunks-1))))
	if g.made == g.plan.Chunks {
		low = g.decoded
	}
	for _, c := range g.chunks {
		low = min(low, c.at)
	}
	return low
}

// room returns how many blocks may wait.
func (g *game) room() float64 {
	const near = 2*warmup + lookahead + batch
	working := 0
	for _, c := range g.workers {
		if c != nil {
			working++
		}
	}
	others := max(working, 1) - 1
	if working < g.most {
		others++
	}
	length := g.plan.Frames / g.plan.Chunks
	if others == 0 {
		return near
	}
	return float64(int64(others)*length + max(near, length/4))
}
