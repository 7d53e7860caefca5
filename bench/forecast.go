package main

import (
	"context"
	"math"
	"time"

	"github.com/mp3lathe/mp3lathe/bench/model"
)

// forecast is what the model says of machines with more processors, with the costs
// that were measured on this one.
type forecast struct {
	Costs model.Costs `json:"costs"`
	Rows  []predicted `json:"rows"`
}

type predicted struct {
	Audio      float64          `json:"audio_seconds"`
	Processors int              `json:"processors"`
	Prediction model.Prediction `json:"prediction"`
	SpeedUp    float64          `json:"speed_up"` // over one encoder
	// What was measured on this machine, where it has as many processors; else nil.
	Wall    *summary `json:"measured_wall_seconds,omitempty"`
	Speeded *summary `json:"measured_speed_up,omitempty"`
}

var (
	forecastProcessors = []int{1, 2, 4, 8, 16, 64}
	forecastLengths    = []time.Duration{time.Minute, 10 * time.Minute, 2 * time.Hour}
)

// startTime is how long a process takes that does nothing.
func (s *suite) startTime(ctx context.Context) (float64, error) {
	var v []float64
	for range 7 {
		c, err := measure(ctx, work{commands: [][]string{{s.program, "version"}}})
		if err != nil {
			return 0, err
		}
		v = append(v, c.Wall)
	}
	return summarize(v).Median, nil
}

// costs are those of the model, in seconds.
func (r report) costs(start float64) model.Costs {
	metric := func(units ...string) float64 {
		sum := 0.0
		for _, u := range units {
			sum += r.Floor.Metrics[u].Median
		}
		return sum / 1e9
	}
	c := model.Costs{
		Start:   start,
		Decode:  metric("demux-ns/frame", "decode-ns/frame", "resample-ns/frame", "mux-ns/frame"),
		Encode:  metric("lame-ns/frame"),
		Lay:     metric("lay-ns/frame"),
		NewLAME: metric("new-ns/lame"),
		Crowd:   1,
	}
	// Two conversions at once on two processors, against one after the other.
	for _, x := range r.part("files") {
		if slower, ok := x.ratio(atOnce(serial, 2), atOnce(serial, 1), cpu); ok && r.Machine.Processors > 1 {
			c.Crowd = max(1, slower.Median)
		}
	}
	return c
}

// forecast asks the model, and puts what was measured beside it.
func (r report) forecast(c model.Costs) forecast {
	f := forecast{Costs: c}
	for _, length := range forecastLengths {
		frames := int64(math.Ceil((length.Seconds()*44100 + 1152) / 1152))
		one := model.Predict(c, frames, model.Engine{Processors: 1})
		for _, n := range forecastProcessors {
			p := predicted{Audio: length.Seconds(), Processors: n, Prediction: model.Predict(c, frames, model.Engine{Processors: n})}
			p.SpeedUp = one.Wall / p.Prediction.Wall
			r.compare(&p)
			f.Rows = append(f.Rows, p)
		}
	}
	return f
}

// compare finds what was measured of a prediction.
func (r report) compare(p *predicted) {
	for _, x := range r.part("length") {
		name := ours
		if p.Processors == 1 {
			name = serial
		} else if p.Processors != r.Machine.Processors {
			continue
		}
		m, ok := x.contender(name)
		if !ok || x.Audio != p.Audio {
			continue
		}
		took := summarize(m.values(wall))
		p.Wall = &took
		if up, ok := x.ratio(serial, name, wall); ok {
			p.Speeded = &up
		}
	}
}
