package transcode

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// mp3Frames returns the header frame of an MP3 file and the headers and bytes of
// all others.
func mp3Frames(t testing.TB, file string) (info mp3.InfoHeader, infoSize int, headers []mp3.Header, audio []byte) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f mp3.Framer
	f.Write(b)
	f.Flush()
	for {
		frame, h, ok := f.Next()
		if !ok {
			break
		}
		if infoSize == 0 {
			if info, err = mp3.ParseInfo(frame); err != nil {
				t.Fatalf("the first frame is no header frame: %v", err)
			}
			infoSize = len(frame)
		}
		headers = append(headers, h)
		audio = append(audio, frame...)
	}
	if f.Skipped() > 0 {
		t.Errorf("%d bytes are no frames", f.Skipped())
	}
	return info, infoSize, headers[1:], audio[infoSize:]
}

// TestConstantBitrate: every frame has the bit rate, that of the header included,
// at every sample rate and bit rate there is.
func TestConstantBitrate(t *testing.T) {
	t.Parallel()
	for _, rate := range SampleRates() {
		for _, kbps := range Bitrates() {
			t.Run(fmt.Sprintf("%d/%d", rate, kbps), func(t *testing.T) {
				t.Parallel()
				dst, r := convert(t, fixturePath("media/pcm-s16le.mov"), &Options{Encoding: CBR(kbps), SampleRate: rate})
				want := r.Settings.Encoding.value
				if version, _ := mp3.VersionOf(rate); version == mp3.MPEG1 && want != kbps {
					t.Errorf("%v used for CBR %d at %d Hz", r.Settings.Encoding, kbps, rate)
				}
				info, _, headers, _ := mp3Frames(t, dst)
				if info.Frame.Bitrate != want || info.Method != mp3.CBR {
					t.Errorf("the header frame has %d kb/s, method %d", info.Frame.Bitrate, info.Method)
				}
				for i, h := range headers {
					if h.Bitrate != want || h.SampleRate != rate {
						t.Fatalf("frame %d has %d kb/s at %d Hz, want %d at %d", i, h.Bitrate, h.SampleRate, want, rate)
					}
				}
				checkMP3(t, dst)
			})
		}
	}
}

// TestHeaderFrame checks the Xing header against the file, in every mode.
func TestHeaderFrame(t *testing.T) {
	t.Parallel()
	var encodings []Encoding
	for q := range 10 {
		encodings = append(encodings, VBR(q))
	}
	for _, kbps := range []int{32, 128, 320} {
		encodings = append(encodings, CBR(kbps), ABR(kbps))
	}
	for _, e := range encodings {
		for _, file := range []string{"melody.mp4", "media/aac-22050.m4a", "media/aac-8000.m4a"} {
			t.Run(e.String()+"/"+file, func(t *testing.T) {
				t.Parallel()
				dst, r := convert(t, fixturePath(file), &Options{Encoding: e, NoTags: true, NoCover: true})
				info, size, headers, audio := mp3Frames(t, dst)
				if int(info.Frames) != len(headers) || r.Frames != int64(len(headers)) {
					t.Errorf("the header counts %d frames, the result %d, the file has %d", info.Frames, r.Frames, len(headers))
				}
				if int(info.Bytes) != size+len(audio) || r.BytesWritten != int64(size+len(audio)) {
					t.Errorf("the header counts %d bytes, the result %d, the file has %d", info.Bytes, r.BytesWritten, size+len(audio))
				}
				if got := mp3.CRC16(0, audio); got != info.MusicCRC {
					t.Errorf("checksum %04x, want %04x", info.MusicCRC, got)
				}
				if played := int64(info.Frames)*int64(headers[0].Samples()) - int64(info.Delay+info.Padding); played != r.Samples || info.Delay != lameDelay {
					t.Errorf("delay %d and padding %d leave %d samples, want %d", info.Delay, info.Padding, played, r.Samples)
				}
				if e.mode != modeCBR && info.TOC == nil {
					t.Error("no table for seeking")
				}
				if info.TOC != nil && !slices.IsSorted(info.TOC[:]) {
					t.Errorf("the table for seeking goes back: %v", *info.TOC)
				}
				if got := playedSamples(t, dst, r.Settings.Channels); got != r.Samples {
					t.Errorf("mpg123 plays %d samples, want %d", got, r.Samples)
				}
				checkMP3(t, dst)
			})
		}
	}
}

// TestPromisedHeader: a destination that can't seek gets the same counts as far
// as they can be known beforehand.
func TestPromisedHeader(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		if f.samples == 0 {
			continue
		}
		t.Run(f.file, func(t *testing.T) {
			t.Parallel()
			src, err := os.Open(f.path())
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			dst, err := os.Create(t.TempDir() + "/out.mp3")
			if err != nil {
				t.Fatal(err)
			}
			defer dst.Close()
			r, err := Convert(t.Context(), onlyWriter{dst}, src, &Options{Track: f.track})
			if err != nil {
				t.Fatal(err)
			}
			info, _, headers, _ := mp3Frames(t, dst.Name())
			if !info.HasFrames {
				if i, err := Probe(t.Context(), src); err != nil || !i.Fragmented {
					t.Errorf("no promise for a file with an index: %v", err)
				}
				return
			}
			if int(info.Frames) != len(headers) {
				t.Errorf("promised %d frames, there are %d", info.Frames, len(headers))
			}
			if got := playedSamples(t, dst.Name(), r.Settings.Channels); got != r.Samples {
				t.Errorf("mpg123 plays %d samples, want %d", got, r.Samples)
			}
		})
	}
}

func TestParseEncoding(t *testing.T) {
	t.Parallel()
	for _, e := range []Encoding{{}, CBR(192), VBR(0), VBR(9), ABR(8), ABR(320)} {
		got, err := ParseEncoding(e.String())
		if err != nil || got != e {
			t.Errorf("ParseEncoding(%q) = %v, %v", e, got, err)
		}
	}
	for _, s := range []string{"", "CBR", "CBR 100", "VBR 10", "VBR -1", "ABR 7", "ABR 321", "MP3 1", "CBR 192 k"} {
		if _, err := ParseEncoding(s); !errors.Is(err, ErrOptions) {
			t.Errorf("ParseEncoding(%q): %v, want ErrOptions", s, err)
		}
	}
}
