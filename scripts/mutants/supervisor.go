package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/internal/mutant/trial"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// batch is how many draws a worker does before another takes its place, so that what it
// says at its end (leaks) can be traced to a few.
const batch = 400

// mostFindings ends a run that finds nothing but faults.
const mostFindings = 50

// supervisor runs workers and collects what they find.
type supervisor struct {
	settings
	program  string        // of the workers
	patience time.Duration // between two words of a worker
	files    []mutant.File
	total    trial.Report
	findings int
}

func (s settings) supervise(ctx context.Context, files []mutant.File) (int, error) {
	fmt.Printf("mutants of %d files for %v, seed %d\n", len(files), s.length, s.seed)
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	return newSupervisor(s, program, files).run(ctx)
}

func newSupervisor(s settings, program string, files []mutant.File) *supervisor {
	return &supervisor{
		settings: s, program: program, files: files,
		patience: 2*rules().Wall + 2*time.Minute, // for a conversion and a probe
		total:    trial.Report{Outcomes: map[transcode.Code]int{}},
	}
}

// run starts one worker after the other until the time is over.
func (v *supervisor) run(ctx context.Context) (findings int, err error) {
	s := v.settings
	end, told := time.Now().Add(s.length), time.Now()
	for next := s.from; ctx.Err() == nil && v.findings < mostFindings; {
		left := time.Until(end)
		if left <= 0 || s.count > 0 && next >= s.from+s.count {
			break
		}
		count := batch
		if s.count > 0 {
			count = min(batch, s.from+s.count-next)
		}
		last, err := v.worker(ctx, next, count, left)
		if err != nil {
			return v.findings, err
		}
		next = last + 1
		if time.Since(told) > time.Minute {
			told = time.Now()
			fmt.Println(v.total)
		}
	}
	fmt.Println(v.total)
	return v.findings, nil
}

// worker lets a process do draws, and returns the number of the last one.
func (v *supervisor) worker(ctx context.Context, from, count int, left time.Duration) (last int, err error) {
	args := []string{"-worker", "-seed", fmt.Sprint(v.seed), "-from", fmt.Sprint(from), "-count", fmt.Sprint(count),
		"-for", left.String(), "-largest", fmt.Sprint(v.largest)}
	cmd := exec.CommandContext(ctx, v.program, append(args, v.args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// One that hangs in C obeys no context; it is shot.
	hung := time.AfterFunc(v.patience, func() { _ = cmd.Process.Kill() })
	last = from
	done := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		hung.Reset(v.patience)
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			fmt.Println(lines.Text()) // somebody else's
			continue
		}
		switch {
		case m.Report != nil:
			done = true
			v.add(*m.Report)
		case m.Finding != "":
			v.found(m.Draw, m.Finding)
		default:
			last = m.Draw
		}
	}
	alive := hung.Stop()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil, ctx.Err() != nil:
		return last, nil
	case !errors.As(err, &exit):
		return last, err
	case exit.ExitCode() == 2 && strings.HasPrefix(complaints.String(), "mutants: "):
		return last, errors.New(strings.TrimSpace(complaints.String()))
	case !alive:
		v.total.Draws += last - from + 1
		v.found(last, fmt.Sprintf("nothing happened for %v\n%s", v.patience, clip(complaints.String())))
	case done:
		v.foundAtEnd(from, last, fmt.Sprintf("%v at the end\n%s", err, clip(complaints.String())))
	default:
		v.total.Draws += last - from + 1
		v.found(last, fmt.Sprintf("%v\n%s", err, clip(complaints.String())))
	}
	return last, nil
}

func (v *supervisor) add(r trial.Report) {
	v.total.Draws += r.Draws
	for code, n := range r.Outcomes {
		v.total.Outcomes[code] += n
	}
	if r.Took > v.total.Took {
		v.total.Took, v.total.Slowest = r.Took, r.Slowest
	}
}

// found keeps a mutant with which something is wrong.
func (v *supervisor) found(number int, finding string) {
	v.findings++
	v.total.Findings++
	d, err := mutant.At(v.files, v.seed, number)
	if err == nil {
		finding += fmt.Sprintf("\n\nmade by: scripts/mutants -seed %d -draw %d -largest %d %s", v.seed, number, v.largest, strings.Join(v.args, " "))
		var path string
		if path, err = trial.Keep(v.out, d, finding); err == nil {
			fmt.Printf("\nFINDING: %s\n%s\n\nrepeat with: make fuzz INPUT=%s\n\n", d.Name, finding, path)
			return
		}
	}
	fmt.Printf("\nFINDING: draw %d: %s\nit could not be kept: %v\n\n", number, finding, err)
}

// foundAtEnd keeps the word about draws of which one, it is not known which, left something
// behind.
func (v *supervisor) foundAtEnd(from, last int, finding string) {
	v.findings++
	v.total.Findings++
	finding += fmt.Sprintf("\n\nrepeat with: scripts/fuzz.sh mutants -seed %d -from %d -count %d -largest %d %s",
		v.seed, from, last-from+1, v.largest, strings.Join(v.args, " "))
	fmt.Printf("\nFINDING: draws %d to %d: %s\n\n", from, last, finding)
	if err := os.MkdirAll(v.out, 0o755); err == nil {
		_ = os.WriteFile(filepath.Join(v.out, fmt.Sprintf("%d-%d-at-end.txt", from, last)), []byte(finding+"\n"), 0o644)
	}
}

// clip keeps the beginning of a long complaint, where its cause stands.
func clip(s string) string {
	const most = 16 << 10
	if len(s) > most {
		return s[:most] + "\n..."
	}
	return s
}
