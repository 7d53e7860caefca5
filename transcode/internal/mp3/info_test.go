package mp3

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// drawInfo draws an InfoHeader that Encode can write and ParseInfo gives back
// as it is: all that has no room of its own in the frame is as ParseInfo
// fills it in.
func drawInfo(t *rapid.T) InfoHeader {
	i := InfoHeader{
		Frame:   layer3Headers().Draw(t, "frame"),
		Method:  rapid.SampledFrom([]Method{CBR, ABR, VBR}).Draw(t, "method"),
		Quality: rapid.IntRange(-1, 100).Draw(t, "quality"),
	}
	i.Bitrate = rapid.SampledFrom(Bitrates(i.Frame.Version)).Draw(t, "bitrate")
	if rapid.Bool().Draw(t, "hasFrames") {
		i.Frames, i.HasFrames = rapid.Uint32().Draw(t, "frames"), true
	}
	if rapid.Bool().Draw(t, "hasBytes") {
		i.Bytes, i.HasBytes = rapid.Uint32().Draw(t, "bytes"), true
	}
	if rapid.Bool().Draw(t, "hasTOC") {
		i.TOC = (*[tocEntries]byte)(rapid.SliceOfN(rapid.Byte(), tocEntries, tocEntries).Draw(t, "toc"))
	}
	if rapid.Bool().Draw(t, "gapless") {
		i.Gapless = true
		i.Encoder = rapid.StringMatching(`[A-Z][A-Za-z0-9.]{0,8}`).Draw(t, "encoder")
		i.Delay = rapid.IntRange(0, maxGap).Draw(t, "delay")
		i.Padding = rapid.IntRange(0, maxGap).Draw(t, "padding")
		i.Lowpass = 100 * rapid.IntRange(0, 255).Draw(t, "lowpass")
		i.SourceRate = rapid.SampledFrom(sourceRates[:]).Draw(t, "source")
		i.MusicCRC = rapid.Uint16().Draw(t, "crc")
	}
	return i
}

func TestInfoRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := drawInfo(t)
		h, ok := i.FrameHeader()
		frame, err := i.Encode()
		if !ok {
			if !errors.Is(err, ErrNoRoom) || frame != nil || i.Size() != 0 || h != (Header{}) {
				t.Fatalf("no room, but frame %x, error %v, size %d, header %+v", frame, err, i.Size(), h)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(frame) != i.Size() || len(frame) != h.FrameSize() {
			t.Fatalf("%d bytes, Size %d, FrameSize %d", len(frame), i.Size(), h.FrameSize())
		}
		if !IsInfoFrame(frame) {
			t.Fatalf("not an Info frame: %x", frame)
		}
		if i.Method == CBR && h.Bitrate != i.Bitrate {
			t.Fatalf("CBR of %d kb/s has an Info frame of %d", i.Bitrate, h.Bitrate)
		}
		got, err := ParseInfo(frame)
		if err != nil {
			t.Fatal(err)
		}

		want := i
		want.Frame = h
		if i.Method == CBR && i.TOC != nil && got.TOC == nil {
			if room := h.FrameSize() - headerSize - h.SideInfoSize() - xingSize; room >= 140 {
				t.Fatalf("no table of contents in %d bytes", room)
			}
			want.TOC, want.Quality = nil, -1
		} else if i.Method == CBR && got.Quality == -1 {
			want.Quality = -1
		}
		switch {
		case i.Method == CBR:
		case !i.Gapless:
			want.Method, want.Bitrate = VBR, 0 // all that "Xing" tells
		default:
			want.Bitrate = min(i.Bitrate, 255)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// TestInfoSize sees that what is not known before the stream is changes no size.
func TestInfoSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawInfo(t), drawInfo(t)
		b.Frame, b.Method, b.Bitrate, b.Gapless = a.Frame, a.Method, a.Bitrate, a.Gapless
		a.Encoder, b.Encoder = "LAME3.100", "Lavc"
		b.Frame.ModeExtension ^= 1
		b.Frame.Padding = !b.Frame.Padding
		x, _ := a.Encode()
		y, _ := b.Encode()
		if len(x) != len(y) || len(x) != a.Size() || len(y) != b.Size() {
			t.Fatalf("sizes %d and %d", len(x), len(y))
		}
	})
}

