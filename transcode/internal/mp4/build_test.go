package mp4

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"pgregory.net/rapid"
)

// What the tests read is built here, box by box, without the package's own code.

// cat joins what boxes are made of. Integers are written as big-endian; an int is
// a word of 32 bits.
func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, p...)
		case byte:
			b = append(b, p)
		case uint16:
			b = binary.BigEndian.AppendUint16(b, p)
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case int32:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, p)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(p))
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		default:
			panic(fmt.Sprintf("cat: %T", p))
		}
	}
	return b
}

// atom makes a box.
func atom(kind string, parts ...any) []byte {
	body := cat(parts...)
	return cat(8+len(body), kind, body)
}

// atom64 makes a box with a size of 64 bits.
func atom64(kind string, parts ...any) []byte {
	body := cat(parts...)
	return cat(1, kind, uint64(16+len(body)), body)
}

// openAtom makes a box of size 0, which goes on to the end of what it is in.
func openAtom(kind string, parts ...any) []byte { return cat(0, kind, cat(parts...)) }

// full makes a full box.
func full(kind string, version byte, flags uint32, parts ...any) []byte {
	return atom(kind, uint32(version)<<24|flags, cat(parts...))
}

// unit is a sample as a table has it.
type unit struct{ size, duration uint32 }

// chunkSpec is a chunk of samples. Where a table counts ticks, ticks says how many
// and samples is empty; the data then has bytes bytes.
type chunkSpec struct {
	description  int // from 1
	samples      []unit
	ticks, bytes int
}

// trackSpec is a track to build.
type trackSpec struct {
	id        uint32
	handler   string // "soun" if empty
	disabled  bool
	version   byte // of tkhd, mdhd and elst
	timescale uint32
	duration  uint64
	edits     []Edit
	entries   [][]byte // of stsd; a plain mp4a if nil
	dref      []byte   // children of dref; nil leaves dinf out
	chapters  []uint32 // tracks that tref names
	chunks    []chunkSpec
	sizes     string // stsz, fixed, stz2/4, stz2/8 or stz2/16
	co64      bool
	more      []byte // boxes behind hdlr in mdia
	udta      []byte // the payload
	// tables replaces boxes of stbl, or leaves them out where nil.
	tables map[string][]byte
	// reorder changes the order of the boxes of stbl.
	reorder bool
}

// movieSpec is a file to build.
type movieSpec struct {
	bare      bool // without ftyp
	brand     string
	version   byte // of mvhd
	timescale uint32
	duration  uint64
	tracks    []trackSpec
	more      []byte // boxes behind the tracks in moov
	pad       int    // bytes of a free box in front of the tracks, 0 for none
	last      bool   // moov after mdat
	wide      bool   // moov and mdat with sizes of 64 bits
	open      bool   // the last box has size 0
	packed    bool   // moov is compressed; it must be last
	fragments []fragmentSpec
	behind    []byte // boxes at the end of the file
}

// entry makes an audio sample entry.
func entry(format string, children ...any) []byte {
	return atom(format, make([]byte, 6), uint16(1), make([]byte, 8),
		uint16(2), uint16(16), 0, uint32(44100<<16), cat(children...))
}

// entry1 makes QuickTime's version 1 of an audio sample entry.
func entry1(format string, frameSamples, frameBytes int, children ...any) []byte {
	return atom(format, make([]byte, 6), uint16(1), uint16(1), make([]byte, 6),
		uint16(2), uint16(16), 0, uint32(44100<<16),
		frameSamples, frameBytes/2, frameBytes, 2, cat(children...))
}

// entry2 makes QuickTime's version 2 of an audio sample entry.
func entry2(format string, frameSamples, frameBytes int, children ...any) []byte {
	return atom(format, make([]byte, 6), uint16(1), uint16(2), make([]byte, 6),
		uint16(3), uint16(16), uint16(0xfffe), uint16(0), 0x10000,
		72, uint64(0x40e5888000000000), 2, 0x7f000000, 16, 12, frameBytes, frameSamples,
		cat(children...))
}

// runs makes a table of run lengths: a count in front of each change.
func runs[T comparable](values []T) (count []int, value []T) {
	for i, v := range values {
		if i == 0 || v != values[i-1] {
			count, value = append(count, 0), append(value, v)
		}
		count[len(count)-1]++
	}
	return count, value
}

