package mp3

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFramerTags(t *testing.T) {
	frames := testStream(6)
	fake := join(frames[:3]) // what a tag must not let through
	id3v2 := append([]byte{'I', 'D', '3', 4, 0, 0, 0, 0, byte(len(fake) >> 7), byte(len(fake) & 0x7F)}, fake...)
	id3v2Footer := append(bytes.Clone(id3v2), "3DI\x04\x00\x10\x00\x00\x00\x00"...)
	id3v2Footer[5] = 0x10
	id3v1 := append([]byte("TAG"), fake[:125]...)
	id3v1Ext := append([]byte("TAG+"), fake[:223]...)
	apeHead := append([]byte("APETAGEX\xD0\x07\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xA0"), make([]byte, 8)...)
	apeFoot := bytes.Clone(apeHead)
	apeFoot[23] = 0x80
	items := fake[:500]
	size := len(items) + apeHeaderSize
	apeHead[12], apeHead[13] = byte(size), byte(size>>8)
	ape := slices.Concat(apeHead, items, apeFoot)

	streams := map[string][][]byte{
		"ID3v2 first":       {id3v2, join(frames)},
		"two ID3v2 first":   {id3v2, id3v2Footer, join(frames)},
		"ID3v2 between":     {join(frames[:3]), id3v2, join(frames[3:])},
		"footer between":    {join(frames[:1]), id3v2Footer, join(frames[1:])},
		"ID3v1 last":        {join(frames), id3v1},
		"ID3v1 both last":   {join(frames), id3v1Ext, id3v1},
		"ID3v1 between":     {join(frames[:5]), id3v1, join(frames[5:])},
		"APE first":         {ape, join(frames)},
		"APE and ID3v1":     {join(frames), ape, id3v1},
		"APE footer only":   {join(frames), apeFoot},
		"ID3v2 cut off":     {join(frames), id3v2[:700]},
		"all around frames": {id3v2, ape, join(frames[:2]), id3v1, id3v2, join(frames[2:]), ape, id3v1},
	}
	for name, stream := range streams {
		var f Framer
		f.Write(slices.Concat(stream...))
		f.Flush()
		if got := drain(&f); len(got) != len(frames) || f.Skipped() != 0 {
			t.Errorf("%s: %d frames, skipped %d", name, len(got), f.Skipped())
		}
	}
	names := slices.Sorted(maps.Keys(streams))
	rapid.Check(t, func(t *rapid.T) {
		stream := streams[rapid.SampledFrom(names).Draw(t, "stream")]
		var f Framer
		sameFrames(t, feed(t, &f, slices.Concat(stream...)), frames)
		if f.Skipped() != 0 {
			t.Fatalf("skipped %d", f.Skipped())
		}
	})
}

// TestFramerNotTags has beginnings of tags that none follows.
func TestFramerNotTags(t *testing.T) {
	frames := testStream(4)
	for _, tail := range []string{"I", "ID", "TAG", "APETAG", "APETAGEX", "ID3\x04\x00\x00\x00\x00\x00\x80", "ID3\xFF\x00\x00\x00\x00\x00\x05", "ID3\x04\xFF\x00\x00\x00\x00\x05", "no TAG"} {
		var f Framer
		f.Write(join(frames))
		f.Write([]byte(tail))
		f.Flush()
		sameFrames(t, drain(&f), frames)
		if f.Skipped() != int64(len(tail)) {
			t.Errorf("%q: skipped %d", tail, f.Skipped())
		}
	}
}

// TestFramerTagInGarbage has the beginning of a tag where a piece starts, but
// after garbage: it must not hide the frames that follow.
func TestFramerTagInGarbage(t *testing.T) {
	frames := testStream(4)
	for _, tag := range []string{"TAG", "ID3\x04\x00\x00\x00\x00\x7F\x7F"} {
		var f Framer
		for _, piece := range [][]byte{[]byte("junk"), []byte(tag), join(frames)} {
			f.Write(piece)
			if got := drain(&f); len(piece) < 100 && len(got) > 0 {
				t.Fatal("a frame of garbage")
			} else if len(got) > 0 {
				sameFrames(t, got, frames[:3])
			}
		}
		if f.Skipped() != int64(len("junk")+len(tag)) {
			t.Errorf("%q: skipped %d", tag, f.Skipped())
		}
	}
}
