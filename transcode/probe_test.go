package transcode

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func probeFile(t testing.TB, path string) *Info {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := Probe(t.Context(), f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return info
}

// TestProbeFixtures: what Probe says is what converting shows, and what ffprobe
// says as far as both speak of the same.
func TestProbeFixtures(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		if f.samples == 0 {
			continue
		}
		t.Run(f.file, func(t *testing.T) {
			t.Parallel()
			info := probeFile(t, f.path())
			if f.track > len(info.Audio) {
				t.Fatalf("%d audio tracks, the fixture uses track %d", len(info.Audio), f.track)
			}
			track := info.Audio[f.track-1]
			if track.Codec != f.codec || track.SampleRate != f.rate || track.Channels != f.channels || !track.Decodable || track.Encrypted {
				t.Errorf("track %+v, want %s at %d Hz with %d channels", track, f.codec, f.rate, f.channels)
			}
			// A tick of a coarse timescale is the most that it may be off.
			want := sampleTime(f.samples, f.rate)
			// Where the video begins later, ffmpeg stretches the first packet of
			// audio in the table; only decoding shows how long it is.
			stretched := f.file == "media/frag-b-frames.mp4"
			if diff := (track.Duration - want).Abs(); diff > 2*time.Millisecond && !stretched {
				t.Errorf("duration %v, want %v", track.Duration, want)
			}
			if info.Bytes != int64(len(readFixture(t, f.file))) || info.BytesRead > info.Bytes*2+1<<12 {
				t.Errorf("%d bytes, %d read", info.Bytes, info.BytesRead)
			}
			var n int
			for _, s := range ffprobe(t, f.path()).Streams {
				if s.CodecType == "audio" {
					n++
				}
			}
			if n != len(info.Audio) {
				t.Errorf("%d audio tracks, ffprobe sees %d", len(info.Audio), n)
			}
		})
	}
}

func TestProbeTracks(t *testing.T) {
	t.Parallel()
	type brief struct {
		Language string
		Default  bool
	}
	for file, want := range map[string][]brief{
		"media/tracks-second-default.mp4": {{"eng", false}, {"deu", true}},
		"media/tracks-first-default.mp4":  {{"eng", true}, {"deu", false}},
	} {
		var got []brief
		for i, tr := range probeFile(t, fixturePath(file)).Audio {
			if tr.Number != i+1 {
				t.Errorf("%s: track %d has the number %d", file, i+1, tr.Number)
			}
			got = append(got, brief{tr.Language, tr.Default})
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestTrackChoice: the default track, and the one that is asked for.
func TestTrackChoice(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file string
		o    Options
		want int
	}{
		{"media/tracks-first-default.mp4", Options{}, 1},
		{"media/tracks-second-default.mp4", Options{}, 2},
		{"media/tracks-none-default.mp4", Options{}, 1},
		{"media/tracks-first-default.mp4", Options{Track: 2}, 2},
		{"media/tracks-first-default.mp4", Options{Language: "deu"}, 2},
		{"media/tracks-first-default.mp4", Options{Language: "DEU"}, 2},
		{"media/tracks-first-default.mp4", Options{Language: "de"}, 2},
		{"media/tracks-first-default.mp4", Options{Language: "ger"}, 2},
		{"media/tracks-second-default.mp4", Options{Language: "eng"}, 1},
	} {
		if _, r := convert(t, fixturePath(test.file), &test.o); r.Track.Number != test.want {
			t.Errorf("%s with %+v: track %d, want %d", test.file, test.o, r.Track.Number, test.want)
		}
	}
}

func TestSameLanguage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		have, want string
		same       bool
	}{
		{"eng", "en", true}, {"en-GB", "en", true}, {"en-GB", "en-gb", true}, {"eng", "en-GB", false}, {"fre", "fra", true},
		{"deu", "eng", false}, {"", "eng", false}, {"qaa", "qaa", true}, {"???", "eng", false}, {"zho", "chi", true},
	} {
		if got := sameLanguage(test.have, test.want); got != test.same {
			t.Errorf("sameLanguage(%q, %q) = %v", test.have, test.want, got)
		}
	}
}

