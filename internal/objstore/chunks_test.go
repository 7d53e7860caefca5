package objstore

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// A buffer is the same wherever its chunks lie: in memory, in a file, in both, or in memory
// again after the file has failed.
func TestChunks(t *testing.T) {
	t.Parallel()
	readOnly := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(readOnly, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		// What others hold.
		held := rapid.SampledFrom([]int64{0, maxMapped - chunkBytes, maxMapped}).Draw(t, "held")
		var mapped atomic.Int64
		mapped.Store(held)
		c := chunks{mapped: &mapped, dir: rapid.SampledFrom([]string{"", "/dev/null/none"}).Draw(t, "dir")}
		var model []byte
		for range rapid.IntRange(0, 5).Draw(t, "writes") {
			if c.file != nil && rapid.Bool().Draw(t, "fails") {
				old := c.file
				c.file = unwritable(t, old, readOnly, c.size)
				_ = old.Close()
			}
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
		if held == maxMapped && c.dir == "" && len(model) > 0 && c.file == nil {
			t.Fatal("memory grows without bound")
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
		if n := mapped.Load(); n != held {
			t.Fatalf("%d bytes are left", n-held)
		}
	})
}

// unwritable is a file with the bytes of another that can be read only.
func unwritable(t *rapid.T, old *os.File, path string, size int64) *os.File {
	b := make([]byte, size)
	if n, err := old.ReadAt(b, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	} else {
		b = b[:n]
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
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
