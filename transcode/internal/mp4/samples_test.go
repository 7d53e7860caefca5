package mp4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sameSamples fails the test at the first difference.
func sameSamples(t rapid.TB, got, want []Sample) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("sample %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
}

// units makes samples of the given sizes, each with another duration.
func units(sizes ...uint32) []unit {
	var u []unit
	for i, s := range sizes {
		u = append(u, unit{s, 1024 + uint32(i)})
	}
	return u
}

// evenUnits makes n samples that are all alike.
func evenUnits(n int, size, duration uint32) []unit {
	return slices.Repeat([]unit{{size, duration}}, n)
}

// TestSamples reads back files of all shapes that the sample tables of an index
// can have.
func TestSamples(t *testing.T) {
	t.Parallel()
	two := [][]byte{entry("mp4a"), entry("alac")}
	plain := trackSpec{id: 1, timescale: 44100, chunks: []chunkSpec{{samples: units(7, 9)}, {samples: units(3)}}}
	chunks := []chunkSpec{
		{samples: units(5)}, {samples: units(6)}, {samples: units(7)},
		{samples: units(1, 2, 3)}, {samples: units(4, 5, 6)},
		{samples: units(8, 9), description: 2}, {samples: units(10), description: 2},
		{samples: units(11)},
	}
	with := func(change func(*trackSpec)) []trackSpec {
		t := plain
		change(&t)
		return []trackSpec{t}
	}
	for name, m := range map[string]movieSpec{
		"moov first":            {tracks: []trackSpec{plain}},
		"moov last":             {tracks: []trackSpec{plain}, last: true},
		"without ftyp":          {tracks: []trackSpec{plain}, bare: true},
		"64-bit sizes":          {tracks: []trackSpec{plain}, wide: true},
		"64-bit sizes, last":    {tracks: []trackSpec{plain}, wide: true, last: true},
		"mdat to the end":       {tracks: []trackSpec{plain}, open: true},
		"moov to the end":       {tracks: []trackSpec{plain}, open: true, last: true},
		"compressed":            {tracks: []trackSpec{plain}, packed: true, last: true},
		"large index":           {tracks: []trackSpec{plain}, pad: wholeSize},
		"version 1":             {version: 1, tracks: with(func(t *trackSpec) { t.version = 1 })},
		"co64":                  {tracks: with(func(t *trackSpec) { t.co64 = true })},
		"tables in other order": {tracks: with(func(t *trackSpec) { t.reorder = true })},
		"stz2 with 4 bits":      {tracks: with(func(t *trackSpec) { t.sizes = "stz2/4" })},
		"stz2 with 8 bits":      {tracks: with(func(t *trackSpec) { t.sizes = "stz2/8" })},
		"stz2 with 16 bits":     {tracks: with(func(t *trackSpec) { t.sizes = "stz2/16" })},
		"one size for all": {tracks: with(func(t *trackSpec) {
			t.sizes = "fixed"
			t.chunks = []chunkSpec{{samples: evenUnits(5, 17, 1024)}, {samples: evenUnits(2, 17, 1024)}}
		})},
		"several stsc runs and descriptions": {tracks: with(func(t *trackSpec) {
			t.chunks, t.entries = chunks, two
		})},
		"samples of no bytes": {tracks: with(func(t *trackSpec) {
			t.chunks = []chunkSpec{{samples: units(0, 5, 0)}, {samples: units(0)}, {samples: units(2)}}
		})},
		"samples of no duration": {tracks: with(func(t *trackSpec) {
			t.chunks = []chunkSpec{{samples: []unit{{4, 0}, {5, 0}, {6, 10}}}}
		})},
		"empty chunks": {tracks: with(func(t *trackSpec) {
			t.chunks = []chunkSpec{{}, {samples: units(5, 6)}, {}, {}, {samples: units(7)}, {}}
		})},
		"no samples": {tracks: with(func(t *trackSpec) { t.chunks = nil })},
		"three tracks": {tracks: []trackSpec{
			{id: 1, handler: "vide", timescale: 90000, chunks: []chunkSpec{{samples: units(100, 200)}, {samples: units(300)}}},
			{id: 2, timescale: 44100, chunks: chunks, entries: two},
			{id: 3, timescale: 48000, chunks: []chunkSpec{{samples: units(13, 14)}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, want := m.build()
			f := mustOpen(t, file)
			if f.IndexFirst == m.last {
				t.Errorf("IndexFirst is %t", f.IndexFirst)
			}
			if len(f.Tracks) != len(m.tracks) {
				t.Fatalf("%d tracks", len(f.Tracks))
			}
			for i, track := range f.Tracks {
				if !track.Audio() {
					continue
				}
				if track.ID != m.tracks[i].id || track.Timescale != m.tracks[i].timescale {
					t.Errorf("track %d has ID %d, timescale %d", i, track.ID, track.Timescale)
				}
				got, err := walk(t, track, Packing{})
				if err != nil {
					t.Fatal(err)
				}
				sameSamples(t, got, want[track.ID])
				checkTicks(t, track, want[track.ID])
				checkTableEnd(t, track, m.tracks[i].chunks, want[track.ID])
			}
		})
	}
}

// checkTicks compares the track's length with that of its samples.
func checkTicks(t rapid.TB, track *Track, samples []Sample) {
	t.Helper()
	want := int64(0)
	for _, s := range samples {
		want += s.Duration
	}
	if got, err := track.MediaTicks(); err != nil || got != want {
		t.Fatalf("MediaTicks is %d, %v, want %d", got, err, want)
	}
}

// checkTableEnd compares TableEnd with the place of the last chunk.
func checkTableEnd(t rapid.TB, track *Track, chunks []chunkSpec, samples []Sample) {
	t.Helper()
	got, err := track.TableEnd()
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) == 0 {
		if got != 0 {
			t.Fatalf("TableEnd is %d without samples", got)
		}
		return
	}
	if last := len(chunks[len(chunks)-1].samples); last > 0 && got != samples[len(samples)-last].Offset {
		t.Fatalf("TableEnd is %d, the last chunk is at %d", got, samples[len(samples)-last].Offset)
	}
}

// drawTrack draws a track from lists of sizes, durations and chunks.
func drawTrack(t *rapid.T, id uint32) trackSpec {
	sizes := rapid.SampledFrom([]string{"stsz", "fixed", "stz2/4", "stz2/8", "stz2/16"}).Draw(t, "sizes")
	most := map[string]uint32{"stsz": 300, "fixed": 20, "stz2/4": 15, "stz2/8": 255, "stz2/16": 300}[sizes]
	fixed := rapid.Uint32Range(1, most).Draw(t, "fixed size")
	size := rapid.Uint32Range(0, most)
	if sizes == "fixed" {
		size = rapid.Just(fixed)
	}
	duration := rapid.SampledFrom([]uint32{0, 1, 960, 1024, 1<<31 - 1})
	sample := rapid.Custom(func(t *rapid.T) unit { return unit{size.Draw(t, "size"), duration.Draw(t, "duration")} })
	descriptions := rapid.IntRange(1, 3).Draw(t, "descriptions")
	s := trackSpec{
		id: id, timescale: 44100, sizes: sizes,
		version: byte(rapid.IntRange(0, 1).Draw(t, "version")),
		co64:    rapid.Bool().Draw(t, "co64"),
		reorder: rapid.Bool().Draw(t, "reorder"),
		chunks: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chunkSpec {
			return chunkSpec{
				description: rapid.IntRange(1, descriptions).Draw(t, "description"),
				samples:     rapid.SliceOfN(sample, 0, 6).Draw(t, "samples"),
			}
		}), 0, 12).Draw(t, "chunks"),
	}
	for range descriptions {
		s.entries = append(s.entries, entry("mp4a"))
	}
	return s
}

