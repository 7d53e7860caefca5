// Package capacity computes what a number of jobs a day takes, from figures that were
// measured and some that are assumed. docs/capacity.md has what comes of it; make docs
// writes it anew.
package capacity

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Input is a figure that the model begins with.
type Input struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	What   string  `json:"what"`
	Source string  `json:"source"`
}

//go:embed inputs.json
var inputs []byte

// Inputs are those of inputs.json. It panics if that cannot be read, or names one twice.
func Inputs() []Input {
	var all []Input
	if err := json.Unmarshal(inputs, &all); err != nil {
		panic(err)
	}
	seen := map[string]bool{}
	for _, in := range all {
		if seen[in.Name] || in.Source == "" || in.What == "" {
			panic("capacity: the input " + in.Name + " is there twice, or lacks its source")
		}
		seen[in.Name] = true
	}
	return all
}

// Model answers for any number of jobs a day.
type Model struct {
	in   map[string]float64
	used map[string]bool
}

// New returns the model of some inputs.
func New(all []Input) *Model {
	m := &Model{in: map[string]float64{}, used: map[string]bool{}}
	for _, in := range all {
		m.in[in.Name] = in.Value
	}
	return m
}

// get is an input, which has to be there.
func (m *Model) get(name string) float64 {
	v, ok := m.in[name]
	if !ok {
		panic("capacity: there is no input " + name)
	}
	m.used[name] = true
	return v
}

// Plan is what a number of jobs a day takes. Rates are those of the busiest minute, all
// else is the average or what there is in the end.
type Plan struct {
	Jobs float64 // a day
	Rate float64 // a second

	WorkerProcessors, Workers   float64
	GatewayProcessors, Gateways float64
	Connections                 float64 // to the database

	Statements float64 // SQL, a second
	Rows, SQL  float64 // bytes
	Commands   float64 // of Redis, a second
	Redis      float64 // bytes, with a backlog

	In, Read, Written, Out float64 // bytes a day: uploads; by workers; MP3s; to users
	Stored                 float64 // bytes in the bucket
}

const (
	day = 86400.0
	mb  = 1e6
	gb  = 1e9
)

// convert is a job's processor's time, in seconds.
func (m *Model) convert() float64 { return m.get("convert")*m.get("audio")/10 + m.get("serve") }

// beats are the signs of life of a job.
func (m *Model) beats() float64 { return m.convert() / m.get("heartbeat") }

// statements are a job's.
func (m *Model) statements() float64 {
	return m.get("upload_statements") + m.get("claim_statements") + m.get("end_statements") + m.beats() + m.get("looks")
}

// commands of Redis are a job's: each sign of life is a hint, and each look is counted.
func (m *Model) commands() float64 {
	return m.get("upload_commands") + m.get("claim_commands") + m.get("end_commands") + m.beats() + m.get("looks")
}

// Plan answers for a number of jobs a day.
func (m *Model) Plan(jobs float64) Plan {
	p := Plan{Jobs: jobs, Rate: jobs / day * m.get("peak")}
	length := m.get("audio") / 10
	p.WorkerProcessors = p.Rate * m.convert() / m.get("use")
	p.Workers = math.Ceil(p.WorkerProcessors / m.get("worker_processors"))
	p.GatewayProcessors = p.Rate * m.get("source") * mb / (1 << 30) * m.get("upload") / m.get("use")
	p.Gateways = max(2, math.Ceil(p.GatewayProcessors/m.get("gateway_processors")))
	const notifiers = 2
	p.Connections = m.get("pool") * (p.Workers + p.Gateways + notifiers)
	p.Statements, p.Commands = p.Rate*m.statements(), p.Rate*m.commands()
	p.Rows = jobs * m.get("rows_kept")
	p.SQL = p.Rows * (m.get("row") + m.get("result"))
	p.Redis = jobs / 24 * m.get("backlog") * m.get("task")
	p.In = jobs * m.get("source") * mb
	p.Read = jobs * m.get("read") * length * mb
	p.Written = jobs * m.get("mp3") * length * mb
	p.Out = p.Written * m.get("downloads")
	p.Stored = p.Written*m.get("files_kept") + p.In/24*m.get("backlog")
	return p
}

