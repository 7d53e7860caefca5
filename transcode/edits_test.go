package transcode_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/boxtree"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// withEdits returns a fixture with another edit list on its sound: durations in the movie's
// ticks, times in the media's.
func withEdits(t *testing.T, name string, edits ...[2]int64) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	f, err := boxtree.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	list := boxtree.U32(1<<24, uint32(len(edits)))
	for _, e := range edits {
		list = binary.BigEndian.AppendUint64(list, uint64(e[0]))
		list = binary.BigEndian.AppendUint64(list, uint64(e[1]))
		list = append(list, 0, 1, 0, 0)
	}
	trak := f.FirstTrack("soun")
	trak.Drop("edts")
	trak.Kids = append(trak.Kids, &boxtree.Box{Type: "edts", Kids: []*boxtree.Box{boxtree.New("elst", list)}})
	return f.Bytes()
}

// TestEditsAgainAndAgain: an edit list may go back to what was before, but thousands of
// entries that each do would read a file a thousand times.
func TestEditsAgainAndAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"waltz.m4a", "media/frag-audio.m4a"} {
		var edits [][2]int64
		for i := range int64(4096) {
			edits = append(edits, [2]int64{1, (1 - i%2) * 40_000}) // there and back
		}
		few := withEdits(t, name, edits[:8]...)
		r, err := transcode.Convert(t.Context(), io.Discard, bytes.NewReader(few), nil)
		if err != nil || r.Samples <= 0 {
			t.Errorf("%s with a few edits: %+v, %v", name, r, err)
		}
		many := &counted{Reader: bytes.NewReader(withEdits(t, name, edits...))}
		_, err = transcode.Convert(t.Context(), io.Discard, many, nil)
		if !errors.Is(err, transcode.ErrLimit) {
			t.Errorf("%s: %v, want %v", name, err, transcode.ErrLimit)
		}
		if most := 100*many.Size() + 1<<20; many.read > most {
			t.Errorf("%s: %d bytes read of a file of %d", name, many.read, many.Size())
		}
	}
}

// counted counts what is read.
type counted struct {
	*bytes.Reader
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}

// TestEditsForward: an edit list that leaves parts out costs one walk over the index, however
// many parts.
func TestEditsForward(t *testing.T) {
	t.Parallel()
	var edits [][2]int64
	for i := range int64(7) {
		edits = append(edits, [2]int64{4410, 44100 * (1 + 5*i/4)})
	}
	source := withEdits(t, "melody.mp4", edits...)
	r, err := transcode.Convert(t.Context(), io.Discard, bytes.NewReader(source), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Samples != 7*4410 {
		t.Errorf("%d samples, want %d", r.Samples, 7*4410)
	}
}
