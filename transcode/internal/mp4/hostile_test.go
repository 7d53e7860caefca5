package mp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// failing is a source that fails once, at its n-th read, counted from 0. Up to part
// bytes of that read come through.
type failing struct {
	r    io.ReaderAt
	n    int
	part int
	err  error

	reads int
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	f.reads++
	if f.reads != f.n+1 {
		return f.r.ReadAt(p, off)
	}
	n, _ := f.r.ReadAt(p[:min(f.part, max(0, len(p)-1))], off)
	return n, f.err
}

// piece is a part of a virtual file: bytes that repeat, or that are made as they
// are read.
type piece struct {
	size  int64
	bytes []byte
	width int                         // of the entries of a table
	entry func(i int64, entry []byte) // makes one
}

// virtual is a file that is not there. It counts what is read of it.
type virtual struct {
	pieces []piece
	bytes  int64
	reads  int
	onRead func()
}

func (v *virtual) size() (n int64) {
	for _, p := range v.pieces {
		n += p.size
	}
	return n
}

func (v *virtual) ReadAt(b []byte, off int64) (int, error) {
	v.reads++
	v.bytes += int64(len(b))
	if v.onRead != nil {
		v.onRead()
	}
	n := 0
	for _, p := range v.pieces {
		if n < len(b) && off < p.size {
			m := p.read(b[n:], off)
			n, off = n+m, off+int64(m)
		}
		off -= p.size
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (p *piece) read(b []byte, off int64) int {
	b = b[:min(int64(len(b)), p.size-off)]
	switch {
	case p.entry != nil:
		var entry [16]byte
		for n := 0; n < len(b); {
			i, skip := (off+int64(n))/int64(p.width), (off+int64(n))%int64(p.width)
			if skip == 0 && len(b)-n >= p.width {
				p.entry(i, b[n:n+p.width])
				n += p.width
				continue
			}
			p.entry(i, entry[:p.width])
			n += copy(b[n:], entry[skip:p.width])
		}
	case p.bytes != nil:
		for n := 0; n < len(b); {
			n += copy(b[n:], p.bytes[(off+int64(n))%int64(len(p.bytes)):])
		}
	default:
		clear(b)
	}
	return len(b)
}

// said makes a piece of bytes.
func said(parts ...any) piece {
	b := cat(parts...)
	return piece{size: int64(len(b)), bytes: b}
}

// again makes a piece of the same bytes many times.
func again(b []byte, times int64) piece { return piece{size: int64(len(b)) * times, bytes: b} }

// boxOf puts pieces in a box.
func boxOf(kind string, pieces ...piece) []piece {
	v := virtual{pieces: pieces}
	if size := v.size() + 8; size < 1<<32 {
		return append([]piece{said(uint32(size), kind)}, pieces...)
	}
	return append([]piece{said(1, kind, uint64(v.size()+16))}, pieces...)
}

// packings are those that exercise tries.
func packings(t *Track) []Packing {
	all := []Packing{{}, {1, 2}, {64, 34}, {160, 33}}
	for _, d := range t.Descriptions {
		p := Packing{int64(d.FrameSamples), int64(d.FrameBytes)}
		if p.Samples > 0 && p.Bytes > 0 {
			return append(all, p)
		}
	}
	return all
}

// exercise does with a file all that one can, and returns all errors. It fails the
// test if a sample is nonsense, or if there is no end to them.
func exercise(t testing.TB, r io.ReaderAt, size int64) error {
	t.Helper()
	f, err := Open(r, size, roomy)
	if err != nil {
		return err
	}
	var errs []error
	note := func(err error) {
		if err != nil && err != io.EOF {
			errs = append(errs, err)
		}
	}
	_, err = f.ReadChapters()
	note(err)
	if header := f.TagsHeader(); len(header) > int(roomy.Allocation)+8192 {
		t.Fatalf("tags of %d bytes", len(header))
	}
	for _, p := range f.Pictures {
		_, err := f.Picture(p)
		note(err)
		_, err = f.PictureHead(p)
		note(err)
	}
	for _, track := range f.Tracks {
		if err := track.Check(); err != nil {
			note(err)
			continue
		}
		if !track.Audio() {
			continue
		}
		for i := range track.Descriptions {
			_, err := f.Header(track, i)
			note(err)
		}
		ticks, err := track.MediaTicks()
		note(err)
		if ticks < -1 {
			t.Fatalf("MediaTicks is %d", ticks)
		}
		for _, s := range append(track.Presentation(ticks), track.Presentation(-1)...) {
			if s.Start.Ticks < 0 || s.Length.Ticks < 0 || s.Length.At(192000) < 0 {
				t.Fatalf("segment %+v", s)
			}
		}
		end, err := track.TableEnd()
		note(err)
		if end < 0 {
			t.Fatalf("TableEnd is %d", end)
		}
		for _, p := range packings(track) {
			note(walkAll(t, track, p, size))
		}
	}
	return errors.Join(errs...)
}

// walkAll walks a track and returns the error that it ends with.
func walkAll(t testing.TB, track *Track, p Packing, size int64) error {
	t.Helper()
	samples, err := track.Samples(p)
	if err != nil {
		return err
	}
	bytes := int64(0)
	for n := int64(0); ; n++ {
		s, err := samples.Next()
		if err != nil {
			return err
		}
		if s.Offset < 0 || s.Size < 0 || s.Offset > size || s.Offset+s.Size > size ||
			s.Time < 0 || s.Duration < 0 || s.Time+s.Duration < 0 ||
			s.Description < 0 || s.Description >= len(track.Descriptions) {
			t.Fatalf("sample %d of a file of %d bytes: %+v", n, size, s)
		}
		bytes += s.Size
		if n > 10*size+50000 || bytes > 70*size+1<<20 {
			t.Fatalf("%d samples of %d bytes of a file of %d bytes, and there is more", n, bytes, size)
		}
	}
}

// ours reports an error that is of this package, or of several such.
func ours(err error) bool {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range all.Unwrap() {
			if !ours(err) && err != ErrNotMP4 && err != ErrInvalid && err != ErrTruncated && err != ErrLimit {
				return false
			}
		}
		return true
	}
	for _, known := range []error{ErrNotMP4, ErrInvalid, ErrTruncated, ErrLimit} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// smallFiles are files that together have every box that is read.
func smallFiles() map[string][]byte {
	chunks := []chunkSpec{{samples: units(7, 9)}, {samples: units(3, 4, 5), description: 2}, {samples: units(6)}}
	track := trackSpec{
		id: 1, timescale: 44100, duration: 5000, chunks: chunks,
		entries: [][]byte{entry("mp4a", full("esds", 0, 0)), entry("enca", atom("sinf", atom("frma", "mp4a")))},
		dref:    full("url ", 0, 1), more: full("elng", 0, 0, "de\x00"), udta: atom("name", "x"),
		edits: []Edit{{100, -1}, {1000, 1024}},
	}
	tags := atom("udta",
		full("meta", 0, 0, full("hdlr", 0, 0, 0, "mdir", make([]byte, 12)), atom("ilst",
			atom("\xa9nam", data(1, "Titel")), atom("covr", data(13, jpeg)),
			atom("----", full("mean", 0, 0, "x"), full("name", 0, 0, "iTunSMPB"), data(1, " 0 840")))),
		full("chpl", 1, 0, byte(0), 1, uint64(0), byte(1), "x"))
	one := track
	one.version, one.co64, one.sizes = 1, true, "stz2/4"
	video := trackSpec{id: 2, handler: "vide", timescale: 90000, chunks: []chunkSpec{{samples: units(20)}}}
	pcm := trackSpec{id: 1, timescale: 8000, entries: [][]byte{entry1("ima4", 64, 34)}, chunks: []chunkSpec{{ticks: 64, bytes: 34}, {ticks: 128, bytes: 68}}}
	even := trackSpec{id: 1, timescale: 8000, sizes: "fixed", chunks: []chunkSpec{{samples: evenUnits(20, 2, 3)}, {samples: evenUnits(5, 2, 3)}}}
	runs := []runSpec{{samples: units(5, 6), fields: 0x301}, {samples: units(7), fields: 0xf05, gap: 3}, {samples: evenUnits(4, 1, 1)}}
	files := map[string]movieSpec{
		"plain":      {tracks: []trackSpec{track}, more: tags},
		"version 1":  {version: 1, tracks: []trackSpec{video, one}, more: tags, last: true},
		"64 bits":    {tracks: []trackSpec{track}, wide: true},
		"chunked":    {tracks: []trackSpec{pcm}, bare: true, behind: atom("free", make([]byte, 400))},
		"one size":   {tracks: []trackSpec{even}, open: true},
		"compressed": {tracks: []trackSpec{even}, packed: true, last: true},
		"fragmented": fragmented(
			fragmentSpec{trafs: []trafSpec{
				{id: 2, base: "moof", trex: videoTrex, tfdt: -1, runs: runs},
				{id: 1, trex: audioTrex, version: 1, runs: runs},
			}},
			fragmentSpec{before: atom("styp"), trafs: []trafSpec{{id: 1, base: "offset", description: 1, size: 9, duration: 11, trex: audioTrex, tfdt: 50000, runs: runs}}},
		),
	}
	partly := fragmented(fragmentSpec{trafs: []trafSpec{{id: 1, base: "moof", tfdt: -1, trex: audioTrex, runs: runs}}})
	partly.tracks[0].chunks = []chunkSpec{{samples: units(1, 2)}}
	files["partly fragmented"] = partly
	out := map[string][]byte{}
	for name, m := range files {
		out[name], _ = m.build()
	}
	return out
}

// TestSourceFails lets the source fail at each of its reads in turn. Its error is
// what comes back, and never another one, or none.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	files := smallFiles()
	// Indexes and a fragment that are read window by window.
	large := trackSpec{id: 1, timescale: 44100, entries: [][]byte{entry("mp4a"), entry("mp4a")}, udta: atom("name", make([]byte, 3000))}
	for i := range 3000 {
		large.chunks = append(large.chunks, chunkSpec{samples: []unit{{3, uint32(i)}, {uint32(i % 5), 9}}, description: 1 + i%2})
	}
	spread := func(boxes ...[]byte) []byte { return bytes.Join(boxes, atom("free", make([]byte, 20000))) }
	tags := atom("udta", spread(nil, full("meta", 0, 0, atom("hdlr", 0), spread(nil, atom("ilst", spread(nil,
		atom("covr", data(13, jpeg)), atom("\xa9nam", data(1, "x")),
		atom("----", spread(nil, full("name", 0, 0, "iTunSMPB"), data(1, " 0"))),
		nil)))), full("chpl", 0, 0, byte(1), uint64(0), byte(0)), nil))
	files["large"], _ = movieSpec{tracks: []trackSpec{large}, pad: wholeSize, more: tags}.build()
	var samples []unit
	for i := range 5000 {
		samples = append(samples, unit{uint32(i % 3), 5})
	}
	m := fragmented(fragmentSpec{pad: wholeSize, trafs: []trafSpec{{id: 2, base: "moof", trex: videoTrex, runs: []runSpec{{samples: samples, fields: 0x300}}}, {id: 1, trex: audioTrex, runs: []runSpec{{samples: samples, fields: 0x300}}}}})
	m.pad = wholeSize
	files["large fragment"], _ = m.build()
	// Each box of a track in a window of its own, or begun at the end of one.
	trak := (&trackSpec{id: 1, timescale: 8000, dref: full("url ", 0, 1), edits: []Edit{{1, 0}, {2, 5}}, more: full("elng", 0, 0, "de"), chunks: []chunkSpec{{samples: units(1)}}}).trak([]int64{8})
	files["spread"] = indexed(atom("free", make([]byte, wholeSize)), loosen(trak, windowSize))
	files["split"] = indexed(atom("free", make([]byte, wholeSize)), loosen(trak, windowSize, windowSize-8))

	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &failing{r: bytes.NewReader(file), n: 1 << 30}
			if err := exercise(t, r, int64(len(file))); err != nil && !errors.Is(err, ErrTruncated) {
				t.Fatal(err)
			}
			reads := r.reads
			for n := range reads {
				broken := &lostError{io.ErrClosedPipe}
				if n%2 == 0 {
					broken.error = io.EOF // not the end, though it sounds like it
				}
				r := &failing{r: bytes.NewReader(file), n: n, part: n / 2 % 2 * 5, err: broken}
				err := exercise(t, r, int64(len(file)))
				if !errors.Is(err, broken) {
					t.Fatalf("read %d of %d fails: %v", n, reads, err)
				}
				for _, never := range []error{ErrInvalid, ErrNotMP4, ErrTruncated, ErrLimit} {
					if errors.Is(err, never) {
						t.Fatalf("read %d of %d fails: %v", n, reads, err)
					}
				}
			}
		})
	}
}

