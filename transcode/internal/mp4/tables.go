package mp4

import (
	"encoding/binary"
	"io"
)

// table is an array in a box of the index.
type table struct {
	at    int64 // of the first entry in the index
	count uint32
	width int64 // of an entry in bits
	error error // why it can't be used
}

// newTable checks that the entries are really there.
func newTable(b box, header int64, count uint32, width int64) table {
	t := table{at: b.body + header, count: count, width: width}
	if room := max(0, b.size()-header) * 8 / width; int64(count) > room {
		t.error = invalid("the %s table has %d entries and room for %d", b.kind, count, room)
	}
	return t
}

// sampleTable is what stbl says about samples in the index (8.6.1, 8.7).
type sampleTable struct {
	times   table // stts: count, duration
	chunks  table // stsc: first chunk, samples in each, description
	sizes   table // stsz or stz2: size
	offsets table // stco or co64: offset
	// fixedSize is the size of all samples, or 0 where sizes has them.
	fixedSize uint32
	// samples in the table.
	samples uint32
}

// read takes note of a table without reading its entries.
func (s *sampleTable) read(g *region, b box) error {
	var err error
	field := func(off int64) (v uint32) {
		if err == nil && off+4 > b.size() {
			err = invalid("the %s box ends early", b.kind)
		}
		if err == nil {
			v, err = g.u32(b.body + off)
		}
		return v
	}
	switch b.kind {
	case "stts":
		s.times = newTable(b, 8, field(4), 64)
	case "stsc":
		s.chunks = newTable(b, 8, field(4), 96)
	case "stco":
		s.offsets = newTable(b, 8, field(4), 32)
	case "co64":
		s.offsets = newTable(b, 8, field(4), 64)
	case "stsz":
		s.fixedSize, s.samples = field(4), field(8)
		if s.fixedSize == 0 {
			s.sizes = newTable(b, 12, s.samples, 32)
		}
	case "stz2":
		width := int64(field(4) & 0xff)
		s.samples = field(8)
		if width != 4 && width != 8 && width != 16 {
			s.sizes.error = invalid("sample sizes of %d bits", width)
			break
		}
		s.sizes = newTable(b, 12, s.samples, width)
	}
	return err
}

// check reports what keeps the tables from being walked.
func (s *sampleTable) check() error {
	for _, t := range []table{s.times, s.chunks, s.sizes, s.offsets} {
		if t.error != nil {
			return t.error
		}
	}
	if s.offsets.count > 0 && s.samples > 0 && (s.times.count == 0 || s.chunks.count == 0) {
		return invalid("the sample tables do not belong together")
	}
	return nil
}

// cursor walks over the entries of a table.
type cursor struct {
	g *region
	table
	next uint32
}

func (t table) walk(g *region) cursor { return cursor{g: g.fork(), table: t} }

// entry returns the next entry's bytes, or io.EOF. Entries of less than a byte
// come with their byte.
func (c *cursor) entry() ([]byte, error) {
	if c.next >= c.count {
		return nil, io.EOF
	}
	bit := int64(c.next) * c.width
	c.next++
	return c.g.bytes(c.at+bit/8, int(max(8, c.width)/8))
}

// size returns the next sample's size.
func (c *cursor) size() (int64, error) {
	b, err := c.entry()
	if err != nil {
		return 0, err
	}
	switch c.width {
	case 4:
		if c.next%2 == 1 {
			return int64(b[0] >> 4), nil
		}
		return int64(b[0] & 15), nil
	case 8:
		return int64(b[0]), nil
	case 16:
		return int64(binary.BigEndian.Uint16(b)), nil
	}
	return int64(binary.BigEndian.Uint32(b)), nil
}

// offset returns the next chunk's offset.
func (c *cursor) offset() (int64, error) {
	b, err := c.entry()
	if err != nil {
		return 0, err
	}
	if c.width == 64 {
		return int64(min(binary.BigEndian.Uint64(b), 1<<62)), nil
	}
	return int64(binary.BigEndian.Uint32(b)), nil
}

// timeRun walks stts, a run-length list of sample durations.
type timeRun struct {
	cursor
	left     uint32 // samples left of the run
	duration uint32
}

// take returns the duration of the next sample. The last run goes on where the
// table ends before the samples do.
func (r *timeRun) take() (uint32, error) {
	for r.left == 0 {
		b, err := r.entry()
		if err == io.EOF {
			return r.duration, nil
		}
		if err != nil {
			return 0, err
		}
		r.left = binary.BigEndian.Uint32(b)
		r.duration = binary.BigEndian.Uint32(b[4:])
		// Durations with the sign bit set are small negative corrections of
		// broken writers.
		if r.duration > 1<<31-1 {
			r.duration = 0
		}
	}
	r.left--
	return r.duration, nil
}

// uniform reports whether all samples have the same duration, and which.
func (t *Track) uniform() (uint32, bool, error) {
	if t.times.count != 1 || t.times.error != nil {
		return 0, false, nil
	}
	d, err := t.file.moov.u32(t.times.at + 4)
	return d, err == nil, err
}

// tableTicks returns the length in ticks of the samples in the index.
func (t *Track) tableTicks() (int64, error) {
	if err := t.sampleTable.check(); err != nil {
		return 0, err
	}
	left, total := int64(t.samples), int64(0)
	run := timeRun{cursor: t.times.walk(t.file.moov)}
	for left > 0 {
		if _, err := run.take(); err != nil {
			return 0, err
		}
		n := int64(1)
		if run.next >= run.count {
			n = left // the last run goes on
		} else {
			n += int64(run.left)
		}
		n = min(n, left)
		if int64(run.duration) > 0 && n > (1<<62-total)/int64(run.duration) {
			return 0, invalid("the track is longer than time")
		}
		total += n * int64(run.duration)
		left -= n
		run.left = 0
	}
	return total, nil
}
