package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	place "github.com/mp3lathe/mp3lathe/bench/machine"
)

// machineOfTwo is a made-up report: ffmpeg takes a second for a minute, mp3lathe half.
func machineOfTwo() report {
	r := report{Began: "today", Machine: machine{Machine: place.Machine{Processor: "Abacus", Processors: 2}}, Load: load{Average: "0.00 0.00 0.00"}}
	add := func(part, name string, audio float64, costs map[string]float64) {
		x := result{Part: part, Name: name, Codec: "AAC-LC", Setting: "CBR 192", Audio: audio}
		for _, c := range []string{serial, reference, ours, two, lameAlone, atOnce(serial, 1), atOnce(serial, 2), atOnce(reference, 1), atOnce(reference, 2)} {
			if t, ok := costs[c]; ok {
				// The machine becomes three times slower: medians see it, ratios don't.
				var runs []cost
				for _, slow := range []float64{1, 3, 3} {
					runs = append(runs, cost{Wall: t * slow, CPU: t * slow, Peak: 10 << 20, Read: 1 << 20})
				}
				x.Contenders = append(x.Contenders, measured{c, runs})
			}
		}
		r.Results = append(r.Results, x)
	}
	add("length", "1 min", 60, map[string]float64{serial: 1, reference: 1, ours: 0.5, two: 0.6, lameAlone: 0.9})
	add("codec", "MP3", 60, map[string]float64{ours: 0.25, reference: 1})
	add("files", "2 of 1 min", 120, map[string]float64{atOnce(serial, 1): 2, atOnce(serial, 2): 2.2, atOnce(reference, 1): 2, atOnce(reference, 2): 2})
	metrics := map[string]summary{}
	for unit, v := range map[string]float64{
		"lame-%": 92, "decode-%": 6.5, "ours-%": 1.5, "demux-%": 0.1, "resample-%": 0.6, "mux-%": 0.3,
		"lame-ns/frame": 200e3, "decode-ns/frame": 13e3, "demux-ns/frame": 1e3, "resample-ns/frame": 3e3, "mux-ns/frame": 1e3, "lay-ns/frame": 3e3, "new-ns/lame": 5e5,
	} {
		metrics[unit] = summary{v, v, v}
	}
	r.Floor = floor{Audio: 60, Runs: 3, Metrics: metrics}
	r.Model = r.forecast(r.costs(0.02))
	return r
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	r := machineOfTwo()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	page := string(r.markdown())
	for _, want := range []string{
		"| 1 min, CBR 192 | mp3lathe | 3 | 1.50 s | 1.50 s | 10 MiB | 1.0 MiB | 40 | **0.500** (0.500 to 0.500) | **0.500**",
		"| 1 min, CBR 192 | ffmpeg | 3 | 3.00 s | 3.00 s | 10 MiB | 1.0 MiB | 20 | | |\n",
		"| 2 of 1 min | mp3lathe --parallelism 1, 2 at once | 3 | 6.60 s | 6.60 s | 10 MiB | 1.0 MiB | 18 | **1.100**",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, "not a quiet machine") {
		t.Error("the page has NaN, or a warning without a cause")
	}
	for _, plot := range regexp.MustCompile(`\]\((.*\.svg)\)`).FindAllStringSubmatch(page, -1) {
		svg, err := os.ReadFile(filepath.Join(dir, plot[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if elements := parseSVG(t, svg); len(elements) < 10 || strings.Contains(string(svg), "NaN") {
			t.Errorf("%s has %d elements, or NaN", plot[1], len(elements))
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Results) != 3 || back.Results[0].Contenders[0].Runs[1].Wall != 3 {
		t.Errorf("the JSON says %+v", back.Results)
	}
}

func TestLoudMachine(t *testing.T) {
	for _, l := range []load{{Others: 0.5}, {Stolen: 0.1}} {
		r := machineOfTwo()
		r.Load, r.Results[0].Load = l, l
		page := string(r.markdown())
		if !strings.Contains(page, "not a quiet machine") || !strings.Contains(page, "- length 1 min: ") {
			t.Errorf("nothing is said about %+v", l)
		}
	}
}

// The model takes its costs from the floor, and stands beside what was measured.
func TestForecast(t *testing.T) {
	f := machineOfTwo().Model
	c := f.Costs
	if math.Abs(c.Decode-18e-6) > 1e-12 || math.Abs(c.Encode-200e-6) > 1e-12 || math.Abs(c.Crowd-1.1) > 1e-9 || c.NewLAME != 5e-4 {
		t.Errorf("the costs are %+v", c)
	}
	seen := 0
	for _, p := range f.Rows {
		if p.Speeded == nil {
			continue
		}
		seen++
		if p.Audio != 60 || p.Processors == 2 && p.Speeded.Median != 2 || p.Processors == 1 && p.Speeded.Median != 1 {
			t.Errorf("%g s on %d processors: measured %+v", p.Audio, p.Processors, p.Speeded)
		}
	}
	if seen != 2 {
		t.Errorf("%d predictions have something measured beside them, want 2", seen)
	}
}

func TestParseBenchmark(t *testing.T) {
	out := "goos: linux\nBenchmarkFloor-2   \t  1\t  874131089 ns/op\t  4.2 decode-%\n" +
		"BenchmarkFloor-2   \t  1\t  874131089 ns/op\t  4.6 decode-%\nPASS\nok  \tx\t3.930s\n"
	m, err := parseBenchmark([]byte(out))
	if err != nil || math.Abs(m["decode-%"].Median-4.4) > 1e-9 || m["ns/op"].Low != 874131089 {
		t.Errorf("%v, %v", m, err)
	}
	for _, broken := range []string{"PASS\n", "BenchmarkFloor-2 1 x ns/op\n"} {
		if _, err := parseBenchmark([]byte(broken)); err == nil {
			t.Errorf("%q is taken", broken)
		}
	}
}
