package mutant

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
)

// parents are small files of each form: plain, fragmented, QuickTime, with tags, and none.
var parents = []string{
	"media/aac-tiny.m4a", "media/frag-each-frame.mp4", "media/pcm-u8.mov", "media/edit-v1.m4a", "media/tags-all.m4a",
	"media/odd-cmov.mov", "media/aac-co64.mp4", "media/ima4.mov", "media/bad-text.mp4", "media/bad-empty.mp4", "media/bad-deep.m4a",
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSet: names are unique, each mutant differs from its parent and the parent stays as it
// is, and the same seed makes the same again.
func TestSet(t *testing.T) {
	t.Parallel()
	for _, name := range parents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := read(t, name)
			sum := sha256.Sum256(source)
			seen := map[string]bool{}
			kinds := map[string]int{}
			s, twin := Of(source, 7), Of(bytes.Clone(source), 7)
			if s.Len() != twin.Len() {
				t.Fatalf("%d mutants, and %d", s.Len(), twin.Len())
			}
			step := 1 + s.Len()/300
			for i := 0; i < s.Len(); i += step {
				m, ok := s.At(i)
				if !ok {
					continue
				}
				if seen[m.Name] {
					t.Fatalf("two mutants have the name %s", m.Name)
				}
				seen[m.Name] = true
				kind, _, _ := strings.Cut(m.Name, "/")
				kinds[kind]++
				if bytes.Equal(m.Data, source) {
					t.Fatalf("%s is the file as it was", m.Name)
				}
				if i%7 != 0 {
					continue
				}
				if again, ok := twin.At(i); !ok || again.Name != m.Name || !bytes.Equal(again.Data, m.Data) {
					t.Fatalf("%s is %s, made again", m.Name, again.Name)
				}
			}
			if sha256.Sum256(source) != sum {
				t.Fatal("the parent was changed")
			}
			t.Logf("%d of %d: %v", len(seen), s.Len(), kinds)
		})
	}
}

// TestNamesUnique: of all, not of a sample. (Pairs have their number in the name.)
func TestNamesUnique(t *testing.T) {
	t.Parallel()
	s := Of(read(t, "media/aac-11025.m4a"), 1)
	seen := map[string]bool{}
	for _, f := range s.families[:len(s.families)-1] {
		for i := range f.n {
			m, ok := s.make(f, i)
			if ok && seen[m.Name] {
				t.Errorf("two mutants have the name %s", m.Name)
			}
			seen[m.Name] = true
		}
	}
	if len(seen) < 2500 {
		t.Errorf("only %d mutants", len(seen))
	}
}

// TestAll: All gives what At gives.
func TestAll(t *testing.T) {
	t.Parallel()
	s := Of(read(t, "media/bad-text.mp4"), 1)
	i := 0
	for m := range s.All() {
		at, ok := s.At(i)
		for ; !ok; at, ok = s.At(i) {
			i++
		}
		if i++; at.Name != m.Name {
			t.Fatalf("All gives %s, At %s", m.Name, at.Name)
		}
	}
	for ; i < s.Len(); i++ {
		if m, ok := s.At(i); ok {
			t.Fatalf("All leaves out %s", m.Name)
		}
	}
}

// TestSeeds: another seed makes others.
func TestSeeds(t *testing.T) {
	t.Parallel()
	source := read(t, "media/aac-tiny.m4a")
	a, b := Of(source, 1), Of(source, 2)
	same, of := 0, 0
	for _, f := range a.families {
		if f.kind != "flip" && f.kind != "noise" && f.kind != "two" {
			continue
		}
		for i := range min(f.n, 30) {
			x, _ := a.make(f, i)
			y := Mutant{}
			for _, g := range b.families {
				if g.kind == f.kind {
					y, _ = b.make(g, i)
				}
			}
			if of++; bytes.Equal(x.Data, y.Data) {
				same++
			}
		}
	}
	if of == 0 || same*4 > of { // zeros and ones are no matter of chance
		t.Errorf("%d of %d mutants are the same", same, of)
	}
}

// TestCuts: a file is cut at every boundary of a box, a byte before and a byte after.
func TestCuts(t *testing.T) {
	t.Parallel()
	for _, name := range parents {
		source := read(t, name)
		lengths := map[int]bool{}
		for _, f := range Of(source, 1).families {
			if f.kind != "cut" {
				continue
			}
			for i := range f.n {
				_, data := f.at(i, nil)
				if !bytes.HasPrefix(source, data) {
					t.Fatalf("%s: cut number %d is no beginning of the file", name, i)
				}
				lengths[len(data)] = true
			}
		}
		f, _ := boxtree.Parse(source)
		f.Walk(func(b *boxtree.Box) {
			for _, at := range []int64{b.Start, b.Body, b.End} {
				for _, n := range []int64{at - 1, at, at + 1} {
					if n >= 0 && n < int64(len(source)) && !lengths[int(n)] {
						t.Errorf("%s: no cut at byte %d, near the %s box at %d", name, n, b.Type, b.Start)
					}
				}
			}
		})
	}
}

