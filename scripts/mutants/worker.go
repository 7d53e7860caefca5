package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/internal/mutant/trial"
)

// A message is a line that the worker writes: before each draw, with a finding, at the end.
type message struct {
	Draw    int
	Finding string        `json:",omitempty"`
	Report  *trial.Report `json:",omitempty"`
}

// work tries mutants, and tells on standard output which.
func (s settings) work(ctx context.Context, files []mutant.File) error {
	out := json.NewEncoder(os.Stdout)
	var failed error
	tell := func(m message) {
		if err := out.Encode(m); err != nil && failed == nil {
			failed = err
		}
	}
	report, err := trial.Run{
		Rules: rules(), Files: files, Seed: s.seed, From: s.from, Count: s.count, For: s.length,
		Before: func(d mutant.Draw) { tell(message{Draw: d.Number}) },
		Found:  func(d mutant.Draw, finding error) { tell(message{Draw: d.Number, Finding: finding.Error()}) },
	}.Do(ctx)
	if err != nil {
		return err
	}
	tell(message{Report: &report})
	return failed
}
