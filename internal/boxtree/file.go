package boxtree

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"os"
)

// A File is the list of the boxes at the top, and what follows them.
type File struct {
	Boxes []*Box
	// Tail is what could not be read as boxes.
	Tail []byte
}

// Parse reads a file. The tree shares the memory of b. The error, which wraps [ErrBox],
// says why there is a Tail; the file is good all the same.
func Parse(b []byte) (*File, error) {
	boxes, tail, err := parse(b, 0, 0)
	return &File{boxes, tail}, err
}

// ReadFile reads a file that consists of boxes to its end.
func ReadFile(name string) (*File, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Walk calls fn for every box of the file, parents first.
func (f *File) Walk(fn func(*Box)) {
	var visit func([]*Box)
	visit = func(boxes []*Box) {
		for _, b := range boxes {
			fn(b)
			visit(b.Kids)
		}
	}
	visit(f.Boxes)
}

// Bytes lays the boxes out and moves every absolute file offset along with the box at
// the top that it points into. It changes the tables of the tree, and the memory that
// they were read from.
func (f *File) Bytes() []byte {
	type move struct{ off, end, by int64 }
	var moves []move
	pos := int64(0)
	for _, b := range f.Boxes {
		// Offsets in a fragmented file may name the start of a moof, so the range of a
		// box includes its header.
		moves = append(moves, move{b.Start, b.End, pos + b.headerLen() - b.Body})
		pos += b.Size()
	}
	moved := func(old uint64) uint64 {
		for _, m := range moves {
			if m.off <= int64(old) && int64(old) < m.end {
				return uint64(int64(old) + m.by)
			}
		}
		return old
	}
	f.Walk(func(b *Box) {
		d := b.Data
		switch b.Type {
		case "stco":
			for i := 8; i+4 <= len(d); i += 4 {
				be.PutUint32(d[i:], uint32(moved(uint64(be.Uint32(d[i:])))))
			}
		case "co64":
			for i := 8; i+8 <= len(d); i += 8 {
				be.PutUint64(d[i:], moved(be.Uint64(d[i:])))
			}
		case "tfhd":
			if len(d) >= 16 && d[3]&1 != 0 { // base-data-offset present
				be.PutUint64(d[8:], moved(be.Uint64(d[8:])))
			}
		}
	})
	out := make([]byte, 0, pos+int64(len(f.Tail)))
	for _, b := range f.Boxes {
		out = b.Append(out)
	}
	return append(out, f.Tail...)
}

// The boxes a track is made of.

// maxUnpacked bounds a compressed movie header.
const maxUnpacked = 64 << 20

// Moov returns the movie header, unpacked if it is compressed; nil if there is none.
func (f *File) Moov() *Box {
	m := Pick(f.Boxes, "moov")
	packed := m.Kid("cmov", "cmvd")
	if packed == nil || len(packed.Data) < 4 {
		return m
	}
	z, err := zlib.NewReader(bytes.NewReader(packed.Data[4:]))
	if err != nil {
		return m
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxUnpacked))
	if err != nil {
		return m
	}
	boxes, _, err := parse(raw, 0, 0)
	if inner := Pick(boxes, "moov"); err == nil && inner != nil {
		return inner
	}
	return m
}

// Tracks returns the trak boxes.
func (f *File) Tracks() []*Box {
	var t []*Box
	if m := f.Moov(); m != nil {
		for _, k := range m.Kids {
			if k.Type == "trak" {
				t = append(t, k)
			}
		}
	}
	return t
}

// Handler is the kind of a trak: "soun", "vide", "text", ...
func Handler(trak *Box) string {
	h := trak.Kid("mdia", "hdlr")
	if h == nil || len(h.Data) < 12 {
		return ""
	}
	return string(h.Data[8:12])
}

// FirstTrack returns the first trak of the kind, or nil.
func (f *File) FirstTrack(kind string) *Box {
	for _, t := range f.Tracks() {
		if Handler(t) == kind {
			return t
		}
	}
	return nil
}

// Tables returns the stbl of a trak.
func Tables(trak *Box) *Box { return trak.Kid("mdia", "minf", "stbl") }

// Entries returns the sample descriptions of a trak. Those of audio are split into their
// fixed fields, whose length depends on QuickTime's version of them, and their children.
func Entries(trak *Box) []*Box {
	stsd := Tables(trak).Kid("stsd")
	if stsd == nil {
		return nil
	}
	if Handler(trak) == "soun" {
		for _, e := range stsd.Kids {
			e.splitEntry()
		}
	}
	return stsd.Kids
}

func (b *Box) splitEntry() {
	if len(b.Data) < 28 {
		return // or it is split already
	}
	n := 28
	switch be.Uint16(b.Data[8:]) {
	case 1:
		n = 44
	case 2:
		n = 64
	}
	b.Split(n)
}

// Entry returns the first of [Entries], or nil.
func Entry(trak *Box) *Box {
	if e := Entries(trak); len(e) > 0 {
		return e[0]
	}
	return nil
}
