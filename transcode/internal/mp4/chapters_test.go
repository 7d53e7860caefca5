package mp4

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// chaptered makes a file whose audio track, with ID 1, names tracks with its
// chapters. Track 2 has these texts, each of two seconds.
func chaptered(change func(*movieSpec), chapters []uint32, texts ...[]byte) []byte {
	text := trackSpec{id: 2, handler: "text", timescale: 600, entries: [][]byte{atom("text", make([]byte, 51))}}
	for _, s := range texts {
		text.chunks = append(text.chunks, chunkSpec{samples: []unit{{uint32(len(s)), 1200}}})
	}
	m := movieSpec{tracks: []trackSpec{{id: 1, timescale: 44100, chapters: chapters}, text}}
	if change != nil {
		change(&m)
	}
	file, all := m.build()
	for i, s := range all[2] {
		if i < len(texts) {
			copy(file[s.Offset:], texts[i])
		}
	}
	return file
}

// titled makes a text sample.
func titled(s string) []byte { return cat(uint16(len(s)), s) }

func TestReadChapters(t *testing.T) {
	t.Parallel()
	eins, zwei := titled("Eins"), titled("Zweites 第二")
	want := []Chapter{{0, "Eins"}, {2 * time.Second, "Zweites 第二"}}
	for name, tt := range map[string]struct {
		file []byte
		want []Chapter
	}{
		"two":              {chaptered(nil, []uint32{2}, eins, zwei), want},
		"subtitles":        {chaptered(func(m *movieSpec) { m.tracks[1].handler = "sbtl" }, []uint32{2}, eins, zwei), want},
		"of no track":      {chaptered(nil, nil, eins, zwei), nil},
		"of another track": {chaptered(nil, []uint32{3}, eins, zwei), nil},
		"among others":     {chaptered(nil, []uint32{0, 1, 9, 2}, eins, zwei), want},
		"too many others":  {chaptered(nil, append(make([]uint32, 16), 2), eins, zwei), nil},
		"not a text track": {chaptered(func(m *movieSpec) { m.tracks[1].handler = "vide" }, []uint32{2}, eins, zwei), nil},
		"Nero's list too": {chaptered(func(m *movieSpec) {
			m.more = atom("udta", full("chpl", 0, 0, byte(1), uint64(5), byte(1), "x"))
		}, []uint32{2}, eins, zwei), []Chapter{{500, "x"}}},
		"an empty Nero's list": {chaptered(func(m *movieSpec) {
			m.more = atom("udta", full("chpl", 0, 0, byte(0), 0))
		}, []uint32{2}, eins, zwei), want},
		"none":                {chaptered(nil, []uint32{2}), nil},
		"with boxes behind":   {chaptered(nil, []uint32{2}, cat(eins, atom("encd", 256)), zwei), want},
		"UTF-16":              {chaptered(nil, []uint32{2}, titled("\xfe\xff\x00E\x00i\x00n\x00s"), titled("\xff\xfeZ\x00\x3d\xd8\x00\xde")), []Chapter{{0, "Eins"}, {2 * time.Second, "Z😀"}}},
		"UTF-16, odd":         {chaptered(nil, []uint32{2}, titled("\xfe\xff\x00E\x00")), []Chapter{{0, "E"}}},
		"empty titles":        {chaptered(nil, []uint32{2}, titled(""), titled("\xfe\xff"), titled("x")), []Chapter{{0, ""}, {2 * time.Second, ""}, {4 * time.Second, "x"}}},
		"a title too long":    {chaptered(nil, []uint32{2}, cat(uint16(100), "Eins"), zwei), want},
		"a sample of nothing": {chaptered(nil, []uint32{2}, eins, nil, zwei), want[:1]},
		"a sample of a byte":  {chaptered(nil, []uint32{2}, eins, []byte{0}, zwei), want[:1]},
		"a huge sample":       {chaptered(nil, []uint32{2}, eins, make([]byte, maxChapterTitle+1), zwei), want[:1]},
		"broken tables":       {chaptered(func(m *movieSpec) { m.tracks[1].tables = map[string][]byte{"stts": nil} }, []uint32{2}, eins, zwei), nil},
		"a broken track":      {chaptered(func(m *movieSpec) { m.tracks[1].timescale = 0 }, []uint32{2}, eins, zwei), nil},
		"beyond the end": {chaptered(func(m *movieSpec) {
			m.tracks[1].tables = map[string][]byte{"stco": full("stco", 0, 0, 2, 1<<30, 1<<30)}
		}, []uint32{2}, eins, zwei), nil},
		"twice": {chaptered(func(m *movieSpec) {
			m.tracks = append([]trackSpec{{id: 2, handler: "text", timescale: 1}}, m.tracks...)
		}, []uint32{2, 2}, eins, zwei), want},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := mustOpen(t, tt.file)
			for range 2 { // as often as one likes
				got, err := f.ReadChapters()
				if err != nil || !slices.Equal(got, tt.want) {
					t.Errorf("%v, %v, want %v", got, err, tt.want)
				}
			}
		})
	}
}

