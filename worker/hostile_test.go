//go:build !race

// Each job in a child of its own: minutes under the race detector.

package worker_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/mutant"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// hostile are files that somebody made to do harm: those of the corpus, if it is there,
// and the bad ones among the fixtures.
func hostile(t *testing.T) (names []string) {
	t.Helper()
	bad, err := filepath.Glob("../testdata/media/bad-*")
	if err != nil {
		t.Fatal(err)
	}
	names = bad
	if corpus := os.Getenv("MP3LATHE_CORPUS"); corpus != "" {
		err := filepath.WalkDir(filepath.Join(corpus, "hostile"), func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 5 {
		t.Fatalf("only %d hostile files", len(names))
	}
	return names
}

// TestHostile puts hostile files, and mutants of ordinary ones, through a caged worker:
// each job ends, by a code that blames the file, and none crashes its child.
func TestHostile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.caged(cage.Config{})
	limits := transcode.Limits{Duration: 30 * time.Second, OutputBytes: 4 << 20}
	w := r.worker(func(c *worker.Config) { c.Limits, c.Timeout = limits, time.Minute })
	blames := []job.Code{job.NoAudio, job.InvalidData, job.Truncated, job.Unsupported, job.Encrypted, job.Limit}
	outcomes := map[job.Code]int{}
	try := func(name string, data []byte, s job.Settings) {
		if len(data) == 0 {
			return // the gateway takes none
		}
		id := r.upload(data, s)
		r.handle(w, id)
		switch j := r.get(id); {
		case j.State == job.Succeeded:
			outcomes[""]++
		case j.State == job.Failed && slices.Contains(blames, j.Failure.Code):
			outcomes[j.Failure.Code]++
		default:
			t.Errorf("%s: %s, %+v", name, j.State, j.Failure)
		}
	}
	for _, name := range hostile(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		try(name, data, job.Settings{})
		try(name, data, job.Settings{AllowPartial: true})
	}
	files, err := mutant.Files(256<<10, "../testdata")
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range mutant.Each(files, 5, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Number == 150 {
			break
		}
		try(d.Name, d.Data, job.Settings{AllowPartial: d.Number%2 == 0})
	}
	t.Log(outcomes)
	suspects, err := r.jobs.Suspects(t.Context(), 10)
	if err != nil || len(suspects) > 0 {
		t.Errorf("files crashed their children: %+v, %v", suspects, err)
	}
}