// TestSamplesRandom reads back what was written, whatever it was.
func TestSamplesRandom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := movieSpec{
			last: rapid.Bool().Draw(t, "last"),
			wide: rapid.Bool().Draw(t, "wide"),
			open: rapid.Bool().Draw(t, "open"),
			pad:  rapid.SampledFrom([]int{0, 9, wholeSize - 700, wholeSize}).Draw(t, "pad"),
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "tracks") {
			m.tracks = append(m.tracks, drawTrack(t, uint32(i+1)))
		}
		m.packed = m.last && !m.open && rapid.Bool().Draw(t, "packed")
		file, want := m.build()
		f := mustOpen(t, file)
		// All walks side by side: none may disturb another.
		var walks []*Samples
		got := make([][]Sample, len(f.Tracks))
		for _, track := range f.Tracks {
			s, err := track.Samples(Packing{})
			if err != nil {
				t.Fatal(err)
			}
			walks = append(walks, s)
		}
		for left := len(walks); left > 0; {
			left = len(walks)
			for i, w := range walks {
				s, err := w.Next()
				if err == io.EOF {
					left--
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				got[i] = append(got[i], s)
			}
		}
		for i, track := range f.Tracks {
			sameSamples(t, got[i], want[track.ID])
			checkTicks(t, track, want[track.ID])
			checkTableEnd(t, track, m.tracks[i].chunks, want[track.ID])
		}
	})
}

