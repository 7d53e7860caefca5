package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
)

// asCommand makes the test binary behave as the command, so that tests can start
// it as a process.
const asCommand = "MP3LATHE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	planted.Enter()
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// ended is how a run of the command ended.
type ended struct {
	code           int
	stdout, stderr string
}

// inProcess runs the command in the test's process, with stdin as a pipe would
// give it.
func inProcess(t *testing.T, stdin string, args ...string) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return ended{code, stdout.String(), stderr.String()}
}

// command prepares the command as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "LANG=C.UTF-8")
	return cmd
}

// want fails unless the run ended with code and its standard error holds every
// one of the texts.
func (e ended) want(t *testing.T, code int, stderr ...string) {
	t.Helper()
	for _, text := range stderr {
		if !strings.Contains(e.stderr, text) {
			t.Errorf("standard error lacks %q", text)
		}
	}
	if len(stderr) == 0 && e.stderr != "" {
		t.Error("standard error is not empty")
	}
	if e.code != code {
		t.Errorf("exit code %d, want %d", e.code, code)
	}
	if t.Failed() {
		t.Fatalf("stdout:\n%s\nstderr:\n%s", e.stdout, e.stderr)
	}
}

func fixture(name string) string {
	return filepath.Join("..", "..", "testdata", filepath.FromSlash(name))
}

// workFolder makes a new folder the current one and puts copies of fixtures into
// it: pairs of a name there and a fixture.
func workFolder(t *testing.T, files ...string) string {
	t.Helper()
	source, err := filepath.Abs(fixture("."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	for pair := range slices.Chunk(files, 2) {
		data, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(pair[1])))
		if err != nil {
			t.Fatal(err)
		}
		write(t, pair[0], data)
	}
	return dir
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files lists all files below the current folder, hidden ones too.
func files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func sameFiles(t *testing.T, want ...string) {
	t.Helper()
	got := files(t)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("files:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// isMP3 fails unless data begins as an MP3 with an ID3 tag or a frame does.
func isMP3(t *testing.T, data []byte) {
	t.Helper()
	if !bytes.HasPrefix(data, []byte("ID3")) && !(len(data) > 1 && data[0] == 0xff && data[1]&0xe0 == 0xe0) {
		t.Fatalf("%d bytes that are no MP3: %.16q", len(data), data)
	}
}

// objects parses JSON lines.
func objects(t *testing.T, lines string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(lines) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, o)
	}
	return list
}

func keys(o map[string]any) []string {
	list := make([]string, 0, len(o))
	for k := range o {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// canceledContext is a context that has ended.
func canceledContext(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

var _ io.Writer = (*stickyWriter)(nil)
