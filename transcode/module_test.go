package transcode

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestForeignModule builds and runs a program in a module of its own that imports
// the package, the way a user's does.
func TestForeignModule(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/user\n\ngo 1.25.0\n\nrequire github.com/mp3lathe/mp3lathe v0.0.0\n\nreplace github.com/mp3lathe/mp3lathe => " + root + "\n",
		"main.go": `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/mp3lathe/mp3lathe/transcode"
)

func main() {
	r, err := transcode.ConvertFile(context.Background(), os.Args[2], os.Args[1], nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(r.Samples)
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	// What it needs is what this module needs; nothing is looked up anew.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	run("mod", "tidy")
	run("build", "-o", "user", ".")
	out, err := exec.Command(filepath.Join(dir, "user"), filepath.Join(root, "testdata", "melody.mp4"), filepath.Join(dir, "out.mp3")).CombinedOutput()
	if err != nil || string(out) != "441011" {
		t.Fatalf("%v: %s", err, out)
	}
	checkMP3(t, filepath.Join(dir, "out.mp3"))
}
