package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
)

const mib = 1 << 20

// Every kind of bucket passes the tests of this file.

func put(t testing.TB, b *objstore.Bucket, key string, data []byte) {
	t.Helper()
	w, err := b.CreateSequential(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, b *objstore.Bucket, key string) []byte {
	t.Helper()
	r, err := b.NewReader(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Size() != int64(len(data)) {
		t.Errorf("%s: Size %d, and %d bytes were read", key, r.Size(), len(data))
	}
	return data
}

func want(t testing.TB, b *objstore.Bucket, key string, data []byte) {
	t.Helper()
	if got := get(t, b, key); !bytes.Equal(got, data) {
		t.Errorf("%s: %d bytes, which are not the %d that were written", key, len(got), len(data))
	}
}

// sentAtOnce is a size beyond which a writer sends what it has been given. Tests write a few
// times as much.
func sentAtOnce(t testing.TB) int {
	if strings.Contains(t.Name(), "/gridfs") {
		return 256 << 10
	}
	return 5 * mib
}

// wantNothing checks that nothing is visible, and that nothing is stored out of sight.
func wantNothing(t testing.TB, b *objstore.Bucket) {
	t.Helper()
	if keys := keys(t, b, ""); len(keys) > 0 {
		t.Errorf("objects are left: %v", keys)
	}
	if n, err := b.SweepUploads(context.WithoutCancel(t.Context()), 0); n != 0 || err != nil {
		t.Errorf("SweepUploads: %d, %v; there should be none", n, err)
	}
}

func keys(t testing.TB, b *objstore.Bucket, prefix string) []string {
	t.Helper()
	objects, err := b.List(t.Context(), prefix, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return keys
}

func TestSequential(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		part := sentAtOnce(t)
		for _, n := range []int{0, 1, part - 1, part, part + 1, 2 * part, 2*part + 1} {
			data := noise(1, n)
			w, err := b.CreateSequential(t.Context(), "in/1")
			if err != nil {
				t.Fatal(err)
			}
			// Writes of a size that no border is a multiple of.
			for piece := range slices.Chunk(data, 300_001) {
				if m, err := w.Write(piece); m != len(piece) || err != nil {
					t.Fatalf("Write: %d, %v", m, err)
				}
			}
			if w.Bytes() != int64(n) {
				t.Errorf("Bytes %d after %d", w.Bytes(), n)
			}
			if err := w.Commit(); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			want(t, b, "in/1", data) // each replaces the one before
		}
	})
}

func TestHead(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		part := sentAtOnce(t)
		for _, n := range []int{0, 100, part + 1, 2*part - 1, 2 * part, 2*part + 1, 3 * part, 4*part + 7} {
			data := noise(2, n)
			w, err := b.Create(t.Context(), "out/1")
			if err != nil {
				t.Fatal(err)
			}
			if m, err := w.Write(data); m != n || err != nil {
				t.Fatalf("Write: %d, %v", m, err)
			}
			// Again at the start, in the middle, over the border of the first two parts,
			// and before the head's end.
			for _, at := range []int{0, n / 3, part - 5, 2*part - 10} {
				patch := noise(uint64(at+3), 10)
				if at < 0 || at+len(patch) > n {
					continue
				}
				if pos, err := w.Seek(int64(at), io.SeekStart); pos != int64(at) || err != nil {
					t.Fatalf("Seek: %d, %v", pos, err)
				}
				if m, err := w.Write(patch); m != len(patch) || err != nil {
					t.Fatalf("Write at %d of %d: %d, %v", at, n, m, err)
				}
				copy(data[at:], patch)
			}
			if pos, err := w.Seek(0, io.SeekEnd); pos != int64(n) || err != nil {
				t.Fatalf("Seek to the end: %d, %v", pos, err)
			}
			if err := w.Commit(); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			want(t, b, "out/1", data)
		}
	})
}

func TestSeekErrors(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		w, err := b.Create(t.Context(), "out/1")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		if _, err := w.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Seek(101, io.SeekStart); !errors.Is(err, objstore.ErrSeek) {
			t.Errorf("beyond the end: %v", err)
		}
		if _, err := w.Seek(-101, io.SeekCurrent); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("before the start: %v", err)
		}
		if _, err := w.Seek(0, 3); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("whence 3: %v", err)
		}
		if pos, err := w.Seek(0, io.SeekCurrent); pos != 100 || err != nil {
			t.Errorf("after those: %d, %v", pos, err)
		}
	})
}