// TestSamplesWindows reads tables that are larger than a window, and indexes on
// both sides of the size up to which they are held as a whole, at all kinds of
// places of the windows' edges.
func TestSamplesWindows(t *testing.T) {
	t.Parallel()
	for n, sizes := range []string{"stsz", "stz2/4", "stz2/8", "stz2/16"} {
		most := []uint32{50, 16, 50, 50}[n]
		for pad, counts := range map[int][]int{
			0: {4096, 40000}, 9: {20000}, 11: {20000}, wholeSize: {4097},
		} {
			for _, count := range counts {
				t.Run(fmt.Sprint(sizes, " ", count, " ", pad), func(t *testing.T) {
					t.Parallel()
					rnd := rand.New(rand.NewPCG(uint64(count), uint64(pad)))
					track := trackSpec{id: 1, timescale: 48000, sizes: sizes, co64: pad%2 == 0, entries: [][]byte{entry("mp4a"), entry("mp4a")}}
					for left := count; left > 0; {
						// Next to no two runs alike, so that all tables are long.
						c := chunkSpec{description: 1 + rnd.IntN(2)}
						for range min(left, 1+rnd.IntN(4)) {
							c.samples = append(c.samples, unit{rnd.Uint32N(most), rnd.Uint32N(3000)})
						}
						left -= len(c.samples)
						track.chunks = append(track.chunks, c)
					}
					file, want := movieSpec{tracks: []trackSpec{track}, pad: pad}.build()
					f := mustOpen(t, file)
					got, err := walk(t, f.Tracks[0], Packing{})
					if err != nil {
						t.Fatal(err)
					}
					sameSamples(t, got, want[1])
					checkTicks(t, f.Tracks[0], want[1])
				})
			}
		}
	}
}

// TestSamplesBoundary puts the index at exactly the size up to which it is held
// as a whole.
func TestSamplesBoundary(t *testing.T) {
	t.Parallel()
	track := trackSpec{id: 1, timescale: 48000, chunks: []chunkSpec{{samples: units(1, 2, 3, 4, 5)}, {samples: units(6)}}}
	spec := movieSpec{tracks: []trackSpec{track}, pad: 100}
	size := len(spec.moov([][]int64{{0, 0}})) - 8 - 100
	for _, d := range []int{-2, -1, 0, 1, 2} {
		spec.pad = wholeSize - size + d
		file, want := spec.build()
		f := mustOpen(t, file)
		if f.moov.size != wholeSize+int64(d) {
			t.Fatalf("the test made an index of %d bytes", f.moov.size)
		}
		got, err := walk(t, f.Tracks[0], Packing{})
		if err != nil {
			t.Fatal(err)
		}
		sameSamples(t, got, want[1])
	}
}

// groups joins ticks of chunks to what a walk with a packing should give.
func groups(at []int64, chunks []int, p Packing, most int64) []Sample {
	var out []Sample
	now := int64(0)
	for i, ticks := range chunks {
		offset := at[i]
		for left := int64(ticks); left > 0; {
			packets := max(1, min(left/p.Samples, most))
			n := min(left, packets*p.Samples)
			out = append(out, Sample{Offset: offset, Size: packets * p.Bytes, Time: now, Duration: n})
			offset += packets * p.Bytes
			now += n
			left -= n
		}
	}
	return out
}

