package main

import "slices"

// summary is what a handful of measurements say: the middle one, and the range in
// which the middle half of them lies.
type summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"quarter"`
	High   float64 `json:"three_quarters"`
}

// summarize returns the summary of values, of which there is at least one.
func summarize(v []float64) summary {
	v = slices.Sorted(slices.Values(v))
	return summary{Median: quantile(v, 0.5), Low: quantile(v, 0.25), High: quantile(v, 0.75)}
}

// quantile returns what a part q of the values lies below, of values in order;
// between two values it goes in a straight line.
func quantile(v []float64, q float64) float64 {
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// ratios returns a[i]/b[i]: the two were measured in turn, and neighbours saw the
// same machine. What did not cost anything in b has no ratio.
func ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}
