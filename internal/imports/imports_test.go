// Package imports keeps the rules of who may import whom. The rules and their
// reasons stand in docs/architecture.md.
package imports

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/mp3lathe/mp3lathe"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath   string
	Name         string
	GoFiles      []string
	CgoFiles     []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("only %d packages found", len(all))
	}
	return all
}

// within reports whether a package is another or lies below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

func TestImports(t *testing.T) {
	t.Parallel()
	transcode := module + "/transcode"
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			ours := within(imp, module)
			switch {
			case within(imp, "github.com/asticode/go-astiav") && p.ImportPath != transcode:
				t.Errorf("%s imports %s: only transcode does, so that a change of FFmpeg is a change of one package", p.ImportPath, imp)
			case within(p.ImportPath, transcode) && ours && !within(imp, transcode):
				t.Errorf("%s imports %s: the public package stands on its own, or users would get the services with it", p.ImportPath, imp)
			case within(p.ImportPath, transcode+"/internal") && ours && within(imp, transcode) && !strings.Contains(imp, "/internal/"):
				t.Errorf("%s imports %s: formats know nothing of conversion", p.ImportPath, imp)
			case within(imp, module+"/cmd"):
				t.Errorf("%s imports %s: commands are the end of the chain", p.ImportPath, imp)
			case imp == "C" && p.ImportPath != transcode:
				t.Errorf("%s uses cgo: only transcode does, so that the rest builds without a C compiler", p.ImportPath)
			case imp == "testing" || strings.HasPrefix(imp, "testing/"):
				t.Errorf("%s imports %s outside of its tests", p.ImportPath, imp)
			}
		}
		if within(p.ImportPath, transcode+"/internal") && len(p.CgoFiles) > 0 {
			t.Errorf("%s has cgo: formats are pure Go, so that what reads strangers' files is memory-safe", p.ImportPath)
		}
	}
}

// TestEnvironment: only commands read the environment, so that a setting has one
// way in.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		folder := filepath.Join(root, strings.TrimPrefix(p.ImportPath, module))
		for _, f := range append(p.GoFiles, p.CgoFiles...) {
			b, err := os.ReadFile(filepath.Join(folder, f))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"os.Getenv(", "os.LookupEnv(", "os.Environ(", "signal.Notify"} {
				if strings.Contains(string(b), call) {
					t.Errorf("%s/%s has %s: only commands do", p.ImportPath, f, call)
				}
			}
		}
	}
}
