package mp4

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// fragmented makes a movie with an audio track of ID 1, a video track of ID 2 and
// these fragments.
func fragmented(fragments ...fragmentSpec) movieSpec {
	return movieSpec{
		tracks: []trackSpec{
			{id: 1, timescale: 44100, entries: [][]byte{entry("mp4a"), entry("mp4a")}},
			{id: 2, handler: "vide", timescale: 90000},
		},
		more: atom("mvex",
			trex(1, trackExtends{description: 1, duration: 1024, size: 17}),
			trex(2, trackExtends{description: 1, duration: 3000, size: 100})),
		fragments: fragments,
	}
}

var (
	audioTrex = trackExtends{description: 1, duration: 1024, size: 17}
	videoTrex = trackExtends{description: 1, duration: 3000, size: 100}
)

// TestFragments reads back files of all shapes that fragments can have.
func TestFragments(t *testing.T) {
	t.Parallel()
	const (
		duration, size = 0x100, 0x200
		both           = duration | size
	)
	audio := func(base string, tfdt int64, runs ...runSpec) trafSpec {
		return trafSpec{id: 1, base: base, tfdt: tfdt, trex: audioTrex, runs: runs}
	}
	video := func(base string, runs ...runSpec) trafSpec {
		return trafSpec{id: 2, base: base, tfdt: -1, trex: videoTrex, runs: runs}
	}
	sized := runSpec{samples: units(5, 6, 7), fields: size}
	full_ := runSpec{samples: units(50, 60), fields: both}
	for name, fragments := range map[string][]fragmentSpec{
		"none":                      {},
		"one":                       {{trafs: []trafSpec{audio("moof", 0, sized)}}},
		"two":                       {{trafs: []trafSpec{audio("moof", 0, sized)}}, {trafs: []trafSpec{audio("moof", 3072, full_)}}},
		"base data offset":          {{trafs: []trafSpec{video("offset", sized), audio("offset", 0, sized, full_)}}},
		"implicit first":            {{trafs: []trafSpec{audio("", 0, sized, full_)}}},
		"implicit after another":    {{trafs: []trafSpec{video("moof", full_, sized), audio("", 0, sized)}}},
		"implicit after base":       {{trafs: []trafSpec{video("offset", full_), audio("", 0, sized)}}},
		"implicit after defaults":   {{trafs: []trafSpec{video("moof", runSpec{samples: units(0, 0, 0)}), audio("", 0, sized)}}},
		"implicit after an empty":   {{trafs: []trafSpec{video("offset", full_), video(""), audio("", 0, sized)}}},
		"another behind":            {{trafs: []trafSpec{audio("moof", 0, sized), video("", full_)}}},
		"only another":              {{trafs: []trafSpec{video("moof", full_)}}, {trafs: []trafSpec{audio("moof", 0, sized)}}},
		"two of the same track":     {{trafs: []trafSpec{audio("moof", 0, sized), audio("", -1, full_)}}},
		"gaps":                      {{trafs: []trafSpec{audio("moof", 0, sized, runSpec{samples: units(3), fields: size, gap: 100}, full_)}}},
		"all fields":                {{trafs: []trafSpec{audio("moof", 0, runSpec{samples: units(3, 4), fields: 0xf04}, sized)}}},
		"flags, composition only":   {{trafs: []trafSpec{audio("moof", 0, runSpec{samples: units(3, 4), fields: 0xc00}, sized)}}},
		"no fields":                 {{trafs: []trafSpec{audio("moof", 0, runSpec{samples: units(1, 1, 1)}, sized)}}},
		"offset where none is due":  {{trafs: []trafSpec{audio("moof", 0, sized, runSpec{samples: units(9), fields: size | 1})}}},
		"empty runs":                {{trafs: []trafSpec{audio("moof", 0, runSpec{fields: both}, sized, runSpec{}, full_)}}},
		"no decode time":            {{trafs: []trafSpec{audio("moof", -1, sized)}}, {trafs: []trafSpec{audio("moof", -1, full_)}}},
		"decode time jumps ahead":   {{trafs: []trafSpec{audio("moof", 0, sized)}}, {trafs: []trafSpec{audio("moof", 100000, full_)}}},
		"decode time jumps back":    {{trafs: []trafSpec{audio("moof", 50000, sized)}}, {trafs: []trafSpec{audio("moof", 1, full_)}}},
		"decode time of 64 bits":    {{trafs: []trafSpec{{id: 1, base: "moof", version: 1, tfdt: 1 << 40, trex: audioTrex, runs: []runSpec{sized}}}}},
		"decode time behind a gap":  {{trafs: []trafSpec{audio("moof", 7, runSpec{fields: both}, sized)}}},
		"defaults of tfhd":          {{trafs: []trafSpec{{id: 1, base: "moof", description: 2, size: 9, duration: 11, trex: audioTrex, runs: []runSpec{{samples: units(1, 1)}}}}}},
		"defaults of tfhd and base": {{trafs: []trafSpec{{id: 1, base: "offset", size: 9, trex: audioTrex, runs: []runSpec{{samples: units(1, 1), fields: duration}}}}}},
		"boxes in between": {
			{before: cat(full("sidx", 0, 0, 1), atom("styp", "msdh", 0)), trafs: []trafSpec{audio("moof", 0, sized)}},
			{before: cat(atom("free"), atom("emsg", make([]byte, 40)), atom64("mdat", make([]byte, 3))), trafs: []trafSpec{audio("moof", 1, full_)}},
		},
		"large moof":       {{pad: wholeSize, trafs: []trafSpec{video("moof", full_), audio("", 0, sized)}}},
		"mdat to the end":  {{trafs: []trafSpec{audio("moof", 0, sized)}, open: true}},
		"samples of 0":     {{trafs: []trafSpec{audio("moof", 0, runSpec{samples: units(0, 4, 0), fields: size})}}},
		"durations of 0":   {{trafs: []trafSpec{audio("moof", 0, runSpec{samples: []unit{{1, 0}, {2, 0}}, fields: both})}}},
		"durations beyond": {{trafs: []trafSpec{audio("moof", 0, runSpec{samples: []unit{{1, 1<<32 - 1}, {2, 1<<32 - 1}}, fields: both})}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			partly := fragmented(fragments...)
			partly.tracks[0].chunks = []chunkSpec{{samples: units(8, 9)}, {samples: units(10)}}
			for _, m := range []movieSpec{fragmented(fragments...), partly} {
				if name == "decode time jumps back" {
					m.behind = atom("mfra", make([]byte, 20))
				}
				file, want := m.build()
				f := mustOpen(t, file)
				if !f.Fragmented || !f.IndexFirst {
					t.Errorf("Fragmented is %t, IndexFirst %t", f.Fragmented, f.IndexFirst)
				}
				got, err := walk(t, f.Tracks[0], Packing{})
				if err != nil {
					t.Fatal(err)
				}
				sameSamples(t, got, want[1])
				if n, err := f.Tracks[0].MediaTicks(); n != -1 || err != nil {
					t.Errorf("MediaTicks is %d, %v", n, err)
				}
			}
		})
	}
}

