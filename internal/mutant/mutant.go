// Package mutant makes damaged and hostile copies of MP4 files, systematically: bits
// flipped, files cut at every boundary of a box, sizes and counts that lie, boxes in one
// another thousands deep, times that leap, tracks by the thousand, sample descriptions of
// other codecs, and files that are no MP4 at all. docs/fuzzing.md lists them.
//
// Everything is a function of the file and a seed, so that a mutant can be made again from
// its number.
package mutant

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// A Mutant is a changed copy of a file.
type Mutant struct {
	// Name says what was changed, such as "size/moov/trak/mdia/0". No other mutant of the
	// same file has it.
	Name string
	// Data is the whole file.
	Data []byte
}

// A Set is all the mutants of a file. They are made when they are asked for.
type Set struct {
	source   []byte
	seed     uint64
	places   []place
	families []family
	total    int
}

// A family is the mutants of one kind, by number. at returns no data where the mutation
// does not apply to the file.
type family struct {
	kind string
	n    int
	at   func(i int, r *rand.Rand) (name string, data []byte)
}

// Of returns the mutants of a file. It keeps source and does not write to it. Mutations
// that involve chance depend on the seed.
func Of(source []byte, seed uint64) *Set {
	s := &Set{source: source, seed: seed}
	s.place()
	for _, list := range []func() []family{
		s.flips, s.cuts, s.sizes, s.structures, s.nests,
		s.counts, s.fields, s.longs, s.edits, s.words,
		s.entries, s.tracks, s.packings, s.noises,
	} {
		s.families = append(s.families, list()...)
	}
	s.families = append(s.families, s.pairs())
	for _, f := range s.families {
		s.total += f.n
	}
	return s
}

// Len returns how many numbers [Set.At] takes.
func (s *Set) Len() int { return s.total }

// At returns the mutant of a number from 0 to [Set.Len] - 1, or false if there is none:
// what it would change is not in the file, or is so already.
func (s *Set) At(i int) (Mutant, bool) {
	for _, f := range s.families {
		if i < f.n {
			return s.make(f, i)
		}
		i -= f.n
	}
	return Mutant{}, false
}

func (s *Set) make(f family, i int) (Mutant, bool) {
	name, data := f.at(i, s.rand(f.kind, i))
	if data == nil || bytes.Equal(data, s.source) {
		return Mutant{}, false
	}
	return Mutant{Name: f.kind + "/" + name, Data: data}, true
}

// rand is the chance of one mutant.
func (s *Set) rand(kind string, i int) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, kind, i)
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// All returns all mutants, kind by kind.
func (s *Set) All() iter.Seq[Mutant] {
	return func(yield func(Mutant) bool) {
		for _, f := range s.families {
			for i := range f.n {
				if m, ok := s.make(f, i); ok && !yield(m) {
					return
				}
			}
		}
	}
}

// Pick returns a mutant by chance, each kind as likely as any other.
func (s *Set) Pick(r *rand.Rand) Mutant { return s.pick(r, s.families) }

func (s *Set) pick(r *rand.Rand, of []family) Mutant {
	for range 1000 {
		f := of[r.IntN(len(of))]
		if f.n == 0 {
			continue
		}
		if m, ok := s.make(f, r.IntN(f.n)); ok {
			return m
		}
	}
	// No file is so small that nothing can be put behind it.
	return Mutant{Name: "more", Data: append(bytes.Clone(s.source), 0)}
}

// pairs are two mutations at once.
func (s *Set) pairs() family {
	single := s.families
	return family{"two", 200, func(i int, r *rand.Rand) (string, []byte) {
		first := s.pick(r, single)
		if len(first.Data) > largestParent {
			return "", nil
		}
		t := Of(first.Data, s.seed)
		second := t.pick(r, t.families[:len(t.families)-1])
		return fmt.Sprintf("%d(%s)(%s)", i, first.Name, second.Name), second.Data
	}}
}

// largestParent bounds the files that are changed twice, in bytes.
const largestParent = 32 << 20

// A place is a box of the source, with the way to it.
type place struct {
	*boxtree.Box
	path   string
	parent int // in Set.places; -1 at the top
}

// payload returns where the payload of a box lies, fixed fields included.
func (s *Set) payload(p place) []byte { return s.source[p.Body:p.End] }

// place lists the boxes of the source, parents first.
func (s *Set) place() {
	_, boxes, parents := parse(s.source)
	seen := map[string]int{}
	for i, b := range boxes {
		path := printable(b.Type)
		if parents[i] >= 0 {
			path = s.places[parents[i]].path + "/" + path
		}
		if seen[path]++; seen[path] > 1 {
			path = fmt.Sprintf("%s.%d", path, seen[path])
		}
		s.places = append(s.places, place{b, path, parents[i]})
	}
}

// parse reads a file, the entries of its audio tracks included, and lists its boxes. Two
// calls with the same bytes give the same list.
func parse(b []byte) (f *boxtree.File, boxes []*boxtree.Box, parents []int) {
	f, _ = boxtree.Parse(b)
	if boxtree.Pick(f.Boxes, "moov").Kid("cmov") == nil { // else the tracks lie elsewhere
		for _, trak := range f.Tracks() {
			boxtree.Entries(trak)
		}
	}
	var visit func([]*boxtree.Box, int)
	visit = func(kids []*boxtree.Box, parent int) {
		for _, k := range kids {
			boxes, parents = append(boxes, k), append(parents, parent)
			visit(k.Kids, len(boxes)-1)
		}
	}
	visit(f.Boxes, -1)
	return f, boxes, parents
}

// A draft is a copy of the source that is being changed. boxes are in the order of
// Set.places.
type draft struct {
	file    *boxtree.File
	boxes   []*boxtree.Box
	parents []int
}

// siblings returns the list that the box of a number is in.
func (d *draft) siblings(i int) *[]*boxtree.Box {
	if p := d.parents[i]; p >= 0 {
		return &d.boxes[p].Kids
	}
	return &d.file.Boxes
}

// edit changes the tree and lays the file out anew, so that sizes are right again and
// chunks are found.
func (s *Set) edit(change func(d *draft) bool) []byte {
	f, boxes, parents := parse(bytes.Clone(s.source))
	if !change(&draft{f, boxes, parents}) {
		return nil
	}
	return f.Bytes()
}

// poke overwrites bytes and leaves everything else alone.
func (s *Set) poke(at int64, b ...byte) []byte {
	if at < 0 || at+int64(len(b)) > int64(len(s.source)) {
		return nil
	}
	out := bytes.Clone(s.source)
	copy(out[at:], b)
	return out
}

// printable makes a name of a box's type.
func printable(kind string) string {
	var out []byte
	for _, c := range []byte(kind) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' {
			out = append(out, c)
		} else {
			out = fmt.Appendf(out, "%%%02x", c)
		}
	}
	return string(out)
}
