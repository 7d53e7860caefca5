// Command mutants converts mutants of MP4 files for as long as one likes, and keeps those
// with which something is wrong. docs/fuzzing.md tells more.
//
//	mutants -for 20m testdata        try mutants of the files below a folder
//	mutants -seed 7 -draw 123 testdata   try one of them again
//	mutants -input FILE...           try files as they are
//
// The work is done by a process of its own, that may crash: then the mutant on which it did
// is a finding, and the next process goes on behind it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/internal/mutant/trial"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// settings are the flags.
type settings struct {
	length  time.Duration
	seed    uint64
	draw    int
	from    int
	count   int
	largest int64
	out     string
	worker  bool
	input   bool
	args    []string
}

func main() {
	var s settings
	flag.DurationVar(&s.length, "for", time.Minute, "how long to go on")
	flag.Uint64Var(&s.seed, "seed", 0, "what the mutants are drawn with; 0 takes the clock")
	flag.IntVar(&s.draw, "draw", -1, "try only the mutant of this number")
	flag.IntVar(&s.from, "from", 0, "the first mutant's number")
	flag.IntVar(&s.count, "count", 0, "how many mutants to try; 0 is as many as there is time for")
	flag.Int64Var(&s.largest, "largest", 4<<20, "size of the largest files to make mutants of, in bytes")
	flag.StringVar(&s.out, "out", "build/fuzz", "folder for mutants with which something is wrong")
	flag.BoolVar(&s.input, "input", false, "try the files as they are, instead of mutants of those below folders")
	flag.BoolVar(&s.worker, "worker", false, "be the process that does the work")
	flag.Parse()
	s.args = flag.Args()
	if s.draw >= 0 {
		s.from, s.count = s.draw, 1
	}
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	findings, err := s.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if findings > 0 {
		os.Exit(1)
	}
}

func (s settings) run(ctx context.Context) (findings int, err error) {
	switch {
	case len(s.args) == 0:
		return 0, fmt.Errorf("name folders with MP4 files, or with -input files")
	case s.input:
		return s.tryFiles(ctx)
	}
	files, err := mutant.Files(s.largest, s.args...)
	if err != nil {
		return 0, err
	}
	if s.worker {
		return 0, s.work(ctx, files)
	}
	return s.supervise(ctx, files)
}

// rules are what is demanded. Sanitizers make everything slower, and bigger.
func rules() trial.Rules {
	r := trial.Rules{Convert: transcode.Convert, Probe: transcode.Probe, Memory: 256 << 20}
	if sanitized {
		r.CPU, r.Wall, r.Memory = 2*time.Minute, 5*time.Minute, 0
	}
	return r
}

// tryFiles tries files as they are, with many of the options that mutants are tried with. A
// mutant that was kept has the number in its name that it was found with.
func (s settings) tryFiles(ctx context.Context) (findings int, err error) {
	for _, path := range s.args {
		data, err := os.ReadFile(path)
		if err != nil {
			return findings, err
		}
		numbers := []int{}
		if number, _, ok := strings.Cut(filepath.Base(path), "-"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				numbers = append(numbers, n)
			}
		}
		for n := range 32 {
			numbers = append(numbers, n)
		}
		for i, number := range numbers {
			code, finding := rules().Try(ctx, mutant.Draw{Number: number, Mutant: mutant.Mutant{Name: path, Data: data}})
			if finding != nil {
				findings++
				fmt.Printf("%s: FINDING: %v\n", path, finding)
				break
			}
			if i == 0 {
				if code == "" {
					code = "converted"
				}
				fmt.Printf("%s: %s\n", path, code)
			}
		}
	}
	return findings, nil
}
