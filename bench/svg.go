package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// chart is a plot of some series over the same categories: bars side by side, or
// lines with points.
type chart struct {
	title      string
	x, y       string // what the axes show
	categories []string
	series     []series
	lines      bool
	reference  float64 // where a dashed line goes; 0 is none
}

// series has a value for each category. NaN is a gap.
type series struct {
	name   string
	values []float64
	points bool // no line between them, whatever the chart has
}

const (
	chartWidth, chartHeight       = 760, 400
	left, right, top, bottom      = 70, 20, 50, 90
	plotWidth                     = chartWidth - left - right
	plotHeight                    = chartHeight - top - bottom
	fontSize                      = 12
	swatch, lineHeight, legendGap = 10, 16, 18
)

// The colours of Okabe and Ito, which the colour-blind can tell apart.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"}

// svg draws the chart. The background is white, whatever the page's is.
func (c chart) svg() []byte {
	most := c.reference
	for _, s := range c.series {
		for _, v := range s.values {
			if !math.IsNaN(v) {
				most = max(most, v)
			}
		}
	}
	step := tick(most)
	most = max(step, math.Ceil(most/step)*step)
	height := func(v float64) float64 { return float64(top+plotHeight) - v/most*plotHeight }

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="%d">`+"\n", chartWidth, chartHeight, fontSize)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, chartHeight)
	text(&b, chartWidth/2, top/2, "middle", `font-weight="bold"`, c.title)
	for v := 0.0; v <= most*1.0001; v += step {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left, left+plotWidth, height(v), height(v))
		text(&b, left-6, height(v)+4, "end", "", fmt.Sprintf("%.4g", v))
	}
	text(&b, 16, top+plotHeight/2, "middle", fmt.Sprintf(`transform="rotate(-90 16 %d)"`, top+plotHeight/2), c.y)
	slot := float64(plotWidth) / float64(len(c.categories))
	for i, name := range c.categories {
		text(&b, left+slot*(float64(i)+0.5), top+plotHeight+16, "middle", "", name)
	}
	text(&b, left+plotWidth/2, top+plotHeight+34, "middle", "", c.x)
	for i, s := range c.series {
		colour := colours[i%len(colours)]
		if c.lines {
			c.line(&b, s, colour, slot, height)
		} else {
			c.bars(&b, s, i, colour, slot, height)
		}
	}
	if c.reference > 0 {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#333" stroke-dasharray="5 4"/>`+"\n", left, left+plotWidth, height(c.reference), height(c.reference))
	}
	c.legend(&b)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c chart) bars(b *bytes.Buffer, s series, i int, colour string, slot float64, height func(float64) float64) {
	width := slot * 0.8 / float64(len(c.series))
	for k, v := range s.values {
		if math.IsNaN(v) {
			continue
		}
		x := left + slot*(float64(k)+0.1) + width*float64(i)
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s: %.4g</title></rect>`+"\n",
			x, height(v), width*0.92, float64(top+plotHeight)-height(v), colour, html.EscapeString(s.name), v)
	}
}

func (c chart) line(b *bytes.Buffer, s series, colour string, slot float64, height func(float64) float64) {
	var path bytes.Buffer
	command := "M"
	for k, v := range s.values {
		if math.IsNaN(v) {
			command = "M"
			continue
		}
		x := left + slot*(float64(k)+0.5)
		fmt.Fprintf(&path, "%s%.1f %.1f", command, x, height(v))
		command = "L"
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%s: %.4g</title></circle>`+"\n", x, height(v), colour, html.EscapeString(s.name), v)
	}
	if !s.points {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", &path, colour)
	}
}

// legend tells the series below the plot, in lines as long as fit.
func (c chart) legend(b *bytes.Buffer) {
	x, y := float64(left), float64(top+plotHeight+56)
	for i, s := range c.series {
		width := float64(swatch) + 4 + float64(len(s.name))*fontSize*0.56 + legendGap
		if x+width > chartWidth && x > left {
			x, y = left, y+lineHeight
		}
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%d" height="%d" fill="%s"/>`+"\n", x, y-swatch+1, swatch, swatch, colours[i%len(colours)])
		text(b, x+swatch+4, y, "start", "", s.name)
		x += width
	}
}

func text(b *bytes.Buffer, x, y float64, anchor, more, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(s))
}

// tick returns a round distance of which four to ten cover 0 to most.
func tick(most float64) float64 {
	if most <= 0 || math.IsInf(most, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.1, 0.2, 0.5, 1} {
		if most/(f*power) <= 10 {
			return f * power
		}
	}
	return 2 * power
}
