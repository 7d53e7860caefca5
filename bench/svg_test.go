package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"testing"
)

// element is one of an SVG file.
type element struct {
	name       string
	attributes map[string]string
	text       string
}

func parseSVG(t *testing.T, svg []byte) []element {
	t.Helper()
	var all []element
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := element{name: x.Name.Local, attributes: map[string]string{}}
			for _, a := range x.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			if len(all) > 0 {
				all[len(all)-1].text += string(x)
			}
		}
	}
}

// number returns an attribute that is a number.
func (e element) number(t *testing.T, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(e.attributes[name], 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		t.Fatalf("%s of %s is %q", name, e.name, e.attributes[name])
	}
	return v
}

func TestBars(t *testing.T) {
	c := chart{title: `<Speed> & "more"`, x: "length", y: "ratio", categories: []string{"5 s", "1 min"}, reference: 1,
		series: []series{{name: "a<b", values: []float64{0.5, 1}}, {name: "two", values: []float64{math.NaN(), 2}}}}
	var bars []element
	title := false
	for _, e := range parseSVG(t, c.svg()) {
		if e.name == "rect" && e.number(t, "width") != swatch && e.number(t, "width") != chartWidth {
			bars = append(bars, e)
		}
		title = title || e.text == c.title+"\n" || e.text == c.title
	}
	if !title {
		t.Error("the title is not what was given")
	}
	if len(bars) != 3 {
		t.Fatalf("%d bars, want 3: one is missing", len(bars))
	}
	one := bars[0].number(t, "height")
	for i, want := range []float64{1, 2, 4} {
		if got := bars[i].number(t, "height"); math.Abs(got-want*one) > 0.3 {
			t.Errorf("bar %d is %.1f high, want %.1f", i, got, want*one)
		}
		x, y := bars[i].number(t, "x"), bars[i].number(t, "y")
		if x < left || x+bars[i].number(t, "width") > left+plotWidth || y < top {
			t.Errorf("bar %d lies outside of the plot", i)
		}
	}
}

func TestLines(t *testing.T) {
	c := chart{categories: []string{"1", "2", "4"}, lines: true, series: []series{
		{name: "model", values: []float64{1, 2, 3}}, {name: "measured", values: []float64{1, math.NaN(), math.NaN()}, points: true}}}
	circles, paths := 0, 0
	for _, e := range parseSVG(t, c.svg()) {
		switch e.name {
		case "circle":
			circles++
		case "path":
			paths++
		}
	}
	if circles != 4 || paths != 1 {
		t.Errorf("%d points and %d lines, want 4 and 1", circles, paths)
	}
}

func TestTick(t *testing.T) {
	for most, want := range map[float64]float64{0: 1, 1: 0.1, 1.05: 0.2, 2: 0.2, 7: 1, 9.9: 1, 58: 10, 640: 100, 0.03: 0.005} {
		if got := tick(most); math.Abs(got-want) > 1e-9 {
			t.Errorf("tick(%v) = %v, want %v", most, got, want)
		}
		if n := most / tick(most); n > 10.001 {
			t.Errorf("%v has %v ticks", most, n)
		}
	}
}
