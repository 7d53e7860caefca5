package model

import (
	"fmt"
	"math"
	"testing"
)

// ordinary are costs such as a machine has.
var ordinary = Costs{Start: 0.02, Decode: 25e-6, Encode: 200e-6, Lay: 3e-6, NewLAME: 0.5e-3}

func frames(seconds float64) int64 { return int64(math.Ceil(seconds * 44100 / 1152)) }

func TestOneProcessor(t *testing.T) {
	n := frames(600)
	want := ordinary.Start + ordinary.NewLAME + float64(n)*(ordinary.Decode+ordinary.Encode)
	for _, e := range []Engine{{1, 0}, {1, 1}, {8, 1}} {
		if got := Predict(ordinary, n, e); math.Abs(got.Wall-want) > 1e-9 || got.CPU != got.Wall {
			t.Errorf("%+v takes %.3f s, want %.3f", e, got.Wall, want)
		}
	}
	// Two encoders on one processor: all the work of both, with the warm-up.
	got := Predict(ordinary, n, Engine{1, 2})
	if low, high := want*1.005, want*1.06; got.Wall < low || got.Wall > high {
		t.Errorf("two encoders on one processor take %.3f s, want %.3f to %.3f", got.Wall, low, high)
	}
}

// No engine is faster than its processors, or than its decoder.
func TestBounds(t *testing.T) {
	for _, seconds := range []float64{10, 16, 60, 200, 600, 7200} {
		n := frames(seconds)
		before := math.Inf(1)
		for _, processors := range []int{1, 2, 3, 4, 8, 16, 64} {
			for _, encoders := range []int{0, processors} {
				t.Run(fmt.Sprintf("%gs/%d/%d", seconds, processors, encoders), func(t *testing.T) {
					got := Predict(ordinary, n, Engine{processors, encoders})
					once := float64(n) * (ordinary.Decode + ordinary.Encode)
					low := max(once/float64(processors), float64(n)*ordinary.Decode)
					if got.Wall < low || got.Wall > 1.1*once+ordinary.Start+1 {
						t.Errorf("%.3f s; the work is %.3f s, and the bound %.3f", got.Wall, once, low)
					}
					if got.CPU < once || got.CPU > 1.3*once+0.1 {
						t.Errorf("%.3f s of the processors; the work is %.3f s", got.CPU, once)
					}
					if got.Encoded < n || float64(got.Encoded) > 1.3*float64(n) {
						t.Errorf("%d frames encoded for %d", got.Encoded, n)
					}
					if encoders == 0 {
						if got.Wall > before*1.02 {
							t.Errorf("%.3f s, and %.3f with fewer processors", got.Wall, before)
						}
						before = got.Wall
					}
				})
			}
		}
	}
}

// Where decoding is all there is to wait for, more processors do not help.
func TestDecoderIsTheBound(t *testing.T) {
	c := Costs{Decode: 100e-6, Encode: 200e-6}
	n := frames(7200)
	if got, want := Predict(c, n, Engine{64, 0}).Wall, float64(n)*c.Decode; got > 1.05*want {
		t.Errorf("64 processors take %.2f s, want the decoder's %.2f", got, want)
	}
}

// A machine whose processors are slower together gains less.
func TestCrowd(t *testing.T) {
	n := frames(600)
	alone := Predict(ordinary, n, Engine{2, 2}).Wall
	c := ordinary
	c.Crowd = 1.25
	if got := Predict(c, n, Engine{2, 2}).Wall / alone; got < 1.2 || got > 1.26 {
		t.Errorf("a quarter slower makes %.3f times the wall time", got)
	}
}

// Memory is a chunk for each encoder but one.
func TestHeld(t *testing.T) {
	n := frames(7200)
	length := n / PlanFor(n).Chunks
	for _, processors := range []int{2, 4, 8} {
		got := Predict(ordinary, n, Engine{processors, 0}).Held
		if most := int64(processors)*length + 500; got > most {
			t.Errorf("%d processors hold %d blocks, want at most %d", processors, got, most)
		}
	}
}
