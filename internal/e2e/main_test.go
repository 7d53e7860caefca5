// Package e2e tests the whole system as its users meet it: four processes on real
// servers, and one process with all in it.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// programs are the paths of the programs under test, built once with the race
// detector.
var programs = sync.OnceValues(func() (map[string]string, error) {
	args := []string{"build", "-race", "-buildvcs=false", "-o", binDir + string(filepath.Separator)}
	names := []string{"mp3lathe", "gateway", "auth", "worker", "notifier", "queues"}
	paths := map[string]string{}
	for _, name := range names {
		args = append(args, "github.com/mp3lathe/mp3lathe/cmd/"+name)
		paths[name] = filepath.Join(binDir, name)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return paths, nil
})

var binDir string

func TestMain(m *testing.M) {
	if spec := os.Getenv(mountEnv); spec != "" {
		fmt.Fprintln(os.Stderr, mountAndExec(spec, os.Args[1:]))
		os.Exit(mountFailed)
	}
	dir, err := os.MkdirTemp("", "mp3lathe-e2e-")
	if err != nil {
		panic(err)
	}
	binDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// service is a program of the system, running.
type service struct {
	name      string
	cmd       *exec.Cmd
	out       *testserver.Output
	done      chan struct{}
	forgotten bool // its end has been looked at
}

// run starts a program; the test's end stops it, and fails if it ends badly, which
// it does too if the race detector found something.
func run(t *testing.T, program string, env []string, args ...string) *service {
	t.Helper()
	paths, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, program, exec.Command(paths[program], args...), env)
}

// start is run for a command.
func start(t *testing.T, name string, cmd *exec.Cmd, env []string) *service {
	t.Helper()
	s := &service{name: name, cmd: cmd, out: &testserver.Output{}, done: make(chan struct{})}
	// Nothing of the environment reaches the programs but what the test gives.
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GORACE=halt_on_error=1"}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if s.cmd.SysProcAttr == nil {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop asks the program to end as an operator does, and waits for it.
func (s *service) stop(t *testing.T) {
	t.Helper()
	if s.forgotten {
		return
	}
	s.forgotten = true
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(60 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
		t.Errorf("%s did not stop within a minute\n%s", s.name, s.tail())
		return
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s ended with %v\n%s", s.name, s.cmd.ProcessState, s.tail())
	}
}

// kill ends the program as a power cut does.
func (s *service) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// tail is the end of what it printed.
func (s *service) tail() string {
	lines := strings.Split(s.out.String(), "\n")
	return strings.Join(lines[max(len(lines)-40, 0):], "\n")
}

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeAddress is an address on loopback that nobody listens on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := testserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// clip is a file to convert, with what must come of it.
type clip struct {
	path    string
	codes   []string // "" is success
	rate    int
	samples int64 // of the MP3 at rate; 0 if the table does not say
}

// clips are n files, mixed: real ones of the corpus if MP3LATHE_CORPUS names it,
// then fixtures. None is longer than a minute.
func clips(t *testing.T, n int) []clip {
	t.Helper()
	var found []clip
	if folder := os.Getenv("MP3LATHE_CORPUS"); folder != "" {
		for _, row := range table(t, "corpus.tsv") {
			c := clip{path: filepath.Join(folder, row["file"]), codes: codes(row["expected"])}
			_, _ = fmt.Sscan(row["rate"], &c.rate)
			_, _ = fmt.Sscan(row["samples"], &c.samples)
			if c.samples <= 60*int64(c.rate) {
				found = append(found, c)
			}
		}
	}
	return mixed(append(found, fixtures(t)...), n)
}

// fixtures are small.
func fixtures(t *testing.T) (found []clip) {
	t.Helper()
	for _, row := range table(t, "FIXTURES.tsv") {
		if row["track"] == "1" || row["expected"] != "ok" {
			found = append(found, clip{
				path:  filepath.Join("..", "..", "testdata", row["file"]),
				codes: append(codes(row["expected"]), codes(row["also"])...),
			})
		}
	}
	return found
}

// mixed are every so-and-so-many-th, n of them, so that good and bad ones of all kinds are
// among them.
func mixed(found []clip, n int) (chosen []clip) {
	for i := range n {
		chosen = append(chosen, found[i*len(found)/n])
	}
	return chosen
}

func codes(field string) []string {
	var out []string
	for _, c := range strings.FieldsFunc(field, func(r rune) bool { return r == ' ' || r == '/' }) {
		switch c {
		case "-":
		case "ok":
			out = append(out, "")
		default:
			out = append(out, c)
		}
	}
	return out
}

// table reads a table of testdata.
func table(t *testing.T, name string) []map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var (
		rows []map[string]string
		head []string
	)
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if head == nil {
			head = fields
			continue
		}
		row := map[string]string{}
		for i, f := range fields {
			row[head[i]] = f
		}
		rows = append(rows, row)
	}
	return rows
}

// right reports whether an outcome is one that the table names.
func (c *clip) right(code string) bool { return slices.Contains(c.codes, code) }

func readAll(r io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// forget tells that the program has ended, and need not have ended well.
func (s *service) forget() { s.forgotten = true }

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }
