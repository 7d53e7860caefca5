package mp3

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTOCEmpty(t *testing.T) {
	var toc TOC
	if got := toc.Table(208); got != [tocEntries]byte{} {
		t.Errorf("table of an empty stream: %d", got)
	}
}

// TestTOC compares tables with the frames' true positions.
func TestTOC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.IntRange(0, 1441).Draw(t, "info")
		// Runs of equal frames make long streams of few drawn numbers.
		var toc TOC
		starts := []int64{int64(info)}
		for _, run := range rapid.SliceOfN(rapid.IntRange(1, 900), 1, 8).Draw(t, "runs") {
			size := rapid.IntRange(24, 1441).Draw(t, "size")
			for range run {
				toc.Add(size)
				starts = append(starts, starts[len(starts)-1]+int64(size))
			}
		}
		frames := len(starts) - 1
		total := starts[frames]

		table := toc.Table(info)
		if table[0] != 0 || !slices.IsSorted(table[:]) {
			t.Fatalf("table does not rise from 0: %d", table)
		}
		// A frame between two seek points is placed between them.
		step := 1 << toc.shift
		for i := 1; i < tocEntries; i++ {
			frame := i * frames / tocEntries
			before := frame / step * step
			after := min(before+step, frames)
			if step == 1 {
				after = before
			}
			lo, hi := 256*starts[before]/total, min(256*starts[after]/total, 255)
			if got := int64(table[i]); got < lo || got > hi {
				t.Fatalf("entry %d of %d frames is %d, want %d..%d", i, frames, got, lo, hi)
			}
		}
		// At least 200 seek points remain: half an entry of error at most.
		if frames >= tocPoints && step > frames/(tocPoints/2) {
			t.Fatalf("%d frames to a seek point of %d", step, frames)
		}
	})
}

func TestTOCLong(t *testing.T) {
	// A day of 320 kb/s.
	var toc TOC
	for range 3_307_500 {
		toc.Add(1044)
	}
	for i, got := range toc.Table(1044) {
		if want := 256 * i / 100; int(got) != want {
			t.Errorf("entry %d is %d, want %d", i, got, want)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { toc.Add(1044) }); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}
