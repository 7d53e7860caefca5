package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/job"
)

// soakJobs is how many jobs TestSoak has; MP3LATHE_SOAK sets another number.
const soakJobs = 100

// plantedProgram is mp3lathe as users have it, without the race detector, but for the
// faults of its children.
var plantedProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binDir, "mp3lathe-planted")
	out, err := exec.Command("go", "build", "-tags", "planted", "-buildvcs=false", "-o", path, "github.com/mp3lathe/mp3lathe/cmd/mp3lathe").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// salted makes a file of the same sound and other bytes: a free box at its end
// (ISO/IEC 14496-12, 8.1.2).
func salted(file []byte, n int) []byte {
	box := binary.BigEndian.AppendUint32(nil, 16)
	box = binary.BigEndian.AppendUint64(append(box, "free"...), uint64(n))
	return append(slices.Clone(file), box[:16]...)
}

// soakJob is a job and what must become of it.
type soakJob struct {
	name  string
	file  []byte
	codes []string // "" is success
}

// soakPlan mixes files of all kinds; every tenth is hostile.
func soakPlan(t *testing.T, n int) []soakJob {
	t.Helper()
	code := map[cage.Kind]job.Code{
		cage.Crashed: job.Crashed, cage.Forbidden: job.Crashed, cage.Lied: job.Crashed,
		cage.OutOfMemory: job.OutOfMemory, cage.TimedOut: job.TimedOut,
	}
	var faults []planted.Fault
	for f := range planted.Faults() {
		if f != planted.Flood { // gigabytes
			faults = append(faults, f)
		}
	}
	slices.Sort(faults)
	files := clips(t, 40)
	var plan []soakJob
	for i := range n {
		if i%10 == 9 {
			f := faults[i/10%len(faults)]
			plan = append(plan, soakJob{
				string(f), planted.Source(f, strconv.Itoa(i)), []string{string(code[planted.Faults()[f]])},
			})
			continue
		}
		c := files[i%len(files)]
		b, err := os.ReadFile(c.path)
		must(t, err)
		// A truncated file must stay so; the others may end in a box of ours.
		if slices.Contains(c.codes, "") {
			b = salted(b, i)
		}
		plan = append(plan, soakJob{c.path, b, c.codes})
	}
	return plan
}

// use is what a process has in use.
type use struct {
	rss         int // KiB
	descriptors int
	children    int
}

func useOf(t *testing.T, pid int) (u use) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	_, err = fmt.Sscan(rest, &u.rss)
	must(t, err)
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	u.descriptors = len(open)
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, name := range lists {
		b, _ := os.ReadFile(name) // its thread may have ended
		u.children += len(strings.Fields(string(b)))
	}
	return u
}

// TestSoak lets one process have many jobs, every tenth of which does all to end it:
// each ends as it must, and nothing grows or is left: no memory, no descriptor, no
// process, no file.
func TestSoak(t *testing.T) {
	n := soakJobs
	if s := os.Getenv("MP3LATHE_SOAK"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		must(t, err)
	}
	program, err := plantedProgram()
	must(t, err)
	dir := t.TempDir()
	cmd := exec.Command(program, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--log-level", "warn",
		"--sweep-interval", "1s", "--concurrency", "3", "--job-memory", "256", "--job-timeout", "20s")
	cmd.Env = []string{"GOGC=20"} // what is in use is to be seen, and not what the collector leaves for later
	s := serveWith(t, cmd, dir)
	c := s.user(t, "soak@example.org")
	pid := s.services[0].cmd.Process.Pid
	plan := soakPlan(t, n)
	began := time.Now()

	run := func(plan []soakJob) {
		t.Helper()
		g, ctx := errgroup.WithContext(t.Context())
		g.SetLimit(6)
		for _, j := range plan {
			g.Go(func() error {
				made, err := c.Upload(ctx, filepath.Base(j.name), bytes.NewReader(j.file), nil)
				var problem *client.Error
				if errors.As(err, &problem) && problem.Status == 415 && slices.Contains(j.codes, string(job.InvalidData)) {
					return nil // it does not even look like one
				}
				if err != nil {
					return fmt.Errorf("%s: %w", j.name, err)
				}
				got, err := c.Follow(ctx, made.ID, nil)
				if err != nil {
					return fmt.Errorf("%s: %w", j.name, err)
				}
				code := ""
				if got.Failure != nil {
					code = got.Failure.Code
				}
				if !slices.Contains(j.codes, code) {
					t.Errorf("%s ended as %s %q, not as one of %q", j.name, got.State, code, j.codes)
				}
				if code == "" {
					if b, err := readAll(c.Audio(ctx, made.ID)); err != nil || len(b) < 100 {
						return fmt.Errorf("%s: an MP3 of %d bytes, %w", j.name, len(b), err)
					}
				}
				return c.Delete(ctx, made.ID)
			})
		}
		must(t, g.Wait())
	}
	// The first part warms up: pools, caches, the collector's pace.
	warm := max(n/4, 25)
	run(plan[:warm])
	before := useOf(t, pid)
	run(plan[warm:])
	eventually(t, 10*time.Second, "its children are gone", func() bool { return useOf(t, pid).children == 0 })
	after := useOf(t, pid)
	t.Logf("%d jobs in %v; after %d of them %+v, at the end %+v", n, time.Since(began).Round(time.Second), warm, before, after)
	if more := after.rss - before.rss; more > 16<<10 {
		t.Errorf("it grew by %d KiB", more)
	}
	if after.descriptors > before.descriptors+8 { // connections come and go
		t.Errorf("%d descriptors became %d", before.descriptors, after.descriptors)
	}
	objects, err := s.bucket(t).List(t.Context(), "", "", 1000)
	must(t, err)
	for _, o := range objects {
		if o.Key != job.MarkKey {
			t.Errorf("%s is left in the bucket", o.Key)
		}
	}
	unfinished, err := os.ReadDir(filepath.Join(dir, "bucket", ".tmp"))
	must(t, err)
	if len(unfinished) > 0 {
		t.Errorf("%d unfinished objects are left", len(unfinished))
	}
	if _, err := os.Stat("/tmp/mp3lathe-planted"); err == nil {
		t.Error("a child made a file")
	}
}