// TestSamplesChunked walks QuickTime's tables that count ticks, of PCM and of the
// old codecs with a fixed packing.
func TestSamplesChunked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		packing Packing
		most    int64 // packets taken as one
		chunks  []int // in ticks
	}{
		"PCM":          {Packing{1, 4}, groupSamples, []int{1, 4096, 4097, 10000, 3}},
		"IMA4 mono":    {Packing{64, 34}, 64, []int{64, 640, 64 * 65, 64*130 + 10}},
		"IMA4 stereo":  {Packing{64, 68}, 64, []int{128, 64 * 64, 64}},
		"MACE 3":       {Packing{6, 2}, groupSamples / 6, []int{6, 6 * 683, 7, 5}},
		"GSM":          {Packing{160, 33}, 1, []int{160, 1600, 170, 10}},
		"long packets": {Packing{5000, 100}, 1, []int{5000, 20000, 4999}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			track := trackSpec{id: 1, timescale: 22050}
			for _, ticks := range tt.chunks {
				packets := (int64(ticks) + tt.packing.Samples - 1) / tt.packing.Samples
				track.chunks = append(track.chunks, chunkSpec{ticks: ticks, bytes: int(packets * tt.packing.Bytes)})
			}
			file, _ := movieSpec{tracks: []trackSpec{track}}.build()
			f := mustOpen(t, file)
			var at []int64
			next := int64(len(file))
			for _, c := range slices.Backward(track.chunks) {
				next -= int64(c.bytes)
				at = slices.Insert(at, 0, next)
			}
			got, err := walk(t, f.Tracks[0], tt.packing)
			if err != nil {
				t.Fatal(err)
			}
			sameSamples(t, got, groups(at, tt.chunks, tt.packing, tt.most))
			checkTicks(t, f.Tracks[0], got)

			// The same table of a codec without a packing has samples of one byte.
			samples, err := f.Tracks[0].Samples(Packing{})
			if err != nil {
				t.Fatal(err)
			}
			for n := range int64(min(tt.chunks[0], track.chunks[0].bytes)) {
				if s, err := samples.Next(); err != nil || s != (Sample{Offset: at[0] + n, Size: 1, Time: n, Duration: 1}) {
					t.Fatalf("without a packing sample %d is %+v, %v", n, s, err)
				}
			}
		})
	}
}

// TestSamplesGrouped takes PCM together that a table gives one by one, as long as
// all are alike.
func TestSamplesGrouped(t *testing.T) {
	t.Parallel()
	pcm := Packing{Samples: 1, Bytes: 4}
	for name, tt := range map[string]struct {
		sizes string
		units []unit
		want  []int // samples in each group
	}{
		"alike":           {"fixed", evenUnits(10000, 4, 2), []int{4096, 4096, 1808}},
		"one tick each":   {"fixed", evenUnits(5000, 4, 1), []int{4096, 904}},
		"other durations": {"fixed", append(evenUnits(2, 4, 2), unit{4, 3}), []int{1, 1, 1}},
		"sizes in table":  {"stsz", evenUnits(3, 4, 2), []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, all := movieSpec{tracks: []trackSpec{{
				id: 1, timescale: 44100, sizes: tt.sizes, chunks: []chunkSpec{{samples: tt.units}},
			}}}.build()
			got, err := walk(t, mustOpen(t, file).Tracks[0], pcm)
			if err != nil {
				t.Fatal(err)
			}
			var want []Sample
			rest := all[1]
			for _, n := range tt.want {
				s := rest[0]
				s.Size, s.Duration = s.Size*int64(n), s.Duration*int64(n)
				want, rest = append(want, s), rest[n:]
			}
			sameSamples(t, got, want)
		})
	}
}

