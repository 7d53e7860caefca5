package transcode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"
)

// seeds are small fixtures of every kind.
var seeds = []string{
	"media/aac-tiny.m4a", "media/frag-each-frame.mp4", "media/opus.mp4", "media/alac-16.m4a", "media/flac.mp4",
	"media/amr-nb.3gp", "media/mp3-22050.mp4", "media/pcm-u8.mov", "media/ima4.mov", "media/gsm.mov", "media/edit-two.m4a",
	"media/edit-empty.m4a", "media/odd-cmov.mov", "media/tags-all.m4a", "media/vorbis.mp4", "media/ac3-5.1.mp4", "media/pcm-f32le.mov",
}

// checkFuzzed holds for every source: an error of this package, or sound.
func checkFuzzed(t *testing.T, r *Result, err error) {
	t.Helper()
	var typed *Error
	switch {
	case err == nil && (r.Samples <= 0 || r.Frames <= 0):
		t.Fatalf("a result without sound: %+v", r)
	case err != nil && !errors.As(err, &typed):
		t.Fatalf("an untyped error: %v", err)
	case CodeOf(err) == CodeIO:
		t.Fatalf("the source's fault taken for the machine's: %v", err)
	}
	if n := owners.Load(); n != 0 {
		t.Fatalf("%d owners of C memory are left", n)
	}
}

func FuzzConvert(f *testing.F) {
	for _, s := range seeds {
		f.Add(readFixture(f, s), int64(0), int64(0))
	}
	f.Add(readFixture(f, "media/edit-two.m4a"), int64(100_000_000), int64(300_000_000))
	f.Fuzz(func(t *testing.T, source []byte, start, duration int64) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		o := &Options{
			Start: time.Duration(start), Duration: time.Duration(duration), AllowPartial: len(source)%2 == 0,
			Limits: Limits{Duration: 20 * time.Second},
		}
		r, err := Convert(ctx, io.Discard, bytes.NewReader(source), o)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%d bytes took more than 20 s", len(source))
		}
		checkFuzzed(t, r, err)
	})
}

func FuzzProbe(f *testing.F) {
	for _, s := range seeds {
		f.Add(readFixture(f, s))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		info, err := Probe(ctx, bytes.NewReader(source))
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%d bytes took more than 20 s", len(source))
		}
		if err != nil {
			checkFuzzed(t, nil, err)
			return
		}
		if _, err := json.Marshal(info); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzOptions: any options are refused as such, or work.
func FuzzOptions(f *testing.F) {
	source := readFixture(f, "media/aac-stereo.m4a")
	f.Add(int8(1), 192, 44100, 1, 0, "", int64(0), int64(0), int64(0), 0, "Title", false)
	f.Add(int8(2), 2, 0, 0, 1, "eng", int64(1e8), int64(5e8), int64(0), 1, "", true)
	f.Add(int8(3), 8, 8000, 2, 0, "", int64(0), int64(0), int64(1), 0, "\x00\xff", true)
	f.Fuzz(func(t *testing.T, m int8, value, rate, channels, track int, language string, start, end, duration int64, id3 int, text string, off bool) {
		o := &Options{
			Encoding: Encoding{mode(m), value}, SampleRate: rate, Channels: Channels(channels), Track: track, Language: language,
			Start: time.Duration(start), End: time.Duration(end), Duration: time.Duration(duration), ID3: ID3Version(id3),
			NoTags: off, Tags: Tags{Title: text, Comment: text, Date: text},
		}
		valid := o.Validate()
		r, err := Convert(t.Context(), io.Discard, bytes.NewReader(source), o)
		if valid != nil && !errors.Is(err, ErrOptions) {
			t.Fatalf("refused with %v, converted with %v", valid, err)
		}
		if err != nil && !errors.Is(err, ErrOptions) && !errors.Is(err, ErrNoAudio) {
			t.Fatal(err)
		}
		checkFuzzed(t, r, err)
	})
}
