package mutant

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// A field is a number in a box that means something by itself.
type field struct {
	name  string
	at    int // in the payload
	width int // 2, 4 or 8 bytes, or realWidth
}

// realWidth is the width of a floating-point number of 8 bytes.
const realWidth = -8

// fieldValues are what fields get.
func fieldValues(width int) []uint64 {
	switch width {
	case 2:
		return []uint64{0, 1, 2, 3, 8, 9, 16, 17, 255, 256, 1<<15 - 1, 1 << 15, 1<<16 - 1}
	case 4:
		return []uint64{0, 1, 2, 7, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1}
	case 8:
		return []uint64{0, 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 61, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}
	}
	var v []uint64
	for _, x := range []float64{0, -1, 1, 44100.5, 1e-300, 1e300, math.NaN(), math.Inf(1), math.Inf(-1), 1 << 32} {
		v = append(v, math.Float64bits(x))
	}
	return v
}

// fieldsOf knows the fields of boxes that are no tables.
func fieldsOf(p place, payload []byte) (f []field) {
	if len(payload) < 4 {
		return nil
	}
	version, flags := int(payload[0]&1), be.Uint32(payload)
	long := 4 + 4*version // of a time
	switch p.Type {
	case "mvhd", "mdhd":
		f = []field{{"timescale", 4 + 2*long, 4}, {"duration", 8 + 2*long, long}}
	case "tkhd":
		f = []field{{"flags", 0, 4}, {"id", 4 + 2*long, 4}, {"duration", 12 + 2*long, long}}
	case "mehd", "tfdt":
		f = []field{{"time", 4, long}}
	case "trex":
		f = []field{{"id", 4, 4}, {"description", 8, 4}, {"duration", 12, 4}, {"size", 16, 4}, {"flags", 20, 4}}
	case "tfhd":
		f = []field{{"flags", 0, 4}, {"id", 4, 4}}
		at := 8
		if flags&1 != 0 {
			f = append(f, field{"base", at, 8})
			at += 8
		}
		for _, o := range []struct {
			bit  uint32
			name string
		}{{0x2, "description"}, {0x8, "duration"}, {0x10, "size"}} {
			if flags&o.bit != 0 {
				f = append(f, field{o.name, at, 4})
				at += 4
			}
		}
	case "trun":
		f = []field{{"flags", 0, 4}}
		if flags&1 != 0 {
			f = append(f, field{"offset", 8, 4})
		}
	case "sidx":
		f = []field{{"timescale", 8, 4}, {"earliest", 12, long}, {"first", 12 + long, long}}
	case "stsz":
		f = []field{{"size", 4, 4}}
	case "hdlr":
		f = []field{{"handler", 8, 4}}
	case "cslg":
		f = columnsAt(4, "shift", "least", "greatest", "start", "end")
	}
	var fit []field
	for _, x := range f {
		if x.at+max(x.width, -x.width) <= len(payload) {
			fit = append(fit, x)
		}
	}
	return fit
}

func columnsAt(at int, names ...string) (f []field) {
	for i, n := range names {
		f = append(f, field{n, at + 4*i, 4})
	}
	return f
}

// fields are timescales, durations, times, flags, ids and the like that lie.
func (s *Set) fields() []family {
	type target struct {
		place
		field
	}
	var targets []target
	for _, p := range s.places {
		for _, f := range fieldsOf(p, s.payload(p)) {
			targets = append(targets, target{p, f})
		}
	}
	const most = 11 // values of a field
	return []family{{"field", len(targets) * most, func(i int, _ *rand.Rand) (string, []byte) {
		t, values := targets[i/most], fieldValues(targets[i/most].width)
		if i%most >= len(values) {
			return "", nil
		}
		v := values[i%most]
		return fmt.Sprintf("%s/%s/%d", t.path, t.field.name, v), s.poke(t.Body+int64(t.at), bytesOf(v, max(t.width, -t.width))...)
	}}, {"handler", len(s.places) * len(handlers), func(i int, _ *rand.Rand) (string, []byte) {
		p, h := s.places[i/len(handlers)], handlers[i%len(handlers)]
		if p.Type != "hdlr" || p.End-p.Body < 12 {
			return "", nil
		}
		return p.path + "/" + printable(h), s.poke(p.Body+8, []byte(h)...)
	}}}
}

// handlers are the kinds of tracks.
var handlers = [...]string{"soun", "vide", "text", "sbtl", "m1a ", "hint", "meta", "\x00\x00\x00\x00"}

// longs are boxes whose times have 32 bits, rewritten with 64 and then lying.
func (s *Set) longs() []family {
	values := fieldValues(8)
	var at []int
	for i, p := range s.places {
		b := s.payload(p)
		switch p.Type {
		case "mvhd", "mdhd", "tkhd", "mehd", "tfdt", "elst":
			if len(b) >= 8 && b[0] == 0 {
				at = append(at, i)
			}
		}
	}
	per := 2 * len(values)
	return []family{{"long", len(at) * per, func(i int, _ *rand.Rand) (string, []byte) {
		n, second, v := at[i/per], i%per/len(values), values[i%len(values)]
		p := s.places[n]
		if second == 1 && p.Type != "elst" {
			return "", nil
		}
		name := []string{"duration", "time"}[second]
		return fmt.Sprintf("%s/%s/%d", p.path, name, v), s.edit(func(d *draft) bool {
			b := d.boxes[n]
			long, ok := lengthen(p.Type, b.Data, v, second == 1)
			b.Data = long
			return ok
		})
	}}}
}

