package mp4

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Limits bound what opening a file may cost.
type Limits struct {
	// Tracks of any kind in the file.
	Tracks int
	// Allocation is the largest piece held in memory, in bytes.
	Allocation int64
}

// maxTopBoxes bounds the boxes at the top of a file before its index; a file of
// nothing but empty boxes would otherwise be walked for hours.
const maxTopBoxes = 1 << 16

// File is an opened file.
type File struct {
	// Brand is the major brand, empty for QuickTime files without one.
	Brand string
	// Timescale of the movie in ticks a second; edit durations are in it.
	Timescale uint32
	// Duration declared for the movie, in ticks; 0 if it isn't declared.
	Duration uint64
	// IndexFirst reports that the index lies before the media.
	IndexFirst bool
	// Fragmented reports that samples may also lie in movie fragments.
	Fragmented bool
	// Tracks in the order of the file.
	Tracks []*Track
	// Pictures in the tags (the covr item), in order.
	Pictures []Extent
	// Gapless is what iTunes says of priming and padding (its iTunSMPB item).
	Gapless string
	// Chapters of Nero's chapter list (chpl).
	Chapters []Chapter

	r      io.ReaderAt
	size   int64
	limits Limits
	ftyp   []byte // the whole box, or nil
	moov   *region
	end    int64 // of the moov box: where fragments are looked for
	tags   []byte
	// described is the size of all sample descriptions that are held.
	described int64
	extend    map[uint32]trackExtends
}

// Extent is a stretch of the index.
type Extent struct {
	Offset, Size int64
}

// Open reads the structure of a file of size bytes. It reads the headers of the
// boxes at the top up to the index, and the index without its sample tables.
// Errors wrap one of this package's, or are r's own.
func Open(r io.ReaderAt, size int64, limits Limits) (*File, error) {
	f := &File{r: r, size: size, limits: limits}
	moov, err := f.findIndex()
	if err != nil {
		return nil, err
	}
	if f.moov, err = newRegion(r, moov.body, moov.size()); err != nil {
		return nil, err
	}
	f.end = moov.end
	if err := f.uncompress(); err != nil {
		return nil, err
	}
	if err := f.readIndex(); err != nil {
		return nil, err
	}
	return f, nil
}

// topKinds are the boxes that a file of the family may begin with.
var topKinds = map[string]bool{
	"ftyp": true, "styp": true, "moov": true, "mdat": true, "free": true, "skip": true,
	"wide": true, "pnot": true, "uuid": true, "moof": true, "sidx": true, "meta": true,
	"pdin": true, "PICT": true, "junk": true, "emsg": true, "prft": true,
}

// findIndex walks the boxes at the top of the file up to moov.
func (f *File) findIndex() (box, error) {
	media := false // seen before the index
	for off, n := int64(0), 0; ; n++ {
		if n == maxTopBoxes {
			return box{}, invalid("more than %d boxes before the index", maxTopBoxes)
		}
		b, err := f.topBox(off)
		switch {
		case err == io.EOF && n == 0:
			return box{}, fmt.Errorf("%w: the file is empty", ErrNotMP4)
		case err == io.EOF && !media && f.ftyp == nil:
			return box{}, fmt.Errorf("%w: no MP4 box in it", ErrNotMP4)
		case err == io.EOF:
			return box{}, truncated("there is no index (moov): the upload or the recording was not finished")
		case err != nil:
			return box{}, err
		}
		if n == 0 && !topKinds[b.kind] {
			return box{}, fmt.Errorf("%w: it does not begin with an MP4 box", ErrNotMP4)
		}
		cut := b.end > f.size
		switch b.kind {
		case "moov":
			if cut {
				return box{}, truncated("in the index (moov)")
			}
			f.IndexFirst = !media
			return b, nil
		case "ftyp":
			if f.ftyp == nil && !cut {
				if err := f.readBrand(b); err != nil {
					return box{}, err
				}
			}
		case "mdat", "moof":
			media = true
		}
		if cut {
			return box{}, truncated("in a %q box, before the index (moov)", b.kind)
		}
		off = b.end
	}
}

// topBox reads the header of the box at off, or io.EOF at the end of the file.
// The box's end may lie beyond the file's.
func (f *File) topBox(off int64) (box, error) {
	var h [16]byte
	if f.size-off < 8 {
		return box{}, io.EOF
	}
	n := min(int64(len(h)), f.size-off)
	if err := readFull(f.r, h[:n], off); err != nil {
		return box{}, err
	}
	b := box{kind: string(h[4:8]), start: off, body: off + 8}
	size := int64(binary.BigEndian.Uint32(h[:]))
	switch size {
	case 0:
		size = f.size - off
	case 1:
		if n < 16 {
			return box{}, io.EOF
		}
		b.body += 8
		size = int64(min(binary.BigEndian.Uint64(h[8:]), 1<<62))
	}
	if size < b.body-off {
		return box{}, invalid("a box of %d bytes at byte %d", size, off)
	}
	b.end = off + size
	return b, nil
}

func (f *File) readBrand(b box) error {
	if b.size() < 4 || b.size() > 4096 {
		return nil
	}
	g, err := newRegion(f.r, b.start, b.end-b.start)
	if err != nil {
		return err
	}
	if f.ftyp, err = g.copy(0, g.size, 1<<13); err != nil {
		return err
	}
	f.Brand = string(f.ftyp[b.body-b.start:][:4])
	return nil
}

// readIndex reads the moov box.
func (f *File) readIndex() error {
	seen := false
	err := f.moov.boxes(0, f.moov.size, func(b box) error {
		switch b.kind {
		case "mvhd":
			seen = true
			return f.readMovieHeader(b)
		case "trak":
			if len(f.Tracks) >= f.limits.Tracks {
				return overLimit("more than %d tracks", f.limits.Tracks)
			}
			t, err := f.readTrack(b)
			if err != nil {
				return fmt.Errorf("track %d: %w", len(f.Tracks)+1, err)
			}
			f.Tracks = append(f.Tracks, t)
		case "mvex":
			f.Fragmented = true
			return f.readExtends(b)
		case "udta", "meta":
			return f.readTags(b)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !seen:
		return invalid("the index has no movie header (mvhd)")
	case f.Timescale == 0:
		return invalid("the movie's timescale is zero")
	}
	return nil
}

// readMovieHeader reads mvhd (8.2.2).
func (f *File) readMovieHeader(b box) (err error) {
	f.Timescale, f.Duration, err = readTimescale(f.moov, b)
	return err
}

// readTimescale reads what mvhd and mdhd have in common. A duration of all ones
// means that it is not known.
func readTimescale(g *region, b box) (timescale uint32, duration uint64, err error) {
	version, err := g.bytes(b.body, 1)
	if err != nil {
		return 0, 0, err
	}
	if version[0] == 1 {
		if timescale, err = g.u32(b.body + 20); err != nil {
			return 0, 0, err
		}
		duration, err = g.u64(b.body + 24)
		if duration == 1<<64-1 {
			duration = 0
		}
		return timescale, duration, err
	}
	if timescale, err = g.u32(b.body + 12); err != nil {
		return 0, 0, err
	}
	d, err := g.u32(b.body + 16)
	if d == 1<<32-1 {
		d = 0
	}
	return timescale, uint64(d), err
}
