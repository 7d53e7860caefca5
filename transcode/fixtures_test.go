package transcode

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// TestFixtures converts every file of testdata and lets others judge: mpg123
// must play exactly the samples that the source presents, at the source's rate
// where MP3 has it.
func TestFixtures(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		t.Run(f.file, func(t *testing.T) {
			t.Parallel()
			dst := filepath.Join(t.TempDir(), "out.mp3")
			r, err := ConvertFile(t.Context(), dst, f.path(), &Options{Track: f.track})
			if got := CodeOf(err); !slices.Contains(f.expected, got) {
				t.Fatalf("outcome %q, want one of %q: %v", got, f.expected, err)
			}
			if err != nil {
				if _, err := os.Stat(dst); !os.IsNotExist(err) {
					t.Errorf("a refused file left something behind: %v", err)
				}
				return
			}
			if f.samples == 0 {
				return // converting is one of the outcomes that are right
			}
			rate := (&Options{}).outputRate(f.rate)
			want := mp4.Rescale(f.samples, int64(rate), int64(f.rate))
			if r.Samples != want || r.Settings.SampleRate != rate {
				t.Errorf("%d samples at %d Hz, want %d at %d", r.Samples, r.Settings.SampleRate, want, rate)
			}
			if r.Track.Codec != f.codec {
				t.Errorf("codec %q, want %q", r.Track.Codec, f.codec)
			}
			if r.Track.Channels != f.channels || r.Settings.Channels != min(f.channels, 2) {
				t.Errorf("%d channels of %d, want %d", r.Settings.Channels, r.Track.Channels, f.channels)
			}
			if got := playedSamples(t, dst, r.Settings.Channels); got != want {
				t.Errorf("mpg123 plays %d samples, want %d", got, want)
			}
			s := ffprobe(t, dst).Streams[0]
			if s.CodecName != "mp3" || s.SampleRate != strconv.Itoa(rate) {
				t.Errorf("ffprobe sees %+v", s)
			}
			checkMP3(t, dst)
		})
	}
}
