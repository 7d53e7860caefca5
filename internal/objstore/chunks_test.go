package objstore

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestChunks(t *testing.T) {
	t.Parallel()
	var mapped atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		c := chunks{mapped: &mapped}
		var model []byte
		for range rapid.IntRange(0, 5).Draw(t, "writes") {
			at := rapid.IntRange(0, len(model)).Draw(t, "at")
			p := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(0, 2*chunkBytes).Draw(t, "bytes"))
			if err := c.writeAt(p, int64(at)); err != nil {
				t.Fatal(err)
			}
			model = append(model[:at], append(p, model[min(len(model), at+len(p)):]...)...)
		}
		if c.size != int64(len(model)) {
			t.Fatalf("size %d of %d", c.size, len(model))
		}
		start := rapid.IntRange(0, len(model)).Draw(t, "start")
		end := rapid.IntRange(start, len(model)).Draw(t, "end")
		r := c.reader(int64(start), int64(end))
		if err := iotest.TestReader(r, model[start:end]); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		if n, err := r.WriteTo(&all); n != int64(end-start) || err != nil || !bytes.Equal(all.Bytes(), model[start:end]) {
			t.Fatalf("WriteTo: %d, %v", n, err)
		}
		c.free()
	})
	if n := mapped.Load(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

// All the parts that S3 allows make more than a TiB, and up to 5 GiB they are small.
func TestPartBytes(t *testing.T) {
	t.Parallel()
	var total int64
	for n := 1; n <= maxParts; n++ {
		if total < 5<<30 && partBytes(n) != minPart {
			t.Fatalf("part %d, after %d bytes, has %d", n, total, partBytes(n))
		}
		total += partBytes(n)
	}
	if total < 1<<40 || partBytes(maxParts) > 5<<30 {
		t.Errorf("all parts make %d bytes; the last has %d", total, partBytes(maxParts))
	}
}
