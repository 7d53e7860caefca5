package objstore_test

import (
	"io"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
)

// What uploads and downloads cost: memory, bytes and requests.

// Ten uploads at once stay below 32 MiB in total, garbage included, and the same ten go on
// with another object each. Not parallel: the heap is that of all tests.
func TestWriterMemory(t *testing.T) {
	t.Run("s3", func(t *testing.T) { writerMemory(t, "s3", 10, 64*mib, 32*mib) })
	// FerretDB is slow: with more, one waits for longer than an operation may take.
	t.Run("gridfs", func(t *testing.T) { writerMemory(t, "gridfs", 3, 8*mib, 16*mib) })
}

func writerMemory(t *testing.T, kind string, writers, size int, most int64) {
	b := open(t, newURL(t, kind))
	put(t, b, "warm/up", make([]byte, 6*mib))
	runtime.GC()
	before := inUse(b)
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			most = max(most, inUse(b))
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for _, bytes := range []int{size, size / 8} {
				if err := write(t, b, "in/"+strconv.Itoa(i), bytes); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	grown := <-peak - before
	t.Logf("%d writers of %d MiB: memory grew by %.1f MiB", writers, size/mib, float64(grown)/mib)
	if grown > most {
		t.Errorf("memory grew by %d bytes, and at most %d are allowed", grown, most)
	}
	if n := objstore.Mapped(b); n != 0 {
		t.Errorf("%d bytes are held after the last writer", n)
	}
}

func write(t *testing.T, b *objstore.Bucket, key string, bytes int) error {
	w, err := b.CreateSequential(t.Context(), key)
	if err != nil {
		return err
	}
	defer w.Abort()
	piece := noise(1, 32<<10)
	for ; bytes > 0; bytes -= len(piece) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return w.Commit()
}

// inUse returns the bytes of Go's heap, garbage included, and of the writers' buffers.
func inUse(b *objstore.Bucket) int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64()) + objstore.Mapped(b)
}

// Pieces far apart cost what they are, and little more.
func TestFetchPieces(t *testing.T) {
	t.Parallel()
	b := open(t, newURL(t, "s3"))
	put(t, b, "in/1", noise(20, 32*mib))
	r := reader(t, b)
	var asked int64
	piece := make([]byte, 64<<10)
	for at := int64(100); at < 32*mib-mib; at += mib {
		readAt(t, r, piece, at)
		asked += int64(len(piece))
	}
	if extra := r.BytesRead() - asked; extra > 128<<10 {
		t.Errorf("%d bytes were asked for, and %d fetched", asked, r.BytesRead())
	}
	t.Logf("far apart: asked %d, fetched %d", asked, r.BytesRead())
}

// A video: an index whose tables are read by turns with the audio, which lies between
// frames. What is fetched in vain stays small.
func TestFetchVideo(t *testing.T) {
	t.Parallel()
	b, p := through(t)
	put(t, b, "in/1", noise(21, 20*mib))
	r := reader(t, b)
	var asked int64
	window, audio := make([]byte, 16<<10), make([]byte, 20<<10)
	tables := []int64{18 * mib, 18*mib + 300<<10, 18*mib + 700<<10, 19 * mib}
	p.Requests.Store(0)
	pieces := 0
	for at := int64(1000); at < 17*mib; at += 500 << 10 {
		if pieces%5 == 0 {
			for i := range tables {
				readAt(t, r, window, tables[i])
				tables[i] += int64(len(window))
				asked += int64(len(window))
			}
		}
		readAt(t, r, audio, at)
		asked += int64(len(audio))
		pieces++
	}
	t.Logf("a video: asked %d, fetched %d in %d requests", asked, r.BytesRead(), p.Requests.Load())
	if r.BytesRead() > asked*5/4 {
		t.Errorf("%d bytes were asked for, and %d fetched", asked, r.BytesRead())
	}
}

// A file read from start to end is fetched once, in few requests.
func TestFetchAll(t *testing.T) {
	t.Parallel()
	b, p := through(t)
	put(t, b, "in/1", noise(22, 16*mib))
	p.Requests.Store(0)
	r := reader(t, b)
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 32<<10)); n != 16*mib || err != nil {
		t.Fatal(n, err)
	}
	t.Logf("from start to end: fetched %d in %d requests", r.BytesRead(), p.Requests.Load())
	if r.BytesRead() != 16*mib || p.Requests.Load() > 30 {
		t.Errorf("%d bytes fetched in %d requests", r.BytesRead(), p.Requests.Load())
	}
}

func reader(t *testing.T, b *objstore.Bucket) *objstore.Reader {
	t.Helper()
	r, err := b.NewReader(t.Context(), "in/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func readAt(t *testing.T, r *objstore.Reader, p []byte, at int64) {
	t.Helper()
	if _, err := r.Seek(at, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, p); err != nil {
		t.Fatal(err)
	}
}