// stbl makes the tables of a track whose chunks lie at the given places.
func (t *trackSpec) stbl(at []int64) []byte {
	entries := t.entries
	if entries == nil {
		entries = [][]byte{entry("mp4a", full("esds", 0, 0))}
	}
	type perChunk struct{ samples, description int }
	var durations []uint32
	var sizes []uint32
	var chunks []perChunk
	ticks := 0
	for _, c := range t.chunks {
		for _, u := range c.samples {
			durations, sizes = append(durations, u.duration), append(sizes, u.size)
		}
		chunks = append(chunks, perChunk{len(c.samples) + c.ticks, max(1, c.description)})
		ticks += c.ticks
	}
	times := cat()
	count, value := runs(durations)
	if ticks > 0 {
		count, value = []int{ticks}, []uint32{1}
	}
	for i := range count {
		times = append(times, cat(count[i], value[i])...)
	}
	times = full("stts", 0, 0, len(count), times)

	perRun, run := runs(chunks)
	first, table := 1, cat()
	for i := range run {
		table = append(table, cat(first, run[i].samples, run[i].description)...)
		first += perRun[i]
	}
	stsc := full("stsc", 0, 0, len(run), table)

	var stsz []byte
	switch {
	case ticks > 0:
		stsz = full("stsz", 0, 0, 1, ticks)
	case t.sizes == "fixed":
		size := uint32(1)
		if len(sizes) > 0 {
			size = sizes[0]
		}
		stsz = full("stsz", 0, 0, size, len(sizes))
	case t.sizes == "stz2/4":
		var b []byte
		for i, s := range sizes {
			if i%2 == 0 {
				b = append(b, byte(s)<<4)
			} else {
				b[i/2] |= byte(s)
			}
		}
		stsz = full("stz2", 0, 0, 4, len(sizes), b)
	case t.sizes == "stz2/8":
		var b []byte
		for _, s := range sizes {
			b = append(b, byte(s))
		}
		stsz = full("stz2", 0, 0, 8, len(sizes), b)
	case t.sizes == "stz2/16":
		b := make([]byte, 0, 2*len(sizes))
		for _, s := range sizes {
			b = binary.BigEndian.AppendUint16(b, uint16(s))
		}
		stsz = full("stz2", 0, 0, 16, len(sizes), b)
	default:
		b := make([]byte, 0, 4*len(sizes))
		for _, s := range sizes {
			b = binary.BigEndian.AppendUint32(b, s)
		}
		stsz = full("stsz", 0, 0, 0, len(sizes), b)
	}

	var stco []byte
	if t.co64 {
		b := make([]byte, 0, 8*len(at))
		for _, o := range at {
			b = binary.BigEndian.AppendUint64(b, uint64(o))
		}
		stco = full("co64", 0, 0, len(at), b)
	} else {
		b := make([]byte, 0, 4*len(at))
		for _, o := range at {
			b = binary.BigEndian.AppendUint32(b, uint32(o))
		}
		stco = full("stco", 0, 0, len(at), b)
	}

	boxes := [][]byte{full("stsd", 0, 0, len(entries), bytes.Join(entries, nil)), times, stsc, stsz, stco}
	if t.reorder {
		boxes[0], boxes[4] = boxes[4], boxes[0]
		boxes[1], boxes[2] = boxes[2], boxes[1]
	}
	var b []byte
	for _, box := range boxes {
		if other, ok := t.tables[string(box[4:8])]; ok {
			box = other
		}
		b = append(b, box...)
	}
	return b
}

// times writes what mvhd and mdhd begin with.
func times(version byte, timescale uint32, duration uint64) []byte {
	if version == 1 {
		return cat(uint64(1), uint64(2), timescale, duration)
	}
	return cat(1, 2, timescale, uint32(duration))
}

func (t *trackSpec) trak(at []int64) []byte {
	flags := uint32(7)
	if t.disabled {
		flags = 6
	}
	created := cat(1, 2)
	if t.version == 1 {
		created = cat(uint64(1), uint64(2))
	}
	length := cat(0)
	if t.version == 1 {
		length = cat(uint64(0))
	}
	trak := full("tkhd", t.version, flags, created, t.id, 0, length, make([]byte, 60))
	if t.edits != nil {
		var b []byte
		for _, e := range t.edits {
			if t.version == 1 {
				b = cat(b, e.Duration, e.MediaTime, 0x10000)
			} else {
				b = cat(b, uint32(e.Duration), int32(e.MediaTime), 0x10000)
			}
		}
		trak = cat(trak, atom("edts", full("elst", t.version, 0, len(t.edits), b)))
	}
	if t.chapters != nil {
		var ids []byte
		for _, id := range t.chapters {
			ids = append(ids, cat(id)...)
		}
		trak = cat(trak, atom("tref", atom("chap", ids)))
	}
	handler := t.handler
	if handler == "" {
		handler = "soun"
	}
	mdia := full("mdhd", t.version, 0, times(t.version, t.timescale, t.duration), uint16(0x55c4), uint16(0))
	mdia = cat(mdia, full("hdlr", 0, 0, 0, handler, make([]byte, 12), "name\x00"), t.more)
	minf := full("smhd", 0, 0, 0)
	if t.dref != nil {
		minf = cat(minf, atom("dinf", full("dref", 0, 0, 1, t.dref)))
	}
	minf = cat(minf, atom("stbl", t.stbl(at)))
	trak = cat(trak, atom("mdia", mdia, atom("minf", minf)))
	if t.udta != nil {
		trak = cat(trak, atom("udta", t.udta))
	}
	return atom("trak", trak)
}

