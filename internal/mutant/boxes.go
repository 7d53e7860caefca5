package mutant

import (
	"fmt"
	"math/rand/v2"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// sizes are boxes whose size lies, in 32 and in 64 bits.
func (s *Set) sizes() []family {
	narrow := []struct {
		name string
		of   func(p place) int64
	}{
		{"0", func(place) int64 { return 0 }},
		{"1", func(place) int64 { return 1 }},
		{"7", func(place) int64 { return 7 }},
		{"8", func(place) int64 { return 8 }},
		{"2^31", func(place) int64 { return 1 << 31 }},
		{"2^32-1", func(place) int64 { return 1<<32 - 1 }},
		{"less", func(p place) int64 { return p.End - p.Start - 1 }},
		{"more", func(p place) int64 { return p.End - p.Start + 1 }},
		{"parent", func(p place) int64 { return s.parentEnd(p) - p.Start + 1 }},
	}
	wide := []uint64{0, 15, 16, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	return []family{
		{"size", len(s.places) * len(narrow), func(i int, _ *rand.Rand) (string, []byte) {
			p, v := s.places[i/len(narrow)], narrow[i%len(narrow)]
			return p.path + "/" + v.name, s.poke(p.Start, be.AppendUint32(nil, uint32(v.of(p)))...)
		}},
		{"size64", len(s.places) * (len(wide) + 1), func(i int, _ *rand.Rand) (string, []byte) {
			at, v := i/(len(wide)+1), i%(len(wide)+1)
			name := "true"
			if v < len(wide) {
				name = fmt.Sprint(wide[v])
			}
			return s.places[at].path + "/" + name, s.edit(func(d *draft) bool {
				b := d.boxes[at]
				b.Wide, b.Lie = true, nil
				if v < len(wide) {
					b.Lie = &wide[v]
				}
				return true
			})
		}},
	}
}

func (s *Set) parentEnd(p place) int64 {
	if p.parent < 0 {
		return int64(len(s.source))
	}
	return s.places[p.parent].End
}

// structures are boxes that are missing, there twice, or at another place.
func (s *Set) structures() []family {
	remove := func(list *[]*boxtree.Box, b *boxtree.Box) int {
		for i, k := range *list {
			if k == b {
				*list = append((*list)[:i:i], (*list)[i+1:]...)
				return i
			}
		}
		return -1
	}
	insert := func(list *[]*boxtree.Box, at int, b *boxtree.Box) {
		*list = append((*list)[:at:at], append([]*boxtree.Box{b}, (*list)[at:]...)...)
	}
	of := func(kind string, change func(list *[]*boxtree.Box, b *boxtree.Box)) family {
		return family{kind, len(s.places), func(i int, _ *rand.Rand) (string, []byte) {
			return s.places[i].path, s.edit(func(d *draft) bool {
				change(d.siblings(i), d.boxes[i])
				return true
			})
		}}
	}
	return []family{
		of("drop", func(list *[]*boxtree.Box, b *boxtree.Box) { remove(list, b) }),
		of("double", func(list *[]*boxtree.Box, b *boxtree.Box) {
			at := remove(list, b)
			insert(list, at, b)
			twin := *b
			insert(list, at, &twin)
		}),
		of("swap", func(list *[]*boxtree.Box, b *boxtree.Box) {
			at := remove(list, b)
			insert(list, min(at+1, len(*list)), b)
		}),
		of("first", func(list *[]*boxtree.Box, b *boxtree.Box) {
			remove(list, b)
			insert(list, 0, b)
		}),
		of("last", func(list *[]*boxtree.Box, b *boxtree.Box) {
			remove(list, b)
			insert(list, len(*list), b)
		}),
		of("empty", func(_ *[]*boxtree.Box, b *boxtree.Box) { b.Head, b.Kids, b.Data = nil, nil, nil }),
	}
}

// nestDepths are how deep boxes lie in one another.
var nestDepths = []int{1, 100, 3000, 30_000}

// nests are boxes in boxes of their own kind: around what is in them, or with nothing in
// the innermost.
func (s *Set) nests() []family {
	var containers []int
	for i, p := range s.places {
		if p.Kids != nil || p.Head != nil {
			containers = append(containers, i)
		}
	}
	n := len(containers) * len(nestDepths)
	around := func(b *boxtree.Box, depth int) {
		inner := &boxtree.Box{Type: b.Type, Head: b.Head, Kids: b.Kids}
		for range depth - 1 {
			inner = &boxtree.Box{Type: b.Type, Head: b.Head, Kids: []*boxtree.Box{inner}}
		}
		b.Kids = []*boxtree.Box{inner}
	}
	chain := func(depth int, kinds ...*boxtree.Box) *boxtree.Box {
		inner := &boxtree.Box{Type: kinds[0].Type, Head: kinds[0].Head}
		for i := range depth {
			k := kinds[(i+1)%len(kinds)]
			inner = &boxtree.Box{Type: k.Type, Head: k.Head, Kids: []*boxtree.Box{inner}}
		}
		return inner
	}
	mixed := [][]*boxtree.Box{
		{{Type: "meta", Head: make([]byte, 4)}, {Type: "udta"}},
		{{Type: "mdia"}, {Type: "trak"}},
		{{Type: "ilst"}, {Type: "meta", Head: make([]byte, 4)}},
		{{Type: "cmov"}, {Type: "moov"}},
		{{Type: "wave"}, {Type: "mp4a", Head: make([]byte, 28)}},
	}
	return []family{
		{"nest", n, func(i int, _ *rand.Rand) (string, []byte) {
			at, depth := containers[i/len(nestDepths)], nestDepths[i%len(nestDepths)]
			return fmt.Sprintf("%s/%d", s.places[at].path, depth), s.edit(func(d *draft) bool {
				around(d.boxes[at], depth)
				return true
			})
		}},
		{"nest-hollow", n, func(i int, _ *rand.Rand) (string, []byte) {
			at, depth := containers[i/len(nestDepths)], nestDepths[i%len(nestDepths)]
			return fmt.Sprintf("%s/%d", s.places[at].path, depth), s.edit(func(d *draft) bool {
				b := d.boxes[at]
				b.Kids = append([]*boxtree.Box{chain(depth, &boxtree.Box{Type: b.Type, Head: b.Head})}, b.Kids...)
				return true
			})
		}},
		{"nest-mixed", len(containers) * len(mixed), func(i int, _ *rand.Rand) (string, []byte) {
			const depth = 5000
			at, kinds := containers[i/len(mixed)], mixed[i%len(mixed)]
			return fmt.Sprintf("%s/%s", s.places[at].path, kinds[0].Type), s.edit(func(d *draft) bool {
				b := d.boxes[at]
				b.Kids = append([]*boxtree.Box{chain(depth, kinds...)}, b.Kids...)
				return true
			})
		}},
	}
}
