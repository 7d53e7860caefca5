package mp4

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// indexed makes a file of nothing but an index with these boxes behind mvhd.
func indexed(boxes ...any) []byte {
	file, _ := movieSpec{more: cat(boxes...)}.build()
	return file
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	good, _ := movieSpec{tracks: []trackSpec{{id: 1, timescale: 8000}}}.build()
	ftyp := atom("ftyp", "M4A ", 0)
	mvhd := full("mvhd", 0, 0, times(0, 1000, 0), make([]byte, 80))
	for name, tt := range map[string]struct {
		file []byte
		want error // nil: it opens
	}{
		"empty":                 {nil, ErrNotMP4},
		"one byte":              {[]byte{0}, ErrNotMP4},
		"7 bytes":               {good[:7], ErrNotMP4},
		"text":                  {[]byte("#EXTM3U\nsecond.ts\n"), ErrNotMP4},
		"WAV":                   {[]byte("RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00"), ErrNotMP4},
		"MP3":                   {[]byte("ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x44"), ErrNotMP4},
		"zeros":                 {make([]byte, 1000), ErrNotMP4},
		"only free space":       {atom("free", make([]byte, 90)), ErrNotMP4},
		"only ftyp":             {ftyp, ErrTruncated},
		"only mdat":             {atom("mdat", "x"), ErrTruncated},
		"no moov":               {cat(ftyp, atom("mdat", "x"), atom("free")), ErrTruncated},
		"mdat cut":              {cat(ftyp, atom("mdat", make([]byte, 99))[:50]), ErrTruncated},
		"mdat of 2^63":          {cat(ftyp, 1, "mdat", uint64(1<<63), "x", good), ErrTruncated},
		"mdat of 2^64-1":        {cat(ftyp, 1, "mdat", uint64(1<<64-1), "x", good), ErrTruncated},
		"mdat of 4 bytes":       {cat(ftyp, 4, "mdat", good), ErrInvalid},
		"mdat of 7 bytes":       {cat(ftyp, 7, "mdat", good), ErrInvalid},
		"mdat of 8 bytes":       {cat(ftyp, atom("mdat"), good), nil},
		"64-bit size of 15":     {cat(ftyp, 1, "mdat", uint64(15), good), ErrInvalid},
		"64-bit size of 16":     {cat(ftyp, 1, "mdat", uint64(16), good), nil},
		"64-bit size cut":       {cat(ftyp, 1, "mdat", 0), ErrTruncated},
		"moov in pieces":        {cat(ftyp, atom("moov", mvhd)[:60]), ErrTruncated},
		"moov of 2^62":          {cat(ftyp, 1, "moov", uint64(1<<62), mvhd), ErrTruncated},
		"empty moov":            {cat(ftyp, atom("moov")), ErrInvalid},
		"moov of garbage":       {cat(ftyp, atom("moov", "garbage!")), ErrInvalid},
		"no mvhd":               {cat(ftyp, atom("moov", atom("free"))), ErrInvalid},
		"short mvhd":            {cat(ftyp, atom("moov", atom("mvhd", 0, 0, 0))), ErrInvalid},
		"empty mvhd":            {cat(ftyp, atom("moov", atom("mvhd"))), ErrInvalid},
		"timescale 0":           {cat(ftyp, atom("moov", full("mvhd", 0, 0, times(0, 0, 0)))), ErrInvalid},
		"moov in moov":          {cat(ftyp, atom("moov", atom("moov", mvhd))), ErrInvalid},
		"only an index":         {cat(ftyp, atom("moov", mvhd)), nil},
		"two of them":           {cat(ftyp, atom("moov", mvhd), atom("moov")), nil},
		"garbage behind":        {cat(good, "garbage, which nobody reads"), nil},
		"zeros in moov":         {cat(ftyp, atom("moov", mvhd, make([]byte, 4))), nil},
		"a box that ends late":  {cat(ftyp, atom("moov", mvhd, 1<<30, "free")), nil},
		"a size that ends late": {cat(ftyp, atom("moov", mvhd, 1, "free")), nil},
		"a broken ftyp":         {cat(atom("ftyp", "abc"), atom("moov", mvhd)), nil},
		"a huge ftyp":           {cat(atom("ftyp", make([]byte, 5000)), atom("moov", mvhd)), nil},

		"cmov without data":     {cat(ftyp, atom("moov", atom("cmov"))), ErrInvalid},
		"cmov of few bytes":     {cat(ftyp, atom("moov", atom("cmov", atom("cmvd", uint16(0))))), ErrInvalid},
		"cmov of garbage":       {cat(ftyp, atom("moov", atom("cmov", atom("cmvd", 100, "garbage")))), ErrInvalid},
		"cmov that is cut":      {cat(ftyp, atom("moov", atom("cmov", atom("cmvd", 100, pack(mvhd)[32:50])))), ErrInvalid},
		"cmov without an index": {cat(ftyp, atom("moov", pack(atom("free")))), ErrInvalid},
		"cmov of nothing":       {cat(ftyp, atom("moov", pack(nil))), ErrInvalid},
		"cmov in cmov":          {cat(ftyp, atom("moov", pack(atom("moov", pack(atom("moov", mvhd)))))), ErrInvalid},
		"cmov that explodes":    {cat(ftyp, atom("moov", pack(atom("moov", mvhd, atom("free", make([]byte, maxCompressedIndex)))))), ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(bytes.NewReader(tt.file), int64(len(tt.file)), roomy)
			if tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	track := trackSpec{id: 7, timescale: 44100, duration: 5, more: full("elng", 0, 0, "de-CH\x00")}
	off := trackSpec{id: 9, handler: "vide", disabled: true}
	file, _ := movieSpec{timescale: 600, duration: 1200, brand: "mp42", tracks: []trackSpec{track, off}}.build()
	f := mustOpen(t, file)
	if f.Brand != "mp42" || f.Timescale != 600 || f.Duration != 1200 || f.Fragmented || !f.IndexFirst {
		t.Errorf("%+v", f)
	}
	a, v := f.Tracks[0], f.Tracks[1]
	if a.ID != 7 || !a.Audio() || !a.Enabled || a.Timescale != 44100 || a.Duration != 5 || a.ExtendedLanguage != "de-CH" {
		t.Errorf("%+v", a)
	}
	if v.ID != 9 || v.Audio() || v.Enabled || v.Handler != "vide" {
		t.Errorf("%+v", v)
	}

	// Durations that are not known.
	for version, unknown := range []uint64{1<<32 - 1, 1<<64 - 1} {
		track.version, track.duration = byte(version), unknown
		file, _ = movieSpec{version: byte(version), duration: unknown, tracks: []trackSpec{track}}.build()
		if f := mustOpen(t, file); f.Duration != 0 || f.Tracks[0].Duration != 0 {
			t.Errorf("version %d: %d, %d", version, f.Duration, f.Tracks[0].Duration)
		}
	}
	for _, brand := range []string{"", "qt  "} {
		file, _ := movieSpec{bare: brand == "", brand: brand}.build()
		if f := mustOpen(t, file); f.Brand != brand {
			t.Errorf("brand %q", f.Brand)
		}
	}
	for tag, want := range map[string]string{"en-GB": "en-GB", "a\xffb\x00c": "ab", "": "", strings.Repeat("x", 60): ""} {
		track.more = full("elng", 0, 0, tag)
		file, _ := movieSpec{tracks: []trackSpec{track}}.build()
		if got := mustOpen(t, file).Tracks[0].ExtendedLanguage; got != want {
			t.Errorf("language %q, want %q", got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	m := movieSpec{tracks: slices.Repeat([]trackSpec{{id: 1, timescale: 1}}, 5)}
	file, _ := m.build()
	open := func(limits Limits) error {
		_, err := Open(bytes.NewReader(file), int64(len(file)), limits)
		return err
	}
	if err := open(Limits{Tracks: 4, Allocation: 1 << 20}); !errors.Is(err, ErrLimit) {
		t.Errorf("five tracks where four are allowed: %v", err)
	}
	if err := open(Limits{Tracks: 5, Allocation: 1 << 20}); err != nil {
		t.Errorf("five tracks: %v", err)
	}
	const unlimited = 1<<63 - 1
	if err := open(Limits{Tracks: unlimited, Allocation: unlimited}); err != nil {
		t.Errorf("without limits: %v", err)
	}
	m.packed, m.last = true, true
	file, _ = m.build()
	if err := open(Limits{Tracks: 5, Allocation: 700}); !errors.Is(err, ErrLimit) {
		t.Errorf("a compressed index larger than allowed: %v", err)
	}
	if err := open(Limits{Tracks: unlimited, Allocation: unlimited}); err != nil {
		t.Errorf("a compressed index without limits: %v", err)
	}
}

// TestBrokenTracks has tracks that can't be read next to one that can.
func TestBrokenTracks(t *testing.T) {
	t.Parallel()
	good := trackSpec{id: 2, timescale: 8000, chunks: []chunkSpec{{samples: units(1)}}}
	hdlr := full("hdlr", 0, 0, 0, "soun", make([]byte, 12))
	for name, tt := range map[string]struct {
		trak []byte
		want error // nil: the track is fine, or not audio
	}{
		"empty":           {atom("trak"), nil},
		"empty mdia":      {atom("trak", atom("mdia")), nil},
		"short hdlr":      {atom("trak", atom("mdia", atom("hdlr", 0, 0))), ErrInvalid},
		"no mdhd":         {atom("trak", atom("mdia", hdlr)), ErrInvalid},
		"timescale 0":     {(&trackSpec{id: 1}).trak(nil), ErrInvalid},
		"no stsd":         {(&trackSpec{id: 1, timescale: 1, tables: map[string][]byte{"stsd": nil}}).trak(nil), ErrInvalid},
		"empty stsd":      {(&trackSpec{id: 1, timescale: 1, tables: map[string][]byte{"stsd": atom("stsd")}}).trak(nil), ErrInvalid},
		"stsd of 2^32-1":  {(&trackSpec{id: 1, timescale: 1, tables: map[string][]byte{"stsd": full("stsd", 0, 0, uint32(0xffffffff))}}).trak(nil), ErrInvalid},
		"no descriptions": {(&trackSpec{id: 1, timescale: 1, entries: [][]byte{}}).trak(nil), ErrInvalid},
		"64 descriptions": {(&trackSpec{id: 1, timescale: 1, entries: slices.Repeat([][]byte{entry("mp4a")}, 64)}).trak(nil), nil},
		"65 descriptions": {(&trackSpec{id: 1, timescale: 1, entries: slices.Repeat([][]byte{entry("mp4a")}, 65)}).trak(nil), ErrLimit},
		"huge one":        {(&trackSpec{id: 1, timescale: 1, entries: [][]byte{entry("mp4a", make([]byte, 1<<20))}}).trak(nil), ErrLimit},
		"short tkhd":      {atom("trak", atom("mdia", hdlr), atom("tkhd")), ErrInvalid},
		"short mdhd":      {atom("trak", atom("mdia", hdlr, atom("mdhd"))), ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := movieSpec{tracks: []trackSpec{good}, more: tt.trak}
			file, want := m.build()
			f := mustOpen(t, file)
			got, err := walk(t, f.Tracks[0], Packing{})
			if err != nil {
				t.Fatal(err)
			}
			sameSamples(t, got, want[2])
			track := f.Tracks[1]
			if err := track.Check(); tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if tt.want == nil {
				return
			}
			for name, err := range map[string]error{
				"Samples":    second(track.Samples(Packing{})),
				"MediaTicks": second(track.MediaTicks()),
				"Header":     second(f.Header(track, 0)),
			} {
				if !errors.Is(err, tt.want) {
					t.Errorf("%s gives %v", name, err)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestDescriptions(t *testing.T) {
	t.Parallel()
	sinf := func(format string) []byte {
		return atom("sinf", atom("frma", format), full("schm", 0, 0, "cenc", 0x10000))
	}
	here, elsewhere := full("url ", 0, 1), full("url ", 0, 0, "file:///x\x00")
	swapped := entry("mp4a")
	swapped[15] = 2 // the second data reference
	for name, tt := range map[string]struct {
		entries [][]byte
		dref    []byte
		want    []Description
	}{
		"plain":             {[][]byte{entry("mp4a")}, nil, []Description{{Format: "mp4a"}}},
		"two":               {[][]byte{entry("mp4a"), entry("alac")}, nil, []Description{{Format: "mp4a"}, {Format: "alac"}}},
		"version 1":         {[][]byte{entry1("ima4", 64, 68)}, nil, []Description{{Format: "ima4", FrameSamples: 64, FrameBytes: 68}}},
		"version 2":         {[][]byte{entry2("lpcm", 1, 4)}, nil, []Description{{Format: "lpcm", FrameSamples: 1, FrameBytes: 4}}},
		"short":             {[][]byte{atom("mp4a", make([]byte, 20))}, nil, []Description{{Format: "mp4a"}}},
		"short version 1":   {[][]byte{entry1("ima4", 64, 68)[:40]}, nil, []Description{{Format: "ima4"}}},
		"in this file":      {[][]byte{entry("mp4a")}, here, []Description{{Format: "mp4a"}}},
		"in another":        {[][]byte{entry("mp4a")}, elsewhere, []Description{{Format: "mp4a", External: true}}},
		"second reference":  {[][]byte{swapped, entry("mp4a")}, cat(here, elsewhere), []Description{{Format: "mp4a", External: true}, {Format: "mp4a"}}},
		"no such reference": {[][]byte{swapped}, elsewhere, []Description{{Format: "mp4a"}}},
		"empty reference":   {[][]byte{entry("mp4a")}, atom("url "), []Description{{Format: "mp4a"}}},
		"encrypted":         {[][]byte{entry("enca", sinf("mp4a"))}, nil, []Description{{Format: "enca", Original: "mp4a", Encrypted: true}}},
		"encrypted, v1":     {[][]byte{entry1("enca", 1024, 1, sinf("alac"))}, nil, []Description{{Format: "enca", Original: "alac", Encrypted: true, FrameSamples: 1024, FrameBytes: 1}}},
		"encrypted, v2":     {[][]byte{entry2("enca", 1, 1, sinf("lpcm"))}, nil, []Description{{Format: "enca", Original: "lpcm", Encrypted: true, FrameSamples: 1, FrameBytes: 1}}},
		"encrypted, bare":   {[][]byte{entry("enca")}, nil, []Description{{Format: "enca", Encrypted: true}}},
		"under its name":    {[][]byte{entry("mp4a", sinf("mp4a"))}, nil, []Description{{Format: "mp4a", Encrypted: true}}},
		"FairPlay":          {[][]byte{entry("drms")}, nil, []Description{{Format: "drms", Encrypted: true}}},
		"broken frma":       {[][]byte{entry("enca", atom("sinf", atom("frma", "x")))}, nil, []Description{{Format: "enca", Encrypted: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range tt.entries {
				tt.entries[i] = bytes.Clone(tt.entries[i])
				tt.entries[i][3] = byte(len(tt.entries[i])) // of those cut short
			}
			file, _ := movieSpec{tracks: []trackSpec{{id: 1, timescale: 8000, entries: tt.entries, dref: tt.dref}}}.build()
			f := mustOpen(t, file)
			got := f.Tracks[0].Descriptions
			for i := range tt.want {
				if tt.want[i].Original == "" {
					tt.want[i].Original = tt.want[i].Format
				}
				tt.want[i].raw = tt.entries[i]
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestDescriptionSizes has sample entries whose sizes are written in another way.
// All come out as a plain box.
func TestDescriptionSizes(t *testing.T) {
	t.Parallel()
	want := entry("enca", atom("sinf", atom("frma", "alac")))
	body := want[8:]
	late := atom("enca", body)
	late[0] = 1 // 16 MB
	for name, e := range map[string][]byte{
		"plain":      want,
		"64 bits":    atom64("enca", body),
		"to the end": openAtom("enca", body),
		"too large":  late,
	} {
		file, _ := movieSpec{tracks: []trackSpec{{id: 1, timescale: 8000, entries: [][]byte{e}}}}.build()
		d := mustOpen(t, file).Tracks[0].Descriptions[0]
		if !bytes.Equal(d.raw, want) || d.Original != "alac" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestHeader opens what is made for a reader of sample entries.
func TestHeader(t *testing.T) {
	t.Parallel()
	entries := [][]byte{entry("mp4a", full("esds", 0, 0, "one")), entry("alac", full("alac", 0, 0, "two"))}
	track := trackSpec{
		id: 5, version: 1, timescale: 44100, duration: 1 << 40, entries: entries, udta: atom("name", "Kommentar"),
		dref: full("url ", 0, 0, "elsewhere"), chunks: []chunkSpec{{samples: units(100, 200)}},
	}
	for _, pad := range []int{0, wholeSize} {
		file, _ := movieSpec{tracks: []trackSpec{{id: 4, handler: "vide"}, track}, brand: "mp42", pad: pad}.build()
		f := mustOpen(t, file)
		for i := range entries {
			header, err := f.Header(f.Tracks[1], i)
			if err != nil {
				t.Fatal(err)
			}
			h := mustOpen(t, header)
			if h.Brand != "mp42" || len(h.Tracks) != 1 {
				t.Fatalf("%+v", h)
			}
			got := h.Tracks[0]
			if got.ID != 5 || !got.Audio() || got.Timescale != 44100 || got.Duration != 1<<40 {
				t.Errorf("%+v", got)
			}
			if d := got.Descriptions; len(d) != 1 || !bytes.Equal(d[0].raw, entries[i]) || d[0].External {
				t.Errorf("descriptions %+v", d)
			}
			if s, err := walk(t, got, Packing{}); len(s) != 0 || err != nil {
				t.Errorf("samples %v, %v", s, err)
			}
			if !bytes.Contains(header, []byte("Kommentar")) || bytes.Contains(header, []byte("elsewhere")) {
				t.Errorf("header %q", header)
			}
			if len(header) > 1000 {
				t.Errorf("%d bytes", len(header))
			}
		}
	}

	// What is not needed may be of any size, what is needed may not.
	track.udta = atom("name", make([]byte, maxHeaderBox))
	file, _ := movieSpec{tracks: []trackSpec{track}}.build()
	f := mustOpen(t, file)
	if header, err := f.Header(f.Tracks[0], 0); err != nil || len(header) > 1000 {
		t.Errorf("with a large udta: %d bytes, %v", len(header), err)
	}
	file = indexed(atom("trak", full("tkhd", 0, 0, 1, 2, 3, 0), atom("mdia",
		full("mdhd", 0, 0, times(0, 1, 1)),
		full("hdlr", 0, 0, 0, "soun", make([]byte, maxHeaderBox)),
		atom("minf", atom("stbl", track.stbl(nil))))))
	f = mustOpen(t, file)
	if _, err := f.Header(f.Tracks[0], 0); !errors.Is(err, ErrLimit) {
		t.Errorf("with a large hdlr: %v", err)
	}
}

var (
	jpeg = cat("\xff\xd8\xff\xe0", "some picture")
	png  = cat("\x89PNG\r\n\x1a\n", "another picture")
)

// data makes the value of a tag.
func data(kind int, value ...any) []byte { return full("data", 0, uint32(kind), 0, cat(value...)) }

func TestTags(t *testing.T) {
	t.Parallel()
	title := atom("\xa9nam", data(1, "Titel"))
	gapless := "00000000 00000840 000001CA 00000000003F31F6"
	items := cat(
		title,
		atom("covr", data(13, jpeg), data(14, png)),
		atom("----", full("mean", 0, 0, "com.apple.iTunes"), full("name", 0, 0, "iTunSMPB"), data(1, " ", gapless)),
		atom("----", full("mean", 0, 0, "com.apple.iTunes"), full("name", 0, 0, "iTunNORM"), data(1, "noise")),
		atom("priv", make([]byte, maxTagBox)),
	)
	hdlr := full("hdlr", 0, 0, 0, "mdir", make([]byte, 12))
	for name, boxes := range map[string][]byte{
		"udta":                 atom("udta", full("meta", 0, 0, hdlr, atom("ilst", items))),
		"udta, no version":     atom("udta", atom("meta", hdlr, atom("ilst", items))),
		"moov":                 full("meta", 0, 0, hdlr, atom("ilst", items)),
		"moov, no version":     atom("meta", hdlr, atom("ilst", items)),
		"64-bit sizes":         atom64("udta", atom64("meta", hdlr, atom64("ilst", items))),
		"a zero word behind":   atom("udta", full("meta", 0, 0, hdlr, atom("ilst", items)), 0),
		"QuickTime's too":      atom("udta", atom("\xa9nam", uint16(4), uint16(0), "Name"), full("meta", 0, 0, hdlr, atom("ilst", items))),
		"in two":               cat(atom("udta", atom("name", "x")), atom("udta", full("meta", 0, 0, hdlr, atom("ilst", items)))),
		"ends with its parent": atom("udta", openAtom("meta", 0, hdlr, openAtom("ilst", items))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, pad := range []int{0, wholeSize} {
				file, _ := movieSpec{more: boxes, pad: pad}.build()
				f := mustOpen(t, file)
				if f.Gapless != " "+gapless {
					t.Errorf("gapless %q", f.Gapless)
				}
				if len(f.Pictures) != 2 {
					t.Fatalf("pictures %v", f.Pictures)
				}
				for i, want := range [][]byte{jpeg, png} {
					got, err := f.Picture(f.Pictures[i])
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("picture %q, %v", got, err)
					}
					head, err := f.PictureHead(f.Pictures[i])
					if err != nil || !bytes.Equal(head, want[:16]) {
						t.Errorf("picture begins with %q, %v", head, err)
					}
				}
				header := f.TagsHeader()
				h := mustOpen(t, header)
				if !bytes.Contains(header, title) || h.Brand != f.Brand || len(h.Tracks) != 0 {
					t.Errorf("header %q", header)
				}
				for _, no := range []string{"covr", "priv", "noise"} {
					if bytes.Contains(header, []byte(no)) {
						t.Errorf("%s in header %q", no, header)
					}
				}
				if len(header) > 1000 {
					t.Errorf("header of %d bytes", len(header))
				}
				// The copy is sound: reading it once more gives the same.
				if !bytes.Equal(h.TagsHeader(), header) {
					t.Errorf("header of header %q", h.TagsHeader())
				}
			}
		})
	}
	if h := mustOpen(t, indexed()).TagsHeader(); mustOpen(t, h).Tracks != nil {
		t.Errorf("header %q", h)
	}
}

// TestTagsBroken has tags that are damaged. The file opens all the same.
func TestTagsBroken(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"empty":                atom("udta"),
		"7 bytes":              atom("udta", make([]byte, 7)),
		"a box of 4 bytes":     atom("udta", 4, "name"),
		"a box too large":      atom("udta", 1<<30, "name", "x"),
		"a 64-bit size cut":    atom("udta", 1, "name"),
		"a 64-bit size halved": atom("udta", 1, "name", 1),
		"meta's 64-bit size":   atom("udta", 1, "meta"),
		"ilst's 64-bit size":   atom("meta", full("hdlr", 0, 0), 1, "ilst"),
		"covr's 64-bit size":   atom("ilst", 1, "covr"),
		"chpl's 64-bit size":   atom("udta", 1, "chpl"),
		"empty meta":           atom("udta", atom("meta")),
		"meta of 3 bytes":      atom("udta", atom("meta", "abc")),
		"meta of 8 bytes":      atom("udta", atom("meta", 0, 8)),
		"empty covr":           atom("udta", full("meta", 0, 0, atom("ilst", atom("covr")))),
		"covr without value":   atom("udta", full("meta", 0, 0, atom("ilst", atom("covr", atom("data"), data(13))))),
		"short iTunSMPB":       atom("udta", full("meta", 0, 0, atom("ilst", atom("----", full("name", 0, 0, "iTunSMPB"), atom("data", 0))))),
		"long iTunSMPB":        atom("udta", full("meta", 0, 0, atom("ilst", atom("----", full("name", 0, 0, "iTunSMPB"), data(1, make([]byte, 2000)))))),
		"----'s 64-bit size":   atom("udta", full("meta", 0, 0, atom("ilst", atom("----", 1, "name")))),
		"short chpl":           atom("udta", full("chpl", 0, 0)),
		"ilst in ilst in ilst": atom("udta", atom("ilst", atom("ilst", atom("ilst", atom("covr", data(13, jpeg)))))),
		"udta in udta":         atom("udta", atom("udta", atom("meta", atom("ilst")))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, behind := range [][]byte{atom("free", make([]byte, 40)), nil} {
				f := mustOpen(t, indexed(b, behind))
				if f.Gapless != "" || len(f.Pictures) != 0 || len(f.Chapters) != 0 {
					t.Errorf("%q, %v, %v", f.Gapless, f.Pictures, f.Chapters)
				}
				mustOpen(t, f.TagsHeader())
			}
		})
	}
}

func TestPictureLimits(t *testing.T) {
	t.Parallel()
	covr := atom("covr", bytes.Repeat(data(13, jpeg), maxPictures+5), data(13, make([]byte, 5000)))
	large := atom("covr", data(13, make([]byte, 5000)))
	for _, pad := range []int{8, wholeSize} {
		file := indexed(atom("udta", full("meta", 0, 0, atom("ilst", large, covr))), atom("free", make([]byte, pad)))
		f, err := Open(bytes.NewReader(file), int64(len(file)), Limits{Tracks: 1, Allocation: 4999})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Pictures) != maxPictures {
			t.Errorf("%d pictures", len(f.Pictures))
		}
		if _, err := f.Picture(f.Pictures[0]); !errors.Is(err, ErrLimit) {
			t.Errorf("a picture of more than is allowed: %v", err)
		}
		if p, err := f.Picture(f.Pictures[1]); err != nil || !bytes.Equal(p, jpeg) {
			t.Errorf("the picture behind it: %v", err)
		}
		if head, err := f.PictureHead(f.Pictures[0]); err != nil || len(head) != 16 {
			t.Errorf("its first bytes: %q, %v", head, err)
		}
	}
}

// TestPictureShort has a picture of fewer bytes than a type takes.
func TestPictureShort(t *testing.T) {
	t.Parallel()
	f := mustOpen(t, indexed(atom("udta", full("meta", 0, 0, atom("ilst", atom("covr", data(13, "x")))))))
	if head, err := f.PictureHead(f.Pictures[0]); err != nil || string(head) != "x" {
		t.Errorf("%q, %v", head, err)
	}
}

func TestChapters(t *testing.T) {
	t.Parallel()
	chapter := func(start time.Duration, title string) []byte {
		return cat(uint64(start/100), byte(len(title)), title)
	}
	long := strings.Repeat("é", 127)
	three := cat(chapter(0, "Eins"), chapter(90*time.Second, ""), chapter(30*time.Hour, long))
	want := []Chapter{{0, "Eins"}, {90 * time.Second, ""}, {30 * time.Hour, long}}
	var many []byte
	var manyWant []Chapter
	for i := range 300 {
		many = append(many, chapter(time.Duration(i)*time.Second, "n")...)
		manyWant = append(manyWant, Chapter{time.Duration(i) * time.Second, "n"})
	}
	for name, tt := range map[string]struct {
		chpl []byte
		want []Chapter
	}{
		"version 0":          {full("chpl", 0, 0, byte(3), three), want},
		"version 1":          {full("chpl", 1, 0, byte(0), 3, three), want},
		"more than a byte":   {full("chpl", 1, 0, byte(0), 300, many), manyWant},
		"fewer than said":    {full("chpl", 0, 0, byte(200), three), want},
		"many fewer":         {full("chpl", 1, 0, byte(0), uint32(0xffffffff), three), want},
		"more than said":     {full("chpl", 1, 0, byte(0), 2, three), want[:2]},
		"cut in the title":   {full("chpl", 1, 0, byte(0), 3, three[:len(three)-1]), want[:2]},
		"cut in the start":   {full("chpl", 1, 0, byte(0), 3, three[:17]), want[:1]},
		"none":               {full("chpl", 1, 0, byte(0), 0), nil},
		"version 0, none":    {full("chpl", 0, 0, byte(0), 0), nil},
		"short":              {full("chpl", 1, 0, 0), nil},
		"at the end of time": {full("chpl", 1, 0, byte(0), 1, uint64(1<<64-1), byte(1), "x"), []Chapter{{(1 << 55) * 100, "x"}}},
		"only the first":     {cat(full("chpl", 0, 0, byte(3), three), full("chpl", 0, 0, byte(3), three)), want},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, pad := range []int{0, wholeSize} {
				file, _ := movieSpec{more: atom("udta", tt.chpl), pad: pad}.build()
				f := mustOpen(t, file)
				if !slices.Equal(f.Chapters, tt.want) {
					t.Errorf("%v, want %v", f.Chapters, tt.want)
				}
				if header := f.TagsHeader(); bytes.Contains(header, []byte("chpl")) {
					t.Errorf("header %q", header)
				}
			}
		})
	}
}

// TestErrorsOfSource tells a source that ends early from one that fails.
func TestErrorsOfSource(t *testing.T) {
	t.Parallel()
	file, _ := movieSpec{tracks: []trackSpec{{id: 1, timescale: 1}}}.build()
	if _, err := Open(bytes.NewReader(file[:100]), int64(len(file)), roomy); !errors.Is(err, ErrTruncated) {
		t.Errorf("a source that is shorter than it says: %v", err)
	}
	for _, want := range []error{io.ErrClosedPipe, &lostError{io.EOF}, &lostError{io.ErrUnexpectedEOF}} {
		r := &failing{r: bytes.NewReader(file), err: want}
		if _, err := Open(r, int64(len(file)), roomy); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestSourceRecovers has a source that fails once. What it gave then is not taken
// for what is there.
func TestSourceRecovers(t *testing.T) {
	t.Parallel()
	file := indexed(atom("udta", full("meta", 0, 0, atom("ilst",
		atom("covr", data(13, jpeg)), atom("free", make([]byte, wholeSize)), atom("covr", data(14, png))))))
	r := &failing{r: bytes.NewReader(file), n: 1 << 30, err: io.ErrClosedPipe}
	f, err := Open(r, int64(len(file)), roomy)
	if err != nil {
		t.Fatal(err)
	}
	r.n = r.reads
	if _, err := f.PictureHead(f.Pictures[0]); err != io.ErrClosedPipe {
		t.Fatalf("%v, want %v", err, io.ErrClosedPipe)
	}
	for i, want := range [][]byte{jpeg, png} {
		if head, err := f.PictureHead(f.Pictures[i]); err != nil || !bytes.Equal(head, want[:16]) {
			t.Errorf("%q, %v", head, err)
		}
	}
}

// lostError is what network code makes of a connection that is lost.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }
