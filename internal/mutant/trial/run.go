package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// A Run tries draws, one after the other.
type Run struct {
	Rules
	// Files whose mutants are tried, and the seed that they are drawn with.
	Files []mutant.File
	Seed  uint64
	// From is the first draw; Count is how many there are, 0 for no end.
	From, Count int
	// For ends the run after a time; 0 doesn't.
	For time.Duration
	// Before, if it isn't nil, is told of each draw before it is tried.
	Before func(mutant.Draw)
	// Found is told of each finding.
	Found func(mutant.Draw, error)
}

// Report counts what a run met.
type Report struct {
	// Draws that were tried.
	Draws int
	// Outcomes by code; "" is a conversion that succeeded.
	Outcomes map[transcode.Code]int
	// Findings among the draws.
	Findings int
	// Slowest draw, and the time that it took.
	Slowest string
	Took    time.Duration
}

// String is the report in one line.
func (r Report) String() string {
	var codes []string
	for code, n := range r.Outcomes {
		if code == "" {
			code = "converted"
		}
		codes = append(codes, fmt.Sprintf("%s %d", code, n))
	}
	slices.Sort(codes)
	return fmt.Sprintf("%d mutants, %d findings; %s; slowest %v: %s", r.Draws, r.Findings, strings.Join(codes, ", "), r.Took.Round(time.Millisecond), r.Slowest)
}

// Do tries the draws of the run. Its error is that of a file that can't be read; findings
// are no errors, and the end of ctx or of the time is none.
func (r Run) Do(ctx context.Context) (Report, error) {
	report := Report{Outcomes: map[transcode.Code]int{}}
	began := time.Now()
	for d, err := range mutant.Each(r.Files, r.Seed, r.From) {
		if err != nil {
			return report, err
		}
		if ctx.Err() != nil || r.Count > 0 && report.Draws == r.Count || r.For > 0 && time.Since(began) > r.For {
			break
		}
		if r.Before != nil {
			r.Before(d)
		}
		start := time.Now()
		code, finding := r.Try(ctx, d)
		if ctx.Err() != nil {
			break
		}
		report.Draws++
		report.Outcomes[code]++
		if took := time.Since(start); took > report.Took {
			report.Took, report.Slowest = took, d.Name
		}
		if finding != nil {
			report.Findings++
			r.Found(d, finding)
		}
	}
	return report, nil
}

// Keep writes a mutant and a note about it into a folder, and returns the mutant's path.
func Keep(folder string, d mutant.Draw, note string) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(folder, d.FileName())
	if err := os.WriteFile(path, d.Data, 0o644); err != nil {
		return "", err
	}
	return path, os.WriteFile(path+".txt", []byte(d.Name+"\n\n"+note+"\n"), 0o644)
}