// TestFragmentsWithoutTrex reads a file whose index gives no defaults.
func TestFragmentsWithoutTrex(t *testing.T) {
	t.Parallel()
	m := fragmented(
		fragmentSpec{trafs: []trafSpec{{id: 1, base: "moof", runs: []runSpec{{samples: units(5, 6), fields: 0x300}}}}},
		fragmentSpec{trafs: []trafSpec{{id: 1, base: "moof", tfdt: -1, size: 7, duration: 8, runs: []runSpec{{samples: units(0, 0)}}}}},
	)
	m.more = atom("mvex")
	file, want := m.build()
	got, err := walk(t, mustOpen(t, file).Tracks[0], Packing{})
	if err != nil {
		t.Fatal(err)
	}
	sameSamples(t, got, want[1])
}

// TestFragmentsPCM takes PCM of default sizes together.
func TestFragmentsPCM(t *testing.T) {
	t.Parallel()
	m := fragmented(fragmentSpec{trafs: []trafSpec{{id: 1, base: "moof", size: 4, duration: 1, runs: []runSpec{
		{samples: evenUnits(5000, 4, 1)}, {samples: evenUnits(2, 4, 1), fields: 0x200}, {samples: evenUnits(3, 4, 1)},
	}}}})
	file, all := m.build()
	got, err := walk(t, mustOpen(t, file).Tracks[0], Packing{Samples: 1, Bytes: 4})
	if err != nil {
		t.Fatal(err)
	}
	var want []Sample
	rest := all[1]
	for _, n := range []int{4096, 904, 1, 1, 3} {
		s := rest[0]
		s.Size, s.Duration = 4*int64(n), int64(n)
		want, rest = append(want, s), rest[n:]
	}
	sameSamples(t, got, want)
}

