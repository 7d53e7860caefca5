package mutant

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// largestIndex bounds what many tracks may take, in bytes.
const largestIndex = 16 << 20

// tracks are copies of tracks, up to thousands.
func (s *Set) tracks() []family {
	var traks []int
	for i, p := range s.places {
		if p.Type == "trak" {
			traks = append(traks, i)
		}
	}
	numbers := []int{1, 2, 15, 254, 255, 256, 1000, 5000}
	ids := []string{"same", "own", "none"}
	const forms = 2 // whole, or without samples
	per := len(numbers) * len(ids) * forms
	return []family{{"tracks", len(traks) * per, func(i int, _ *rand.Rand) (string, []byte) {
		at, i := traks[i/per], i%per
		hollow, id, n := i%forms == 1, ids[i/forms%len(ids)], numbers[i/forms/len(ids)]
		name := fmt.Sprintf("%s/%d-%s-%v", s.places[at].path, n, id, hollow)
		return name, s.edit(func(d *draft) bool {
			trak, list := d.boxes[at], d.siblings(at)
			if trak.Size()*int64(n) > largestIndex && !hollow {
				return false
			}
			for k := range n {
				twin := *trak
				if hollow {
					twin = *without(trak)
				}
				switch id {
				case "own":
					identify(&twin, uint32(1000+k))
				case "none":
					identify(&twin, 0)
				}
				*list = append(*list, &twin)
			}
			return true
		})
	}}}
}

// without returns a copy of a track whose sample tables are empty.
func without(trak *boxtree.Box) *boxtree.Box {
	return copied(trak, func(b *boxtree.Box) {
		switch b.Type {
		case "stts", "stsc", "stco", "co64", "stss", "ctts", "sgpd", "sbgp":
			b.Data = make([]byte, 8)
		case "stsz", "stz2":
			b.Data = make([]byte, 12)
		}
	})
}

// identify gives a track a number of its own.
func identify(trak *boxtree.Box, id uint32) {
	*trak = *copied(trak, func(b *boxtree.Box) {
		if b.Type == "tkhd" && len(b.Data) >= 24 {
			b.Data = bytes.Clone(b.Data)
			be.PutUint32(b.Data[12+8*int(b.Data[0]&1):], id)
		}
	})
}

// copied returns a copy of a box with all that is in it, changed.
func copied(b *boxtree.Box, change func(*boxtree.Box)) *boxtree.Box {
	twin := *b
	twin.Kids = nil
	for _, k := range b.Kids {
		twin.Kids = append(twin.Kids, copied(k, change))
	}
	change(&twin)
	return &twin
}

// packings are indexes that are compressed, as old QuickTime did, and lie about it.
func (s *Set) packings() []family {
	at := -1
	for i, p := range s.places {
		if p.parent < 0 && p.Type == "moov" {
			at = i
			break
		}
	}
	kinds := []struct {
		name string
		of   func(moov []byte) []byte // the payload of the new moov
	}{
		{"true", func(m []byte) []byte { return packed(uint32(len(m)), deflate(m)) }},
		{"size-0", func(m []byte) []byte { return packed(0, deflate(m)) }},
		{"size-max", func(m []byte) []byte { return packed(1<<32-1, deflate(m)) }},
		{"cut", func(m []byte) []byte { z := deflate(m); return packed(uint32(len(m)), z[:len(z)/2]) }},
		{"broken", func(m []byte) []byte {
			z := deflate(m)
			z[len(z)/2] ^= 0x55
			return packed(uint32(len(m)), z)
		}},
		{"nothing", func(m []byte) []byte { return packed(uint32(len(m)), nil) }},
		{"twice", func(m []byte) []byte {
			inner := packed(uint32(len(m)), deflate(m))
			whole := boxtree.New("moov", inner).Append(nil)
			return packed(uint32(len(whole)), deflate(whole))
		}},
		{"bomb", func(m []byte) []byte { // more than a converter should unpack
			whole := boxtree.New("moov", m[8:], boxtree.New("free", make([]byte, 16<<20)).Append(nil)).Append(nil)
			return packed(uint32(len(whole)), deflate(whole))
		}},
	}
	n := len(kinds)
	if at < 0 {
		n = 0
	}
	return []family{{"packed", n, func(i int, _ *rand.Rand) (string, []byte) {
		return kinds[i].name, s.edit(func(d *draft) bool {
			moov := d.boxes[at]
			payload := kinds[i].of(moov.Append(nil))
			moov.Head, moov.Kids, moov.Data, moov.Lie = nil, nil, payload, nil
			return true
		})
	}}}
}

func packed(size uint32, z []byte) []byte {
	return boxtree.New("cmov",
		boxtree.New("dcom", []byte("zlib")).Append(nil),
		boxtree.New("cmvd", boxtree.U32(size), z).Append(nil)).Append(nil)
}

func deflate(b []byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(b) // into memory
	_ = w.Close()
	return z.Bytes()
}