// TestSamplesTimes reads tables of times that are shorter or longer than the
// track, or have negative durations.
func TestSamplesTimes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		table []byte
		want  []int64
	}{
		"short":       {full("stts", 0, 0, 1, 2, 10), []int64{10, 10, 10, 10}},
		"long":        {full("stts", 0, 0, 1, 100, 10), []int64{10, 10, 10, 10}},
		"empty runs":  {full("stts", 0, 0, 4, 0, 5, 1, 10, 0, 7, 1, 20), []int64{10, 20, 20, 20}},
		"only empty":  {full("stts", 0, 0, 2, 0, 5, 0, 6), []int64{6, 6, 6, 6}},
		"negative":    {full("stts", 0, 0, 3, 1, 10, 1, int32(-3), 9, 20), []int64{10, 0, 20, 20}},
		"more to say": {full("stts", 0, 0, 2, 1, 10, 9, 20, 77, 77), []int64{10, 20, 20, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, samples := movieSpec{tracks: []trackSpec{{
				id: 1, timescale: 44100, chunks: []chunkSpec{{samples: units(1, 2, 3, 4)}},
				tables: map[string][]byte{"stts": tt.table},
			}}}.build()
			now := int64(0)
			for i := range samples[1] {
				samples[1][i].Time, samples[1][i].Duration = now, tt.want[i]
				now += tt.want[i]
			}
			f := mustOpen(t, file)
			got, err := walk(t, f.Tracks[0], Packing{})
			if err != nil {
				t.Fatal(err)
			}
			sameSamples(t, got, samples[1])
			checkTicks(t, f.Tracks[0], samples[1])
		})
	}
}

