package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a megabyte")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	// cat reads the file, and what the shell and the loader read is little.
	c, err := measure(t.Context(), work{commands: [][]string{{"sh", "-c", "cat '" + file + "' >/dev/null"}}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Read < 1<<20 || c.Read > 1<<20+200<<10 {
		t.Errorf("%d bytes were read, want about a megabyte", c.Read)
	}
	if c.Peak < 500<<10 || c.Peak > 50<<20 {
		t.Errorf("the peak is %d bytes", c.Peak)
	}
}

// Processes at once take as long as the longest.
func TestMeasureAtOnce(t *testing.T) {
	sleep := []string{"sleep", "0.3"}
	one, err := measure(t.Context(), work{commands: [][]string{sleep, sleep, sleep}})
	if err != nil {
		t.Fatal(err)
	}
	three, err := measure(t.Context(), work{commands: [][]string{sleep, sleep, sleep}, atOnce: 3})
	if err != nil {
		t.Fatal(err)
	}
	if one.Wall < 0.9 || three.Wall < 0.3 || three.Wall > one.Wall*2/3 {
		t.Errorf("one at a time took %.2f s, three at once %.2f s", one.Wall, three.Wall)
	}
	if three.Peak < 2*one.Peak {
		t.Errorf("the peak of three is %d bytes, of one %d", three.Peak, one.Peak)
	}
}

func TestMeasureFailure(t *testing.T) {
	began := time.Now()
	_, err := measure(t.Context(), work{commands: [][]string{{"sh", "-c", "echo broken >&2; exit 3"}, {"sleep", "20"}}, atOnce: 2})
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the error is %v", err)
	}
	if time.Since(began) > 10*time.Second {
		t.Error("the other process was not ended")
	}
}
