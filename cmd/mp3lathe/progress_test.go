package main

import (
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/mp3lathe/mp3lathe/transcode"
)

func TestFileLine(t *testing.T) {
	half := transcode.Progress{Position: 5 * time.Minute, Total: 10 * time.Minute, Speed: 100}
	for _, c := range []struct {
		width    int
		name     string
		progress transcode.Progress
		want     string
	}{
		{72, "a.mp4", half, "a.mp4                    [=========>         ]   50 %   100x  ETA 0:03 "},
		{50, "a.mp4", half, "a.mp4              50 %   100x  ETA 0:03 "},
		{40, "a.mp4", half, "a.mp4           50 %   100x  ETA 0:03 "},
		{20, "a.mp4", half, "a.mp4     50 %"},
		{72, "a.mp4", transcode.Progress{}, ""},
		{72, "a.mp4", transcode.Progress{Position: time.Hour, Speed: 3.21}, ""},
		{72, "a.mp4", transcode.Progress{Position: time.Hour, Total: time.Minute, Speed: 3}, ""},
	} {
		got := fileLine(c.width, c.name, c.progress)
		if c.want != "" && got != c.want {
			t.Errorf("%d columns:\n%q, want\n%q", c.width, got, c.want)
		}
	}
	for width := range 200 {
		for _, name := range []string{"a", "träumend 夢夢夢夢夢夢夢夢夢夢夢夢夢夢夢夢夢夢夢夢.mp4", "🎵🎵🎵🎵🎵🎵🎵🎵"} {
			for _, p := range []transcode.Progress{half, {}, {Position: 30 * time.Hour, Speed: 12345}, {Total: 1000 * time.Hour, Speed: 0.1}} {
				if w := runewidth.StringWidth(fileLine(width, name, p)); w >= max(width, 1) {
					t.Fatalf("%d columns for a width of %d: %q", w, width, fileLine(width, name, p))
				}
			}
		}
		if w := runewidth.StringWidth(totalLine(width, 12, 345)); w >= max(width, 1) {
			t.Fatalf("the total has %d columns for a width of %d", w, width)
		}
	}
}
