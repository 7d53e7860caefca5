package mp3

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// headers draws any legal header.
func headers() *rapid.Generator[Header] {
	return rapid.Custom(func(t *rapid.T) Header {
		h := layer3Headers().Draw(t, "header")
		h.Layer = rapid.IntRange(1, 3).Draw(t, "layer")
		h.Bitrate = rapid.SampledFrom(append([]int{0}, bitrates(h.Version, h.Layer)...)).Draw(t, "bitrate")
		return h
	})
}

// layer3Headers draws any legal Layer III header but those of free format.
func layer3Headers() *rapid.Generator[Header] {
	return rapid.Custom(func(t *rapid.T) Header {
		v := rapid.SampledFrom([]Version{MPEG1, MPEG2, MPEG25}).Draw(t, "version")
		return Header{
			Version:       v,
			Layer:         3,
			Protected:     rapid.Bool().Draw(t, "protected"),
			Bitrate:       rapid.SampledFrom(Bitrates(v)).Draw(t, "bitrate"),
			SampleRate:    rapid.SampledFrom(sampleRates[v][:]).Draw(t, "sampleRate"),
			Padding:       rapid.Bool().Draw(t, "padding"),
			Private:       rapid.Bool().Draw(t, "private"),
			Mode:          rapid.SampledFrom([]ChannelMode{Stereo, JointStereo, DualChannel, Mono}).Draw(t, "mode"),
			ModeExtension: rapid.Uint8Range(0, 3).Draw(t, "modeExtension"),
			Copyright:     rapid.Bool().Draw(t, "copyright"),
			Original:      rapid.Bool().Draw(t, "original"),
			Emphasis:      rapid.SampledFrom([]uint8{0, 1, 3}).Draw(t, "emphasis"),
		}
	})
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := headers().Draw(t, "h")
		b := h.Bytes()
		got, err := ParseHeader(b[:])
		if err != nil || got != h {
			t.Fatalf("ParseHeader(%x) = %+v, %v; want %+v", b, got, err, h)
		}
	})
}

// TestParseHeaderAll parses every 21-bit pattern after the sync: what has a
// meaning comes back bit for bit, what is reserved fails.
func TestParseHeaderAll(t *testing.T) {
	legal := 0
	for bits := range 1 << 21 {
		b := [headerSize]byte{0xFF, 0xE0 | byte(bits>>16), byte(bits >> 8), byte(bits)}
		reserved := bits>>19 == 1 || bits>>17&3 == 0 || bits>>12&15 == 15 || bits>>10&3 == 3 || bits&3 == 2
		h, err := ParseHeader(b[:])
		if reserved != errors.Is(err, ErrHeader) {
			t.Fatalf("ParseHeader(%x): %v", b, err)
		}
		if err != nil {
			continue
		}
		legal++
		if h.Bytes() != b {
			t.Fatalf("ParseHeader(%x).Bytes() = %x", b, h.Bytes())
		}
		if n := h.FrameSize(); (n == 0) != (h.Bitrate == 0) || n > 0 && n < headerSize+h.SideInfoSize() {
			t.Fatalf("%+v: frame of %d bytes", h, n)
		}
	}
	// Versions, layers, bit rates, sample rates, emphases and 9 free bits.
	if want := 3 * 3 * 15 * 3 * 3 << 9; legal != want {
		t.Errorf("%d legal headers, want %d", legal, want)
	}
}

func TestParseHeaderNoSync(t *testing.T) {
	for _, b := range [][]byte{nil, {0xFF, 0xFB, 0x90}, {0xFF, 0xDB, 0x90, 0}, {0xFE, 0xFB, 0x90, 0}, []byte("RIFF")} {
		if _, err := ParseHeader(b); !errors.Is(err, ErrSync) {
			t.Errorf("ParseHeader(%x): %v, want ErrSync", b, err)
		}
	}
}

// TestHeaderBytesWithoutCode sees that a header that cannot be written is not
// written as another one.
func TestHeaderBytesWithoutCode(t *testing.T) {
	good := Header{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100}
	for name, change := range map[string]func(*Header){
		"version":      func(h *Header) { h.Version = 0 },
		"high version": func(h *Header) { h.Version = 4 },
		"layer":        func(h *Header) { h.Layer = 4 },
		"no layer":     func(h *Header) { h.Layer = 0 },
		"bit rate":     func(h *Header) { h.Bitrate = 129 },
		"sample rate":  func(h *Header) { h.SampleRate = 22050 },
		"emphasis":     func(h *Header) { h.Emphasis = 2 },
	} {
		h := good
		change(&h)
		b := h.Bytes()
		if got, err := ParseHeader(b[:]); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: ParseHeader(%x) = %+v, %v; want ErrHeader", name, b, got, err)
		}
	}
}

