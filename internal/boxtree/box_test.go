package boxtree

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files are those of testdata, by name.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"*.*", "media/*"} {
		names, err := filepath.Glob(filepath.Join("../../testdata", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.Base(name)] = b
		}
	}
	if len(out) < 100 {
		t.Fatalf("only %d files", len(out))
	}
	return out
}

// TestRoundTrip: reading a file and writing it again gives the same bytes, whatever is in
// it, entries split or not, laid out anew or not.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, want := range files(t) {
		f, err := Parse(bytes.Clone(want))
		if err == nil != (f.Tail == nil) {
			t.Errorf("%s: a tail of %d bytes and the error %v", name, len(f.Tail), err)
		}
		if err != nil && !strings.HasPrefix(name, "bad") && !strings.HasSuffix(name, ".tsv") && name != "README.md" {
			t.Errorf("%s: %v", name, err)
		}
		for _, trak := range f.Tracks() {
			Entries(trak)
		}
		var got []byte
		for _, b := range f.Boxes {
			if got = b.Append(got); int64(len(got)) != b.End {
				t.Fatalf("%s: a %s box ends at %d, written at %d", name, b.Type, b.End, len(got))
			}
		}
		if got = append(got, f.Tail...); !bytes.Equal(got, want) {
			t.Errorf("%s: changed by reading and writing it", name)
		}
		if got = f.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%s: changed by laying it out", name)
		}
	}
}

// TestPlaces: each box is where it says.
func TestPlaces(t *testing.T) {
	t.Parallel()
	for name, file := range files(t) {
		f, _ := Parse(file)
		if Pick(f.Boxes, "moov").Kid("cmov") == nil {
			for _, trak := range f.Tracks() {
				Entries(trak)
			}
		}
		f.Walk(func(b *Box) {
			if string(file[b.Start+4:b.Start+8]) != b.Type || b.Body-b.Start != b.headerLen() || b.End-b.Start != b.Size() {
				t.Errorf("%s: %q is not at %d-%d-%d", name, b.Type, b.Start, b.Body, b.End)
			}
		})
	}
}

// TestOffsetsMove: chunk offsets follow the media when something grows before it.
func TestOffsetsMove(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"aac-moov-first.mp4", "aac-co64.mp4"} {
		source := files(t)[name]
		f, err := Parse(bytes.Clone(source))
		if err != nil {
			t.Fatal(err)
		}
		chunk := func(f *File, b []byte) []byte {
			stbl := Tables(f.FirstTrack("soun"))
			if co := stbl.Kid("co64"); co != nil {
				return b[be.Uint64(co.Data[8:]):][:64]
			}
			return b[be.Uint32(stbl.Kid("stco").Data[8:]):][:64]
		}
		want := bytes.Clone(chunk(f, source))
		f.Boxes = append([]*Box{f.Boxes[0], New("free", make([]byte, 1000))}, f.Boxes[1:]...)
		Pick(f.Boxes, "mdat").Wide = true
		moved := f.Bytes()
		g, err := Parse(moved)
		if err != nil {
			t.Fatal(err)
		}
		if got := chunk(g, moved); !bytes.Equal(got, want) {
			t.Errorf("%s: the first chunk is lost", name)
		}
	}
}

// TestDeep: a file of boxes in one another costs no more than its size.
func TestDeep(t *testing.T) {
	t.Parallel()
	const depth = 200_000
	b := make([]byte, 8*depth)
	for i := range depth {
		be.PutUint32(b[8*i:], uint32(8*(depth-i)))
		copy(b[8*i+4:], "moov")
	}
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	boxes := 0
	f.Walk(func(*Box) { boxes++ })
	if boxes != maxDepth+1 {
		t.Errorf("%d boxes", boxes)
	}
	if !bytes.Equal(f.Bytes(), b) {
		t.Error("changed by reading and writing it")
	}
}