// TestReadChaptersBounds has more and longer titles than any book.
func TestReadChaptersBounds(t *testing.T) {
	t.Parallel()
	many := slices.Repeat([][]byte{titled("x")}, maxChapters+10)
	got, err := mustOpen(t, chaptered(nil, []uint32{2}, many...)).ReadChapters()
	if err != nil || len(got) != maxChapters {
		t.Errorf("%d chapters, %v", len(got), err)
	}
	long := slices.Repeat([][]byte{titled(strings.Repeat("x", maxChapterTitle-2))}, 100)
	file := chaptered(nil, []uint32{2}, long...)
	f, err := Open(bytes.NewReader(file), int64(len(file)), Limits{Tracks: 9, Allocation: 10 * maxChapterTitle})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.ReadChapters(); err != nil || len(got) != 10 {
		t.Errorf("%d chapters, %v", len(got), err)
	}
}

// TestReadChaptersOnce: many tracks that name the same text track do not have it
// read many times.
func TestReadChaptersOnce(t *testing.T) {
	t.Parallel()
	empty := full("stsc", 0, 0, 1, 1, 0, 1) // chunks without samples, which are walked to the end
	m := movieSpec{tracks: []trackSpec{{id: 2, handler: "text", timescale: 1, tables: map[string][]byte{
		"stsc": empty, "stts": full("stts", 0, 0, 1, 1, 1), "stsz": full("stsz", 0, 0, 1, 1),
		"stco": full("stco", 0, 0, wholeSize, make([]byte, 4*wholeSize)),
	}}}}
	for i := range 20 {
		m.tracks = append(m.tracks, trackSpec{id: uint32(10 + i), timescale: 1, chapters: slices.Repeat([]uint32{2}, 16)})
	}
	file, _ := m.build()
	r := &virtual{pieces: []piece{said(file)}}
	f, err := Open(r, r.size(), roomy)
	if err != nil {
		t.Fatal(err)
	}
	r.bytes = 0
	if got, err := f.ReadChapters(); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if most := int64(5 * wholeSize); r.bytes > most {
		t.Errorf("%d bytes were read, at most %d are due", r.bytes, most)
	}
}

// TestReadChaptersFails lets the source fail while titles are read.
func TestReadChaptersFails(t *testing.T) {
	t.Parallel()
	file := chaptered(func(m *movieSpec) { m.pad = wholeSize }, []uint32{2}, titled("Eins"), titled("Zwei"))
	for n := 0; ; n++ {
		broken := &lostError{errors.New("broken")}
		r := &failing{r: bytes.NewReader(file), n: n, err: broken}
		f, err := Open(r, int64(len(file)), roomy)
		if err == nil {
			_, err = f.ReadChapters()
		}
		if err == nil && r.reads <= n {
			break
		}
		if err != broken {
			t.Errorf("read %d fails: %v", n, err)
		}
	}
}
