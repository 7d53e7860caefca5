package capacity

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/capacity.md anew")

// The tables of docs/capacity.md stand between these two lines.
const (
	tablesBegin = "<!-- What follows is computed from bench/capacity/inputs.json by make docs. -->\n"
	tablesEnd   = "<!-- The end of what make docs has made. -->\n"
)

// TestTables: docs/capacity.md says what the model says. With -update (make docs) it is
// made to.
func TestTables(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "capacity.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tablesBegin)
	_, after, closed := strings.Cut(rest, tablesEnd)
	if !ok || !closed {
		t.Fatalf("%s lacks the lines between which its tables stand", path)
	}
	want := before + tablesBegin + "\n" + Tables(Inputs()) + "\n" + tablesEnd + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(b) != want {
		t.Error("docs/capacity.md is not what the model says; run: make docs")
	}
	if strings.Contains(want, "NaN") || strings.Contains(want, "Inf") {
		t.Error("something was divided by nothing")
	}
}

// TestInputs: every figure is used, so that none stands there that changes nothing.
func TestInputs(t *testing.T) {
	all := Inputs()
	m := New(all)
	m.Plan(1e6)
	m.Limits()
	m.Cost()
	for _, in := range all {
		if !m.used[in.Name] {
			t.Errorf("nothing is computed from %s", in.Name)
		}
	}
}

// TestModel holds the model against sums that were made by hand.
func TestModel(t *testing.T) {
	all := Inputs()
	for i, in := range all {
		// Numbers with which one can reckon.
		for name, v := range map[string]float64{
			"audio": 10, "convert": 4, "serve": 0, "peak": 2, "use": 0.5, "worker_processors": 8, "source": 1 << 30 / 1e6, "upload": 1,
			"gateway_processors": 2, "upload_statements": 10, "claim_statements": 4, "end_statements": 6, "heartbeat": 0.4, "looks": 5,
			"row": 900, "result": 100, "rows_kept": 10, "mp3": 10, "downloads": 2, "files_kept": 3, "backlog": 24, "task": 500,
			"database_disk": 1, "price_processor": 0.9, "price_egress": 0.1,
		} {
			if in.Name == name {
				all[i].Value = v
			}
		}
	}
	m := New(all)
	p := m.Plan(86400) // one a second, and two at the peak
	for name, c := range map[string][2]float64{
		"rate": {p.Rate, 2}, "processors": {p.WorkerProcessors, 2 * 4 / 0.5}, "workers": {p.Workers, 2},
		"gateways": {p.Gateways, 2}, "gateway processors": {p.GatewayProcessors, 4},
		"statements": {p.Statements, 2 * (10 + 4 + 6 + 4/0.4 + 5)}, "rows": {p.Rows, 864000}, "bytes of rows": {p.SQL, 864e6},
		"Redis": {p.Redis, 86400 * 500}, "written": {p.Written, 86400 * 10e6}, "out": {p.Out, 2 * 86400 * 10e6},
		"stored":     {p.Stored, 3*86400*10e6 + 86400*(1<<30)},
		"converting": {m.Cost().Convert, 1000 * 4.0 / 3600 * 0.9 / 0.5}, "egress": {m.Cost().Egress, 1000 * 2 * 10e6 / 1e9 * 0.1},
	} {
		if math.Abs(c[0]-c[1]) > 1e-6*c[1] {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
	found := false
	for _, l := range m.Limits() {
		if strings.Contains(l.What, "GB for rows") {
			found = true
			if want := 1e9 / 1000 / 10.0; math.Abs(l.Jobs-want) > 1 {
				t.Errorf("a GB of rows is full at %v jobs a day, want %v", l.Jobs, want)
			}
		}
	}
	if !found {
		t.Error("the limit of the rows is gone")
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0.0347: "0.035", 1.16: "1.2", 3472: "3,470", 123456: "123,000", 1e7: "10,000,000", 47: "47"} {
		if got := number(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	if got := size(1.4e15); got != "1.4 PB" {
		t.Error(got)
	}
}
