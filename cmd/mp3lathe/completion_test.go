package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// shell returns the path of a shell, which not every machine has.
func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s here", name)
	}
	return path
}

func script(t *testing.T, shell string) string {
	t.Helper()
	got := inProcess(t, "", "completion", shell)
	got.want(t, exitDone)
	return got.stdout
}

// completions are command lines with the cursor at their end, and what must be
// offered there.
var completions = []struct {
	words []string
	want  []string // some of what is offered
	lack  []string
}{
	{[]string{""}, []string{"convert", "probe", "version", "completion"}, []string{"a.mp4"}},
	{[]string{"co"}, []string{"convert", "completion"}, []string{"probe"}},
	{[]string{"convert", "--over"}, []string{"--overwrite"}, []string{"--json"}},
	{[]string{"convert", "--"}, []string{"--bitrate", "--vbr", "--recursive", "--json", "--help", "--duration"}, []string{"--version"}},
	{[]string{"probe", "--"}, []string{"--json"}, []string{"--bitrate"}},
	{[]string{"convert", ""}, []string{"a.mp4", "b c.mp4"}, []string{"probe"}},
	{[]string{"convert", "--quiet", "b"}, []string{"b c.mp4"}, []string{"a.mp4"}},
	{[]string{"convert", "--output-dir", ""}, []string{"folder"}, []string{"a.mp4"}},
	{[]string{"convert", "-d", "f"}, []string{"folder"}, []string{"a.mp4"}},
	{[]string{"convert", "--channels", ""}, []string{"keep", "mono", "stereo"}, []string{"a.mp4"}},
	{[]string{"convert", "--tag", "al"}, []string{"album=", "album_artist="}, []string{"title="}},
	{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}, []string{"a.mp4"}},
}

func checkCompletion(t *testing.T, words, offered, want, lack []string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(offered, func(o string) bool { return strings.TrimRight(o, "/ ") == w }) {
			t.Errorf("mp3lathe %s: %s is not offered in %q", strings.Join(words, " "), w, offered)
		}
	}
	for _, w := range lack {
		if slices.Contains(offered, w) {
			t.Errorf("mp3lathe %s: %s is offered", strings.Join(words, " "), w)
		}
	}
}

func TestBashCompletion(t *testing.T) {
	bash := shell(t, "bash")
	source := script(t, "bash")
	workFolder(t, "a.mp4", "camera.mov", "b c.mp4", "camera.mov", "folder/x.mp4", "camera.mov")
	ask := func(words ...string) []string {
		t.Helper()
		cmd := exec.Command(bash, append([]string{"--norc", "-c", source + `
COMP_WORDS=(mp3lathe "$@"); COMP_CWORD=$#
_mp3lathe 2>&1
printf '%s\n' "${COMPREPLY[@]}"`, "-"}, words...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	for _, c := range completions {
		checkCompletion(t, c.words, ask(c.words...), c.want, c.lack)
	}
	// --flag=value comes as three words.
	checkCompletion(t, []string{"convert --channels=m"}, ask("convert", "--channels", "=", "m"), []string{"mono"}, []string{"keep"})
	checkCompletion(t, []string{"convert --channels="}, ask("convert", "--channels", "="), []string{"mono", "keep"}, nil)
	if got := ask("convert", "--bitrate", ""); len(got) != 1 || got[0] != "" {
		t.Errorf("a number is completed to %q", got)
	}
}

func TestZshCompletion(t *testing.T) {
	zsh := shell(t, "zsh")
	source := script(t, "zsh")
	workFolder(t)
	write(t, "_mp3lathe", []byte(source))
	// Loading it both ways, and checking the form; what it offers needs a
	// terminal with a line editor.
	cmd := exec.Command(zsh, "-f", "-c", `
autoload -Uz compinit && compinit -u -d "$PWD/dump" || exit 1
source ./_mp3lathe || exit 1
[[ $_comps[mp3lathe] == _mp3lathe ]] || { echo "not bound"; exit 1 }
zsh -n ./_mp3lathe`)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestFishCompletion(t *testing.T) {
	fish := shell(t, "fish")
	source := script(t, "fish")
	workFolder(t, "a.mp4", "camera.mov", "b c.mp4", "camera.mov", "folder/x.mp4", "camera.mov")
	write(t, ".mp3lathe.fish", []byte(source))
	t.Setenv("HOME", t.TempDir())
	for _, c := range completions {
		line := "mp3lathe " + strings.Join(c.words, " ")
		out, err := exec.Command(fish, "--no-config", "-c", "source .mp3lathe.fish; complete -C \"$argv[1]\"", line).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var offered []string
		for o := range strings.Lines(string(out)) {
			o, _, _ = strings.Cut(strings.TrimSpace(o), "\t")
			offered = append(offered, strings.ReplaceAll(o, `\ `, " "))
		}
		checkCompletion(t, c.words, offered, c.want, c.lack)
	}
}

// The scripts come from the grammar, so every command and flag is in them.
func TestCompletionIsWhole(t *testing.T) {
	scripts := map[string]string{"bash": script(t, "bash"), "zsh": script(t, "zsh"), "fish": script(t, "fish")}
	var grammar cli
	parser, err := newParser(&grammar, &stdio{out: &stickyWriter{}}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range completedCommands(parser.Model) {
		for _, f := range c.flags {
			for name, text := range scripts {
				flag := f.long
				if name == "fish" {
					flag = "-l " + strings.TrimPrefix(flag, "--")
				}
				if !strings.Contains(text, c.name) || !strings.Contains(text, flag) {
					t.Errorf("the script for %s lacks %s %s", name, c.name, f.long)
				}
			}
		}
	}
}