// drawFragments draws fragments of two tracks.
func drawFragments(t *rapid.T) []fragmentSpec {
	sample := rapid.Custom(func(t *rapid.T) unit {
		return unit{rapid.Uint32Range(0, 40).Draw(t, "size"), rapid.Uint32Range(0, 2000).Draw(t, "duration")}
	})
	run := rapid.Custom(func(t *rapid.T) runSpec {
		r := runSpec{
			samples: rapid.SliceOfN(sample, 0, 5).Draw(t, "samples"),
			gap:     rapid.SampledFrom([]int{0, 0, 0, 5}).Draw(t, "gap"),
		}
		for _, flag := range []uint32{1, 4, 0x100, 0x200, 0x400, 0x800} {
			if rapid.Bool().Draw(t, "field") {
				r.fields |= flag
			}
		}
		return r
	})
	traf := rapid.Custom(func(t *rapid.T) trafSpec {
		s := trafSpec{
			id:          rapid.Uint32Range(1, 2).Draw(t, "id"),
			base:        rapid.SampledFrom([]string{"", "moof", "offset"}).Draw(t, "base"),
			description: rapid.SampledFrom([]uint32{0, 1, 2}).Draw(t, "description"),
			size:        rapid.SampledFrom([]uint32{0, 23}).Draw(t, "size"),
			duration:    rapid.SampledFrom([]uint32{0, 960}).Draw(t, "duration"),
			tfdt:        rapid.SampledFrom([]int64{-1, 0, 12345, 1<<32 - 1}).Draw(t, "tfdt"),
			version:     byte(rapid.IntRange(0, 1).Draw(t, "version")),
			runs:        rapid.SliceOfN(run, 0, 4).Draw(t, "runs"),
		}
		s.trex = map[uint32]trackExtends{1: audioTrex, 2: videoTrex}[s.id]
		return s
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fragmentSpec {
		return fragmentSpec{
			before: bytes.Repeat(atom("free", "x"), rapid.IntRange(0, 2).Draw(t, "boxes before")),
			trafs:  rapid.SliceOfN(traf, 0, 4).Draw(t, "trafs"),
			pad:    rapid.SampledFrom([]int{0, 0, 0, 8, wholeSize}).Draw(t, "pad"),
		}
	}), 0, 5).Draw(t, "fragments")
}

// TestFragmentsRandom reads back what was written, whatever it was.
func TestFragmentsRandom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := fragmented(drawFragments(t)...)
		if m.fragments == nil {
			m.fragments = []fragmentSpec{}
		}
		if rapid.Bool().Draw(t, "partly") {
			m.tracks[0] = drawTrack(t, 1)
			m.tracks[0].entries = [][]byte{entry("mp4a"), entry("alac"), entry("fLaC")}
		}
		m.version = byte(rapid.IntRange(0, 1).Draw(t, "mvhd version"))
		file, want := m.build()
		f := mustOpen(t, file)
		got, err := walk(t, f.Tracks[0], Packing{})
		if err != nil {
			t.Fatal(err)
		}
		sameSamples(t, got, want[1])
	})
}

// TestFragmentsWindows reads runs that are larger than a window, and fragments on
// both sides of the size up to which they are held as a whole.
func TestFragmentsWindows(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, count := range []int{2050, 22000, 40000} {
		for _, fields := range []uint32{0x200, 0xf00} {
			var samples []unit
			for range count {
				samples = append(samples, unit{rnd.Uint32N(30), rnd.Uint32N(3000)})
			}
			file, want := fragmented(
				fragmentSpec{pad: 8 + rnd.IntN(20), trafs: []trafSpec{
					{id: 2, base: "moof", trex: videoTrex, runs: []runSpec{{samples: samples, fields: fields}}},
					{id: 1, trex: audioTrex, runs: []runSpec{{samples: samples, fields: fields}, {samples: samples[:100], fields: fields}}},
				}},
				fragmentSpec{trafs: []trafSpec{{id: 1, tfdt: -1, base: "moof", trex: audioTrex, runs: []runSpec{{samples: samples, fields: fields}}}}},
			).build()
			got, err := walk(t, mustOpen(t, file).Tracks[0], Packing{})
			if err != nil {
				t.Fatal(err)
			}
			sameSamples(t, got, want[1])
		}
	}
}

