//go:build !race

// As with the mutants of transcode: more of them in the same time.

package cage_test

import (
	"os"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/internal/mutant/trial"
)

// TestMutants puts damaged and hostile copies of ordinary files through the cage, for
// some seconds, or for as long as MP3LATHE_MUTANTS says. None crashes its child, and
// this process does not grow.
func TestMutants(t *testing.T) {
	length := 4 * time.Second
	if s := os.Getenv("MP3LATHE_MUTANTS"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	folders := []string{"../../testdata"}
	if corpus := os.Getenv("MP3LATHE_CORPUS"); corpus != "" {
		folders = append(folders, corpus)
	}
	files, err := mutant.Files(1<<20, folders...)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano()) % 1_000_000
	c := newCage(t, cage.Config{Memory: 512 << 20, Silence: 20 * time.Second})
	report, err := trial.Run{
		Rules: trial.Rules{Convert: c.Convert, Memory: 32 << 20},
		Files: files, Seed: seed, For: length,
		Found: func(d mutant.Draw, finding error) {
			t.Errorf("seed %d, draw %d, %s: %v", seed, d.Number, d.Name, finding)
		},
	}.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: %v", seed, report)
	if report.Draws < 10 {
		t.Errorf("only %d mutants", report.Draws)
	}
}