func TestProbeOddities(t *testing.T) {
	t.Parallel()
	if info := probeFile(t, fixturePath("media/bad-video-only.mp4")); len(info.Audio) != 0 || info.OtherTracks != 1 {
		t.Errorf("a video without audio: %+v", info)
	}
	if info := probeFile(t, fixturePath("media/bad-cenc.mp4")); len(info.Audio) != 1 || !info.Audio[0].Encrypted || info.Audio[0].Decodable {
		t.Errorf("an encrypted file: %+v", info)
	}
	if info := probeFile(t, fixturePath("media/bad-codec-ac4.mp4")); len(info.Audio) != 1 || info.Audio[0].Decodable || info.Audio[0].Codec == "" {
		t.Errorf("an unknown codec: %+v", info)
	}
	if info := probeFile(t, fixturePath("media/aac-moov-first.mp4")); !info.IndexFirst || info.Fragmented {
		t.Errorf("the index is in front: %+v", info)
	}
	if info := probeFile(t, fixturePath("media/aac-moov-last.mp4")); info.IndexFirst {
		t.Errorf("the index is at the end: %+v", info)
	}
	if info := probeFile(t, fixturePath("media/frag-dash.mp4")); !info.Fragmented {
		t.Errorf("fragments: %+v", info)
	}
	for _, bad := range []string{"media/bad-text.mp4", "media/bad-hls.mp4", "media/bad-mp3.mp4", "media/bad-wav.mp4"} {
		if _, err := Probe(t.Context(), bytes.NewReader(readFixture(t, bad))); !errors.Is(err, ErrInvalidData) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := json.Marshal(probeFile(t, fixturePath("audiobook.m4b"))); err != nil {
		t.Error(err)
	}
}

// TestProbeNoNonsense: numbers that cannot be are left out, or as great as they get.
func TestProbeNoNonsense(t *testing.T) {
	t.Parallel()
	probe := func(file, behind string, at int, value ...byte) Track {
		source := readFixture(t, file)
		copy(source[bytes.LastIndex(source, []byte(behind))+len(behind)+at:], value)
		info, err := Probe(t.Context(), bytes.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		return info.Audio[0]
	}
	long := bytes.Repeat([]byte{0xff}, 16) // an edit of 2^63 ticks in which nothing is shown
	long[0] = 0x7f
	if d := probe("media/edit-v1.m4a", "elst", 8, long...).Duration; d <= 0 {
		t.Errorf("an edit without end has the duration %v", d)
	}
	// 255 channels at -1 Hz
	if got := probe("media/alac-16.m4a", "alac", 4, bytes.Repeat([]byte{0xff}, 24)...); got.SampleRate < 0 {
		t.Errorf("the sample rate is %d", got.SampleRate)
	}
}

// windowsReadTwice is what Convert's documentation allows on top of index and
// audio.
const windowsReadTwice = 128 << 10

// TestProbeReadsLittle: the index, and the first packets of each audio track.
func TestProbeReadsLittle(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"waltz.m4a", "melody.mp4", "camera.mov"} {
		info, err := Probe(t.Context(), bytes.NewReader(readFixture(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		most := indexBytes(t, fixturePath(file)) + int64(len(info.Audio))*probeAhead + 1<<12
		if info.BytesRead > most {
			t.Errorf("%s: %d bytes read of %d, want at most %d", file, info.BytesRead, info.Bytes, most)
		}
	}
}

// indexBytes returns the size of the moov and moof boxes of a file.
func indexBytes(t *testing.T, file string) int64 {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for at := 0; at+8 <= len(b); {
		size := int(b[at])<<24 | int(b[at+1])<<16 | int(b[at+2])<<8 | int(b[at+3])
		if size == 1 {
			size = int(b[at+12])<<24 | int(b[at+13])<<16 | int(b[at+14])<<8 | int(b[at+15])
		}
		if kind := string(b[at+4 : at+8]); kind == "moov" || kind == "moof" {
			total += int64(size)
		}
		if size < 8 {
			break
		}
		at += size
	}
	return total
}