// lengthen rewrites the payload of a box as version 1. All its durations become v, or all
// the times of an edit list.
func lengthen(kind string, b []byte, v uint64, time bool) ([]byte, bool) {
	out := []byte{1, b[1], b[2], b[3]}
	wide := func(at int) { out = be.AppendUint64(out, uint64(be.Uint32(b[at:]))) }
	switch {
	case (kind == "mvhd" || kind == "mdhd") && len(b) >= 20:
		wide(4)
		wide(8)
		out = append(out, b[12:16]...)
		out = be.AppendUint64(out, v)
		return append(out, b[20:]...), true
	case kind == "tkhd" && len(b) >= 24:
		wide(4)
		wide(8)
		out = append(out, b[12:20]...)
		out = be.AppendUint64(out, v)
		return append(out, b[24:]...), true
	case kind == "mehd" || kind == "tfdt":
		return be.AppendUint64(out, v), true
	case kind == "elst":
		out = append(out, b[4:8]...)
		for e := b[8:]; len(e) >= 12; e = e[12:] {
			duration, start := uint64(be.Uint32(e)), uint64(int64(int32(be.Uint32(e[4:]))))
			if time {
				start = v
			} else {
				duration = v
			}
			out = be.AppendUint64(be.AppendUint64(out, duration), start)
			out = append(out, e[8:12]...)
		}
		return out, true
	}
	return nil, false
}

// edits are edit lists that nobody would write: of all extremes, of thousands of entries,
// of the same sound again and again.
func (s *Set) edits() []family {
	var traks []int
	for i, p := range s.places {
		if p.Type == "trak" && boxtree.Handler(p.Box) == "soun" {
			traks = append(traks, i)
		}
	}
	durations := []int64{0, 1, 1 << 31, 1<<32 - 1, 1 << 40, 1 << 62, 1<<63 - 1, -1}
	times := []int64{-1 << 63, -1 << 62, -2, -1, 0, 1, 1 << 31, 1 << 62, 1<<63 - 1}
	type edit struct{ duration, time int64 }
	repeat := func(n int, e ...edit) (list []edit) {
		for i := range n {
			list = append(list, e[i%len(e)])
		}
		return list
	}
	lists := []struct {
		name string
		of   func() []edit
	}{
		{"none", func() []edit { return nil }},
		{"silence", func() []edit { return repeat(4096, edit{1 << 31, -1}) }},
		{"too-many", func() []edit { return repeat(4097, edit{1, -1}) }},
		{"far-too-many", func() []edit { return repeat(200_000, edit{1, 0}) }},
		{"again", func() []edit { return repeat(4096, edit{1 << 30, 0}) }},
		{"again-open", func() []edit { return repeat(4096, edit{0, 0}) }},
		{"back", func() []edit { return repeat(4096, edit{1, 20000}, edit{1, 0}) }},
		{"back-and-silence", func() []edit { return repeat(4095, edit{1, 9000}, edit{1, -1}, edit{1, 0}) }},
		{"overflow", func() []edit { return repeat(4096, edit{1 << 62, 0}, edit{1 << 62, -1}) }},
	}
	for _, d := range durations {
		for _, t := range times {
			lists = append(lists, struct {
				name string
				of   func() []edit
			}{fmt.Sprintf("%d@%d", d, t), func() []edit { return []edit{{d, t}} }})
		}
	}
	return []family{{"edits", len(traks) * len(lists), func(i int, _ *rand.Rand) (string, []byte) {
		at, l := traks[i/len(lists)], lists[i%len(lists)]
		return s.places[at].path + "/" + l.name, s.edit(func(d *draft) bool {
			list := l.of()
			b := boxtree.U32(1<<24, uint32(len(list)))
			for _, e := range list {
				b = be.AppendUint64(be.AppendUint64(b, uint64(e.duration)), uint64(e.time))
				b = append(b, 0, 1, 0, 0)
			}
			trak := d.boxes[at]
			trak.Drop("edts")
			trak.Kids = append([]*boxtree.Box{{Type: "edts", Kids: []*boxtree.Box{boxtree.New("elst", b)}}}, trak.Kids...)
			return true
		})
	}}}
}

// words are the 32-bit words of the index, one after the other, set to extremes.
func (s *Set) words() []family {
	const most = 24 // words of a box
	type word struct {
		place int32
		at    int32
	}
	var words []word
	for i, p := range s.places {
		if p.parent < 0 && p.Type != "ftyp" || p.Kids != nil && p.Head == nil {
			continue
		}
		end := p.End - p.Body
		if p.Head != nil {
			end = int64(len(p.Head))
		}
		for at := int64(0); at+4 <= end && at < 4*most; at += 4 {
			words = append(words, word{int32(i), int32(at)})
		}
	}
	values := []uint32{0, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	return []family{{"word", len(words) * len(values), func(i int, _ *rand.Rand) (string, []byte) {
		w, v := words[i/len(values)], values[i%len(values)]
		p := s.places[w.place]
		return fmt.Sprintf("%s/%d/%d", p.path, w.at, v), s.poke(p.Body+int64(w.at), be.AppendUint32(nil, v)...)
	}}}
}
