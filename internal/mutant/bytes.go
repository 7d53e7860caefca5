package mutant

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// A span is a stretch of the source.
type span struct{ from, to int64 }

func total(spans []span) (n int64) {
	for _, s := range spans {
		n += s.to - s.from
	}
	return n
}

// within returns the place of a byte of spans that are put together.
func within(spans []span, at int64) int64 {
	for _, s := range spans {
		if n := s.to - s.from; at >= n {
			at -= n
			continue
		}
		return s.from + at
	}
	return -1
}

// flips are bits turned over: anywhere, in the headers of boxes, in the index.
func (s *Set) flips() []family {
	whole := []span{{0, int64(len(s.source))}}
	var headers, index []span
	for _, p := range s.places {
		headers = append(headers, span{p.Start, p.Body})
		if p.parent < 0 && p.Type != "mdat" {
			index = append(index, span{p.Body, p.End})
		}
	}
	flip := func(kind string, n int, spans []span, bits func(i int, r *rand.Rand) int) family {
		size := total(spans)
		if size == 0 {
			n = 0
		}
		return family{kind, n, func(i int, r *rand.Rand) (string, []byte) {
			out := bytes.Clone(s.source)
			for range bits(i, r) {
				out[within(spans, r.Int64N(size))] ^= 1 << r.IntN(8)
			}
			return fmt.Sprint(i), out
		}}
	}
	few := func(_ int, r *rand.Rand) int { return 1 + r.IntN(4) }
	some := func(_ int, r *rand.Rand) int { return 1 + r.IntN(16) }
	many := func(i int, _ *rand.Rand) int { return len(s.source)/[]int{10, 100, 1000, 10000}[i%4] + 1 }
	return []family{
		flip("flip", 32, whole, few),
		flip("flips", 8, whole, many),
		flip("flip-header", 64, headers, few),
		flip("flip-index", 128, index, some),
	}
}

// cuts are truncations: at every boundary of a box, a byte before and a byte after it,
// and in the middle.
func (s *Set) cuts() []family {
	var points []int64
	for _, p := range s.places {
		for _, at := range []int64{p.Start, p.Body, p.End} {
			points = append(points, at-1, at, at+1)
		}
		points = append(points, (p.Body+p.End)/2)
	}
	if len(points) == 0 {
		points = []int64{0, 1, int64(len(s.source) / 2), int64(len(s.source) - 1)}
	}
	slices.Sort(points)
	points = slices.Compact(points)
	points = slices.DeleteFunc(points, func(at int64) bool { return at < 0 || at >= int64(len(s.source)) })
	return []family{{"cut", len(points), func(i int, _ *rand.Rand) (string, []byte) {
		return fmt.Sprint(points[i]), bytes.Clone(s.source[:points[i]])
	}}}
}

// noises leave the index as it is and damage the media.
func (s *Set) noises() []family {
	var media []span
	for _, p := range s.places {
		if p.Type == "mdat" && p.parent < 0 && p.End > p.Body {
			media = append(media, span{p.Body, p.End})
		}
	}
	size := total(media)
	if size == 0 {
		return nil
	}
	fill := func(out []byte, next func() byte) {
		for _, m := range media {
			for i := m.from; i < m.to; i++ {
				out[i] = next()
			}
		}
	}
	sprinkle := func(n int64) func([]byte, *rand.Rand) {
		return func(out []byte, r *rand.Rand) {
			for range n {
				out[within(media, r.Int64N(size))] = byte(r.Uint32())
			}
		}
	}
	kinds := []struct {
		name string
		do   func(out []byte, r *rand.Rand)
	}{
		{"byte", sprinkle(1)},
		{"thousandth", sprinkle(size/1000 + 1)},
		{"hundredth", sprinkle(size/100 + 1)},
		{"tenth", sprinkle(size/10 + 1)},
		{"all", func(out []byte, r *rand.Rand) { fill(out, func() byte { return byte(r.Uint32()) }) }},
		{"zeros", func(out []byte, _ *rand.Rand) { fill(out, func() byte { return 0 }) }},
		{"ones", func(out []byte, _ *rand.Rand) { fill(out, func() byte { return 0xff }) }},
		{"burst", func(out []byte, r *rand.Rand) {
			at := r.Int64N(size)
			for n := range min(size-at, 1+r.Int64N(4096)) {
				out[within(media, at+n)] = byte(r.Uint32())
			}
		}},
		{"moved", func(out []byte, r *rand.Rand) { // a piece of the media at another place
			n := 1 + r.Int64N(size)
			from, to := r.Int64N(size-n+1), r.Int64N(size-n+1)
			for i := range min(n, 1<<16) {
				out[within(media, to+i)] = s.source[within(media, from+i)]
			}
		}},
	}
	const times = 8
	return []family{
		{"noise", len(kinds) * times, func(i int, r *rand.Rand) (string, []byte) {
			out := bytes.Clone(s.source)
			k := kinds[i/times]
			k.do(out, r)
			return fmt.Sprintf("%s.%d", k.name, i%times), out
		}},
		s.heads(),
	}
}

