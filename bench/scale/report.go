package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mp3lathe/mp3lathe/bench/machine"
)

// report is what a run has found, as it is written as JSON.
type report struct {
	Began    string          `json:"began"`
	Machine  machine.Machine `json:"machine"`
	Load     machine.Load    `json:"load"`
	Pool     string          `json:"innodb_buffer_pool"`
	Claimers int             `json:"claimers"`
	Shapes   []shape         `json:"shapes"`
}

// shape is what was measured with so many jobs of so many users.
type shape struct {
	Rows  int     `json:"rows"`
	Users int     `json:"users"`
	Fill  filling `json:"fill"`
	// Few is how many jobs the other system has after the uploads, which it takes empty.
	Few     int          `json:"few"`
	Submits []compared   `json:"submits"`
	Reads   []compared   `json:"reads"`
	Costs   []cost       `json:"costs"`
	Claims  []claiming   `json:"claims"`
	Load    machine.Load `json:"load"`
}

// markdown is the page of a report.
func (r *report) markdown() []byte {
	var b bytes.Buffer
	p := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }
	p("# Results of `make bench-scale`\n\n%s. %s, %d processors, %.1f GiB; %s; %s. MariaDB with a buffer pool of %s, and Redis, on the same machine.\n\n",
		r.Began, r.Machine.Processor, r.Machine.Processors, float64(r.Machine.Memory)/(1<<30), r.Machine.System, r.Machine.Go, r.Pool)
	p("Machine: %s.\n", r.Load)
	for _, s := range r.Shapes {
		p("\n## %s of %s\n\n", count(s.Rows, "waiting job"), count(s.Users, "user"))
		p("Load average at the beginning %s.\n\n", s.Load.Average)
		task := "too few to tell"
		if s.Fill.Tasks >= 1000 {
			task = fmt.Sprintf("%.0f bytes", s.Fill.TaskBytes)
		}
		p("| | |\n|---|---|\n| database, a job | %.0f bytes, %.0f of them indexes |\n| tasks in Redis | %s |\n| Redis, a task | %s |\n| filled in | %.0f s |\n\n",
			s.Fill.RowBytes, s.Fill.IndexBytes, thousands(s.Fill.Tasks), task, s.Fill.Seconds)
		p("| requests in turns, ms | empty, median | p99 | full, median | p99 | full / empty, median | p99 |\n|---|---|---|---|---|---|---|\n")
		requests := func(all []compared) {
			for _, c := range all {
				p("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | **%.2f** |\n", c.Name, c.Empty.Median, c.Empty.P99, c.Full.Median, c.Full.P99,
					c.Full.Median/c.Empty.Median, c.Full.P99/c.Empty.P99)
			}
		}
		requests(s.Submits)
		few := func(full bool) string {
			if full {
				return thousands(s.Rows)
			}
			return thousands(s.Few)
		}
		p("| *from here on the other system has %s jobs* | | | | | | |\n", few(false))
		requests(s.Reads)
		p("\n| one of | jobs | ms | statements | rows read | Redis commands |\n|---|---|---|---|---|---|\n")
		for _, c := range s.Costs {
			p("| %s | %s | %.1f | %.0f | %.0f | %.0f |\n", c.Name, few(c.Full), c.Millis, c.Statements, c.RowsRead, c.Commands)
		}
		p("\n| claims by %d at once | jobs | claims | a second | statements a claim | rows read | Redis commands |\n|---|---|---|---|---|---|---|\n", r.Claimers)
		for _, c := range s.Claims {
			p("| | %s | %d | **%.0f** | %.1f | %.1f | %.1f |\n", few(c.Full), c.Claims, c.Rate, c.Statements, c.RowsRead, c.Commands)
		}
	}
	return b.Bytes()
}

// count is a number of things.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// write writes the report into a folder.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	page := r.markdown()
	for name, content := range map[string][]byte{"scale.json": append(data, '\n'), "scale.md": page} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	log.Printf("%s\nThe same is in %s.", page, filepath.Join(dir, "scale.md"))
	return nil
}
