package mp4

import (
	"encoding/binary"
	"io"
)

// Sample is a stretch of compressed audio: a sample of the file, or, of formats
// whose samples are single PCM values or parts of a packet, a group of them.
type Sample struct {
	// Offset and Size of the data in the file, in bytes.
	Offset, Size int64
	// Time on the media's timeline, and Duration, in ticks of the media's
	// timescale.
	Time, Duration int64
	// Description is the index of the sample's description.
	Description int
}

// Packing says how many bytes hold how many samples in formats of a fixed
// packing: PCM, and old QuickTime codecs. The zero value is for all others.
type Packing struct {
	Samples, Bytes int64
}

// groupSamples is how many PCM samples are taken as one.
const groupSamples = 4096

// Tables and runs may point to the same bytes again and again, as a loop does, so a
// small file can claim samples without end. A walk ends with ErrLimit once its
// samples take maxReuse times the bytes of the file, where each counts for leastCost
// bytes at least; fragments count too. Samples that lie side by side never get there.
// Walks that begin again for an edit list count together.
const (
	maxReuse  = 64
	leastCost = 8
)

// Samples walks the samples of a track in order.
type Samples struct {
	t       *Track
	packing Packing
	size    int64 // of the file
	left    int64 // bytes that samples may still take

	// the tables of the index
	chunked   bool // the table counts ticks; the chunks have to be cut by packing
	sizes     cursor
	offsets   cursor
	chunks    cursor
	times     timeRun
	chunk     uint32 // number of the current chunk, from 1
	inChunk   uint32 // samples left in it
	perChunk  uint32 // samples in each chunk from here on
	nextFirst uint32 // first chunk of the next entry of chunks; 0 if it is the last
	nextPer   uint32
	nextDesc  int
	desc      int
	offset    int64
	done      uint32 // samples of the table that were handed out
	time      int64

	fragments *fragments
}

// Samples returns a walk over the track's samples. With a packing the tables are
// read as QuickTime does for uncompressed and old compressed sound.
func (t *Track) Samples(packing Packing) (*Samples, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	if err := t.sampleTable.check(); err != nil {
		return nil, err
	}
	g := t.file.moov
	s := &Samples{
		t: t, packing: packing, size: t.file.size,
		left:  maxReuse*min(t.file.size, 1<<58) + 1<<16,
		sizes: t.sizes.walk(g), offsets: t.offsets.walk(g), chunks: t.chunks.walk(g),
		times: timeRun{cursor: t.times.walk(g)},
	}
	if packing.Bytes > 0 && packing.Samples > 0 {
		duration, uniform, err := t.uniform()
		if err != nil {
			return nil, err
		}
		s.chunked = uniform && duration == 1
	}
	if t.chunks.count > 0 {
		// Prime the look-ahead over stsc.
		if err := s.readChunkRun(); err != nil {
			return nil, err
		}
	}
	if t.file.Fragmented {
		s.fragments = newFragments(t)
	}
	return s, nil
}

// Again returns another walk over the same samples, from the first one on. What the
// walk so far has taken of the bound on all samples is taken from the new one too.
func (s *Samples) Again() (*Samples, error) {
	again, err := s.t.Samples(s.packing)
	if err == nil {
		again.left = s.left
	}
	return again, err
}

// readChunkRun reads the next entry of stsc into the look-ahead.
func (s *Samples) readChunkRun() error {
	b, err := s.chunks.entry()
	if err == io.EOF {
		s.nextFirst = 0
		return nil
	}
	if err != nil {
		return err
	}
	s.nextFirst = binary.BigEndian.Uint32(b)
	s.nextPer = binary.BigEndian.Uint32(b[4:])
	s.nextDesc = int(max(1, binary.BigEndian.Uint32(b[8:]))) // 0 stands for the only one in old files
	if s.nextFirst <= s.chunk {
		return invalid("the chunks are out of order")
	}
	return nil
}

