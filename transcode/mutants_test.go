//go:build !race

// Without the race detector there is time for more of them.

package transcode_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/internal/mutant/trial"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// TestMutants converts and probes a few mutants of every file: of testdata, and of the
// corpus, if there is one. Each must end as it should, within its bounds. scripts/mutants
// does the same for as long as one likes, and repeats what is found here.
func TestMutants(t *testing.T) {
	// Not parallel: processor time and memory are those of the whole process.
	folders := []string{"../testdata"}
	if corpus := os.Getenv("MP3LATHE_CORPUS"); corpus != "" {
		folders = append(folders, corpus)
	}
	files, err := mutant.Files(1<<20, folders...)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	run := trial.Run{
		Rules: trial.Rules{
			Convert: transcode.Convert, Probe: transcode.Probe, Memory: 256 << 20,
			After: func() error {
				if n := transcode.Owners(); n != 0 {
					return fmt.Errorf("%d owners of C memory are left", n)
				}
				return nil
			},
		},
		Files: files, Seed: 1, Count: rounds * (len(files) + 1),
		Found: func(d mutant.Draw, finding error) {
			path, err := trial.Keep(t.ArtifactDir(), d, finding.Error())
			t.Errorf("draw %d, %s: %v (%s, %v)", d.Number, d.Name, finding, path, err)
		},
	}
	report, err := run.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
}
