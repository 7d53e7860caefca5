package capacity

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// scales are the numbers of jobs a day that the tables tell of.
var scales = []float64{1e4, 1e5, 1e6, 1e7}

// Tables is what comes of the inputs, in Markdown.
func Tables(all []Input) string {
	m := New(all)
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }

	p("## What it takes\n\n| jobs a day |")
	var plans []Plan
	for _, jobs := range scales {
		plans = append(plans, m.Plan(jobs))
		p(" %s |", number(jobs))
	}
	p("\n|---|%s\n", strings.Repeat("---|", len(plans)))
	for _, row := range []struct {
		what string
		of   func(Plan) string
	}{
		{"jobs a second, at the peak", func(p Plan) string { return number(p.Rate) }},
		{"processors for workers, at the peak", func(p Plan) string { return number(p.WorkerProcessors) }},
		{"workers", func(p Plan) string { return number(p.Workers) }},
		{"processors for gateways, at the peak", func(p Plan) string { return number(p.GatewayProcessors) }},
		{"gateways", func(p Plan) string { return number(p.Gateways) }},
		{"connections to the database", func(p Plan) string { return number(p.Connections) }},
		{"SQL statements a second, at the peak", func(p Plan) string { return number(p.Statements) }},
		{"rows of jobs", func(p Plan) string { return number(p.Rows) }},
		{"their size", func(p Plan) string { return size(p.SQL) }},
		{"Redis commands a second, at the peak", func(p Plan) string { return number(p.Commands) }},
		{"Redis, with a backlog", func(p Plan) string { return size(p.Redis) }},
		{"uploads into the bucket, a day", func(p Plan) string { return size(p.In) }},
		{"read by workers, a day", func(p Plan) string { return size(p.Read) }},
		{"MP3s into the bucket, a day", func(p Plan) string { return size(p.Written) }},
		{"out to users, a day", func(p Plan) string { return size(p.Out) }},
		{"in the bucket", func(p Plan) string { return size(p.Stored) }},
	} {
		p("| %s |", row.what)
		for _, plan := range plans {
			p(" %s |", row.of(plan))
		}
		p("\n")
	}

	p("\n## What breaks first\n\n| at jobs a day | what | the next step |\n|---|---|---|\n")
	for _, l := range m.Limits() {
		p("| %s | %s | %s |\n", number(l.Jobs), l.What, l.Next)
	}

	c := m.Cost()
	p("\n## What a thousand conversions cost\n\n| for | in the currency of the prices |\n|---|---|\n")
	for _, row := range []struct {
		what string
		cost float64
	}{
		{"converting", c.Convert}, {"taking uploads", c.Upload}, {"MP3s in the bucket, for as long as they are kept", c.Storage},
		{"requests to the bucket", c.Requests}, {"downloads", c.Egress}, {"rows in the database", c.Database}, {"**all of it**", c.Total()},
	} {
		p("| %s | %.2g |\n", row.what, row.cost)
	}

	p("\n## What goes in\n\n| figure | value | from |\n|---|---|---|\n")
	for _, in := range all {
		p("| %s | %s | %s |\n", in.What, strings.TrimSpace(strconv.FormatFloat(in.Value, 'f', -1, 64)+" "+in.Unit), in.Source)
	}
	return b.String()
}

// number is one with two digits that count, or three, and commas.
func number(v float64) string {
	if v > 0 && v < 10 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	if unit := math.Pow(10, math.Floor(math.Log10(v))-2); v >= 1000 {
		v = math.Round(v/unit) * unit
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is one of bytes.
func size(v float64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	i := 0
	for v /= 1000; v >= 1000 && i < len(units)-1; i++ {
		v /= 1000
	}
	return number(v) + " " + units[i]
}