// heads damage the first bytes of samples, where decoders read what follows.
func (s *Set) heads() family {
	f, _ := boxtree.Parse(s.source)
	var starts []int64
	if trak := f.FirstTrack("soun"); trak != nil && f.Moov().Kid("cmov") == nil {
		starts = sampleStarts(trak)
	}
	starts = slices.DeleteFunc(starts, func(at int64) bool { return at >= int64(len(s.source)) })
	const most = 16 // bytes from the start
	n := 64
	if len(starts) == 0 {
		n = 0
	}
	return family{"noise-head", n, func(i int, r *rand.Rand) (string, []byte) {
		out := bytes.Clone(s.source)
		spare := r.IntN(4) // of the samples, how many are left alone
		for _, at := range starts {
			if r.IntN(4) < spare {
				continue
			}
			for range 1 + i%4 {
				if j := at + r.Int64N(most); j < int64(len(out)) {
					out[j] ^= byte(1 + r.IntN(255))
				}
			}
		}
		return fmt.Sprint(i), out
	}}
}

// sampleStarts returns where the samples of a track begin, as far as its tables are whole;
// at most the first few thousand.
func sampleStarts(trak *boxtree.Box) (starts []int64) {
	const most = 4096
	stbl := boxtree.Tables(trak)
	sizes, runs, chunks, wide := stbl.Kid("stsz"), stbl.Kid("stsc"), stbl.Kid("stco"), stbl.Kid("co64")
	if chunks == nil {
		chunks = wide
	}
	if sizes == nil || runs == nil || chunks == nil || len(sizes.Data) < 12 || len(chunks.Data) < 8 {
		return nil
	}
	sample := 0
	size := func() (int64, bool) {
		fixed := be.Uint32(sizes.Data[4:])
		at := 12 + 4*sample
		sample++
		if fixed != 0 {
			return int64(fixed), true
		}
		if at+4 > len(sizes.Data) {
			return 0, false
		}
		return int64(be.Uint32(sizes.Data[at:])), true
	}
	width := 4
	if chunks == wide {
		width = 8
	}
	run := 8
	for c := 0; 8+(c+1)*width <= len(chunks.Data); c++ {
		for run+24 <= len(runs.Data) && be.Uint32(runs.Data[run+12:]) <= uint32(c+1) {
			run += 12
		}
		if run+12 > len(runs.Data) {
			return starts
		}
		at := int64(be.Uint32(chunks.Data[8+c*width:]))
		if width == 8 {
			at = int64(be.Uint64(chunks.Data[8+c*width:]) &^ (1 << 63))
		}
		for range be.Uint32(runs.Data[run+4:]) {
			n, ok := size()
			if !ok || len(starts) == most {
				return starts
			}
			starts = append(starts, at)
			at += n
		}
	}
	return starts
}
