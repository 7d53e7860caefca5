package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// plots returns the report's plots by the names of their files.
func (r report) plots() map[string]chart {
	contenders := []string{ours, two, serial, reference, lameAlone}
	speed := func(x result) func(string) float64 {
		return func(name string) float64 { return of(x, name, func(c cost) float64 { return x.Audio / c.Wall }) }
	}
	against := func(value func(cost) float64) func(result) func(string) float64 {
		return func(x result) func(string) float64 {
			return func(name string) float64 {
				if q, ok := x.ratio(name, reference, value); ok {
					return q.Median
				}
				return math.NaN()
			}
		}
	}
	memory := func(x result) func(string) float64 {
		return func(name string) float64 { return of(x, name, peak) / (1 << 20) }
	}
	rivals := []string{ours, two, serial, lameAlone}
	return map[string]chart{
		"speed":       r.bars("length", "Speed by length (AAC to CBR 192)", "times real time", contenders, speed, 0),
		"wall-length": r.bars("length", "Wall time beside ffmpeg, by length (less is faster)", "ratio", rivals, against(wall), 1),
		"cpu-length":  r.bars("length", "CPU time beside ffmpeg, by length (less is better)", "ratio", rivals, against(cpu), 1),
		"memory":      r.bars("length", "Peak memory by length", "MiB", contenders, memory, 0),
		"wall-codec":  r.bars("codec", "Wall time beside ffmpeg, by codec (less is faster)", "ratio", rivals, against(wall), 1),
		"cpu-codec":   r.bars("codec", "CPU time beside ffmpeg, by codec (less is better)", "ratio", rivals, against(cpu), 1),
		"files":       r.files(),
		"model":       r.Model.chart(),
	}
}

// of returns the median of a contender, or NaN.
func of(x result, name string, value func(cost) float64) float64 {
	m, ok := x.contender(name)
	if !ok {
		return math.NaN()
	}
	return m.median(value)
}

// bars draws a part: a group for each result, a bar for each contender.
func (r report) bars(part, title, y string, contenders []string, value func(result) func(string) float64, reference float64) chart {
	c := chart{title: title, y: y, reference: reference}
	all := make([]series, len(contenders))
	for i, name := range contenders {
		all[i].name = name
	}
	for _, x := range r.part(part) {
		c.categories = append(c.categories, x.Name)
		for i, name := range contenders {
			all[i].values = append(all[i].values, value(x)(name))
		}
	}
	c.series = all
	return c
}

// files draws the speed of all files together by how many are converted at once.
func (r report) files() chart {
	c := chart{title: "Many files, several at once", x: "files at once", y: "times real time, all together", lines: true}
	for _, x := range r.part("files") {
		names := []string{ours, serial, reference}
		c.series = make([]series, len(names))
		for n := 1; n <= 64; n *= 2 {
			if _, ok := x.contender(atOnce(reference, n)); !ok {
				continue
			}
			c.categories = append(c.categories, fmt.Sprint(n))
			for i, name := range names {
				c.series[i].name = name
				c.series[i].values = append(c.series[i].values, of(x, atOnce(name, n), func(c cost) float64 { return x.Audio / c.Wall }))
			}
		}
	}
	return c
}

// chart draws the speed-up by processors, and what of it was measured.
func (f forecast) chart() chart {
	c := chart{title: "Speed-up by the model, and as measured", x: "processors", y: "times one encoder", lines: true}
	for _, n := range forecastProcessors {
		c.categories = append(c.categories, fmt.Sprint(n))
	}
	for _, length := range forecastLengths {
		model := series{name: human(length)}
		seen := series{name: human(length) + ", measured", points: true}
		measured := false
		for _, p := range f.Rows {
			if p.Audio != length.Seconds() {
				continue
			}
			model.values = append(model.values, p.SpeedUp)
			v := math.NaN()
			if p.Speeded != nil {
				v, measured = p.Speeded.Median, true
			}
			seen.values = append(seen.values, v)
		}
		c.series = append(c.series, model)
		if measured {
			c.series = append(c.series, seen)
		}
	}
	return c
}

// draw writes all plots into a folder.
func (r report) draw(dir string) error {
	for name, c := range r.plots() {
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), c.svg(), 0o666); err != nil {
			return err
		}
	}
	return nil
}