// TestInfoRoom states what fits where.
func TestInfoRoom(t *testing.T) {
	stereo := Header{Version: MPEG1, Layer: 3, Bitrate: 128, SampleRate: 48000, Protected: true, Padding: true}
	stereo44 := stereo
	stereo44.SampleRate = 44100
	mono24 := Header{Version: MPEG2, Layer: 3, Bitrate: 64, SampleRate: 24000, Mode: Mono}
	mono8 := Header{Version: MPEG25, Layer: 3, Bitrate: 16, SampleRate: 8000, Mode: Mono}
	for _, tt := range []struct {
		name          string
		frame         Header
		method        Method
		bitrate       int
		gapless       bool
		size          int  // 0: does not fit
		toc, extended bool // what is in it
	}{
		{"CBR", stereo44, CBR, 128, true, 417, true, true},
		{"small CBR", stereo44, CBR, 32, true, 104, false, true},
		{"smallest CBR", stereo, CBR, 32, true, 96, false, true},
		{"just enough CBR", stereo, CBR, 64, true, 192, true, true},
		{"not quite enough CBR", stereo, CBR, 56, true, 168, false, true},
		{"not gapless", stereo, CBR, 56, false, 168, true, false},
		{"VBR", stereo44, VBR, 32, true, 208, true, true},
		{"VBR 48 kHz", stereo, VBR, 32, true, 192, true, true},
		{"ABR not gapless", stereo44, ABR, 128, false, 156, true, false},
		{"MPEG-2 CBR", mono24, CBR, 24, true, 72, false, true},
		{"too small for the extension", mono24, CBR, 16, true, 0, false, false},
		{"too small for it, not gapless", mono24, CBR, 16, false, 48, false, false},
		{"too small for anything", mono24, CBR, 8, false, 0, false, false},
		{"MPEG-2 VBR", mono24, VBR, 8, true, 192, true, true},
		{"MPEG-2.5 VBR", mono8, VBR, 8, true, 216, true, true},
		{"no such bit rate", stereo, CBR, 100, true, 0, false, false},
		{"free format", stereo, CBR, 0, true, 0, false, false},
		{"no stream", Header{}, VBR, 0, true, 0, false, false},
		{"Layer II", Header{Version: MPEG1, Layer: 2, SampleRate: 48000}, VBR, 0, true, 0, false, false},
		{"bad mode", Header{Version: MPEG1, Layer: 3, SampleRate: 48000, Mode: 4}, VBR, 0, true, 0, false, false},
	} {
		i := InfoHeader{
			Frame: tt.frame, Method: tt.method, Bitrate: tt.bitrate, Gapless: tt.gapless,
			HasFrames: true, HasBytes: true, TOC: new([tocEntries]byte), Encoder: "LAME3.100",
		}
		frame, err := i.Encode()
		if len(frame) != tt.size || errors.Is(err, ErrNoRoom) != (tt.size == 0) {
			t.Errorf("%s: %d bytes, want %d; error %v", tt.name, len(frame), tt.size, err)
			continue
		}
		if tt.size == 0 {
			continue
		}
		got, err := ParseInfo(frame)
		if err != nil || (got.TOC != nil) != tt.toc || got.Gapless != tt.extended || !got.HasFrames || !got.HasBytes {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		if got.Frame.Protected || got.Frame.Padding {
			t.Errorf("%s: the Info frame's header is %+v", tt.name, got.Frame)
		}
	}
}

func TestInfoEncodeErrors(t *testing.T) {
	good := InfoHeader{
		Frame:  Header{Version: MPEG1, Layer: 3, SampleRate: 44100},
		Method: VBR, Gapless: true, Encoder: "LAME3.100",
	}
	if _, err := good.Encode(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*InfoHeader){
		"method":           func(i *InfoHeader) { i.Method = 3 },
		"quality":          func(i *InfoHeader) { i.Quality = 101 },
		"no encoder":       func(i *InfoHeader) { i.Encoder = "" },
		"encoder":          func(i *InfoHeader) { i.Encoder = "LAME3.100a" },
		"delay":            func(i *InfoHeader) { i.Delay = 4096 },
		"negative delay":   func(i *InfoHeader) { i.Delay = -1 },
		"padding":          func(i *InfoHeader) { i.Padding = 4096 },
		"negative padding": func(i *InfoHeader) { i.Padding = -1 },
	} {
		i := good
		change(&i)
		if frame, err := i.Encode(); err == nil || frame != nil {
			t.Errorf("%s: frame %x, error %v", name, frame, err)
		}
	}
}

// TestInfoLayout pins the bytes to the offsets of the specification's example,
// a 44.1 kHz stereo frame: there the tag CRC stands at 0xBE.
func TestInfoLayout(t *testing.T) {
	toc := [tocEntries]byte{1: 2, 99: 253}
	i := InfoHeader{
		Frame:  Header{Version: MPEG1, Layer: 3, Bitrate: 320, SampleRate: 44100, Mode: JointStereo, ModeExtension: 2, Original: true},
		Method: VBR, Bitrate: 32, Quality: 80,
		Frames: 0x01020304, HasFrames: true, Bytes: 0x05060708, HasBytes: true, TOC: &toc,
		Gapless: true, Encoder: "LAME3.100", Delay: 0x240, Padding: 0x4F5, Lowpass: 18450, SourceRate: 48000, MusicCRC: 0xABCD,
	}
	frame, err := i.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int]string{
		0x00: "\xFF\xFB\x50\x44",
		0x04: string(make([]byte, 32)),
		0x24: "Xing\x00\x00\x00\x0F\x01\x02\x03\x04\x05\x06\x07\x08\x00\x02",
		0x97: "\xFD\x00\x00\x00\x50LAME3.100\x04\xB9",
		0xA7: "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x24\x04\xF5\x8C\x00\x00\x00\x05\x06\x07\x08\xAB\xCD",
		0xC0: string(make([]byte, 208-0xC0)),
	} {
		if got := string(frame[at : at+len(want)]); got != want {
			t.Errorf("at %#x: %x, want %x", at, got, want)
		}
	}
	if got, want := binary.BigEndian.Uint16(frame[0xBE:]), crcBitwise(0, frame[:0xBE]); got != want {
		t.Errorf("tag CRC %#04x, want %#04x", got, want)
	}

	// Without Bytes there is no music length, without SourceRate it is Frame's.
	i.HasBytes, i.SourceRate, i.Bitrate, i.Lowpass = false, 0, 320, 30000
	frame, err = i.Encode()
	if err != nil {
		t.Fatal(err)
	}
	lame := frame[0x9C-4:]
	if lame[lameMisc] != 0x4C || string(lame[lameMusicCRC-4:lameMusicCRC]) != "\x00\x00\x00\x00" ||
		lame[lameBitrate] != 255 || lame[lameLowpass] != 255 {
		t.Errorf("extension %x", lame[:lameSize])
	}
}

func TestSourceRateCode(t *testing.T) {
	for hz, want := range map[int]byte{8000: 0, 32000: 0, 44100: 1, 37800: 1, 48000: 2, 88200: 3, 192000: 3} {
		if got := sourceRateCode(hz); got != want {
			t.Errorf("%d Hz: %d, want %d", hz, got, want)
		}
	}
	for code, hz := range sourceRates {
		if got := sourceRateCode(hz); int(got) != code {
			t.Errorf("%d Hz: %d, want %d", hz, got, code)
		}
	}
}

func TestPadding(t *testing.T) {
	// LAME's own numbers for 3 s at 44.1 kHz: 116 frames, delay 576, padding 756.
	if got := Padding(132300, 116, 1152, 576); got != 756 {
		t.Errorf("padding %d, want 756", got)
	}
	if got := Padding(1<<40, 1<<31, 576, 576); got != 576<<31-1<<40-576 {
		t.Errorf("padding %d of a long stream", got)
	}
}
