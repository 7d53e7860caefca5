package transcode

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCopy: the frames of an MP3 track are those that ffmpeg takes out of the
// file, bit by bit.
func TestCopy(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"media/mp3-cbr.mp4", "media/mp3-vbr.mp4", "media/mp3.mov", "media/mp3-22050.mp4"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dst, r := convert(t, fixturePath(file), nil)
			if !r.Settings.Copied {
				t.Fatal("the frames were encoded anew")
			}
			raw := filepath.Join(t.TempDir(), "raw.mp3")
			run(t, "ffmpeg", "-v", "error", "-i", fixturePath(file), "-map", "0:a:0", "-c", "copy", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3", raw)
			want, err := os.ReadFile(raw)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, _, got := mp3Frames(t, dst); !bytes.Equal(got, want) {
				t.Errorf("%d bytes of frames differ from the %d that ffmpeg copies", len(got), len(want))
			}
		})
	}
}

// TestCopyOnlyWithoutWishes: whatever changes the audio has it encoded.
func TestCopyOnlyWithoutWishes(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"bit rate": {Encoding: CBR(96)},
		"default":  {Encoding: DefaultEncoding},
		"rate":     {SampleRate: 32000},
		"channels": {Channels: Mono},
		"start":    {Start: 100 * time.Millisecond},
		"duration": {Duration: 100 * time.Millisecond},
	} {
		if _, r := convert(t, fixturePath("media/mp3-cbr.mp4"), &o); r.Settings.Copied {
			t.Errorf("%s: copied all the same", name)
		}
	}
	if _, r := convert(t, fixturePath("media/mp3-cbr.mp4"), &Options{NoTags: true, Tags: Tags{Title: "x"}}); !r.Settings.Copied {
		t.Error("tags are no reason to encode")
	}
}