// moov makes the index, given where the chunks of each track lie.
func (m *movieSpec) moov(at [][]int64) []byte {
	timescale := m.timescale
	if timescale == 0 {
		timescale = 1000
	}
	body := full("mvhd", m.version, 0, times(m.version, timescale, m.duration), 0x10000, make([]byte, 76))
	if m.pad > 0 {
		body = cat(body, atom("free", make([]byte, m.pad-8)))
	}
	for i := range m.tracks {
		body = append(body, m.tracks[i].trak(at[i])...)
	}
	body = cat(body, m.more)
	if m.packed {
		return atom("moov", pack(atom("moov", body)))
	}
	switch {
	case m.open && m.last:
		return openAtom("moov", body)
	case m.wide:
		return atom64("moov", body)
	}
	return atom("moov", body)
}

// pack makes a compressed index.
func pack(plain []byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return atom("cmov", atom("dcom", "zlib"), atom("cmvd", len(plain), z.Bytes()))
}

// size of a chunk's data.
func (c chunkSpec) size() int64 {
	n := int64(c.bytes)
	for _, u := range c.samples {
		n += int64(u.size)
	}
	return n
}

// build returns the file and, for each track by its ID, the samples that it
// should have.
func (m movieSpec) build() ([]byte, map[uint32][]Sample) {
	var file []byte
	if !m.bare {
		brand := m.brand
		if brand == "" {
			brand = "M4A "
		}
		file = atom("ftyp", brand, 512, brand, "isom")
	}
	// Chunks lie in turn: the first of each track, the second of each.
	place := func(from int64) (at [][]int64, end int64) {
		at = make([][]int64, len(m.tracks))
		for n, more := 0, true; more; n++ {
			more = false
			for i, t := range m.tracks {
				if n < len(t.chunks) {
					at[i] = append(at[i], from)
					from += t.chunks[n].size()
					more = true
				}
			}
		}
		return at, from
	}
	header := int64(8) // of mdat
	if m.wide && (m.last || !m.open) {
		header = 16
	}
	media := func(size int64) []byte {
		if m.open && !m.last {
			return openAtom("mdat", make([]byte, size))
		}
		if m.wide {
			return atom64("mdat", make([]byte, size))
		}
		return atom("mdat", make([]byte, size))
	}
	none, size := place(0)
	chunks := slices.ContainsFunc(m.tracks, func(t trackSpec) bool { return len(t.chunks) > 0 })
	start := int64(len(file)) + header
	if !m.last {
		start += int64(len(m.moov(none)))
	}
	at, _ := place(start)
	moov := m.moov(at)
	switch {
	case m.last:
		file = cat(file, media(size), moov)
	case chunks || m.fragments == nil:
		file = cat(file, moov, media(size))
	default:
		file = cat(file, moov)
	}
	want := map[uint32][]Sample{}
	for i, t := range m.tracks {
		now := int64(0)
		for n, c := range t.chunks {
			offset := at[i][n]
			for _, u := range c.samples {
				want[t.id] = append(want[t.id], Sample{
					Offset: offset, Size: int64(u.size), Time: now, Duration: int64(u.duration),
					Description: max(1, c.description) - 1,
				})
				offset += int64(u.size)
				now += int64(u.duration)
			}
		}
	}
	for _, f := range m.fragments {
		file = f.append(file, want)
	}
	return cat(file, m.behind), want
}

// fragmentSpec is a movie fragment with its media behind it.
type fragmentSpec struct {
	before []byte // boxes in front of it
	trafs  []trafSpec
	pad    int  // bytes of a free box in the moof, 0 for none
	open   bool // its mdat has size 0
}

// trafSpec is a track fragment.
type trafSpec struct {
	id uint32
	// base is where data offsets count from: "moof", "offset", or "" for the end
	// of the last track fragment's data or, in the first one, the moof.
	base string
	// what tfhd has, 0 for nothing
	description, size, duration uint32
	// what trex has
	trex trackExtends
	// tfdt is the decode time; -1 for none.
	tfdt    int64
	version byte // of tfdt
	runs    []runSpec
}

