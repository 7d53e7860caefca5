package transcode

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"testing"
	"time"
)

// TestSound compares the MP3 with the source, both decoded by others, sample by
// sample: the right sound, at the right place, from the first sample to the last. A
// sample earlier or later it must fit less well.
func TestSound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file  string
		least float64 // dB
	}{
		{"media/pcm-s16le.mov", 12},
		{"media/alac-16.m4a", 12},
		{"media/flac.mp4", 12},
		{"melody.mp4", 18},
		{"waltz.m4a", 18},
		{"media/aac-stereo.m4a", 12},
		{"camera.mov", 12},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			src := fixturePath(test.file)
			dst, r := convert(t, src, &Options{Encoding: CBR(320)})
			want := ffmpegDecode(t, src, r.Settings.Channels)
			got := play(t, dst, r.Settings.Channels)
			for c := range got {
				db := snr(want[c], got[c])
				if db < test.least {
					t.Errorf("channel %d has %.1f dB, want %.1f", c, db, test.least)
				}
				if early, late := snr(want[c][1:], got[c]), snr(want[c], got[c][1:]); early >= db || late >= db {
					t.Errorf("channel %d has %.1f dB, but %.1f a sample earlier and %.1f a sample later", c, db, early, late)
				}
			}
		})
	}
}

// TestEmptyEdit: an empty edit at the start is silence of its length, and the
// sound follows.
func TestEmptyEdit(t *testing.T) {
	t.Parallel()
	plain, _ := convert(t, fixturePath("media/edit-2112.m4a"), &Options{Encoding: CBR(320)})
	late, _ := convert(t, fixturePath("media/edit-empty.m4a"), &Options{Encoding: CBR(320)})
	want, got := play(t, plain, 1)[0], play(t, late, 1)[0]
	const silent = 22050
	if level := rms(got[:silent-1200]); level > 1e-4 {
		t.Errorf("the silence has a level of %g", level)
	}
	if db := snr(want[1200:], got[silent+1200:]); db < 20 {
		t.Errorf("what follows has %.1f dB against the sound without the edit", db)
	}
}

// TestCut: a cut has exactly the samples it should, and they are those of the
// source at that place.
func TestCut(t *testing.T) {
	t.Parallel()
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for _, file := range []string{"melody.mp4", "waltz.m4a", "media/frag-dash.mp4", "media/pcm-s16le.mov", "media/opus.mp4", "media/mp3-cbr.mp4", "media/edit-two.m4a"} {
		whole, all := convert(t, fixturePath(file), &Options{Encoding: CBR(320), Channels: Mono})
		rate, total := float64(all.Settings.SampleRate), all.Duration.Seconds()
		sound := play(t, whole, 1)[0]
		for _, cut := range []struct{ from, to float64 }{
			{0, total / 3}, {total / 7, 0}, {total / 3, total / 2}, {total - 0.05, 0}, {0.0123456, 0.0654321}, {0, total * 2}, {0.9 * total, 5 * total},
		} {
			t.Run(fmt.Sprintf("%s/%.3f-%.3f", file, cut.from, cut.to), func(t *testing.T) {
				t.Parallel()
				dst, r := convert(t, fixturePath(file), &Options{Encoding: CBR(320), Channels: Mono, Start: second(cut.from), End: second(cut.to)})
				from, to := int64(math.Round(second(cut.from).Seconds()*rate)), all.Samples
				if cut.to > 0 {
					to = min(to, int64(math.Round(second(cut.to).Seconds()*rate)))
				}
				if r.Samples != to-from {
					t.Fatalf("%d samples, want %d", r.Samples, to-from)
				}
				got := play(t, dst, 1)[0]
				if int64(len(got)) != to-from {
					t.Fatalf("mpg123 plays %d samples, want %d", len(got), to-from)
				}
				if n := len(got); n > 2400 {
					// Away from the ends, where an encoder has nothing before or
					// after to go by.
					if db := snr(sound[from+600:to-600], got[600:n-600]); db < 14 {
						t.Errorf("%.1f dB against the whole file at that place", db)
					}
				}
			})
		}
	}
}

func TestCutByDuration(t *testing.T) {
	t.Parallel()
	_, r := convert(t, fixturePath("melody.mp4"), &Options{Start: time.Second, Duration: 1500 * time.Millisecond})
	if r.Samples != 66150 {
		t.Errorf("%d samples, want 66150", r.Samples)
	}
}

// TestRates: every rate in and out, with as many samples as there must be and the
// sound where it must be.
func TestRates(t *testing.T) {
	t.Parallel()
	for _, in := range []int{8000, 22050, 44100, 48000, 88200, 96000} {
		for _, out := range append([]int{0}, SampleRates()...) {
			t.Run(fmt.Sprintf("%d-%d", in, out), func(t *testing.T) {
				t.Parallel()
				src := fixturePath(fmt.Sprintf("media/aac-%d.m4a", in))
				dst, r := convert(t, src, &Options{SampleRate: out, Encoding: CBR(160)})
				rate := out
				if out == 0 {
					rate = map[int]int{88200: 44100, 96000: 48000}[in]
					if rate == 0 {
						rate = in
					}
				}
				samples := int64(in/2 + 7) // as the fixture's maker says
				want := int64(math.Round(float64(samples) * float64(rate) / float64(in)))
				if r.Samples != want || r.Settings.SampleRate != rate {
					t.Errorf("%d samples at %d Hz, want %d at %d", r.Samples, r.Settings.SampleRate, want, rate)
				}
				if got := playedSamples(t, dst, 1); got != want {
					t.Errorf("mpg123 plays %d samples, want %d", got, want)
				}
			})
		}
	}
}

