package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// markdown is the report as a page.
func (r report) markdown() []byte {
	var b bytes.Buffer
	m := r.Machine
	fmt.Fprintf(&b, "# Results of `make bench`\n\n")
	if r.Quick {
		b.WriteString("**A quick run, to see that the bench works: the figures say nothing.**\n\n")
	}
	fmt.Fprintf(&b, "%s. %s, %d processors, %.1f GiB; %s; %s.\n%s; %s; %s.\n\n", r.Began, m.Processor, m.Processors, float64(m.Memory)/(1<<30), m.System, m.Go, m.Ours, m.FFmpeg, m.LAME)
	b.WriteString(sentence(r.Load) + "\n\n")
	for _, x := range r.Results {
		if !x.Load.Quiet() {
			fmt.Fprintf(&b, "- %s %s: %.2f processors were busy with other things, %.2f stolen\n", x.Part, x.Name, x.Load.Others, x.Load.Stolen)
		}
	}
	b.WriteString("\nRatios to ffmpeg are medians over neighbouring runs, with the range of the middle half of them; all else are medians. bench/README.md says how to read this.\n")
	for _, p := range []struct{ part, title, plots string }{
		{"length", "By length", "speed wall-length cpu-length memory"},
		{"setting", "By setting", ""},
		{"codec", "By codec", "wall-codec cpu-codec"},
		{"files", "Several files at once", "files"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n", p.title)
		r.table(&b, p.part)
		for _, name := range strings.Fields(p.plots) {
			fmt.Fprintf(&b, "\n![%s](%s.svg)\n", name, name)
		}
	}
	r.Model.table(&b)
	return b.Bytes()
}

// sentence says what else the machine did, and whether it was too much.
func sentence(l load) string {
	s := "Machine: " + l.String() + "."
	if !l.Quiet() {
		s += " **That is not a quiet machine: trust the ratios a little, and the times not at all.**"
	}
	return s
}

// table writes the results of a part.
func (r report) table(b *bytes.Buffer, part string) {
	b.WriteString("| | command | runs | wall | CPU | peak memory | read | x real time | wall / ffmpeg | CPU / ffmpeg |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.part(part) {
		name := x.Name
		if part == "length" || part == "codec" {
			name += ", " + x.Setting
		}
		for _, c := range x.Contenders {
			fmt.Fprintf(b, "| %s | %s | %d | %s | %s | %.0f MiB | %s | %.0f |", name, c.Name, len(c.Runs),
				seconds(c.median(wall)), seconds(c.median(cpu)), c.median(peak)/(1<<20), size(c.median(read)), x.Audio/c.median(wall))
			for _, of := range []func(cost) float64{wall, cpu} {
				if base := referenceFor(c.Name); base != c.Name {
					q, ok := x.ratio(c.Name, base, of)
					b.WriteString(" " + ratio(q, ok) + " |")
				} else {
					b.WriteString(" |")
				}
			}
			b.WriteString("\n")
		}
	}
}

// referenceFor returns the contender to which another is compared.
func referenceFor(name string) string {
	if _, n, ok := strings.Cut(name, ", "); ok && strings.HasSuffix(n, "at once") {
		return reference + ", " + n
	}
	return reference
}

func ratio(q summary, ok bool) string {
	if !ok {
		return "-"
	}
	return fmt.Sprintf("**%.3f** (%.3f to %.3f)", q.Median, q.Low, q.High)
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

func size(n float64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.0f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", n/(1<<20))
}

// table writes what the model predicts.
func (f forecast) table(b *bytes.Buffer) {
	c := f.Costs
	fmt.Fprintf(b, `
## More processors

What the model (bench/model) says of `+"`mp3lathe convert`"+` on machines with more processors like these, and what was measured. Its costs: %.1f us to decode the sound of an MP3 frame, %.1f us to encode it, %.1f us to splice it;
%.2f ms for another encoder; %.0f ms for the start of the process; all of it %.3f times as long while several processors are busy.

| audio | processors | wall | measured | speed-up | measured | CPU | sound held |
|---|---|---|---|---|---|---|---|
`, c.Decode*1e6, c.Encode*1e6, c.Lay*1e6, c.NewLAME*1e3, c.Start*1e3, c.Crowd)
	for _, p := range f.Rows {
		took, up := "", ""
		if p.Wall != nil {
			took = seconds(p.Wall.Median)
		}
		if p.Speeded != nil {
			up = fmt.Sprintf("%.2f (%.2f to %.2f)", p.Speeded.Median, p.Speeded.Low, p.Speeded.High)
		}
		const block = 2 * 1152 * 4 // bytes, of stereo in floating point
		fmt.Fprintf(b, "| %s | %d | %s | %s | %.2f | %s | %s | %.0f MiB |\n", human(time.Duration(p.Audio*float64(time.Second))), p.Processors,
			seconds(p.Prediction.Wall), took, p.SpeedUp, up, seconds(p.Prediction.CPU), float64(p.Prediction.Held*block)/(1<<20))
	}
	b.WriteString("\n![speed-up](model.svg)\n")
}
