package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// built finds the program in the cache that a script has built.
func built(ctx context.Context, name string) (string, error) {
	script, err := findScript(name)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, script, "path").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("a server of the tests is not built, run: make test-setup (%w)", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// findScript looks for scripts/name in the folder of the test and those above.
func findScript(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "scripts", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no scripts/" + name + " in the working folder or above it")
		}
		dir = parent
	}
}
