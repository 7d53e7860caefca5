// Package docs checks what the documents say against the code.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
)

const root = "../.."

// code reads the files of the module whose names end in a suffix, by path.
func code(t *testing.T, suffix string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != "." || d.Name() == "build" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, suffix) {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files[path] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestNamedTests: a test that a document names as evidence exists, in the package that it
// names.
func TestNamedTests(t *testing.T) {
	have := map[string]bool{} // by name, and by package and name
	clause := regexp.MustCompile(`(?m)^package (\w+?)(?:_test)?$`)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for path, text := range code(t, "_test.go") {
		pkg := clause.FindStringSubmatch(text)
		if pkg == nil {
			t.Fatalf("%s has no package", path)
		}
		for _, m := range function.FindAllStringSubmatch(text, -1) {
			have[m[1]], have[pkg[1]+"."+m[1]] = true, true
		}
	}
	if len(have) < 1000 {
		t.Fatalf("only %d tests", len(have))
	}
	faults := planted.Faults()
	named := regexp.MustCompile("`((?:\\w+\\.)?(?:Test|Fuzz|Benchmark)\\w+)(?:/([\\w-]+))?`")
	n := 0
	for path, text := range code(t, ".md") {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			n++
			if !have[m[1]] {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
			if _, ok := faults[planted.Fault(m[2])]; m[1] == "TestFaults" && m[2] != "" && !ok {
				t.Errorf("%s names the fault %s, which is not there", path, m[2])
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d names in all documents", n)
	}
}

// TestLinks: what a document links to within the repository is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for path, text := range code(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				if info, serr := os.Stat(file); serr != nil || !info.IsDir() {
					t.Errorf("%s links to %s: %v", path, m[1], err)
				}
				continue
			}
			if fragment != "" && !headings(string(b))[fragment] {
				t.Errorf("%s links to %s, which has no such heading", path, m[1])
			}
		}
	}
}

// headings are those of a text, as links name them.
func headings(text string) map[string]bool {
	all := map[string]bool{}
	drop := regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)
	for line := range strings.Lines(text) {
		if title := strings.TrimLeft(line, "#"); title != line {
			all[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(drop.ReplaceAllString(title, ""))), " ", "-")] = true
		}
	}
	return all
}

// TestDecisions: decisions are numbered one after the other, in their names and titles.
func TestDecisions(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for i, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(path); !strings.HasPrefix(name, fmt.Sprintf("%04d-", i+1)) || !strings.HasPrefix(string(b), fmt.Sprintf("# %d. ", i+1)) {
			t.Errorf("%s should be number %d, in its name and in its title", name, i+1)
		}
	}
}
