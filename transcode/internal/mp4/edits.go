package mp4

import (
	"math"
	"math/bits"
)

// maxEdits bounds an edit list. Editors write a few entries; a list of millions
// is an attack on memory.
const maxEdits = 4096

// Edit is an entry of an edit list (8.6.6).
type Edit struct {
	// Duration in ticks of the movie's timescale; 0 is "to the end".
	Duration uint64
	// MediaTime is where the edit starts, in ticks of the media's timescale; -1
	// is an empty edit, during which nothing is presented.
	MediaTime int64
}

// Empty reports an edit that presents nothing.
func (e Edit) Empty() bool { return e.MediaTime == -1 }

func (t *Track) readEditList(b box) error {
	g := t.file.moov
	h, err := g.bytes(b.body, 8)
	if err != nil {
		return err
	}
	version := h[0]
	count, err := g.u32(b.body + 4)
	if err != nil {
		return err
	}
	entry := int64(12)
	if version == 1 {
		entry = 20
	}
	if int64(count) > (b.size()-8)/entry {
		return invalid("the edit list has %d entries and room for %d", count, (b.size()-8)/entry)
	}
	if count > maxEdits {
		return overLimit("an edit list of %d entries; at most %d are read", count, maxEdits)
	}
	for i := range int64(count) {
		at := b.body + 8 + i*entry
		var e Edit
		if version == 1 {
			if e.Duration, err = g.u64(at); err != nil {
				return err
			}
			start, err := g.u64(at + 8)
			if err != nil {
				return err
			}
			e.MediaTime = int64(start)
		} else {
			duration, err := g.u32(at)
			if err != nil {
				return err
			}
			start, err := g.u32(at + 4)
			if err != nil {
				return err
			}
			e.Duration, e.MediaTime = uint64(duration), int64(int32(start))
		}
		if e.MediaTime < -1 {
			e.MediaTime = 0 // nothing lies before the media's start
		}
		t.Edits = append(t.Edits, e)
	}
	return nil
}

// Segment is a stretch of the presentation: samples of the media, or silence.
type Segment struct {
	// Silence reports that nothing is presented, for Length.
	Silence bool
	// Start in seconds, on the media's timeline; exact, as Num/Den.
	Start Time
	// Length of the segment; Den is 0 for "to the end of the media".
	Length Time
}

// Time is a time in ticks of a timescale.
type Time struct {
	Ticks int64
	Scale uint32 // ticks a second
}

// At returns the time in ticks of another rate, rounded to the nearest.
func (t Time) At(rate int) int64 {
	if t.Scale == 0 {
		return 0
	}
	return Rescale(t.Ticks, int64(rate), int64(t.Scale))
}

// Seconds returns the time in seconds.
func (t Time) Seconds() float64 {
	if t.Scale == 0 {
		return 0
	}
	return float64(t.Ticks) / float64(t.Scale)
}

// later reports whether t is later than u. Neither may be negative.
func (t Time) later(u Time) bool {
	hi, lo := bits.Mul64(uint64(t.Ticks), uint64(u.Scale))
	hi2, lo2 := bits.Mul64(uint64(u.Ticks), uint64(t.Scale))
	return hi > hi2 || hi == hi2 && lo > lo2
}

// Rescale returns v*num/den, rounded to the nearest; num must not be negative, and
// den must be positive. A result beyond half of int64 is cut to that.
func Rescale(v, num, den int64) int64 {
	if v < 0 {
		return -Rescale(-max(v, -math.MaxInt64), num, den)
	}
	hi, lo := bits.Mul64(uint64(v), uint64(num))
	lo, carry := bits.Add64(lo, uint64(den)/2, 0)
	hi += carry
	if hi >= uint64(den) {
		return math.MaxInt64 / 2
	}
	q, _ := bits.Div64(hi, lo, uint64(den))
	return int64(min(q, math.MaxInt64/2))
}

// Presentation returns what the edit list presents of a media of the given
// length in ticks, or of one of unknown length (-1). A nil edit list presents
// everything.
//
// An edit's length counts in the movie's ticks, which are coarse (1/600 s,
// 1/1000 s), and writers round it either way. An edit that ends less than one such
// tick before the media does therefore ends with the media.
func (t *Track) Presentation(media int64) []Segment {
	if len(t.Edits) == 0 {
		return []Segment{{Start: Time{0, t.Timescale}}}
	}
	var out []Segment
	for _, e := range t.Edits {
		length := Time{int64(min(e.Duration, math.MaxInt64/2)), t.file.Timescale}
		if e.Empty() {
			if length.Ticks > 0 {
				out = append(out, Segment{Silence: true, Length: length})
			}
			continue
		}
		s := Segment{Start: Time{e.MediaTime, t.Timescale}, Length: length}
		if e.Duration == 0 {
			s.Length = Time{}
		} else if media >= 0 {
			left := media - e.MediaTime
			if left <= 0 {
				continue
			}
			if (Time{length.Ticks + 1, length.Scale}).later(Time{left, t.Timescale}) {
				s.Length = Time{}
			}
		}
		out = append(out, s)
	}
	return out
}
