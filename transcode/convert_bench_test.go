package transcode

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
)

// BenchmarkConvert converts fixtures in memory, with one encoder. The melody has 10
// s, the others half a second to two.
func BenchmarkConvert(b *testing.B) {
	for _, c := range []struct{ name, file string }{
		{"AAC", "melody.mp4"},
		{"AAC-5.1", "media/aac-5.1.mp4"},
		{"ALAC", "media/alac-16.m4a"},
		{"Opus", "media/opus.mp4"},
		{"PCM", "camera.mov"},
		{"FLAC", "media/flac.mp4"},
		{"AMR", "media/amr-nb.3gp"},
		{"MP3-copied", "media/mp3-cbr.mp4"},
	} {
		b.Run(c.name, func(b *testing.B) {
			source, err := os.ReadFile(fixturePath(c.file))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var audio time.Duration
			began := processTime(b)
			for b.Loop() {
				r, err := Convert(b.Context(), new(nowhere), bytes.NewReader(source), &Options{Parallelism: 1})
				if err != nil {
					b.Fatal(err)
				}
				audio += r.Duration
			}
			speed(b, audio.Seconds(), began)
		})
	}
}

// speed reports metrics by the processor's time: it says more than the wall time on
// a machine that has other things to do. audio is in seconds.
func speed(b *testing.B, audio float64, began time.Duration) {
	cpu := processTime(b) - began
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(audio/cpu.Seconds(), "x-realtime")
}

// BenchmarkSteady is an MP3 frame of a conversion that runs: what the second half of
// one takes, allocations included. See also TestSteadyAllocations.
func BenchmarkSteady(b *testing.B) {
	src, err := newVirtual(virtualFile{packets: 50 * 16000 / 1024, perChunk: 16, size: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	var allocs, frames float64
	for b.Loop() {
		var made [2]float64
		for i := range made {
			o := &Options{Parallelism: 1, Duration: time.Duration(i+1) * 20 * time.Second}
			made[i] = testing.AllocsPerRun(1, func() {
				r, err := Convert(b.Context(), io.Discard, src, o)
				if err != nil {
					b.Fatal(err)
				}
				frames += float64(2*i-1) * float64(r.Frames) / 2 // it runs twice
			})
		}
		allocs += made[1] - made[0]
	}
	b.ReportMetric(allocs/frames, "allocs/frame")
}

// BenchmarkStage runs each stage alone on the melody, of 10 s.
func BenchmarkStage(b *testing.B) {
	source, err := os.ReadFile(fixturePath("melody.mp4"))
	if err != nil {
		b.Fatal(err)
	}
	same := func(_ *resampler, f *astiav.Frame) *astiav.Frame { return f }
	for _, stage := range []struct {
		name string
		rate int // of the MP3; 0 is the source's
		run  func(*stages) error
	}{
		{"demux", 0, func(s *stages) error { return s.demux(func(packet) {}) }},
		{"decode", 0, (*stages).decode},
		{"resample/same", 0, func(s *stages) error { return s.resample(same) }},
		{"resample/48000", 48000, func(s *stages) error { return s.resample(same) }},
		{"encode", 0, func(s *stages) error { return s.encode(func([]byte) error { return nil }) }},
		{"lay", 0, (*stages).lay},
		{"mux", 0, (*stages).mux},
	} {
		b.Run(stage.name, func(b *testing.B) {
			s := newStages(b, source, Options{Encoding: CBR(192), SampleRate: stage.rate})
			b.ReportAllocs()
			began := processTime(b)
			for b.Loop() {
				if err := stage.run(s); err != nil {
					b.Fatal(err)
				}
			}
			speed(b, float64(len(s.mp3)*s.target.block)/float64(s.target.rate)*float64(b.N), began)
		})
	}
}

// BenchmarkTag makes an ID3 tag with a cover out of a source's index.
func BenchmarkTag(b *testing.B) {
	source := readFixture(b, "media/tags-all.m4a")
	s := newStages(b, source, Options{})
	b.ReportAllocs()
	for b.Loop() {
		tag, err := id3Tag(s.c.file, s.c.tags, "eng", nil, &s.options, s.c.limits)
		if err != nil || len(tag) == 0 {
			b.Fatal(len(tag), err)
		}
	}
}