// TestFoldDown: surround becomes stereo and mono by the usual coefficients (ITU-R
// BS.775: centre and surrounds at -3 dB, no LFE), scaled so that nothing can clip.
func TestFoldDown(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"media/pcm-5.1.mov", "media/aac-5.1.mp4", "media/ac3-5.1.mp4"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dst, r := convert(t, fixturePath(file), &Options{Encoding: CBR(320)})
			p := play(t, dst, 2)
			left := tone(p[0], 400, r.Settings.SampleRate)
			for _, want := range []struct {
				name    string
				channel int
				hz, db  float64
			}{
				{"right", 1, 500, 0}, {"centre left", 0, 600, -3.01}, {"centre right", 1, 600, -3.01},
				{"left surround", 0, 700, -3.01}, {"right surround", 1, 800, -3.01},
			} {
				got := 20 * math.Log10(tone(p[want.channel], want.hz, r.Settings.SampleRate)/left)
				if math.Abs(got-want.db) > 0.7 {
					t.Errorf("%s is at %.2f dB against left, want %.2f", want.name, got, want.db)
				}
			}
			for c, hz := range []float64{500, 400} {
				if got := 20 * math.Log10(tone(p[c], hz, r.Settings.SampleRate)/left); got > -40 {
					t.Errorf("channel %d has %v Hz of the other side at %.1f dB", c, hz, got)
				}
			}
			if lfe := 20 * math.Log10(tone(p[0], 60, r.Settings.SampleRate)/left); lfe > -40 {
				t.Errorf("the LFE is at %.1f dB", lfe)
			}
		})
	}
	for _, file := range []string{"media/pcm-5.1-full.mov", "media/aac-5.1-full.mp4"} {
		for _, channels := range []Channels{Stereo, Mono} {
			dst, r := convert(t, fixturePath(file), &Options{Encoding: CBR(320), Channels: channels})
			for c, v := range play(t, dst, r.Settings.Channels) {
				// The encoder itself overshoots a little at the ends of a tone.
				if p := peak(v); p > 1.04 {
					t.Errorf("%s as %v: channel %d peaks at %.3f", file, channels, c, p)
				}
			}
		}
	}
}

// TestChannels: mono and stereo have the levels one expects.
func TestChannels(t *testing.T) {
	t.Parallel()
	level := func(t *testing.T, file string, channels Channels) []float64 {
		dst, r := convert(t, fixturePath(file), &Options{Encoding: CBR(320), Channels: channels})
		var out []float64
		for _, v := range play(t, dst, r.Settings.Channels) {
			out = append(out, rms(v))
		}
		return out
	}
	near := func(a, b float64) bool { return math.Abs(20*math.Log10(a/b)) < 0.2 }

	kept := level(t, "media/aac-44100.m4a", KeepChannels)
	both := level(t, "media/aac-44100.m4a", Stereo)
	if len(kept) != 1 || len(both) != 2 || !near(both[0], kept[0]) || !near(both[1], kept[0]) {
		t.Errorf("mono has a level of %v, put on both sides %v", kept, both)
	}
	// The same sound on both sides has the same level in mono.
	stereo := level(t, "media/aac-stereo-full.m4a", KeepChannels)
	mono := level(t, "media/aac-stereo-full.m4a", Mono)
	if len(stereo) != 2 || len(mono) != 1 || !near(mono[0], stereo[0]) {
		t.Errorf("stereo has a level of %v, folded down %v", stereo, mono)
	}
}

// TestWildSamples: floating-point files can hold numbers that are no sound, on
// which LAME's assertions would end the process.
func TestWildSamples(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"media/pcm-f32le.mov", "media/pcm-f64be.mov"} {
		source := readFixture(t, file)
		mdat := bytes.Index(source, []byte("mdat")) + 4
		for name, wild := range map[string]float64{
			"NaN": math.NaN(), "infinite": math.Inf(1), "minus infinite": math.Inf(-1), "huge": 1e30, "minus huge": -3e38,
		} {
			for _, o := range []Options{{}, {SampleRate: 32000}, {Channels: Stereo}, {Encoding: CBR(128)}} {
				broken := bytes.Clone(source)
				for i := range 40 { // every 25th sample
					if file == "media/pcm-f32le.mov" {
						binary.LittleEndian.PutUint32(broken[mdat+100*i:], math.Float32bits(float32(wild)))
					} else {
						binary.BigEndian.PutUint64(broken[mdat+200*i:], math.Float64bits(wild))
					}
				}
				if _, err := Convert(t.Context(), io.Discard, bytes.NewReader(broken), &o); err != nil {
					t.Errorf("%s with %s samples: %v", file, name, err)
				}
			}
		}
	}
}
