package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever the network does now and then, what is read is right.
func TestReaderFaults(t *testing.T) {
	t.Parallel()
	data := noise(7, 6*mib+5)
	for name, kinds := range map[string][]fault{
		"refused": {refuse, broken}, "cut": {cut}, "shorter": {shorter}, "lost": {lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p := through(t)
			put(t, b, "in/1", data)
			p.Set(nowAndThen(8, 3, kinds...))
			r, err := b.NewReader(t.Context(), "in/1")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes of %d, %v", len(got), len(data), err)
			}
			random := rand.New(rand.NewPCG(9, 9))
			piece := make([]byte, 100_000)
			for range 20 {
				at := random.IntN(len(data) - len(piece))
				if _, err := r.Seek(int64(at), io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(r, piece); err != nil || !bytes.Equal(piece, data[at:at+len(piece)]) {
					t.Fatalf("at %d: wrong bytes, or %v", at, err)
				}
			}
		})
	}
}

// A fault that does not go away is an error, and neither the end of the file nor a missing
// file.
func TestReaderGivesUp(t *testing.T) {
	t.Parallel()
	data := noise(10, 2*mib)
	for name, kind := range map[string]fault{"refuse": refuse, "broken": broken, "cut": cut, "shorter": shorter, "lost": lost, "rangeOff": rangeOff} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p := through(t)
			put(t, b, "in/1", data)
			r, err := b.NewReader(t.Context(), "in/1")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p.Set(func(*http.Request) fault { return kind })
			got, err := io.ReadAll(r)
			// Of answers that are cut by half, one after the other, some bring enough.
			halves := kind == cut || kind == shorter
			if (err == nil) != (len(got) == len(data)) || err == nil && !halves || !bytes.HasPrefix(data, got) {
				t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
			}
			if halves || kind == rangeOff {
				return // no fault to those that follow
			}
			if _, err := b.NewReader(t.Context(), "in/1"); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("NewReader: %v", err)
			}
			if ok, err := b.Exists(t.Context(), "in/1"); ok || err == nil {
				t.Errorf("Exists: %v, %v", ok, err)
			}
		})
	}
}

// An object that is replaced or deleted while it is read does not mix with the old one.
func TestReaderChange(t *testing.T) {
	t.Parallel()
	b := open(t, newURL(t, "s3"))
	put(t, b, "in/1", noise(11, 2*mib))
	r, err := b.NewReader(t.Context(), "in/1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, b, "in/1", noise(12, 2*mib))
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("replaced: %d bytes and no error", len(got))
	}
	if err := b.Delete(t.Context(), "in/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 100)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("deleted: %v", err)
	}
}

func TestWriterFaults(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1000, 21 * mib} {
		data := noise(13, n)
		for name, f := range map[string]func(*http.Request) fault{
			"now and then": nowAndThen(14, 3, refuse, broken, cut, lost),
			"lost PUT":     method(http.MethodPut, 1, lost),
			"lost POST":    method(http.MethodPost, 1, lost),
			"lost Complete": func() func(*http.Request) fault {
				times := 1
				return func(r *http.Request) fault {
					if !r.URL.Query().Has("uploadId") || r.Method != http.MethodPost || times == 0 {
						return none
					}
					times--
					return lost
				}
			}(),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b, p := through(t)
				p.Set(f)
				w, err := b.Create(t.Context(), "out/1")
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
				p.Set(nil)
				want(t, b, "out/1", data)
			})
		}
	}
}

// A writer that can't get through tells so, and leaves nothing once the server is back.
func TestWriterGivesUp(t *testing.T) {
	t.Parallel()
	b, p := through(t)
	w, err := b.CreateSequential(t.Context(), "in/1")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(make([]byte, 6*mib)); err != nil {
		t.Fatal(err)
	}
	p.Set(func(r *http.Request) fault {
		if r.Method == http.MethodPut {
			return broken
		}
		return none
	})
	if _, err = w.Write(make([]byte, 6*mib)); err == nil {
		t.Fatal("Write gives no error")
	}
	if err2 := w.Commit(); err2 == nil || !strings.Contains(err2.Error(), "part 2") {
		t.Errorf("Commit after %v: %v", err, err2)
	}
	wantNothing(t, b)

	p.Set(nil)
	if w, err = b.CreateSequential(t.Context(), "in/1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 11*mib)); err != nil {
		t.Fatal(err)
	}
	p.Set(func(r *http.Request) fault {
		if r.URL.Query().Has("uploadId") && r.Method == http.MethodPost {
			return refuse
		}
		return none
	})
	if err := w.Commit(); err == nil {
		t.Error("Commit gives no error")
	}
	wantNothing(t, b)
}

// A server that has no room says so in its own words, and a writer in those of the system,
// as a folder does. Nothing is left, and there may be room again.
func TestWriterFull(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault{"full": full, "quota": quota} {
		for _, n := range []int{1000, 11 * mib} {
			t.Run(name+" "+strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				b, p := through(t)
				p.Set(method(http.MethodPut, 100, kind))
				w, err := b.CreateSequential(t.Context(), "in/1")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(noise(15, n)); (err != nil) != (n > 10*mib) || err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Write: %v", err)
				}
				if err := w.Commit(); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("Commit: %v", err)
				}
				p.Set(nil)
				wantNothing(t, b)
				put(t, b, "in/1", noise(15, n))
			})
		}
	}
}

// A server that takes the request and says nothing doesn't hold up whoever gives up.
func TestCancelSilence(t *testing.T) {
	t.Parallel()
	b, p := through(t)
	put(t, b, "in/1", make([]byte, 2*mib))
	r, err := b.NewReader(t.Context(), "in/1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	silence := make(chan struct{})
	defer close(silence)
	p.Set(func(r *http.Request) fault {
		select {
		case <-silence:
		case <-r.Context().Done():
		}
		return lost
	})
	start := time.Now()
	if _, err := b.NewReader(ctx, "in/1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("NewReader: %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}