// What has been sent can't be changed; what is kept back, and what is yet to be sent, can.
func TestSeekSent(t *testing.T) {
	t.Parallel()
	b := open(t, newURL(t, "s3"))
	data := noise(3, 21*mib)
	w, err := b.Create(t.Context(), "out/1")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seek(10*mib, io.SeekStart); !errors.Is(err, objstore.ErrSeek) {
		t.Errorf("to what has been sent: %v", err)
	}
	if _, err := w.Seek(10*mib-100, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	// Over the end of the head: what fits is written.
	patch := noise(4, 200)
	if n, err := w.Write(patch); n != 100 || !errors.Is(err, objstore.ErrSeek) {
		t.Errorf("Write over the end of the head: %d, %v", n, err)
	}
	copy(data[10*mib-100:10*mib], patch)
	if _, err := w.Seek(-mib, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(patch); err != nil {
		t.Fatal(err)
	}
	copy(data[20*mib:], patch)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	want(t, b, "out/1", data)
}

// A writer is a file whose bytes can be changed as long as they are held.
func TestWriterModel(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		rapid.Check(t, func(r *rapid.T) {
			w, err := b.Create(t.Context(), "out/1")
			if err != nil {
				r.Fatal(err)
			}
			defer w.Abort()
			var model []byte
			pos := 0
			for range rapid.IntRange(0, 6).Draw(r, "steps") {
				if rapid.Bool().Draw(r, "seek") {
					pos = rapid.IntRange(0, len(model)).Draw(r, "to")
					if _, err := w.Seek(int64(pos), io.SeekStart); err != nil {
						r.Fatal(err) // so few writes stay within the head
					}
				}
				piece := noise(rapid.Uint64().Draw(r, "seed"), rapid.IntRange(0, 150_000).Draw(r, "bytes"))
				if n, err := w.Write(piece); n != len(piece) || err != nil {
					r.Fatalf("Write: %d, %v", n, err)
				}
				model = append(model[:pos], append(bytes.Clone(piece), model[min(len(model), pos+len(piece)):]...)...)
				pos += len(piece)
			}
			if err := w.Commit(); err != nil {
				r.Fatal(err)
			}
			if got := get(t, b, "out/1"); !bytes.Equal(got, model) {
				r.Fatalf("%d bytes differ from the %d written", len(got), len(model))
			}
		})
	})
}

func TestReader(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		for _, n := range []int{0, 1, 1000, 64 << 10, 200_000} {
			data := noise(4, n)
			put(t, b, "in/1", data)
			r, err := b.NewReader(t.Context(), "in/1")
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(r, data); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Read after Close: %v", err)
			}
			if r.Size() != int64(n) || r.BytesRead() < int64(n) {
				t.Errorf("after Close: Size %d, BytesRead %d", r.Size(), r.BytesRead())
			}
		}
	})
}

// A reader does what a bytes.Reader does, wherever it is sent.
func TestReaderModel(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		data := noise(5, sentAtOnce(t)/5*2+77)
		put(t, b, "in/1", data)
		rapid.Check(t, func(rt *rapid.T) {
			r, err := b.NewReader(t.Context(), "in/1")
			if err != nil {
				rt.Fatal(err)
			}
			defer r.Close()
			model := bytes.NewReader(data)
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				if rapid.IntRange(0, 2).Draw(rt, "jump") > 0 {
					whence := rapid.SampledFrom([]int{io.SeekStart, io.SeekCurrent, io.SeekEnd}).Draw(rt, "whence")
					off := int64(rapid.IntRange(-400_000, len(data)*5/4).Draw(rt, "offset"))
					p1, err1 := r.Seek(off, whence)
					p2, err2 := model.Seek(off, whence)
					if p1 != p2 || (err1 == nil) != (err2 == nil) {
						rt.Fatalf("Seek(%d, %d): %d, %v; it should be %d, %v", off, whence, p1, err1, p2, err2)
					}
				}
				n := rapid.SampledFrom([]int{1, 8, 4000, 16 << 10, 16 << 10, 64 << 10, 256 << 10, 3 * mib / 2}).Draw(rt, "read")
				got, want := make([]byte, n), make([]byte, n)
				n1, err1 := io.ReadFull(r, got)
				n2, err2 := io.ReadFull(model, want)
				if n1 != n2 || err1 != err2 || !bytes.Equal(got, want) {
					rt.Fatalf("Read(%d): %d, %v; it should be %d, %v", n, n1, err1, n2, err2)
				}
			}
		})
	})
}

