package mutant

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

var be = binary.BigEndian

// A column is a number in each entry of a table.
type column struct {
	name  string
	at    int // in the entry
	width int // 4 or 8 bytes
}

// A table is a list with its own count in a box.
type table struct {
	place
	countAt, countWidth int // in the payload
	first, entry        int // in the payload, in bytes; entry is 0 if they differ
	columns             []column
}

func (t table) count(payload []byte) uint64 { return number(payload[t.countAt:], t.countWidth) }

// rows is how many entries lie in the box.
func (t table) rows(payload []byte) int {
	if t.entry == 0 {
		return 0
	}
	return max(0, len(payload)-t.first) / t.entry
}

func number(b []byte, width int) uint64 {
	switch width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(be.Uint16(b))
	case 4:
		return uint64(be.Uint32(b))
	}
	return be.Uint64(b)
}

// bytesOf is the lowest width bytes of a number.
func bytesOf(v uint64, width int) []byte { return be.AppendUint64(nil, v)[8-width:] }

// columns32 are numbers of 32 bits, one behind the other.
func columns32(names ...string) (c []column) {
	for i, n := range names {
		c = append(c, column{n, 4 * i, 4})
	}
	return c
}

// tableOf knows the tables of the format (ISO/IEC 14496-12, and Nero's chapters).
func tableOf(p place, payload []byte) (table, bool) {
	t := table{place: p, countAt: 4, countWidth: 4, first: 8}
	if len(payload) < 8 {
		return t, false
	}
	version, flags := payload[0], be.Uint32(payload)&0xffffff
	switch p.Type {
	case "stts":
		t.columns = columns32("run", "duration")
	case "ctts":
		t.columns = columns32("run", "offset")
	case "stsc":
		t.columns = columns32("chunk", "samples", "description")
	case "stsz":
		t.countAt, t.first, t.columns = 8, 12, columns32("size")
	case "stco":
		t.columns = columns32("offset")
	case "co64":
		t.columns = []column{{"offset", 0, 8}}
	case "stss":
		t.columns = columns32("sample")
	case "elst":
		t.columns = columns32("duration", "time", "rate")
		if version == 1 {
			t.columns = []column{{"duration", 0, 8}, {"time", 8, 8}, {"rate", 16, 4}}
		}
	case "sbgp":
		t.countAt += 4 * (1 + int(version&1))
		t.first, t.columns = t.countAt+4, columns32("run", "group")
	case "sgpd":
		t.countAt += 4 * (1 + int(min(version, 1)))
	case "trun":
		if flags&0x1 != 0 {
			t.first += 4
		}
		if flags&0x4 != 0 {
			t.first += 4
		}
		var names []string
		for bit, name := range []string{"duration", "size", "flags", "offset"} {
			if flags&(0x100<<bit) != 0 {
				names = append(names, name)
			}
		}
		t.columns = columns32(names...)
	case "sidx":
		t.countAt, t.countWidth = 22+8*int(version&1), 2
		t.first, t.columns = t.countAt+2, columns32("size", "duration", "sap")
	case "saiz":
		t.countAt = 5
	case "chpl":
		t.countWidth = 1
		if version == 1 {
			t.countAt = 8
		}
	case "stsd", "dref", "saio", "senc", "keys":
	default:
		return t, false
	}
	for _, c := range t.columns {
		t.entry += c.width
	}
	return t, t.countAt+t.countWidth <= len(payload)
}

// countValues are what counts lie about. Values that depend on the true count come first.
var countValues = []struct {
	name string
	of   func(n uint64) uint64
}{
	{"less", func(n uint64) uint64 { return n - 1 }},
	{"more", func(n uint64) uint64 { return n + 1 }},
	{"twice", func(n uint64) uint64 { return 2 * n }},
	{"0", func(uint64) uint64 { return 0 }},
	{"1", func(uint64) uint64 { return 1 }},
	{"65535", func(uint64) uint64 { return 1<<16 - 1 }},
	{"2^24", func(uint64) uint64 { return 1 << 24 }},
	{"2^28", func(uint64) uint64 { return 1 << 28 }},
	{"2^30-1", func(uint64) uint64 { return 1<<30 - 1 }},
	{"2^31-1", func(uint64) uint64 { return 1<<31 - 1 }},
	{"2^31", func(uint64) uint64 { return 1 << 31 }},
	{"2^32-1", func(uint64) uint64 { return 1<<32 - 1 }},
}

// where are the entries that are changed.
var where = []string{"first", "middle", "last", "all"}