// Cost of a thousand jobs, by what it is for, in the currency of the prices.
type Cost struct {
	Convert, Upload, Storage, Requests, Egress, Database float64
}

// Total is the sum.
func (c Cost) Total() float64 {
	return c.Convert + c.Upload + c.Storage + c.Requests + c.Egress + c.Database
}

// Cost answers for a thousand jobs. Processors are paid for as they are used at the
// average, which takes a fleet that grows and shrinks.
func (m *Model) Cost() Cost {
	p := m.Plan(1000)
	hour := m.get("price_processor") / m.get("use")
	const month = 30.0
	parts := (p.In + p.Written) / (m.get("part") * mb)
	return Cost{
		Convert:  1000 * m.convert() / 3600 * hour,
		Upload:   p.In / (1 << 30) * m.get("upload") / 3600 * hour,
		Storage:  p.Written / gb * m.get("files_kept") / month * m.get("price_storage"),
		Requests: parts/1000*m.get("price_puts") + (p.Read+p.Out)/(m.get("part")*mb)/1000*m.get("price_gets"),
		Egress:   p.Out / gb * m.get("price_egress"),
		Database: 1000 * m.get("rows_kept") * (m.get("row") + m.get("result")) / gb / month * m.get("price_disk"),
	}
}

// Limit is something that ends, and the number of jobs a day at which it does.
type Limit struct {
	What string
	Jobs float64
	Next string // what to do then
}

// Limits are all, the one that comes first before the others.
func (m *Model) Limits() []Limit {
	one := m.Plan(1e9) // far above all roundings
	at := func(have, need float64) float64 { return have / (need / one.Jobs) }
	claims := m.get("claims")
	limits := []Limit{
		{fmt.Sprintf("database: %.0f statements a second, as measured on two processors with everything else on them", claims*m.get("claim_statements")),
			at(claims*m.get("claim_statements"), one.Statements),
			fmt.Sprintf("a database with processors and a disk of its own; then fewer signs of life, which are %.0f %% of all statements, and whose interval is no setting yet", 100*m.beats()/m.statements())},
		{fmt.Sprintf("Redis: %.0f commands a second, as measured likewise", claims*m.get("claim_commands")), at(claims*m.get("claim_commands"), one.Commands),
			"a processor of its own for it, of which it uses one"},
		{fmt.Sprintf("%.0f connections to the database", m.get("database_connections")), at(m.get("database_connections"), one.Connections),
			"larger workers (connections go by processes), a larger `max_connections`, or a proxy that shares connections"},
		{fmt.Sprintf("%.0f GB for rows", m.get("database_disk")), at(m.get("database_disk")*gb, one.SQL),
			"a larger disk; a shorter life of expired rows, which is no setting yet; tables by month"},
		{fmt.Sprintf("%.0f GB of Redis, with a backlog of %.0f h", m.get("redis_memory"), m.get("backlog")), at(m.get("redis_memory")*gb, one.Redis),
			"more memory; users with many jobs take up no more, for each has one task"},
		// It sweeps for an interval and rests for another.
		{fmt.Sprintf("the sweeper removes the files of expired jobs, %.0f at a time, by three requests to the bucket each", m.get("expire_at_once")),
			m.get("expire_at_once") * 1000 / (3 * m.get("s3_request")) / 2 * day,
			"more at a time, which is no setting yet; a rule of the bucket for `out/` that removes what is older than `--retention` and a day"},
		{"a Redis that has lost its data is told again of fewer jobs than come", m.get("sweep_batch") / m.get("sweep_interval") * day / m.get("peak"),
			"Redis with AOF, so that it loses nothing; it is no limit as long as it does not, and each job that is begun brings up the next of its owner all the same"},
	}
	slices.SortFunc(limits, func(a, b Limit) int { return int(math.Copysign(1, a.Jobs-b.Jobs)) })
	return limits
}
