package mp3

// tocEntries is the size of the Xing header's table of contents.
const tocEntries = 100

// tocPoints bounds the memory of a TOC. It is even, so that halving the seek
// points keeps them evenly spaced.
const tocPoints = 400

// TOC collects the seek points of a stream for the table of contents of its
// Xing header. Its size does not depend on the stream's length: as LAME's seek
// table does, it drops every second point when it is full and from then on
// takes points half as often. The zero value is an empty TOC.
type TOC struct {
	frames int64 // added so far
	bytes  int64
	// points[k] is where the (k+1)<<shift first frames end, in bytes.
	points [tocPoints]int64
	n      int
	shift  uint
}

// Add appends an audio frame of frameBytes bytes. The Info frame is not added.
func (t *TOC) Add(frameBytes int) {
	t.frames++
	t.bytes += int64(frameBytes)
	if t.frames&(1<<t.shift-1) != 0 {
		return
	}
	t.points[t.n] = t.bytes
	t.n++
	if t.n == tocPoints {
		for i := range tocPoints / 2 {
			t.points[i] = t.points[2*i+1]
		}
		t.n /= 2
		t.shift++
	}
}

// Table returns the table of contents: entry i is where the frame at i percent
// of the playing time starts, in 1/256 of the stream, rounded down. Stream and
// positions begin at the Info frame, whose size in bytes is infoFrameSize, for
// that is where players count from. Entry 0 is 0, the start, by convention.
func (t *TOC) Table(infoFrameSize int) [tocEntries]byte {
	var table [tocEntries]byte
	info := int64(infoFrameSize)
	total := info + t.bytes
	if t.frames == 0 || total <= 0 {
		return table
	}
	for i := 1; i < tocEntries; i++ {
		at := info + t.offset(int64(i)*t.frames/tocEntries)
		table[i] = byte(min(256*at/total, 255))
	}
	return table
}

// offset returns where frame number i starts, in bytes after the Info frame. It
// is exact at the seek points and linear between them. i is below t.frames.
func (t *TOC) offset(i int64) int64 {
	k := int(i >> t.shift)
	from, fromFrame := int64(0), int64(k)<<t.shift
	if k > 0 {
		from = t.points[k-1]
	}
	to, toFrame := t.bytes, t.frames // after the last point
	if k < t.n {
		to, toFrame = t.points[k], int64(k+1)<<t.shift
	}
	return from + (to-from)*(i-fromFrame)/(toFrame-fromFrame)
}
