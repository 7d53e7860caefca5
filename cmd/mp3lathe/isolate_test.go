package main

import (
	"os"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
)

// TestIsolate: with --isolate a file that crashes its conversion is told of in words,
// the others are converted, and nothing half made is left.
func TestIsolate(t *testing.T) {
	workFolder(t, "a.mp4", "camera.mov", "b.mp4", "camera.mov", "plain.mp4", "camera.mov")
	if err := os.WriteFile("evil.mp4", planted.Source(planted.Abort, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	got := inProcess(t, "", "convert", "--isolate", "--json", "a.mp4", "evil.mp4", "b.mp4", "missing.mp4")
	if got.code != exitFailed {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	var all []string
	for _, o := range objects(t, got.stdout) {
		code := ""
		if e, ok := o["error"].(map[string]any); ok {
			code = e["code"].(string)
		}
		all = append(all, code)
	}
	if want := " crashed  not_found"; strings.Join(all, " ") != want {
		t.Errorf("codes %q", all)
	}
	got = inProcess(t, "", "convert", "--isolate", "evil.mp4")
	got.want(t, exitFailed, "evil.mp4: the file made the converter crash (signal: aborted); if it plays elsewhere")
	inProcess(t, "", "convert", "plain.mp4").want(t, exitDone)
	caged, err := os.ReadFile("a.mp3")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile("plain.mp3")
	if err != nil {
		t.Fatal(err)
	}
	if string(caged) != string(plain) {
		t.Error("in the cage another MP3 is made")
	}
	sameFiles(t, "a.mp3", "a.mp4", "b.mp3", "b.mp4", "evil.mp4", "plain.mp3", "plain.mp4")
}
