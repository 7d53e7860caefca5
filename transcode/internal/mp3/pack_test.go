package mp3

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// relaid takes a stream apart and lays it again.
func relaid(t testing.TB, frames []frame) []frame {
	t.Helper()
	var u Unpacker
	var out []byte
	p := NewPacker(func(b []byte) error {
		out = append(out, b...)
		return nil
	})
	for n, f := range frames {
		if err := u.Add(f.data); err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
		u.Drop(int64(n) - 3) // as those do that keep little
		if err := p.Add(u.Frame(int64(n)), u.Main(int64(n))); err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return framesOf(t, out)
}

// decoded returns what ffmpeg makes of a stream, to the bit.
func decoded(t testing.TB, stream []byte) []byte {
	t.Helper()
	return run(t, "ffmpeg", "-v", "error", "-i", writeFile(t, "a.mp3", stream), "-f", "f32le", "-")
}

// TestRelaid: LAME's own streams, laid again, decode to the same samples, bit by
// bit, in every mode, with and without CRC; and no frame changes its size.
func TestRelaid(t *testing.T) {
	for _, e := range encodings() {
		for _, protected := range []bool{false, true} {
			args := e.args()
			name := e.String()
			if protected {
				args, name = append(args, "-p"), name+" protected"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				sound := chirp(e.rate, e.channels(), 2*e.rate)
				frames, info := splitInfo(t, lame(t, sound, args...))
				again := relaid(t, frames)
				if len(again) != len(frames) {
					t.Fatalf("%d frames became %d", len(frames), len(again))
				}
				for i, f := range again {
					if f.header != frames[i].header {
						t.Fatalf("frame %d became %+v, was %+v", i, f.header, frames[i].header)
					}
				}
				if info != nil {
					frames, again = slices.Insert(frames, 0, *info), slices.Insert(again, 0, *info)
				}
				mp3val(t, writeFile(t, "again.mp3", join(again)))
				if !bytes.Equal(decoded(t, join(again)), decoded(t, join(frames))) {
					t.Error("it sounds otherwise")
				}
			})
		}
	}
}

// TestPackerFull: what does not fit is refused, and can be followed by what does.
func TestPackerFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := layer3Headers().Filter(func(h Header) bool { return h.FrameSize() > headerSize+crcSize+h.SideInfoSize() }).Draw(t, "header")
		level := 0
		var out []byte
		p := NewPacker(func(b []byte) error { out = append(out, b...); return nil })
		var want [][]byte
		n := rapid.IntRange(1, 40).Draw(t, "frames")
		for range n {
			f, err := ParseFrame(emptyFrame(h))
			if err != nil {
				t.Fatal(err)
			}
			f.MainData = rapid.IntRange(0, f.Slot+f.Most+20).Draw(t, "main")
			main := bytes.Repeat([]byte{byte(1 + len(want)%255)}, f.MainData)
			fits := f.MainData <= f.Slot+min(level, f.Most)
			if err := p.Add(&f, main); (err == nil) != fits || err != nil && !errors.Is(err, ErrMainData) {
				t.Fatalf("%d bytes into %d and %d: %v", f.MainData, level, f.Slot, err)
			}
			if !fits {
				continue
			}
			level = f.After(level)
			if p.Level() != level {
				t.Fatalf("level %d, want %d", p.Level(), level)
			}
			want = append(want, main)
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		if len(out) != len(want)*h.FrameSize() {
			t.Fatalf("%d bytes for %d frames of %d", len(out), len(want), h.FrameSize())
		}
		// The main data stands where main_data_begin says.
		var slots []byte
		for i, main := range want {
			b := out[i*h.FrameSize():][:h.FrameSize()]
			f, err := ParseFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			slots = append(slots, b[len(b)-f.Slot:]...)
			at := len(slots) - f.Slot - f.Begin
			if f.Begin > f.Most || at < 0 || at+len(main) > len(slots) || !bytes.Equal(slots[at:][:len(main)], main) {
				t.Fatalf("frame %d: main data not found", i)
			}
		}
	})
}

// emptyFrame makes a frame whose side information is all zeros.
func emptyFrame(h Header) []byte {
	b := make([]byte, h.FrameSize())
	head := h.Bytes()
	copy(b, head[:])
	return b
}

// TestFrameCRC judges by LAME's own CRC.
func TestFrameCRC(t *testing.T) {
	e := encodings()[0]
	frames, _ := splitInfo(t, lame(t, chirp(e.rate, e.channels(), e.rate), append(e.args(), "-p")...))
	for i, fr := range frames {
		f, err := ParseFrame(fr.data)
		if err != nil {
			t.Fatal(err)
		}
		if head := f.appendHead(nil, f.Begin); !bytes.Equal(head, fr.data[:len(head)]) {
			t.Fatalf("frame %d: head % x, want % x", i, head, fr.data[:len(head)])
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, h := range []Header{
		{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100, Mode: JointStereo},
		{Version: MPEG2, Layer: 3, Bitrate: 8, SampleRate: 24000, Mode: Mono, Protected: true},
	} {
		f.Add(emptyFrame(h), emptyFrame(h))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var u Unpacker
		p := NewPacker(func([]byte) error { return nil })
		for _, data := range [][]byte{a, b, a} {
			if err := u.Add(data); err != nil {
				if !errors.Is(err, ErrFrame) && !errors.Is(err, ErrMainData) {
					t.Fatal(err)
				}
				continue
			}
			n := u.End() - 1
			fr := u.Frame(n)
			if head := fr.appendHead(nil, fr.Begin); !fr.crc && !bytes.Equal(head, data[:len(head)]) {
				t.Fatalf("head % x, was % x", head, data[:len(head)])
			}
			// Another encoder's frames may follow at any level.
			if err := p.Add(fr, u.Main(n)); err != nil && !errors.Is(err, ErrMainData) {
				t.Fatal(err)
			}
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkRelay(b *testing.B) {
	e := encodings()[0]
	frames, _ := splitInfo(b, lame(b, chirp(e.rate, e.channels(), 10*e.rate), e.args()...))
	var u Unpacker
	p := NewPacker(func([]byte) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		u.Reset(0)
		for n, f := range frames {
			if err := u.Add(f.data); err != nil {
				b.Fatal(err)
			}
			if err := p.Add(u.Frame(int64(n)), u.Main(int64(n))); err != nil {
				b.Fatal(err)
			}
		}
	}
}