func TestHeaderSizes(t *testing.T) {
	for _, tt := range []struct {
		h                          Header
		size, samples, chans, side int
	}{
		{Header{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100}, 417, 1152, 2, 32},
		{Header{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100, Padding: true}, 418, 1152, 2, 32},
		{Header{Version: MPEG1, Layer: 3, Bitrate: 320, SampleRate: 32000, Mode: Mono}, 1440, 1152, 1, 17},
		{Header{Version: MPEG1, Layer: 3, Bitrate: 32, SampleRate: 48000, Mode: JointStereo}, 96, 1152, 2, 32},
		{Header{Version: MPEG2, Layer: 3, Bitrate: 8, SampleRate: 24000, Mode: Mono}, 24, 576, 1, 9},
		{Header{Version: MPEG25, Layer: 3, Bitrate: 64, SampleRate: 8000, Mode: DualChannel}, 576, 576, 2, 17},
		{Header{Version: MPEG1, Layer: 3, SampleRate: 44100}, 0, 1152, 2, 32},
		{Header{Version: MPEG1, Layer: 2, Bitrate: 192, SampleRate: 48000}, 576, 1152, 2, 0},
		{Header{Version: MPEG2, Layer: 2, Bitrate: 64, SampleRate: 22050, Padding: true}, 418, 1152, 2, 0},
		{Header{Version: MPEG1, Layer: 1, Bitrate: 384, SampleRate: 44100, Padding: true}, 420, 384, 2, 0},
		{Header{}, 0, 1152, 2, 0},
	} {
		h := tt.h
		if got := h.FrameSize(); got != tt.size {
			t.Errorf("%+v: FrameSize %d, want %d", h, got, tt.size)
		}
		if got := h.Samples(); got != tt.samples {
			t.Errorf("%+v: Samples %d, want %d", h, got, tt.samples)
		}
		if got := h.Channels(); got != tt.chans {
			t.Errorf("%+v: Channels %d, want %d", h, got, tt.chans)
		}
		if got := h.SideInfoSize(); got != tt.side {
			t.Errorf("%+v: SideInfoSize %d, want %d", h, got, tt.side)
		}
	}
}

func TestSameStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := headers().Draw(t, "a")
		b := headers().Draw(t, "b")
		want := a
		// All that may change within a stream.
		want.Protected, want.Padding, want.Private, want.ModeExtension = b.Protected, b.Padding, b.Private, b.ModeExtension
		want.Copyright, want.Original, want.Emphasis = b.Copyright, b.Original, b.Emphasis
		if a.Bitrate > 0 && b.Bitrate > 0 {
			want.Bitrate = b.Bitrate
		}
		if a.Mode != Mono && b.Mode != Mono {
			want.Mode = b.Mode
		}
		if got := a.sameStream(b); got != (b == want) {
			t.Fatalf("sameStream is %t", got)
		}
	})
	a := Header{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 44100, Mode: Stereo}
	for name, change := range map[string]func(*Header){
		"version":     func(h *Header) { h.Version = MPEG2 },
		"layer":       func(h *Header) { h.Layer = 2 },
		"sample rate": func(h *Header) { h.SampleRate = 48000 },
		"channels":    func(h *Header) { h.Mode = Mono },
		"free format": func(h *Header) { h.Bitrate = 0 },
	} {
		b := a
		change(&b)
		if a.sameStream(b) || b.sameStream(a) {
			t.Errorf("same stream with another %s", name)
		}
	}
}

func TestRates(t *testing.T) {
	want := []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
	if got := SampleRates(); !slices.Equal(got, want) {
		t.Errorf("SampleRates() = %d", got)
	}
	for _, rate := range want {
		v, ok := VersionOf(rate)
		if !ok || !slices.Contains(sampleRates[v][:], rate) {
			t.Errorf("VersionOf(%d) = %v, %t", rate, v, ok)
		}
	}
	for _, rate := range []int{-1, 0, 44000, 88200} {
		if v, ok := VersionOf(rate); ok || v != 0 {
			t.Errorf("VersionOf(%d) = %v, %t", rate, v, ok)
		}
	}
	if got := Bitrates(0); got != nil {
		t.Errorf("Bitrates(0) = %d", got)
	}
	Bitrates(MPEG1)[0] = 7
	if got := Bitrates(MPEG1); got[0] != 32 || got[13] != 320 || !slices.IsSorted(got) {
		t.Errorf("Bitrates(MPEG1) = %d", got)
	}
	if got := Bitrates(MPEG25); got[0] != 8 || got[13] != 160 || !slices.IsSorted(got) {
		t.Errorf("Bitrates(MPEG25) = %d", got)
	}
	for _, tt := range []struct{ rate, kbps, want int }{
		{44100, 128, 128}, {44100, 0, 32}, {48000, 1000, 320}, {32000, 36, 40}, {32000, 35, 32},
		{24000, 320, 160}, {8000, 100, 96}, {22050, -1, 8}, {96000, 128, 0},
	} {
		if got := NearestBitrate(tt.rate, tt.kbps); got != tt.want {
			t.Errorf("NearestBitrate(%d, %d) = %d, want %d", tt.rate, tt.kbps, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		MPEG1.String():          "MPEG-1",
		MPEG2.String():          "MPEG-2",
		MPEG25.String():         "MPEG-2.5",
		Version(0).String():     "Version(0)",
		Stereo.String():         "stereo",
		JointStereo.String():    "joint stereo",
		DualChannel.String():    "dual channel",
		Mono.String():           "mono",
		ChannelMode(4).String(): "ChannelMode(4)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte{0xFF, 0xFB, 0x90, 0x64})
	f.Add([]byte{0xFF, 0xE3, 0x18, 0xC4, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			if h != (Header{}) {
				t.Fatalf("%+v with error %v", h, err)
			}
			return
		}
		if got := h.Bytes(); string(got[:]) != string(b[:headerSize]) {
			t.Fatalf("%x came back as %x", b[:headerSize], got)
		}
		if n := h.FrameSize(); n != 0 && n < headerSize+h.SideInfoSize() {
			t.Fatalf("%+v: frame of %d bytes does not hold its side information", h, n)
		}
	})
}