// counts are tables that lie about their length, and entries that lie about everything.
func (s *Set) counts() []family {
	var tables, sized, runs []table
	type cell struct {
		table
		column
	}
	var cells []cell
	for _, p := range s.places {
		t, ok := tableOf(p, s.payload(p))
		if !ok {
			continue
		}
		tables = append(tables, t)
		for _, c := range t.columns {
			cells = append(cells, cell{t, c})
		}
		switch {
		case p.Type == "stsz":
			sized = append(sized, t)
		case len(t.columns) > 1 && t.columns[0].name == "run" && t.rows(s.payload(p)) > 0:
			runs = append(runs, t)
		}
	}
	values := []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	wide := []uint64{0, 1, 1<<32 - 1, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}
	per := len(where) * len(wide)
	even := []uint64{1, 1<<31 - 1, 1<<32 - 1}
	leaps := []uint64{0, 1, 1 << 31, 1<<32 - 1}
	return []family{
		{"count", len(tables) * len(countValues), func(i int, _ *rand.Rand) (string, []byte) {
			t, v := tables[i/len(countValues)], countValues[i%len(countValues)]
			n := v.of(t.count(s.payload(t.place)))
			return t.path + "/" + v.name, s.poke(t.Body+int64(t.countAt), bytesOf(n, t.countWidth)...)
		}},
		{"entry", len(cells) * per, func(i int, _ *rand.Rand) (string, []byte) {
			c, i := cells[i/per], i%per
			which, list := where[i/len(wide)], wide
			if c.width == 4 {
				list = values
			}
			if i%len(wide) >= len(list) {
				return "", nil
			}
			v := list[i%len(wide)]
			rows := c.rows(s.payload(c.place))
			from, to := map[string]int{"middle": rows / 2, "last": rows - 1}[which], rows
			if which != "all" {
				to = from + 1
			}
			if rows == 0 || which != "all" && which != "first" && rows < 3 {
				return "", nil
			}
			out := bytes.Clone(s.source)
			for r := from; r < to; r++ {
				copy(out[c.Body+int64(c.first+r*c.entry+c.at):], bytesOf(v, c.width))
			}
			return fmt.Sprintf("%s/%s/%s/%d", c.path, c.column.name, which, v), out
		}},
		// All samples of one size, and any number of them.
		{"even", len(sized) * len(even) * 3, func(i int, _ *rand.Rand) (string, []byte) {
			t, size, n := sized[i/9], even[i/3%3], []uint64{asItIs, 1<<31 - 1, 1<<32 - 1}[i%3]
			if n == asItIs {
				n = t.count(s.payload(t.place))
			}
			return fmt.Sprintf("%s/%dx%d", t.path, size, n),
				s.poke(t.Body+4, append(bytesOf(size, 4), bytesOf(n, 4)...)...)
		}},
		// One run for all samples there can be.
		{"run", len(runs) * len(leaps), func(i int, _ *rand.Rand) (string, []byte) {
			t, v := runs[i/len(leaps)], leaps[i%len(leaps)]
			return fmt.Sprintf("%s/%d", t.path, v),
				s.poke(t.Body+int64(t.first), append(bytesOf(1<<32-1, 4), bytesOf(v, 4)...)...)
		}},
		s.orders(tables),
	}
}

// asItIs stands for the count that is there.
const asItIs = 1 << 40

// orders are tables whose entries are at other places, or there more than once.
func (s *Set) orders(tables []table) family {
	ops := []struct {
		name string
		do   func(row func(int) []byte, rows int, r *rand.Rand)
	}{
		{"ends", func(row func(int) []byte, rows int, _ *rand.Rand) { swap(row(0), row(rows-1)) }},
		{"next", func(row func(int) []byte, rows int, r *rand.Rand) {
			i := r.IntN(rows - 1)
			swap(row(i), row(i+1))
		}},
		{"reverse", func(row func(int) []byte, rows int, _ *rand.Rand) {
			for i := range rows / 2 {
				swap(row(i), row(rows-1-i))
			}
		}},
		{"shuffle", func(row func(int) []byte, rows int, r *rand.Rand) {
			r.Shuffle(rows, func(i, j int) {
				if i != j {
					swap(row(i), row(j))
				}
			})
		}},
		{"repeat", func(row func(int) []byte, rows int, r *rand.Rand) {
			i := r.IntN(rows - 1)
			copy(row(i+1), row(i))
		}},
		{"same", func(row func(int) []byte, rows int, _ *rand.Rand) {
			for i := 1; i < rows; i++ {
				copy(row(i), row(0))
			}
		}},
	}
	return family{"order", len(tables) * (len(ops) + 1), func(i int, r *rand.Rand) (string, []byte) {
		t, op := tables[i/(len(ops)+1)], i%(len(ops)+1)
		rows := t.rows(s.payload(t.place))
		if op == len(ops) {
			return t.path + "/twice", s.twice(t, rows)
		}
		if rows < 2 {
			return "", nil
		}
		out := bytes.Clone(s.source)
		ops[op].do(func(i int) []byte { return out[t.Body+int64(t.first+i*t.entry):][:t.entry] }, rows, r)
		return t.path + "/" + ops[op].name, out
	}}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// twice has all entries of a table two times, and counts them.
func (s *Set) twice(t table, rows int) []byte {
	if rows == 0 {
		return nil
	}
	return s.edit(func(d *draft) bool {
		for i, p := range s.places {
			if p.Box == t.Box {
				b := d.boxes[i]
				all := b.Data[t.first:][:rows*t.entry]
				b.Data = bytes.Join([][]byte{b.Data[:t.first], all, all}, nil)
				copy(b.Data[t.countAt:], bytesOf(2*uint64(rows), t.countWidth))
			}
		}
		return true
	})
}
