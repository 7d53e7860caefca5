package main

import "slices"

// report is what a run of the bench found, as it is written as JSON.
type report struct {
	Began   string   `json:"began"`
	Quick   bool     `json:"quick,omitempty"` // the figures mean nothing
	Machine machine  `json:"machine"`
	Load    load     `json:"load"`
	Results []result `json:"results"`
	Floor   floor    `json:"floor"`
	Model   forecast `json:"model"`
}

// result is what some contenders took for the same work, in turn.
type result struct {
	Part       string     `json:"part"` // length, setting, codec or files
	Name       string     `json:"name"`
	Codec      string     `json:"codec"`
	Setting    string     `json:"setting"`
	Audio      float64    `json:"audio_seconds"` // of all files
	Contenders []measured `json:"contenders"`
	Load       load       `json:"load"`
}

// measured is what one contender took, in each run.
type measured struct {
	Name string `json:"name"`
	Runs []cost `json:"runs"`
}

// What is compared of a cost.
func wall(c cost) float64 { return c.Wall }
func cpu(c cost) float64  { return c.CPU }
func peak(c cost) float64 { return float64(c.Peak) }
func read(c cost) float64 { return float64(c.Read) }

func (m measured) values(of func(cost) float64) []float64 {
	var v []float64
	for _, c := range m.Runs {
		v = append(v, of(c))
	}
	return v
}

// median returns the middle of what a contender took.
func (m measured) median(of func(cost) float64) float64 { return summarize(m.values(of)).Median }

// contender returns one by its name.
func (r result) contender(name string) (measured, bool) {
	i := slices.IndexFunc(r.Contenders, func(m measured) bool { return m.Name == name })
	if i < 0 {
		return measured{}, false
	}
	return r.Contenders[i], true
}

// ratio returns how much more a contender took than another, run by run.
func (r result) ratio(name, than string, of func(cost) float64) (summary, bool) {
	a, found := r.contender(name)
	b, both := r.contender(than)
	v := ratios(a.values(of), b.values(of))
	if !found || !both || len(v) == 0 {
		return summary{}, false
	}
	return summarize(v), true
}

// part returns the results of a part.
func (r report) part(name string) []result {
	var out []result
	for _, x := range r.Results {
		if x.Part == name {
			out = append(out, x)
		}
	}
	return out
}
