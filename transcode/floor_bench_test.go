package transcode

import (
	"flag"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/asticode/go-astiav"
)

var floorSource = flag.String("floor-source", "../testdata/melody.mp4", "the file whose conversion BenchmarkFloor takes apart")

// BenchmarkFloor takes a conversion with one encoder apart: what of the processor's
// time passes in libav's decoder and in LAME, without which nobody can do, and what
// remains. That is ours, with the Go runtime and the kernel in it.
//
// whole, read (up to decoded frames) and LAME are taken in the same run, so that
// whatever disturbs it disturbs all; the time of other threads, such as those of the
// garbage collector, is in the whole only, and so is ours. Reading is not told from
// decoding there: what it takes alone counts as ours. Then each stage runs alone, on
// what it gets in a conversion.
//
// Run it several times (-count 21) and take the middle of each metric. `make bench`
// does.
func BenchmarkFloor(b *testing.B) {
	source, err := os.ReadFile(*floorSource)
	if err != nil {
		b.Fatal(err)
	}
	s := newStages(b, source, Options{Encoding: CBR(192)})
	another := func() error {
		l, err := newLAME(s.config, batchBlocks)
		if err == nil {
			l.close()
		}
		return err
	}
	var read, lame time.Duration
	parts := []struct {
		name string
		run  func() error
	}{
		{"whole", func() error {
			s.convert(b, func() time.Duration { return usedTime(b, unix.CLOCK_THREAD_CPUTIME_ID) }, &read, &lame)
			return nil
		}},
		{"demux", func() error { return s.demux(func(packet) {}) }},
		{"decode", s.decode},
		{"resample", func() error { return s.resample(func(_ *resampler, f *astiav.Frame) *astiav.Frame { return f }) }},
		{"lame", func() error { return s.encode(func([]byte) error { return nil }) }},
		{"mux", s.mux},
		{"lay", s.lay},
		{"new", another},
	}
	runtime.LockOSThread() // whose time is told
	defer runtime.UnlockOSThread()
	used := map[string]time.Duration{}
	for b.Loop() {
		for _, p := range parts {
			runtime.GC() // what others have left behind is not this one's
			before := processTime(b)
			if err := p.run(); err != nil {
				b.Fatal(err)
			}
			used[p.name] += processTime(b) - before
		}
	}
	share := func(d time.Duration) float64 { return 100 * float64(d) / float64(used["whole"]) }
	b.ReportMetric(share(lame), "lame-%")
	b.ReportMetric(share(read-used["demux"]), "decode-%")
	b.ReportMetric(share(used["whole"]-read-lame+used["demux"]), "ours-%")
	for _, name := range []string{"demux", "resample", "mux"} {
		b.ReportMetric(share(used[name]), name+"-%")
	}
	frames := float64(len(s.mp3)) * float64(b.N)
	for _, p := range parts[:7] {
		b.ReportMetric(float64(used[p.name].Nanoseconds())/frames, p.name+"-ns/frame")
	}
	b.ReportMetric(float64(used["new"].Nanoseconds())/float64(b.N), "new-ns/lame")
}

// processTime is the processor's time of this process so far, in user and kernel.
func processTime(b *testing.B) time.Duration { return usedTime(b, unix.CLOCK_PROCESS_CPUTIME_ID) }

// usedTime reads a clock of the processor's time. (getrusage is behind by up to a
// tick.)
func usedTime(b *testing.B, clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
