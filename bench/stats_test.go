package main

import (
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		v    []float64
		want summary
	}{
		{[]float64{3}, summary{3, 3, 3}},
		{[]float64{4, 2}, summary{3, 2.5, 3.5}},
		{[]float64{9, 1, 5}, summary{5, 3, 7}},
		{[]float64{7, 1, 6, 2, 5, 3, 4}, summary{4, 2.5, 5.5}},
		{[]float64{1, 1, 1, 1000}, summary{1, 1, 250.75}}, // one that went wrong does not count
	} {
		before := slices.Clone(test.v)
		if got := summarize(test.v); got != test.want {
			t.Errorf("summarize(%v) = %v, want %v", test.v, got, test.want)
		}
		if !slices.Equal(test.v, before) {
			t.Errorf("summarize changed %v to %v", before, test.v)
		}
	}
}

// A machine that becomes three times slower in the middle changes the medians, and
// not the ratios of neighbours.
func TestRatios(t *testing.T) {
	a, b := []float64{1, 1, 3, 3}, []float64{2, 2, 6, 6}
	if got := ratios(a, b); !slices.Equal(got, []float64{0.5, 0.5, 0.5, 0.5}) {
		t.Errorf("ratios are %v", got)
	}
	if got := ratios([]float64{1, 2}, []float64{0, 4}); !slices.Equal(got, []float64{0.5}) {
		t.Errorf("with nothing to divide by, ratios are %v", got)
	}
}