func TestMissing(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		put(t, b, "out/1/1.mp3", []byte("x"))
		for _, key := range []string{"in/1", "out", "out/1", "out/1/1", "out/1/1.mp3/x"} {
			if _, err := b.NewReader(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("NewReader(%s): %v", key, err)
			}
			if ok, err := b.Exists(t.Context(), key); ok || err != nil {
				t.Errorf("Exists(%s): %v, %v", key, ok, err)
			}
			if err := b.Delete(t.Context(), key); err != nil {
				t.Errorf("Delete(%s): %v", key, err)
			}
		}
		if ok, err := b.Exists(t.Context(), "out/1/1.mp3"); !ok || err != nil {
			t.Errorf("Exists: %v, %v", ok, err)
		}
		if err := b.Delete(t.Context(), "out/1/1.mp3"); err != nil {
			t.Error(err)
		}
		wantNothing(t, b)
		if err := b.DeletePrefix(t.Context(), "out/1/"); err != nil {
			t.Error(err)
		}
		if err := b.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		bad := []string{"", "/a", "a/", "a//b", ".a", ".tmp/x", "-a", "A", "a b", "a/../b", "..", "a..b", "a/./b", "a\x00", "ä", "a\\b", "a%2f", strings.Repeat("a", 1025)}
		for _, key := range bad {
			_, err := b.Create(t.Context(), key)
			_, err2 := b.NewReader(t.Context(), key)
			_, err3 := b.Exists(t.Context(), key)
			for _, err := range []error{err, err2, err3, b.Delete(t.Context(), key)} {
				if !errors.Is(err, objstore.ErrKey) {
					t.Errorf("%q: %v", key, err)
				}
			}
		}
		if err := b.DeletePrefix(t.Context(), ""); !errors.Is(err, objstore.ErrKey) {
			t.Errorf("DeletePrefix of all: %v", err)
		}
		for _, key := range []string{"0", "a.b-c", "in/0198c1a2-7b1f-7000-8000-000000000001", "out/a/1.mp3", "a/.b", "a/-"} {
			put(t, b, key, []byte(key))
			want(t, b, key, []byte(key))
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		// Names that continue a folder's name sort before what is in it, as "-" and "."
		// come before "/".
		all := []string{"a/1", "a/2", "a/b/c", "a/b.d", "a-b", "a.b", "b/0", "in/10", "in/1", "in/11", "in/2", "z"}
		for _, key := range all {
			put(t, b, key, []byte(key))
		}
		slices.Sort(all)
		for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "in/1", "in/", "nothing", "z", "z/"} {
			var fit []string
			for _, key := range all {
				if strings.HasPrefix(key, prefix) {
					fit = append(fit, key)
				}
			}
			for _, limit := range []int{1, 2, 3, 5, len(all), len(all) + 1} {
				var got []string
				for after := ""; ; {
					page, err := b.List(t.Context(), prefix, after, limit)
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range page {
						if o.Bytes != int64(len(o.Key)) || time.Since(o.Modified).Abs() > time.Hour {
							t.Errorf("listed as %+v", o)
						}
						got, after = append(got, o.Key), o.Key
					}
					if len(page) > limit {
						t.Errorf("%d keys, and the limit is %d", len(page), limit)
					}
					if len(page) < limit {
						break
					}
				}
				if !slices.Equal(got, fit) {
					t.Errorf("prefix %q in pages of %d: %v; it should be %v", prefix, limit, got, fit)
				}
			}
		}
		// Going on after a key that is not there.
		if page, err := b.List(t.Context(), "", "in/10x", 1); err != nil || len(page) != 1 || page[0].Key != "in/11" {
			t.Errorf("after in/10x: %v, %v", page, err)
		}
		if err := b.DeletePrefix(t.Context(), "in/1"); err != nil {
			t.Fatal(err)
		}
		if err := b.DeletePrefix(t.Context(), "a/"); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, b, ""); !slices.Equal(got, []string{"a-b", "a.b", "b/0", "in/2", "z"}) {
			t.Errorf("after DeletePrefix: %v", got)
		}
	})
}

func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		part := sentAtOnce(t)
		for _, n := range []int{0, 101, part*6/5 + 1, part * 16 / 5} {
			for _, how := range []string{"abort", "cancel", "cancel then commit"} {
				ctx, cancel := context.WithCancel(t.Context())
				create := b.CreateSequential
				if n%2 == 0 {
					create = b.Create
				}
				w, err := create(ctx, "out/1")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, n)); err != nil {
					t.Fatal(err)
				}
				if got := keys(t, b, ""); len(got) > 0 {
					t.Errorf("visible before Commit: %v", got)
				}
				switch how {
				case "cancel then commit":
					cancel()
					if err := w.Commit(); !errors.Is(err, context.Canceled) {
						t.Errorf("Commit after cancel: %v", err)
					}
				case "cancel":
					cancel()
				}
				w.Abort()
				w.Abort()
				cancel()
				wantNothing(t, b)
				if _, err := w.Write([]byte("x")); err == nil {
					t.Error("Write after the end gives no error")
				}
				if err := w.Commit(); err == nil {
					t.Error("Commit after the end gives no error")
				}
			}
		}
	})
}

