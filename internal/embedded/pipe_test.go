package embedded

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestPipeHolds: what is written waits, whole and in order, also for its end.
func TestPipeHolds(t *testing.T) {
	t.Parallel()
	a, b := pipe()
	var want []byte
	for i := range 100 {
		part := bytes.Repeat([]byte{byte(i)}, 10_000)
		want = append(want, part...)
		if n, err := a.Write(part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
		clear(part) // it is the writer's
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if _, err := b.Write([]byte("x")); err == nil {
		t.Error("written to nobody")
	}
}

// TestPipeClose: it ends what waits on either side, and drops what was not read here.
func TestPipeClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		errs := make(chan error, 3)
		read := func(r io.Reader) {
			_, err := r.Read(make([]byte, 1))
			errs <- err
		}
		go read(a)
		go read(b)
		go read(b)
		synctest.Wait()
		if len(errs) > 0 {
			t.Fatal("a reader did not wait")
		}
		a.Close()
		a.Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		}
		a, b = pipe()
		b.Write([]byte("unread"))
		a.Close()
		if n, err := a.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("it reads on after Close")
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe()
		read := func() error {
			_, err := a.Read(make([]byte, 1))
			return err
		}
		late := func(when string) {
			t.Helper()
			if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", when, err)
			}
		}
		began := time.Now()
		a.SetReadDeadline(began.Add(3 * time.Second))
		late("a deadline to come")
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("it came after %v", d)
		}
		late("it has passed")
		b.Write([]byte("xyz"))
		late("it has passed, and there is something")

		a.SetDeadline(time.Now().Add(time.Second))
		if err := read(); err != nil {
			t.Error("a new deadline:", err)
		}
		a.SetDeadline(time.Time{})
		time.Sleep(2 * time.Second)
		if err := read(); err != nil {
			t.Error("none any more:", err)
		}
		if err := read(); err != nil {
			t.Error(err)
		}

		// One that is set while a reader waits is the reader's.
		done := make(chan error)
		go func() { done <- read() }()
		synctest.Wait()
		a.SetReadDeadline(time.Now().Add(-time.Second))
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a deadline that is over:", err)
		}
		a.SetReadDeadline(time.Now().Add(time.Hour))
		a.Close() // no timer stays
	})
}