// TestSamplesContradictions reads tables that do not agree with each other or with
// the file. What comes before the contradiction comes through.
func TestSamplesContradictions(t *testing.T) {
	t.Parallel()
	const all = 0xffffffff
	word := uint32(all)
	for name, tt := range map[string]struct {
		tables map[string][]byte
		want   error // nil: no error at all
		most   int   // samples that may come first
	}{
		"no stts":              {map[string][]byte{"stts": nil}, ErrInvalid, 0},
		"no stsc":              {map[string][]byte{"stsc": nil}, ErrInvalid, 0},
		"no stsz":              {map[string][]byte{"stsz": nil}, nil, 0},
		"no stco":              {map[string][]byte{"stco": nil}, ErrInvalid, 0},
		"empty stts":           {map[string][]byte{"stts": full("stts", 0, 0, 0)}, ErrInvalid, 0},
		"empty stsc":           {map[string][]byte{"stsc": full("stsc", 0, 0, 0)}, ErrInvalid, 0},
		"empty stco":           {map[string][]byte{"stco": full("stco", 0, 0, 0)}, ErrInvalid, 0},
		"huge stts":            {map[string][]byte{"stts": full("stts", 0, 0, word, 3, 10)}, ErrInvalid, 0},
		"huge stsc":            {map[string][]byte{"stsc": full("stsc", 0, 0, word, 1, 1, 1)}, ErrInvalid, 0},
		"huge stsz":            {map[string][]byte{"stsz": full("stsz", 0, 0, 0, word, 1)}, ErrInvalid, 0},
		"huge stco":            {map[string][]byte{"stco": full("stco", 0, 0, word, 8)}, ErrInvalid, 0},
		"huge co64":            {map[string][]byte{"stco": full("co64", 0, 0, word, 8)}, ErrInvalid, 0},
		"huge stz2":            {map[string][]byte{"stsz": full("stz2", 0, 0, 4, word, 8)}, ErrInvalid, 0},
		"stz2 with 0 bits":     {map[string][]byte{"stsz": full("stz2", 0, 0, 0, 3, 8)}, ErrInvalid, 0},
		"stz2 with 32 bits":    {map[string][]byte{"stsz": full("stz2", 0, 0, 32, 3, 1, 1, 1)}, ErrInvalid, 0},
		"one too many in stsz": {map[string][]byte{"stsz": full("stsz", 0, 0, 0, 5, 1, 1, 1, 1)}, ErrInvalid, 0},
		"one too many in stz2": {map[string][]byte{"stsz": full("stz2", 0, 0, 4, 3, byte(0x11))}, ErrInvalid, 0},
		"short stts":           {map[string][]byte{"stts": atom("stts", 0)}, ErrInvalid, 0},
		"short stsc":           {map[string][]byte{"stsc": atom("stsc")}, ErrInvalid, 0},
		"short stsz":           {map[string][]byte{"stsz": atom("stsz", 0, 0)}, ErrInvalid, 0},
		"short stsz, one size": {map[string][]byte{"stsz": atom("stsz", 0, 1)}, ErrInvalid, 0},
		"short stco":           {map[string][]byte{"stco": atom("stco", 0)}, ErrInvalid, 0},
		"chunk 0":              {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 0, 2, 1)}, ErrInvalid, 0},
		"chunks out of order":  {map[string][]byte{"stsc": full("stsc", 0, 0, 2, 1, 2, 1, 1, 2, 1)}, ErrInvalid, 0},
		"a chunk too late":     {map[string][]byte{"stsc": full("stsc", 0, 0, 2, 1, 2, 1, 5, 2, 1)}, nil, 4},
		"first chunk missing":  {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 2, 2, 1)}, nil, 4},
		"too few chunks":       {map[string][]byte{"stsz": full("stsz", 0, 0, 1, 5)}, ErrInvalid, 4},
		"empty chunks":         {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 1, 0, 1)}, ErrInvalid, 0},
		"fewer samples":        {map[string][]byte{"stsz": full("stsz", 0, 0, 1, 3)}, nil, 3},
		"description 0":        {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 1, 2, 0)}, nil, 4},
		"description 2":        {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 1, 2, 2)}, ErrInvalid, 0},
		"description 2^32-1":   {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 1, 2, word)}, ErrInvalid, 0},
		"huge sizes":           {map[string][]byte{"stsz": full("stsz", 0, 0, word, word)}, ErrTruncated, 0},
		"huge chunks":          {map[string][]byte{"stsc": full("stsc", 0, 0, 1, 1, word, 1)}, nil, 4},
		"huge durations":       {map[string][]byte{"stts": full("stts", 0, 0, 1, word, word)}, nil, 4},
		"offset past the end":  {map[string][]byte{"stco": full("stco", 0, 0, 2, 1<<30, 1<<30)}, ErrTruncated, 0},
		"offset at 2^32-1":     {map[string][]byte{"stco": full("stco", 0, 0, 2, word, word)}, ErrTruncated, 0},
		"offset at 2^64-1":     {map[string][]byte{"stco": full("co64", 0, 0, 2, word, word, word, word)}, ErrTruncated, 0},
		"offset at 2^63":       {map[string][]byte{"stco": full("co64", 0, 0, 2, 1<<31, 0, 1<<31, 0)}, ErrTruncated, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, pad := range []int{0, wholeSize} {
				file, _ := movieSpec{pad: pad, tracks: []trackSpec{{
					id: 1, timescale: 44100, tables: tt.tables,
					chunks: []chunkSpec{{samples: evenUnits(2, 1, 10)}, {samples: evenUnits(2, 1, 10)}},
				}}}.build()
				f := mustOpen(t, file)
				got, err := walk(t, f.Tracks[0], Packing{})
				if tt.want == nil && err != nil || !errors.Is(err, tt.want) || len(got) != tt.most {
					t.Errorf("%d samples, then %v; want %d, then %v", len(got), err, tt.most, tt.want)
				}
				for _, s := range got {
					if s.Offset < 8 || s.Size != 1 || s.Offset >= int64(len(file)) {
						t.Errorf("sample %+v", s)
					}
				}
			}
		})
	}
}

// TestSamplesLong has times that no clock counts.
func TestSamplesLong(t *testing.T) {
	t.Parallel()
	table := bytes.Repeat(cat(1<<30, 1<<31-1), 4) // each run is almost 2^61 ticks
	file, _ := movieSpec{tracks: []trackSpec{{
		id: 1, timescale: 1, chunks: []chunkSpec{{samples: evenUnits(1, 1, 1)}},
		tables: map[string][]byte{
			"stts": full("stts", 0, 0, 4, table),
			"stsz": full("stsz", 0, 0, 1, uint32(0xffffffff)),
		},
	}}}.build()
	if n, err := mustOpen(t, file).Tracks[0].MediaTicks(); !errors.Is(err, ErrInvalid) {
		t.Errorf("MediaTicks is %d, %v", n, err)
	}
}
