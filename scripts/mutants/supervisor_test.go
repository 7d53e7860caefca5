package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/internal/mutant/trial"
)

// TestMain lets the test's program be a worker that does what the name of a folder says.
func TestMain(m *testing.M) {
	if i := slices.Index(os.Args, "-from"); i > 0 && slices.Contains(os.Args, "-worker") {
		from, _ := strconv.Atoi(os.Args[i+1])
		count, _ := strconv.Atoi(os.Args[slices.Index(os.Args, "-count")+1])
		pretend(filepath.Base(os.Args[len(os.Args)-1]), from, count)
		return
	}
	os.Exit(m.Run())
}

// pretend does nothing with its draws but for draw 7.
func pretend(what string, from, count int) {
	out := json.NewEncoder(os.Stdout)
	for n := from; n < from+count; n++ {
		_ = out.Encode(message{Draw: n})
		if n != 7 {
			continue
		}
		switch what {
		case "finds":
			_ = out.Encode(message{Draw: n, Finding: "odd"})
		case "crashes":
			fmt.Fprintln(os.Stderr, "SIGSEGV")
			os.Exit(2)
		case "hangs":
			time.Sleep(time.Hour)
		case "is-wrong":
			fmt.Fprintln(os.Stderr, "mutants: no such folder")
			os.Exit(2)
		}
	}
	_ = out.Encode(message{Report: &trial.Report{Draws: count}})
	if what == "leaks" {
		fmt.Fprintln(os.Stderr, "LeakSanitizer")
		os.Exit(1)
	}
}

// TestSupervisor: whatever happens to a worker is a finding, with the mutant that it was at,
// and the run goes on behind it.
func TestSupervisor(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files, err := mutant.Files(4000, "../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	seventh, err := mutant.At(files, 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]struct {
		note string // in what is kept
		file string
	}{
		"is-fine": {},
		"finds":   {"odd", seventh.FileName()},
		"crashes": {"SIGSEGV", seventh.FileName()},
		"hangs":   {"nothing happened", seventh.FileName()},
		"leaks":   {"LeakSanitizer", "0-19-at-end"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := settings{length: time.Hour, seed: 1, count: 20, out: t.TempDir(), args: []string{what}}
			v := newSupervisor(s, program, files)
			if what == "hangs" {
				v.patience = 3 * time.Second
			}
			findings, err := v.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v.total.Draws != 20 {
				t.Errorf("%d draws, want 20", v.total.Draws)
			}
			if want.note == "" {
				if findings != 0 {
					t.Errorf("%d findings", findings)
				}
				return
			}
			if findings != 1 {
				t.Errorf("%d findings, want 1", findings)
			}
			note, err := os.ReadFile(filepath.Join(s.out, want.file+".txt"))
			if err != nil || !strings.Contains(string(note), want.note) {
				t.Errorf("the note says %q (%v), want %q", note, err, want.note)
			}
			if what == "leaks" {
				return
			}
			if kept, err := os.ReadFile(filepath.Join(s.out, want.file)); err != nil || string(kept) != string(seventh.Data) {
				t.Errorf("the mutant was not kept: %v", err)
			}
		})
	}
	s := settings{length: time.Hour, seed: 1, count: 20, out: t.TempDir(), args: []string{"is-wrong"}}
	if _, err := newSupervisor(s, program, files).run(t.Context()); err == nil || !strings.Contains(err.Error(), "no such folder") {
		t.Errorf("a worker that cannot work: %v", err)
	}
}
