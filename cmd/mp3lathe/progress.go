package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/mp3lathe/mp3lathe/internal/human"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// bars shows a bar for each file that is being converted, and one for all of
// them together, below the lines already printed. It does so on a terminal only;
// otherwise it draws nothing and its print prints.
type bars struct {
	container *mpb.Progress // nil where nothing is drawn
	total     *mpb.Bar      // nil for a single file
	files     int
	started   atomic.Int64
	finished  atomic.Int64
}

func newBars(w io.Writer, files int, want bool) *bars {
	b := &bars{files: files}
	if !want || !isTerminal(w) || os.Getenv("TERM") == "dumb" {
		return b
	}
	b.container = mpb.New(mpb.WithOutput(w))
	if files > 1 {
		b.total = b.add(1<<30, func(width int) string {
			return totalLine(width, int(b.finished.Load()), b.files)
		})
	}
	return b
}

// add adds a bar that is drawn by line for the width of the terminal. Those of
// higher priority numbers stand lower.
func (b *bars) add(priority int, line func(width int) string) *mpb.Bar {
	filler := mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		// The carriage return is for the ^C that a terminal may have echoed.
		_, err := io.WriteString(w, "\r"+line(s.AvailableWidth))
		return err
	})
	bar, err := b.container.Add(0, filler, mpb.BarFillerTrim(), mpb.BarPriority(priority))
	if err != nil {
		return nil // the terminal has gone
	}
	return bar
}

// fileBar is the bar of one file. Only the goroutine that converts the file uses
// it; the bar is drawn by another from last.
type fileBar struct {
	bars *bars
	name string
	bar  *mpb.Bar // nil until there is progress, and where nothing is drawn
	last atomic.Pointer[transcode.Progress]
}

func (b *bars) start(name string) *fileBar {
	return &fileBar{bars: b, name: printable(filepath.Base(inputName(name)))}
}

func (f *fileBar) update(p transcode.Progress) {
	f.last.Store(&p)
	// A file that is refused, or done in no time, gets no bar.
	if f.bar == nil && f.bars.container != nil && !p.Done {
		priority := int(f.bars.started.Add(1))
		f.bar = f.bars.add(priority, func(width int) string { return fileLine(width, f.name, *f.last.Load()) })
	}
}

func (f *fileBar) stop() {
	f.bars.finished.Add(1)
	if f.bar != nil {
		f.bar.Abort(true)
	}
}

// print writes a line to w: above the bars if both are on a terminal.
func (b *bars) print(w io.Writer, line string) {
	if b.container != nil && onTerminal(w) {
		if _, err := io.WriteString(b.container, line+"\n"); err == nil {
			return
		}
	}
	fmt.Fprintln(w, line)
}

func onTerminal(w io.Writer) bool {
	if s, ok := w.(*stickyWriter); ok {
		w = s.w
	}
	return isTerminal(w)
}

// close removes the bars. After it, print writes straight away.
func (b *bars) close() {
	if b.container == nil {
		return
	}
	if b.total != nil {
		b.total.Abort(true)
	}
	b.container.Wait()
	b.container = nil
}

// fileLine draws the bar of a file into at most width columns, without the last
// one, where some terminals begin a new line. What does not fit is left out:
// first the bar, then the speed.
func fileLine(width int, name string, p transcode.Progress) string {
	facts := []string{"     ", human.Times(p.Speed)}
	remaining := ""
	if p.Total > 0 {
		share := min(float64(p.Position)/float64(p.Total), 1)
		facts[0] = fmt.Sprintf("%3.0f %%", share*100)
		if p.Speed > 0 {
			left := time.Duration(float64(max(p.Total-p.Position, 0)) / p.Speed)
			remaining = "ETA " + human.ShortClock(left)
		}
	} else {
		facts[0] = human.Clock(p.Position)
	}
	room := width - 1
	labelWidth := min(max(room/3, 8), 24)
	label := runewidth.FillRight(fit(name, labelWidth), labelWidth)
	full := fmt.Sprintf("  %s  %5s  %-9s", facts[0], facts[1], remaining)
	if bar := room - runewidth.StringWidth(label) - len(full) - 2; bar >= 8 {
		return label + "  " + drawBar(bar, p) + full
	}
	if line := label + full; runewidth.StringWidth(line) <= room {
		return line
	}
	return fit(label+" "+facts[0], room)
}

// drawBar draws "[====>   ]", width columns in all.
func drawBar(width int, p transcode.Progress) string {
	inner := width - 2
	bar := make([]byte, inner)
	filled := 0
	if p.Total > 0 {
		filled = int(min(float64(p.Position)/float64(p.Total), 1) * float64(inner))
	}
	for i := range bar {
		switch {
		case i < filled:
			bar[i] = '='
		case i == filled && filled > 0:
			bar[i] = '>'
		default:
			bar[i] = ' '
		}
	}
	return "[" + string(bar) + "]"
}

func totalLine(width, finished, files int) string {
	return fit(fmt.Sprintf("%d of %d files", finished, files), width-1)
}

func fit(s string, width int) string {
	if width < 1 {
		return ""
	}
	return runewidth.Truncate(s, width, "…")
}