// runSpec is a track run. Of samples, what is not in fields is not written.
type runSpec struct {
	samples []unit
	fields  uint32 // flags of trun
	gap     int    // bytes in front of its data
}

// append appends the fragment to a file, and its samples to those of the tracks.
func (f fragmentSpec) append(file []byte, want map[uint32][]Sample) []byte {
	file = cat(file, f.before)
	start := int64(len(file))
	moof, _, _ := f.moof(start, 0, nil)
	data := start + int64(len(moof)) + 8
	moof, size, found := f.moof(start, data, want)
	for _, s := range found {
		want[s.track] = append(want[s.track], s.Sample)
	}
	if f.open {
		return cat(file, moof, openAtom("mdat", make([]byte, size)))
	}
	return cat(file, moof, atom("mdat", make([]byte, size)))
}

type foundSample struct {
	track uint32
	Sample
}

// moof makes the moof box of a fragment whose data begins at data.
func (f fragmentSpec) moof(start, data int64, before map[uint32][]Sample) ([]byte, int64, []foundSample) {
	var found []foundSample
	now := map[uint32]int64{}
	for id, s := range before {
		if len(s) > 0 {
			now[id] = s[len(s)-1].Time + s[len(s)-1].Duration
		}
	}
	body := full("mfhd", 0, 0, 1)
	if f.pad > 0 {
		body = cat(body, atom("free", make([]byte, f.pad-8)))
	}
	at := data        // where the next run's data lies
	implicit := start // where it would be taken to lie
	for _, t := range f.trafs {
		flags, fields := uint32(0), cat()
		base := implicit
		switch t.base {
		case "moof":
			flags, base = flags|0x20000, start
		case "offset":
			flags, base = flags|1, at
			fields = cat(fields, uint64(at))
		}
		defaults := t.trex
		if t.description != 0 {
			flags, fields, defaults.description = flags|2, cat(fields, t.description), t.description
		}
		if t.duration != 0 {
			flags, fields, defaults.duration = flags|8, cat(fields, t.duration), t.duration
		}
		if t.size != 0 {
			flags, fields, defaults.size = flags|0x10, cat(fields, t.size), t.size
		}
		// Last, the default flags of samples, which nobody reads.
		traf := full("tfhd", 0, flags|0x20, t.id, fields, 0x1010000)
		if t.tfdt >= 0 {
			if t.version == 1 {
				traf = cat(traf, full("tfdt", 1, 0, t.tfdt))
			} else {
				traf = cat(traf, full("tfdt", 0, 0, uint32(t.tfdt)))
			}
		}
		expected, tfdt := base, t.tfdt
		for _, r := range t.runs {
			at += int64(r.gap)
			flags, head := r.fields, cat()
			if at != expected {
				flags |= 1
			}
			if flags&1 != 0 {
				head = cat(head, int32(at-base))
			}
			if flags&4 != 0 {
				head = cat(head, 0x2000000)
			}
			table := cat()
			for _, u := range r.samples {
				if tfdt >= 0 {
					now[t.id], tfdt = tfdt, -1
				}
				s := Sample{Offset: at, Size: int64(defaults.size), Duration: int64(defaults.duration), Time: now[t.id], Description: int(max(1, defaults.description)) - 1}
				if flags&0x100 != 0 {
					table = append(table, cat(u.duration)...)
					s.Duration = int64(u.duration)
				}
				if flags&0x200 != 0 {
					table = append(table, cat(u.size)...)
					s.Size = int64(u.size)
				}
				if flags&0x400 != 0 {
					table = append(table, cat(0x1010000)...)
				}
				if flags&0x800 != 0 {
					table = append(table, cat(512)...)
				}
				found = append(found, foundSample{t.id, s})
				at += s.Size
				now[t.id] += s.Duration
			}
			traf = cat(traf, full("trun", 0, flags, len(r.samples), head, table))
			expected = at
		}
		implicit = expected
		body = cat(body, atom("traf", traf))
	}
	return atom("moof", body), at - data, found
}

// trex makes a track's defaults for its fragments.
func trex(id uint32, d trackExtends) []byte {
	return full("trex", 0, 0, id, d.description, d.duration, d.size, 0)
}

// roomy are limits that no test file reaches by accident.
var roomy = Limits{Tracks: 64, Allocation: 8 << 20}

// mustOpen opens a file that has to open.
func mustOpen(t rapid.TB, file []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(file), int64(len(file)), roomy)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// walk returns the samples of a track up to the first error, which is nil at the
// end.
func walk(t rapid.TB, track *Track, packing Packing) ([]Sample, error) {
	t.Helper()
	samples, err := track.Samples(packing)
	if err != nil {
		return nil, err
	}
	var all []Sample
	for {
		s, err := samples.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
}
