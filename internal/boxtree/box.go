// Package boxtree reads the boxes of an MP4 file into a tree that can be changed, and
// writes it again. It makes fixtures and mutants; the converter has a parser of its own
// and shares no code with it, so that a mistake in the one can't hide in the other.
package boxtree

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var be = binary.BigEndian

// A Box is one node of the tree. A leaf keeps its payload in Data; a container keeps its
// fixed fields in Head and its children in Kids.
type Box struct {
	Type string // four bytes
	Head []byte
	Kids []*Box
	Data []byte
	Wide bool    // written with a 64-bit size
	Lie  *uint64 // written in place of the true size

	// Start of the header, Body and End of the payload in the file that the box was read
	// from; all 0 in a box that was made.
	Start, Body, End int64
}

// New makes a leaf whose payload is the parts joined.
func New(kind string, parts ...[]byte) *Box {
	b := &Box{Type: kind}
	for _, p := range parts {
		b.Data = append(b.Data, p...)
	}
	return b
}

// U32 is the payload of 32-bit numbers.
func U32(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = be.AppendUint32(b, x)
	}
	return b
}

// headSize tells the containers apart from the leaves: it holds the number of bytes of
// fixed fields before the first child. Items of ilst are leaves.
var headSize = map[string]int{
	"moov": 0, "trak": 0, "mdia": 0, "minf": 0, "stbl": 0, "edts": 0, "dinf": 0,
	"udta": 0, "ilst": 0, "mvex": 0, "moof": 0, "traf": 0, "mfra": 0, "cmov": 0,
	"wave": 0, "sinf": 0, "schi": 0, "tref": 0,
	"meta": 4, "stsd": 8, "dref": 8,
}

// maxDepth bounds how deep the tree is; what lies deeper is the payload of a leaf.
const maxDepth = 64

// ErrBox says that a box claims more bytes than there are, or fewer than its header has.
var ErrBox = errors.New("box does not fit its parent")

// parse reads a run of sibling boxes that fills b, and returns what it could not read.
func parse(b []byte, off int64, depth int) (boxes []*Box, rest []byte, err error) {
	for len(b) > 0 {
		if len(b) < 8 {
			return boxes, b, ErrBox
		}
		size, header := uint64(be.Uint32(b)), 8
		box := &Box{Type: string(b[4:8]), Start: off}
		switch {
		case size == 1 && len(b) >= 16:
			size, header, box.Wide = be.Uint64(b[8:]), 16, true
		case size == 0: // to the end of the file
			size = uint64(len(b))
			box.Lie = new(uint64)
		}
		if size < uint64(header) || size > uint64(len(b)) {
			return boxes, b, fmt.Errorf("%w: %q at %d", ErrBox, box.Type, off)
		}
		box.Body, box.End = off+int64(header), off+int64(size)
		box.fill(b[header:size:size], depth)
		boxes = append(boxes, box)
		b, off = b[size:], box.End
	}
	return boxes, nil, nil
}

// fill sets the payload. A container whose children do not parse (a QuickTime udta may
// end in four zero bytes) stays a leaf, so that writing the tree always gives back what
// was read.
func (b *Box) fill(payload []byte, depth int) {
	b.Data = payload
	n, container := headSize[b.Type]
	if b.Type == "meta" && len(payload) >= 8 && string(payload[4:8]) == "hdlr" {
		n = 0 // the QuickTime form has no version and flags
	}
	if container && depth < maxDepth {
		b.split(n, depth)
	}
}

// Split turns a leaf into a container with n bytes of fixed fields. It reports whether
// the rest consists of boxes; if not, the box stays as it is.
func (b *Box) Split(n int) bool { return b.split(n, 0) }

func (b *Box) split(n, depth int) bool {
	if len(b.Data) < n {
		return false
	}
	kids, _, err := parse(b.Data[n:], b.Body+int64(n), depth+1)
	if err != nil {
		return false
	}
	b.Head, b.Kids, b.Data = b.Data[:n:n], kids, nil
	return true
}

// Kid returns the first box down the path of types, or nil; of a nil box too.
func (b *Box) Kid(path ...string) *Box {
	for _, t := range path {
		if b == nil {
			return nil
		}
		b = Pick(b.Kids, t)
	}
	return b
}

// Pick returns the first box of the type, or nil.
func Pick(boxes []*Box, kind string) *Box {
	for _, b := range boxes {
		if b.Type == kind {
			return b
		}
	}
	return nil
}

// Drop removes the children of the type.
func (b *Box) Drop(kind string) { b.Kids = Without(b.Kids, kind) }

// Without returns the boxes that are not of the type.
func Without(boxes []*Box, kind string) []*Box {
	var kept []*Box
	for _, b := range boxes {
		if b.Type != kind {
			kept = append(kept, b)
		}
	}
	return kept
}

// Get returns the child of the type, added at the end if it is missing.
func (b *Box) Get(kind string) *Box {
	k := b.Kid(kind)
	if k == nil {
		k = &Box{Type: kind}
		b.Kids = append(b.Kids, k)
	}
	return k
}

func (b *Box) headerLen() int64 {
	if b.Wide {
		return 16
	}
	return 8
}

// Size returns the bytes that the box takes when it is written, header included.
func (b *Box) Size() int64 {
	n := b.headerLen() + int64(len(b.Head)+len(b.Data))
	for _, k := range b.Kids {
		n += k.Size()
	}
	return n
}

// Append writes the box behind out.
func (b *Box) Append(out []byte) []byte {
	start := len(out)
	out = append(out, 0, 0, 0, 0)
	out = append(out, b.Type...)
	if b.Wide {
		out = append(out, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	out = append(out, b.Head...)
	out = append(out, b.Data...)
	for _, k := range b.Kids {
		out = k.Append(out)
	}
	size := uint64(len(out) - start)
	if b.Lie != nil {
		size = *b.Lie
	}
	if b.Wide {
		be.PutUint32(out[start:], 1)
		be.PutUint64(out[start+8:], size)
	} else {
		be.PutUint32(out[start:], uint32(size))
	}
	return out
}