// TestFragmentsContradictions reads fragments that lie.
func TestFragmentsContradictions(t *testing.T) {
	t.Parallel()
	const all = uint32(0xffffffff)
	traf := func(id uint32, boxes ...any) []byte {
		return atom("traf", full("tfhd", 0, 0x20000, id), cat(boxes...))
	}
	sized := func(id, size uint32, boxes ...any) []byte {
		return atom("traf", full("tfhd", 0, 0x20010, id, size), cat(boxes...))
	}
	based := func(base uint64, boxes ...any) []byte {
		return atom("traf", full("tfhd", 0, 1, 1, base), cat(boxes...))
	}
	for name, tt := range map[string]struct {
		trafs []byte
		want  error // nil: no error at all
		most  int   // samples that may come first
	}{
		"no tfhd":                     {atom("traf", full("trun", 0, 0x201, 1, 8, 1)), nil, 0},
		"short tfhd":                  {atom("traf", atom("tfhd")), ErrInvalid, 0},
		"count beyond the box":        {traf(1, full("trun", 0, 0x201, all, 8, 1)), ErrInvalid, 0},
		"one more than in the box":    {traf(1, full("trun", 0, 0x201, 2, 8, 1)), ErrInvalid, 0},
		"count beyond, all fields":    {traf(1, full("trun", 0, 0xf05, all, 8, 0, 1, 2, 3, 4)), ErrInvalid, 0},
		"short trun":                  {traf(1, full("trun", 0, 0x205, 1)), ErrInvalid, 0},
		"negative offset":             {traf(1, full("trun", 0, 0x201, 1, int32(-1<<31), 1)), ErrInvalid, 0},
		"offset before the moof":      {traf(1, full("trun", 0, 0x201, 1, int32(-8), 1)), nil, 1},
		"offset beyond the end":       {traf(1, full("trun", 0, 0x201, 1, 1<<30, 1)), ErrTruncated, 0},
		"base beyond all":             {based(1<<64-1, full("trun", 0, 0x201, 1, 1<<30, 1)), ErrTruncated, 0},
		"base beyond, negative":       {based(1<<63, full("trun", 0, 0x201, 1, int32(-1), 1)), ErrTruncated, 0},
		"huge size":                   {traf(1, full("trun", 0, 0x201, 1, 8, all)), ErrTruncated, 0},
		"huge default size":           {sized(1, all, full("trun", 0, 1, all, 8)), ErrTruncated, 0},
		"huge default size, again":    {sized(1, all, full("trun", 0, 0, all), full("trun", 0, 0, all), full("trun", 0, 0, all), full("trun", 0, 0, all)), ErrTruncated, 0},
		"huge default size elsewhere": {cat(sized(2, all, bytes.Repeat(full("trun", 0, 0, all), 9)), atom("traf", full("tfhd", 0, 0, 1), full("trun", 0, 0x200, 1, 1))), ErrInvalid, 0},
		"description 3":               {atom("traf", full("tfhd", 0, 0x20002, 1, 3), full("trun", 0, 0x201, 1, 8, 1)), ErrInvalid, 0},
		"description 2^32-1":          {atom("traf", full("tfhd", 0, 0x20002, 1, all), full("trun", 0, 0x201, 1, 8, 1)), ErrInvalid, 0},
		"decode time 2^64-1":          {traf(1, full("tfdt", 1, 0, uint64(1<<64-1)), full("trun", 0, 0x201, 2, 8, 1, 1)), nil, 2},
		"short tfdt":                  {traf(1, full("trun", 0, 0x201, 1, 8, 1), atom("tfdt")), ErrInvalid, 0},
		"samples of no bytes":         {sized(1, 0, full("trun", 0, 1, 5, 8)), nil, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := fragmented()
			m.more = atom("mvex", trex(1, trackExtends{description: 1, duration: 1, size: 1}))
			m.behind = cat(atom("moof", tt.trafs), atom("mdat", make([]byte, 100)))
			file, _ := m.build()
			got, err := walk(t, mustOpen(t, file).Tracks[0], Packing{})
			if tt.want == nil && err != nil || !errors.Is(err, tt.want) || len(got) != tt.most {
				t.Errorf("%d samples, then %v; want %d, then %v", len(got), err, tt.most, tt.want)
			}
		})
	}
}

// TestFragmentsTime has fragments whose times run away.
func TestFragmentsTime(t *testing.T) {
	t.Parallel()
	m := fragmented()
	late := atom("moof", atom("traf", full("tfhd", 0, 0x20018, 1, uint32(0xffffffff), 1),
		full("tfdt", 1, 0, uint64(1<<64-1)), full("trun", 0, 1, 100, 8)))
	m.behind = cat(late, late, atom("mdat", make([]byte, 200)))
	file, _ := m.build()
	got, err := walk(t, mustOpen(t, file).Tracks[0], Packing{Samples: 1, Bytes: 1})
	if err != nil || len(got) != 2 {
		t.Errorf("%d samples, %v", len(got), err)
	}
	for _, s := range got {
		if s.Time < 0 || s.Time+s.Duration < s.Time {
			t.Errorf("sample %+v", s)
		}
	}
}