// containers are the boxes of which loosen knows that they hold only others.
const containers = "trak mdia minf stbl edts dinf tref"

// loosen puts free boxes of the given sizes in front of every box in a box.
func loosen(b []byte, sizes ...int) []byte {
	kind := string(b[4:8])
	if !strings.Contains(containers, kind) {
		return b
	}
	var body []byte
	for rest := b[8:]; len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		for _, size := range sizes {
			body = append(body, atom("free", make([]byte, size-8))...)
		}
		body = append(body, loosen(rest[:n], sizes...)...)
		rest = rest[n:]
	}
	return atom(kind, body)
}

// TestCut cuts files at every byte, of which the source knows or not.
func TestCut(t *testing.T) {
	t.Parallel()
	for name, file := range smallFiles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := exercise(t, bytes.NewReader(file), int64(len(file))); err != nil {
				t.Fatal(err)
			}
			for n := range file {
				if err := exercise(t, bytes.NewReader(file[:n]), int64(n)); err != nil && !ours(err) {
					t.Fatalf("%d of %d bytes: %v", n, len(file), err)
				} else if err == nil && !strings.Contains(name, "frag") && !bytes.HasSuffix(file, make([]byte, 300)) {
					t.Fatalf("%d of %d bytes: no error", n, len(file))
				}
				// A source that ends before the size it was given for.
				if err := exercise(t, bytes.NewReader(file[:n]), int64(len(file))); err != nil && !errors.Is(err, ErrTruncated) {
					t.Fatalf("%d of %d bytes, said to be all: %v", n, len(file), err)
				}
			}
		})
	}
}