// TestKinds: each kind of mutation has mutants of some ordinary file.
func TestKinds(t *testing.T) {
	t.Parallel()
	missing := map[string]bool{}
	for _, f := range Of(read(t, parents[0]), 1).families {
		missing[f.kind] = true
	}
	for _, name := range parents {
		s := Of(read(t, name), 1)
		for _, f := range s.families {
			for i := 0; i < f.n && missing[f.kind]; i++ {
				if _, ok := s.make(f, i); ok {
					delete(missing, f.kind)
				}
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("no mutant of %v", missing)
	}
}

// TestWanted: what issue and documentation name is there.
func TestWanted(t *testing.T) {
	t.Parallel()
	var sets []*Set
	for _, parent := range []string{"media/aac-tiny.m4a", "media/edit-v1.m4a", "media/frag-each-frame.mp4"} {
		sets = append(sets, Of(read(t, parent), 1))
	}
	const trak = "moov/trak"
	const stbl = trak + "/mdia/minf/stbl"
	for _, name := range []string{
		"size/" + trak + "/0", "size/" + trak + "/1", "size/" + trak + "/7", "size/" + trak + "/2^32-1", "size/" + trak + "/parent",
		"size64/" + trak + "/18446744073709551615", "size64/mdat/true",
		"count/" + stbl + "/stsz/2^32-1", "count/" + stbl + "/stts/2^31", "count/" + stbl + "/stsc/2^28", "count/" + stbl + "/stco/2^30-1",
		"count/" + stbl + "/stsd/2^32-1", "count/" + trak + "/mdia/minf/dinf/dref/2^32-1", "count/moof/traf/trun/2^32-1",
		"even/" + stbl + "/stsz/1x4294967295", "run/" + stbl + "/stts/4294967295", "order/" + stbl + "/stsz/reverse",
		"nest/moov/30000", "nest-hollow/moov/30000", "nest-mixed/moov/meta",
		"field/moov/mvhd/timescale/0", "field/moov/mvhd/timescale/4294967295", "field/" + trak + "/mdia/mdhd/duration/4294967295",
		"long/moov/mvhd/duration/9223372036854775807", "long/" + trak + "/tkhd/duration/18446744073709551615",
		"entry/" + stbl + "/stts/duration/first/2147483648", "entry/" + trak + "/edts/elst/time/all/18446744073709551614",
		"edits/" + trak + "/1@-2", "edits/" + trak + "/1@4611686018427387904",
		"field/moof/traf/tfdt/time/9223372036854775808",
		"tracks/" + trak + "/5000-same-true", "tracks/" + trak + "/1000-own-false",
		"description/" + stbl + "/stsd/mp4a/channels/65535", "description/" + stbl + "/stsd/mp4a/rate/4294967295",
		"codec/" + stbl + "/stsd/mp4a/alac", "config/" + stbl + "/stsd/mp4a/esds/noise.3", "config/" + stbl + "/stsd/mp4a/esds/half.0",
		"profile/" + stbl + "/stsd/mp4a/esds/42", "object-type/" + stbl + "/stsd/mp4a/esds/dd",
		"noise/all.0", "noise-head/3", "packed/bomb",
	} {
		if !slices.ContainsFunc(sets, func(s *Set) bool { _, ok := named(s, name); return ok }) {
			t.Errorf("there is no %s", name)
		}
	}
}

// named makes the mutant of a name.
func named(s *Set, name string) (Mutant, bool) {
	for _, f := range s.families {
		for i := 0; i < f.n && strings.HasPrefix(name, f.kind+"/"); i++ {
			if m, ok := s.make(f, i); ok && m.Name == name {
				return m, true
			}
		}
	}
	return Mutant{}, false
}

// TestMediaStaysFound: a change of the tree's layout does not lose the media, or most mutants
// would be refused for the same reason.
func TestMediaStaysFound(t *testing.T) {
	t.Parallel()
	source := read(t, "media/aac-moov-first.mp4")
	want := sampleStarts(first(t, source))
	for _, name := range []string{"nest-hollow/moov/trak/edts/100", "size64/moov/true", "tracks/moov/trak/2-same-false"} {
		m, ok := named(Of(source, 1), name)
		if !ok {
			t.Errorf("there is no %s", name)
			continue
		}
		got := sampleStarts(first(t, m.Data))
		if len(got) != len(want) || len(got) == 0 {
			t.Fatalf("%s: %d samples, want %d", name, len(got), len(want))
		}
		for i := range min(len(got), 20) {
			if !bytes.Equal(m.Data[got[i]:][:8], source[want[i]:][:8]) {
				t.Errorf("%s: sample %d is lost", name, i)
			}
		}
	}
}

func first(t *testing.T, b []byte) *boxtree.Box {
	t.Helper()
	f, err := boxtree.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f.FirstTrack("soun")
}

func TestOthers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	again := Others(3)
	for i, m := range Others(3) {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		if again[i].Name != m.Name || !bytes.Equal(again[i].Data, m.Data) {
			t.Errorf("%s is another, made again", m.Name)
		}
	}
}

// TestDraws: draws depend on seed and number only, and come to all files in turn.
func TestDraws(t *testing.T) {
	t.Parallel()
	files, err := Files(20_000, "../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	from := map[string]int{}
	n := 0
	for d, err := range Each(files, 5, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasPrefix(d.Name, f.Name+"/") {
				from[f.Name]++
			}
		}
		if name := d.FileName(); strings.ContainsAny(name, "/ ") || len(name) > 160 {
			t.Errorf("a file name %q", name)
		}
		if n++; n == 2*(len(files)+1) {
			break
		}
	}
	for _, f := range files {
		if from[f.Name] != 2 {
			t.Errorf("%d draws of %s in two rounds", from[f.Name], f.Name)
		}
	}
	for _, number := range []int{0, 17, len(files), 100_000} {
		a, err1 := At(files, 5, number)
		b, err2 := At(files, 5, number)
		c, err3 := At(files, 6, number)
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatal(err1, err2, err3)
		}
		if a.Name != b.Name || !bytes.Equal(a.Data, b.Data) {
			t.Errorf("draw %d is %s, and then %s", number, a.Name, b.Name)
		}
		if bytes.Equal(a.Data, c.Data) {
			t.Errorf("draw %d is the same with another seed", number)
		}
	}
}
