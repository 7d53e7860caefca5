package cage_test

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// BenchmarkChild measures a child that has nothing to convert, and a short conversion
// in a child and without one. cpu-ms/op has the children's time.
func BenchmarkChild(b *testing.B) {
	c := newCage(b, cage.Config{})
	melody, err := os.ReadFile("../../testdata/melody.mp4")
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range []struct {
		name    string
		convert cage.Converter
		source  []byte
	}{
		{"nothing", c.Convert, planted.Source(planted.Look, "")},
		{"caged", c.Convert, melody},
		{"bare", transcode.Convert, melody},
	} {
		b.Run(m.name, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				if _, err := m.convert(b.Context(), io.Discard, bytes.NewReader(m.source), &transcode.Options{Parallelism: 1}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processorTime(b)-before)/float64(b.N), "cpu-ms/op")
		})
	}
}

// processorTime is that of this process and its children so far, in ms.
func processorTime(b *testing.B) float64 {
	total := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		total += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
	}
	return total
}
