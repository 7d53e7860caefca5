package transcode

import (
	"bytes"
	"testing"
)

// TestRestart: the walk over the index goes on where the time wanted lies ahead, and begins
// anew where it lies behind; either way the same packet comes next.
func TestRestart(t *testing.T) {
	t.Parallel()
	source := readFixture(t, "waltz.m4a")
	src, err := newSource(t.Context(), bytes.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{}.withDefaults()
	f, err := openFile(src, limits)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *decoder {
		d, err := newDecoder(src, f, f.Tracks[0], limits)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.close)
		return d
	}
	next := func(d *decoder) packet {
		p, err := d.demux.next()
		if err != nil {
			t.Fatal(err)
		}
		p.data = bytes.Clone(p.data)
		return p
	}
	d := open()
	for i, to := range []int64{0, 5000, 5001, 9000, 200_000, 3000, 0, 100_000, 99_000} {
		walk := d.demux.samples
		ahead, _ := d.demux.start()
		if err := d.restart(to); err != nil {
			t.Fatal(err)
		}
		if same := d.demux.samples == walk; same != (ahead < to) {
			t.Errorf("jump %d from %d to %d: the same walk: %v", i, ahead, to, same)
		}
		got := next(d)
		fresh := open()
		if err := fresh.demux.seek(to); err != nil {
			t.Fatal(err)
		}
		if want := next(fresh); got.time != want.time || !bytes.Equal(got.data, want.data) {
			t.Errorf("jump %d to %d gives the packet at %d, want that at %d", i, to, got.time, want.time)
		}
	}
}