// A writer whose context is canceled is aborted even if nobody calls Abort.
func TestForgotten(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, err := b.CreateSequential(ctx, "in/1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 6*mib)); err != nil {
			t.Fatal(err)
		}
		cancel()
		// Once the watch on the context is done, Seek tells why.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := w.Seek(0, io.SeekEnd); err == nil {
				t.Fatal("Seek works after cancel")
			}
			n, err := b.List(t.Context(), "", "", 1)
			if err != nil || len(n) > 0 {
				t.Fatal(n, err)
			}
			if objstore.Ended(w) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("not aborted")
			}
		}
		wantNothing(t, b)
	})
}

// A writer whose context ends in the middle of a Write.
func TestCancelWrite(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, err := b.CreateSequential(ctx, "in/1")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				if _, err := w.Write(make([]byte, mib)); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("Write: %v", err)
					}
					return
				}
				if w.Bytes() >= int64(sentAtOnce(t))*12/5 {
					cancel()
				}
			}
		})
		wg.Wait()
		w.Abort()
		wantNothing(t, b)

		put(t, b, "in/1", make([]byte, mib))
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		r, err := b.NewReader(ctx, "in/1")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cancel()
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("Read: %v", err)
		}
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		put(t, b, "in/2", []byte("stays"))
		w, err := b.CreateSequential(t.Context(), "in/1")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		if _, err := w.Write(make([]byte, 6*mib)); err != nil {
			t.Fatal(err)
		}
		if n, err := b.SweepUploads(t.Context(), time.Hour); n != 0 || err != nil {
			t.Errorf("older than an hour: %d, %v", n, err)
		}
		if n, err := b.SweepUploads(t.Context(), 0); n != 1 || err != nil {
			t.Errorf("all: %d, %v", n, err)
		}
		if err := w.Commit(); err == nil {
			t.Error("Commit of an upload that was swept away gives no error")
		}
		want(t, b, "in/2", []byte("stays"))
		if err := b.Delete(t.Context(), "in/2"); err != nil {
			t.Fatal(err)
		}
		wantNothing(t, b)
	})
}

func TestConcurrent(t *testing.T) {
	each(t, func(t *testing.T, b *objstore.Bucket) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				// Folders come and go meanwhile.
				for j := range 6 {
					key := fmt.Sprintf("out/%d/%d.mp3", j, i)
					put(t, b, key, noise(uint64(i), 1000*i))
					want(t, b, key, noise(uint64(i), 1000*i))
					if err := b.Delete(t.Context(), key); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				w, err := b.Create(t.Context(), "same")
				if err != nil {
					t.Error(err)
					return
				}
				defer w.Abort()
				_, err = w.Write(noise(uint64(i), 50_000))
				if err = errors.Join(err, w.Commit()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got := get(t, b, "same")
		if !slices.ContainsFunc([]uint64{0, 1, 2, 3, 4, 5, 6, 7}, func(i uint64) bool { return bytes.Equal(got, noise(i, 50_000)) }) {
			t.Error("the object is none of those written")
		}
		if err := b.Delete(t.Context(), "same"); err != nil {
			t.Error(err)
		}
		wantNothing(t, b)
	})
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "bucket", "gs://b", "file://host/tmp", "file:relative", "file:///tmp/x?create_dir=true", "s3://", "s3://b/prefix?region=r",
		"s3://b?region=r&endpoint=127.0.0.1:7070", "s3://b?region=r&use_path_style=perhaps", "s3://b?region=r&unknown=1", "s3://b?region=r#f",
		"s3://user:secret@b?region=r", "s3://user:secret@b%zz?region=r",
	} {
		b, err := objstore.Open(t.Context(), url)
		if err == nil {
			t.Errorf("%q is taken", url)
			b.Close()
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if _, err := objstore.OpenWith(t.Context(), server.URL, &objstore.Options{AccessKey: "x"}); err == nil {
		t.Error("an access key without a secret key is taken")
	}
}

// A bucket that is not there, or that isn't ours, is not an empty one.
func TestNoBucket(t *testing.T) {
	t.Parallel()
	gone := open(t, strings.Replace(newURL(t, "s3"), "s3://test-", "s3://gone-", 1))
	foreign, err := objstore.OpenWith(t.Context(), newURL(t, "s3"), &objstore.Options{AccessKey: "x", SecretKey: "y"})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	dir := t.TempDir() + "/bucket"
	removed := open(t, "file://"+dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*objstore.Bucket{"gone": gone, "foreign": foreign, "removed": removed} {
		if err := b.Ping(t.Context()); err == nil {
			t.Errorf("%s: Ping gives no error", name)
		}
		if name == "removed" {
			continue
		}
		if _, err := b.NewReader(t.Context(), "in/1"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: NewReader: %v", name, err)
		}
		if _, err := b.List(t.Context(), "", "", 1); err == nil {
			t.Errorf("%s: List gives no error", name)
		}
	}
}
