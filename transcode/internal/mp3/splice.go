package mp3

// Splice looks for a frame at which a stream can go over from the frames of one
// encoder, left, to those of another that was given the same sound from a little
// earlier on, right. It returns the number of the first frame to take from right.
//
// It looks at frames from..to, and at right's up to Lookahead later, if it has them:
// the caller sees to it that right has them or has ended, and so that the answer
// does not depend on how far right has come. level is the reservoir's in the
// stream, in bytes, before frame from. A frame will do if
//
//   - left has saved what right needs from there on: its frames were made for the
//     reservoir that right had, and must find as much;
//   - the last granule before it has the same block types in both, so that its
//     window fits right's first granule (ISO/IEC 11172-3 §2.4.3.4.10).
//
// Of those, the first is taken before which two frames are the same in both: there
// both encoders have come to the same state. Else it is the one before which left
// has saved the least that right can't use, which would be lost in stuffing; of two
// alike, the one nearest to near.
func Splice(left, right *Unpacker, level int, from, to, near int64) (int64, bool) {
	best, least, distance := int64(-1), 0, int64(0)
	for n := from; n <= to && n <= left.End() && n < right.End(); n++ {
		if n > from {
			level = left.Frame(n - 1).After(level)
		}
		if n-1 < max(left.Begin(), right.Begin()) {
			continue
		}
		if left.Frame(n-1).Ends != right.Frame(n-1).Ends {
			continue
		}
		if level < right.need(n, min(to+Lookahead, right.End()-1)) {
			continue
		}
		if left.same(right, n-1) && left.same(right, n-2) {
			return n, true
		}
		lost, away := level-right.Frame(n).Begin, max(n-near, near-n)
		if best < 0 || lost < least || lost == least && away < distance {
			best, least, distance = n, lost, away
		}
	}
	return best, best >= 0
}

// Lookahead is how many frames behind the last candidate Splice looks at.
const Lookahead = 32

// need returns the level that frame n needs before it, so that it and all after it
// fit, as far as frames up to last tell. What the last one had is enough for those
// to come.
func (u *Unpacker) need(n, last int64) int {
	need := u.Frame(last).Begin
	for i := last - 1; i >= n; i-- {
		f := u.Frame(i)
		need = max(0, need+f.MainData-f.Slot)
	}
	return need
}
