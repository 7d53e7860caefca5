package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// floor is what a conversion is made of: the metrics of BenchmarkFloor in package
// transcode, by their units.
type floor struct {
	Audio   float64            `json:"audio_seconds"`
	Runs    int                `json:"runs"`
	Metrics map[string]summary `json:"metrics"`
	Load    load               `json:"load"`
}

// measureFloor runs the benchmark several times.
func (s *suite) measureFloor(ctx context.Context) (floor, error) {
	src, err := s.source(ctx, aac, s.scope.floor)
	if err != nil {
		return floor{}, err
	}
	if src, err = filepath.Abs(src); err != nil {
		return floor{}, err
	}
	f := floor{Audio: s.scope.floor.Seconds(), Runs: 3 * s.runs}
	build := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "go", append([]string{"test", "-run", "^$", "-bench", "^BenchmarkFloor$", "-benchtime", "1x"}, args...)...)
	}
	// What the compiler does is nobody's load.
	test := filepath.Join(s.dir, "transcode.test")
	if out, err := build("-c", "-o", test, "./transcode").CombinedOutput(); err != nil {
		return f, fmt.Errorf("building the floor: %w\n%s", err, out)
	}
	done := watch()
	cmd := exec.CommandContext(ctx, test, "-test.run", "^$", "-test.bench", "^BenchmarkFloor$", "-test.benchtime", "1x",
		"-test.count", strconv.Itoa(f.Runs), "-floor-source", src)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return f, fmt.Errorf("measuring the floor: %w\n%s", err, out)
	}
	f.Load = done()
	f.Metrics, err = parseBenchmark(out)
	return f, err
}

// parseBenchmark returns the metrics of a benchmark that ran several times, by their
// units.
func parseBenchmark(out []byte) (map[string]summary, error) {
	values := map[string][]float64{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("a benchmark's line is not as expected: %w: %s", err, line)
			}
			values[fields[i+1]] = append(values[fields[i+1]], v)
		}
	}
	if len(values) == 0 {
		return nil, errors.New("the benchmark printed no metrics")
	}
	metrics := map[string]summary{}
	for unit, v := range values {
		metrics[unit] = summarize(v)
	}
	return metrics, nil
}

// markdown is the floor page.
func (f floor) markdown(m machine) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# The floor

What a conversion with one encoder is made of, and how little of it is ours: %g s of stereo AAC at 44.1 kHz to CBR 192, %d runs. Made by `+"`make bench`"+`.

%s, %d processors; %s; %s.

| part | of the conversion's CPU time | middle half of the runs | for each MP3 frame |
|---|---|---|---|
`, f.Audio, f.Runs, m.Processor, m.Processors, m.System, m.Go)
	row := func(name, part string) {
		p := f.Metrics[part+"-%"]
		each := ""
		if t, ok := f.Metrics[part+"-ns/frame"]; ok {
			each = fmt.Sprintf("%.1f us", t.Median/1000)
		}
		fmt.Fprintf(&b, "| %s | %.1f %% | %.1f to %.1f %% | %s |\n", name, p.Median, p.Low, p.High, each)
	}
	row("LAME", "lame")
	row("libav's decoder", "decode")
	row("**what remains: ours**", "ours")
	row("of that, measured alone: read and demultiplex", "demux")
	row("of that, measured alone: samples to blocks", "resample")
	row("of that, measured alone: write, checksum, seek table", "mux")
	fmt.Fprintf(&b, `
The parts measured alone are %.1f %% together. What remains besides them is the Go runtime, the kernel (interrupts and switches of threads, which a loud machine has more of), the edit list, tags, and the clock that measures.

How it was measured: `+"`BenchmarkFloor`"+` of package transcode makes a conversion in memory, with one encoder, and reads the clock of the thread's CPU time before and after each call into LAME (16 frames) and into what decodes the next
frame. What of the process's CPU time is in neither is ours; all three come from the same run, so that what disturbs one disturbs all. Reading and demultiplexing, which happen inside of the second, are measured alone and taken from the
decoder's share. The times for each MP3 frame are those of each stage alone, in turn with the whole, on what it gets in a conversion.

%s
`, f.Metrics["demux-%"].Median+f.Metrics["resample-%"].Median+f.Metrics["mux-%"].Median, sentence(f.Load))
	return b.Bytes()
}
