package mp3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
)

func TestParseInfoErrors(t *testing.T) {
	good, err := InfoHeader{
		Frame:  Header{Version: MPEG1, Layer: 3, SampleRate: 44100},
		Method: VBR, HasFrames: true, HasBytes: true, TOC: new([tocEntries]byte),
		Gapless: true, Encoder: "LAME3.100",
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	// Shorter than the fields it names it fails, shorter than the extension it
	// has none.
	for n := range good {
		i, err := ParseInfo(good[:n])
		switch {
		case n < headerSize:
			if !errors.Is(err, ErrSync) {
				t.Errorf("%d bytes: %v", n, err)
			}
		case n < 4+32+16+100+4:
			if !errors.Is(err, ErrNoInfo) {
				t.Errorf("%d bytes: %v", n, err)
			}
		case err != nil || i.Gapless != (n >= 4+32+16+100+4+36):
			t.Errorf("%d bytes: %+v, %v", n, i, err)
		}
	}

	// What reaches beyond the frame's end is not its own.
	small, err := InfoHeader{
		Frame:  Header{Version: MPEG2, Layer: 3, SampleRate: 24000, Mode: Mono},
		Method: CBR, Bitrate: 16, Quality: -1, HasFrames: true, HasBytes: true,
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(small[4+9+16:], "LAME3.100")
	if i, err := ParseInfo(append(small, good...)); err != nil || i.Gapless {
		t.Errorf("%+v, %v", i, err)
	}

	odd := bytes.Clone(good)
	odd[4+32+16+100+3] = 101
	if i, err := ParseInfo(odd); err != nil || i.Quality != -1 || !i.Gapless {
		t.Errorf("quality 101: %+v, %v", i, err)
	}
	// The CRC vouches for an unknown encoder, but not for one without a name.
	for name, want := range map[string]bool{"Foo": true, "\x00oo": false} {
		copy(odd[0x9C:], name)
		binary.BigEndian.PutUint16(odd[0xBE:], CRC16(0, odd[:0xBE]))
		if i, err := ParseInfo(odd); err != nil || i.Gapless != want {
			t.Errorf("encoder %q: %+v, %v", name, i, err)
		}
		odd[0x9C] ^= 1
		if i, err := ParseInfo(odd); err != nil || i.Gapless {
			t.Errorf("encoder %q with a wrong CRC: %+v, %v", name, i, err)
		}
	}

	layer2 := bytes.Clone(good)
	layer2[1] = 0xFD
	free := bytes.Clone(good)
	free[2] &= 0x0F
	vbri := make([]byte, 417)
	copy(vbri, "\xFF\xFB\x90\x00")
	copy(vbri[36:], "VBRI\x00\x01")
	for name, tt := range map[string]struct {
		frame []byte
		info  bool
		err   error
	}{
		"audio":       {testStream(1)[0].data, false, ErrNoInfo},
		"Layer II":    {layer2, false, ErrNoInfo},
		"free format": {free, true, nil},
		"VBRI":        {vbri, true, ErrNoInfo},
		"VBRI mono":   {append([]byte("\xFF\xF3\x90\xC0"), vbri[4:]...), true, ErrNoInfo},
		"reserved":    {append([]byte("\xFF\xFB\xF0\x00"), vbri[4:]...), false, ErrHeader},
	} {
		if got := IsInfoFrame(tt.frame); got != tt.info {
			t.Errorf("%s: IsInfoFrame %t", name, got)
		}
		if _, err := ParseInfo(tt.frame); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", name, err, tt.err)
		}
	}
}

// TestParseInfoMethods maps all codes of the method field.
func TestParseInfoMethods(t *testing.T) {
	for _, tag := range []string{"Xing", "Info"} {
		byTag := map[string]Method{"Xing": VBR, "Info": CBR}[tag]
		frame := make([]byte, 208)
		copy(frame, "\xFF\xFB\x50\x44")
		copy(frame[36:], tag)
		copy(frame[44:], "LAME3.100")
		for code := range 16 {
			want := byTag
			switch code {
			case 1, 8:
				want = CBR
			case 2, 9:
				want = ABR
			case 3, 4, 5, 6:
				want = VBR
			}
			frame[44+lameMethod] = byte(code)
			i, err := ParseInfo(frame)
			if err != nil || !i.Gapless || i.Method != want {
				t.Errorf("%s, code %d: %+v, %v", tag, code, i, err)
			}
		}
	}
}

func FuzzParseInfo(f *testing.F) {
	for _, i := range []InfoHeader{
		{
			Frame:  Header{Version: MPEG1, Layer: 3, SampleRate: 44100},
			Method: VBR, HasFrames: true, HasBytes: true, TOC: new([tocEntries]byte), Quality: 50,
			Gapless: true, Encoder: "LAME3.100", Delay: 576, Padding: 1000, Lowpass: 16000,
		},
		{Frame: Header{Version: MPEG2, Layer: 3, SampleRate: 16000, Mode: Mono}, Method: CBR, Bitrate: 32, HasFrames: true},
	} {
		frame, err := i.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		f.Add(frame[:100])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		i, err := ParseInfo(frame)
		if err != nil {
			if !reflect.DeepEqual(i, InfoHeader{}) {
				t.Fatalf("%+v with error %v", i, err)
			}
			return
		}
		if !IsInfoFrame(frame) {
			t.Fatal("read from what is no Info frame")
		}
		// What was read can be written, and says the same again.
		again, err := i.Encode()
		if errors.Is(err, ErrNoRoom) || i.Gapless && i.Encoder == "" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		j, err := ParseInfo(again)
		if err != nil {
			t.Fatal(err)
		}
		if j.Frames != i.Frames || j.Bytes != i.Bytes || j.HasFrames != i.HasFrames || j.HasBytes != i.HasBytes {
			t.Fatalf("got  %+v\nwant %+v", j, i)
		}
		if i.Gapless && (j.Method != i.Method || j.Encoder != i.Encoder || j.Delay != i.Delay ||
			j.Padding != i.Padding || j.Lowpass != i.Lowpass || j.SourceRate != i.SourceRate || j.MusicCRC != i.MusicCRC) {
			t.Fatalf("got  %+v\nwant %+v", j, i)
		}
	})
}