// TestHurt writes hostile numbers to every place of files.
func TestHurt(t *testing.T) {
	t.Parallel()
	numbers := [][]byte{cat(0), cat(uint32(0xffffffff)), cat(uint64(1<<64 - 1))}
	for name, file := range smallFiles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hurt := make([]byte, len(file))
			for _, number := range numbers {
				for at := range len(file) - len(number) {
					copy(hurt, file)
					copy(hurt[at:], number)
					if err := exercise(t, bytes.NewReader(hurt), int64(len(hurt))); err != nil && !ours(err) {
						t.Fatalf("%x at byte %d: %v", number, at, err)
					}
				}
			}
		})
	}
}

// TestBounded opens files that would have us work or wait for ever.
func TestBounded(t *testing.T) {
	t.Parallel()
	const all = uint32(0xffffffff)
	// Chunks that all lie at the start of a file, with media bytes behind it.
	overlapping := func(chunks int, perChunk uint32, duration, media int) []byte {
		file, _ := movieSpec{tracks: []trackSpec{{id: 1, timescale: 1, tables: map[string][]byte{
			"stsz": full("stsz", 0, 0, 1, all),
			"stts": full("stts", 0, 0, 1, 1, duration),
			"stsc": full("stsc", 0, 0, 1, 1, perChunk, 1),
			"stco": full("stco", 0, 0, chunks, make([]byte, 4*chunks)),
		}}}, behind: atom("mdat", make([]byte, media))}.build()
		return file
	}
	run := full("trun", 0, 1, 1<<16, 8)
	inFragments := func(size uint32, run []byte, runs int) []byte {
		m := fragmented()
		m.behind = cat(atom("moof", atom("traf", full("tfhd", 0, 0x20018, 1, 0, size), bytes.Repeat(run, runs))), atom("mdat", make([]byte, 1<<16)))
		file, _ := m.build()
		return file
	}
	for name, tt := range map[string]struct {
		file []byte
		want error
	}{
		"samples that overlap":                     {overlapping(1000, 50000, 1, 50000), ErrLimit},
		"samples that overlap, no duration":        {overlapping(1000, 50000, 0, 50000), ErrLimit},
		"one sample, time and again":               {overlapping(30000, 1, 0, 10), ErrInvalid},
		"one chunk of 2^32 samples":                {overlapping(1, all, 0, 1000), ErrTruncated},
		"all chunks of 2^32 samples":               {overlapping(1000, all, 0, 1000), ErrTruncated},
		"runs that overlap":                        {inFragments(1, run, 1000), ErrLimit},
		"runs of no bytes":                         {inFragments(0, run, 1000), ErrLimit},
		"one run of no bytes":                      {inFragments(0, full("trun", 0, 1, all, 8), 1), ErrLimit},
		"one run of 2^32 bytes":                    {inFragments(1, full("trun", 0, 1, all, 8), 1), ErrTruncated},
		"too many runs":                            {inFragments(1, full("trun", 0, 0x201, 1, 8, 1), maxRunsOfOneFragment+1), ErrLimit},
		"many boxes before the index":              {cat(bytes.Repeat(atom("free"), maxTopBoxes), indexed()), ErrInvalid},
		"many boxes before the first moof":         {cat(inFragments(1, run, 0), bytes.Repeat(atom("free"), maxBoxesBetweenMoofs)), ErrInvalid},
		"a box in a box, a thousand times":         {indexed(nest("moov", 1000)), nil},
		"udta in udta, a thousand times":           {indexed(nest("udta", 1000)), nil},
		"trak in trak, a thousand times":           {indexed(nest("trak", 1000)), nil},
		"ilst in ilst, a thousand times":           {indexed(atom("udta", nest("ilst", 1000))), nil},
		"sinf in sinf, a thousand times":           {indexed((&trackSpec{timescale: 1, entries: [][]byte{entry("enca", nest("sinf", 1000))}}).trak(nil)), nil},
		"moof in moof, a thousand times":           {cat(inFragments(1, run, 0), nest("moof", 1000)), nil},
		"moofs that are empty, a hundred thousand": {cat(inFragments(1, run, 0), bytes.Repeat(atom("moof"), 100000)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &virtual{pieces: []piece{said(tt.file)}}
			f, err := Open(r, r.size(), roomy)
			if err == nil && len(f.Tracks) > 0 {
				// Its own samples, and as PCM, which comes in groups.
				err = walkAll(t, f.Tracks[0], Packing{}, r.size())
				if err := walkAll(t, f.Tracks[0], Packing{1, 1}, r.size()); err != io.EOF && !ours(err) {
					t.Errorf("as PCM: %v", err)
				}
			}
			if tt.want == nil && err != nil && err != io.EOF || !errors.Is(err, tt.want) && tt.want != nil {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// nest puts a box in itself.
func nest(kind string, times int) []byte {
	b := make([]byte, 8*times)
	for i := range times {
		binary.BigEndian.PutUint32(b[8*i:], uint32(len(b)-8*i))
		copy(b[8*i+4:], kind)
	}
	return b
}

// TestMemoryOfIndex walks 10 million samples, the tables of which take 66 MB,
// within little memory and reading each table once.
func TestMemoryOfIndex(t *testing.T) {
	const (
		chunks  = 1 << 20
		samples = 10 * chunks // 8 and 12 in turn
		stride  = 8192
	)
	var sizes, runs []byte // both repeat
	sizeOf := func(i int64) uint32 { return uint32(200 + i%301) }
	for i := range int64(301) {
		sizes = append(sizes, cat(sizeOf(i))...)
	}
	durationOf := func(run int64) uint32 { return uint32(1000 + run%3) }
	for i := range int64(3) {
		runs = append(runs, cat(16, durationOf(i))...)
	}
	var base int64
	table := func(width int, n int64, entry func(i int64, b []byte)) piece {
		return piece{size: int64(width) * n, width: width, entry: entry}
	}
	be := binary.BigEndian
	stbl := func() (b []piece) {
		b = append(b, said(full("stsd", 0, 0, 1, entry("mp4a"))))
		b = append(b, boxOf("stts", said(0, samples/16), piece{size: samples / 16 * 8, bytes: runs})...)
		b = append(b, boxOf("stsc", said(0, chunks), table(12, chunks, func(i int64, b []byte) {
			be.PutUint32(b, uint32(i+1))
			be.PutUint32(b[4:], uint32(8+i%2*4))
			be.PutUint32(b[8:], 1)
		}))...)
		b = append(b, boxOf("stsz", said(0, 0, samples), piece{size: samples * 4, bytes: sizes})...)
		return append(b, boxOf("co64", said(0, chunks), table(8, chunks, func(i int64, b []byte) {
			be.PutUint64(b, uint64(base+i*stride))
		}))...)
	}
	mdia := append([]piece{said(full("mdhd", 0, 0, times(0, 44100, 0)), full("hdlr", 0, 0, 0, "soun", make([]byte, 12)))},
		boxOf("minf", boxOf("stbl", stbl()...)...)...)
	trak := append([]piece{said(full("tkhd", 0, 0, 1, 2, 1, 0))}, boxOf("mdia", mdia...)...)
	moov := boxOf("moov", append([]piece{said(full("mvhd", 0, 0, times(0, 1000, 0)))}, boxOf("trak", trak...)...)...)
	index := (&virtual{pieces: moov}).size()
	base = index + 16
	r := &virtual{pieces: append(moov, boxOf("mdat", piece{size: chunks * stride})...)}
	if index < 60<<20 {
		t.Fatalf("the test made an index of %d bytes", index)
	}

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := Open(r, r.size(), roomy)
	if err != nil {
		t.Fatal(err)
	}
	opened := r.bytes
	walk, err := f.Tracks[0].Samples(Packing{})
	if err != nil {
		t.Fatal(err)
	}
	i, now := int64(0), int64(0)
	for chunk := range int64(chunks) {
		offset := base + chunk*stride
		for range 8 + chunk%2*4 {
			want := Sample{Offset: offset, Size: int64(sizeOf(i)), Time: now, Duration: int64(durationOf(i / 16))}
			if got, err := walk.Next(); got != want || err != nil {
				t.Fatalf("sample %d is %+v, %v, want %+v", i, got, err, want)
			}
			i, offset, now = i+1, offset+want.Size, now+want.Duration
		}
	}
	if _, err := walk.Next(); err != io.EOF {
		t.Fatalf("behind the last sample: %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated, in total", n)
	}
	if opened > 16*windowSize {
		t.Errorf("%d bytes were read to open the file", opened)
	}
	if r.bytes > index+16*windowSize {
		t.Errorf("%d bytes were read of an index of %d", r.bytes, index)
	}
	before = after
	opened = r.bytes
	if n, err := f.Tracks[0].MediaTicks(); n != now || err != nil {
		t.Errorf("MediaTicks is %d, %v, want %d", n, err, now)
	}
	if n := r.bytes - opened; n > samples/16*8+2*windowSize {
		t.Errorf("%d bytes were read for the length", n)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<16 {
		t.Errorf("%d bytes were allocated for the length", n)
	}
}

// TestNextAllocates sees that a walk allocates nothing but its windows.
func TestNextAllocates(t *testing.T) {
	plain := trackSpec{id: 1, timescale: 1}
	for i := range 40000 {
		plain.chunks = append(plain.chunks, chunkSpec{samples: []unit{{3, uint32(i)}, {4, 5}}})
	}
	table, _ := movieSpec{tracks: []trackSpec{plain}, pad: wholeSize}.build()
	runs := []runSpec{{samples: evenUnits(60000, 1, 1), fields: 0x300}}
	fragment, _ := fragmented(fragmentSpec{trafs: []trafSpec{{id: 1, base: "moof", trex: audioTrex, runs: runs}}}).build()
	for name, file := range map[string][]byte{"table": table, "fragment": fragment} {
		samples, err := mustOpen(t, file).Tracks[0].Samples(Packing{})
		if err != nil {
			t.Fatal(err)
		}
		next := func() {
			if _, err := samples.Next(); err != nil {
				t.Fatal(err)
			}
		}
		next() // the first has to get hold of windows
		if n := testing.AllocsPerRun(50000, next); n != 0 {
			t.Errorf("%s: %v allocations a sample", name, n)
		}
	}
}

// TestMemoryOfHostile opens files whose index is made of many of the things that
// are kept, each of which is within its own bound.
func TestMemoryOfHostile(t *testing.T) {
	const size = 10 << 20
	const most = 3 << 20
	limits := Limits{Tracks: 256, Allocation: 1 << 19}
	repeated := func(b []byte) piece { return again(b, int64(size/len(b))) }
	track := trackSpec{id: 1, timescale: 1}
	chapters := full("chpl", 0, 0, byte(255), bytes.Repeat(cat(uint64(0), byte(0)), 255))
	edits := atom("edts", full("elst", 0, 0, 4000, make([]byte, 12*4000)))
	descriptions := track
	descriptions.entries = slices.Repeat([][]byte{entry("mp4a", make([]byte, 20000))}, 20)
	item := atom("\xa9cmt", make([]byte, 100<<10))
	for name, pieces := range map[string][]piece{
		"edit lists":     boxOf("trak", said(track.trak(nil)[8:]), repeated(edits)),
		"chapters":       boxOf("udta", repeated(chapters)),
		"a long list":    boxOf("udta", boxOf("chpl", said(1<<24, byte(0), uint32(0xffffffff)), repeated(cat(uint64(0), byte(0))))...),
		"chapters again": {repeated(atom("udta", chapters))},
		"descriptions":   {again(descriptions.trak(nil), size/int64(len(descriptions.trak(nil))))},
		"tags":           boxOf("udta", repeated(item)),
		"small tags":     boxOf("udta", repeated(atom("\xa9cmt"))),
		"lists of tags":  boxOf("udta", boxOf("meta", said(0), repeated(atom("ilst", item, item, item)))...),
		"tags again":     {repeated(atom("udta", item, item, item))},
		"pictures":       boxOf("udta", repeated(atom("covr", data(13, jpeg)))),
		"trex":           boxOf("mvex", piece{size: size, width: 4, entry: func(i int64, b []byte) { copy(b, cat([]any{32, "trex", 0, int(i), 1, 1, 1, 0}[i%8])) }}),
		"data references": boxOf("trak", append(
			[]piece{said(atom("mdia", full("hdlr", 0, 0, 0, "soun", make([]byte, 12))))},
			boxOf("mdia", boxOf("minf", boxOf("dinf", boxOf("dref", said(0, 1), repeated(atom("url ", 0)))...)...)...)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			r := &virtual{pieces: boxOf("moov", append([]piece{said(full("mvhd", 0, 0, times(0, 1000, 0)))}, pieces...)...)}
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before, peak, step := heap(), uint64(0), int64(0)
			r.onRead = func() {
				if r.bytes >= step {
					step += 1 << 20
					peak = max(peak, heap())
				}
			}
			f, err := Open(r, r.size(), limits)
			if err != nil && !ours(err) {
				t.Fatal(err)
			}
			peak = max(peak, heap())
			if peak > before+most {
				t.Errorf("%d bytes are held", peak-before)
			}
			runtime.KeepAlive(f)
		})
	}
}
