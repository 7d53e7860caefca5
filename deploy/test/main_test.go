// Package deploytest tests what deploys mp3lathe: the images, the Compose file and the
// manifests for Kubernetes.
package deploytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// top is the top folder of the checkout.
var top, _ = filepath.Abs(filepath.Join("..", ".."))

// scratch is a folder for all tests of this run.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mp3lathe-deploy-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// rootfs builds the root file system of an image, once, and returns its folder. Nobody
// may write into it.
func rootfs(t *testing.T, image string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	dir := filepath.Join(scratch, "rootfs", image)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	out, err := exec.Command(filepath.Join(top, "scripts", "rootfs.sh"), "build", image, dir).CombinedOutput()
	if err != nil {
		_ = os.RemoveAll(dir)
		t.Fatalf("scripts/rootfs.sh build %s: %v\n%s", image, err, out)
	}
	return dir
}

var built sync.Mutex

// images are the names of all images.
func images(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command(filepath.Join(top, "scripts", "rootfs.sh"), "images").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(out))
	if len(names) != 6 {
		t.Fatalf("the images are %q", names)
	}
	return names
}

// program is the program in an image.
func program(image string) string {
	if image == "mp3lathe" {
		return image
	}
	return "mp3lathe-" + image
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