// Next returns the next sample, or io.EOF. A sample that lies beyond the end of
// the file is ErrTruncated.
func (s *Samples) Next() (Sample, error) {
	var (
		sample Sample
		err    error
	)
	if s.chunked {
		sample, err = s.fromChunk()
	} else {
		sample, err = s.fromTable()
	}
	if err == io.EOF && s.fragments != nil {
		sample, err = s.fragments.next(s.time, s.packing)
		s.left -= s.fragments.read
		s.fragments.read = 0
	}
	if err != nil {
		return Sample{}, err
	}
	s.time = sample.Time + sample.Duration
	if s.time > 1<<61 {
		return Sample{}, invalid("the track is longer than time")
	}
	if sample.Description < 0 || sample.Description >= len(s.t.Descriptions) {
		return Sample{}, invalid("a sample of description %d; there are %d", sample.Description+1, len(s.t.Descriptions))
	}
	if sample.Offset > s.size-sample.Size {
		return sample, truncated("a sample lies at bytes %d to %d of a file of %d", sample.Offset, sample.Offset+sample.Size, s.size)
	}
	if s.left -= max(sample.Size, leastCost); s.left < 0 {
		return Sample{}, overLimit("the samples take more than %d times the bytes of the file", maxReuse)
	}
	return sample, nil
}

// nextChunk goes to the next chunk, or returns io.EOF.
func (s *Samples) nextChunk() error {
	offset, err := s.offsets.offset()
	if err != nil {
		return err
	}
	s.chunk++
	if s.nextFirst == s.chunk || s.chunk == 1 {
		s.perChunk, s.desc = s.nextPer, s.nextDesc-1
		if err := s.readChunkRun(); err != nil {
			return err
		}
	}
	s.inChunk, s.offset = s.perChunk, offset
	return nil
}

// fromTable returns the next sample as the tables have it.
func (s *Samples) fromTable() (Sample, error) {
	for s.inChunk == 0 {
		if s.done == s.t.samples {
			return Sample{}, io.EOF
		}
		if err := s.nextChunk(); err == io.EOF {
			return Sample{}, invalid("the chunks hold %d of the track's %d samples", s.done, s.t.samples)
		} else if err != nil {
			return Sample{}, err
		}
	}
	if s.done == s.t.samples {
		return Sample{}, io.EOF
	}
	n := uint32(1)
	if s.packing.Samples == 1 && s.t.fixedSize > 0 && s.t.times.count == 1 {
		n = min(s.inChunk, s.t.samples-s.done, groupSamples)
	}
	out := Sample{Offset: s.offset, Time: s.time, Description: s.desc}
	if s.t.fixedSize > 0 {
		out.Size = int64(s.t.fixedSize) * int64(n)
	} else {
		size, err := s.sizes.size()
		if err != nil {
			return Sample{}, err
		}
		out.Size = size
	}
	duration, err := s.times.take()
	if err != nil {
		return Sample{}, err
	}
	out.Duration = int64(duration) * int64(n)
	s.inChunk -= n
	s.done += n
	s.offset += out.Size
	return out, nil
}

// fromChunk returns the next group of samples of a chunk. The table of sizes
// counts ticks here, and says nothing of bytes; the packing does.
func (s *Samples) fromChunk() (Sample, error) {
	for s.inChunk == 0 {
		if err := s.nextChunk(); err != nil {
			return Sample{}, err
		}
	}
	p := s.packing
	packets := min(int64(s.inChunk)/p.Samples, max(1, groupSamples/p.Samples))
	if p.Samples >= 160 {
		packets = min(packets, 1) // speech codecs want one packet at a time
	}
	n := uint32(packets * p.Samples)
	if packets == 0 {
		// A last packet that is not full still takes all its bytes.
		packets, n = 1, s.inChunk
	}
	out := Sample{
		Offset: s.offset, Size: packets * p.Bytes,
		Time: s.time, Duration: int64(n), Description: s.desc,
	}
	s.inChunk -= n
	s.offset += out.Size
	return out, nil
}

// MediaTicks returns the length of the media in ticks, or -1 where only a walk
// over all fragments could tell.
func (t *Track) MediaTicks() (int64, error) {
	if t.broken != nil {
		return 0, t.broken
	}
	ticks, err := t.tableTicks()
	if err != nil || !t.file.Fragmented {
		return ticks, err
	}
	return -1, nil
}

// TableEnd returns where the last chunk of the index begins, 0 if there is none:
// a cheap test whether a file is cut off.
func (t *Track) TableEnd() (int64, error) {
	if t.offsets.count == 0 || t.offsets.error != nil || t.samples == 0 {
		return 0, nil
	}
	last := t.offsets.walk(t.file.moov)
	last.next = last.count - 1
	return last.offset()
}
