package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planOf returns the plan of a command line as lines "in > out" and
// "in ! code".
func planOf(t *testing.T, args ...string) (lines []string, err error) {
	t.Helper()
	var grammar cli
	parser, err := newParser(&grammar, &stdio{out: &stickyWriter{w: os.Stdout}, err: os.Stderr}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"convert"}, args...)); err != nil {
		t.Fatal(err)
	}
	tasks, err := grammar.Convert.plan()
	for _, task := range tasks {
		line := task.in + " > " + task.out
		if task.err != nil {
			line = task.in + " ! " + string(explain(task.err, asked{}).Code)
		} else if task.skip {
			line = task.in + " = " + task.out
		}
		lines = append(lines, filepath.ToSlash(line))
	}
	return lines, err
}

func TestPlan(t *testing.T) {
	workFolder(t)
	for _, name := range []string{
		"a.mp4", "b.MOV", "song", "x.tar.gz", "same.mp4", "same.mov", "old.m4a", "old.mp3", "disguised.mp3",
		"in/one.mp4", "in/two.m4a", "in/sub/three.3gp", "in/notes.txt", "in/.hidden.mp4", "in/.git/four.mp4",
		"in2/one.mp4", "empty/readme.txt", "clash/x.mp4", "clash/x.mov",
	} {
		write(t, name, []byte(name))
	}
	for link, target := range map[string]string{
		"in/loop": "..", "in/linked.mp4": "../a.mp4", "in/dangling.mp4": "nowhere", "inlink": "in",
		"hole.mp3": "nowhere.mp3", "alias.mp3": "a.mp4", "outlink": "out",
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("out", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("dir.mp3", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		// Beside the input.
		{"a.mp4", "a.mp4 > a.mp3"},
		{"in/one.mp4 b.MOV", "in/one.mp4 > in/one.mp3, b.MOV > b.mp3"},
		{"song x.tar.gz", "song > song.mp3, x.tar.gz > x.tar.gz.mp3"},
		// OUT.
		{"a.mp4 c.mp3", "a.mp4 > c.mp3"},
		{"a.mp4 C.MP3", "a.mp4 > C.MP3"},
		{"a.mp4 out/c.mp3", "a.mp4 > out/c.mp3"},
		{"a.mp4 -o c.mp3", "a.mp4 > c.mp3"},
		{"a.mp4 -", "a.mp4 > -"},
		{"a.mp4 -o -", "a.mp4 > -"},
		{"a.mp4 out", "a.mp4 > out/a.mp3"},
		{"a.mp4 dir.mp3", "a.mp4 > dir.mp3/a.mp3"},
		{"a.mp4 new/", "a.mp4 > new/a.mp3"},
		{"a.mp4 b.MOV out", "a.mp4 > out/a.mp3, b.MOV > out/b.mp3"},
		{"a.mp4 b.MOV", "a.mp4 > a.mp3, b.MOV > b.mp3"},
		{"a.mp4 missing.mp4", "a.mp4 > a.mp3, missing.mp4 ! not_found"},
		{"-d new/deep a.mp4 b.MOV", "a.mp4 > new/deep/a.mp3, b.MOV > new/deep/b.mp3"},
		{"-d out in/one.mp4 in2/one.mp4", "in/one.mp4 > out/one.mp3, in2/one.mp4 ! output_taken"},
		{"- c.mp3", "- > c.mp3"},
		{"-", "- > -"},
		{"- -", "- > -"},
		// Nothing is overwritten.
		{"old.m4a", "old.m4a ! output_exists"},
		{"old.m4a --overwrite", "old.m4a > old.mp3"},
		{"old.m4a a.mp4 --skip-existing", "old.m4a = old.mp3, a.mp4 > a.mp3"},
		{"a.mp4 old.mp3", "a.mp4 ! output_exists"},
		{"same.mp4 same.mov", "same.mp4 > same.mp3, same.mov ! output_taken"},
		{"same.mp4 same.mov --overwrite", "same.mp4 > same.mp3, same.mov ! output_taken"},
		{"a.mp4 a.mp4", "a.mp4 > a.mp3, a.mp4 ! output_taken"},
		{"disguised.mp3", "disguised.mp3 > disguised.mp3.mp3"},
		{"disguised.mp3 disguised.mp3", "disguised.mp3 ! output_is_input"},
		{"disguised.mp3 disguised.mp3 --overwrite", "disguised.mp3 ! output_is_input"},
		{"disguised.mp3 disguised.mp3 --skip-existing", "disguised.mp3 ! output_is_input"},
		{"a.mp4 alias.mp3 --overwrite", "a.mp4 ! output_is_input"},
		{"--overwrite -d . old.m4a old.mp3", "old.m4a ! output_is_input, old.mp3 > old.mp3.mp3"},
		{"a.mp4 hole.mp3", "a.mp4 ! bad_output"},
		{"a.mp4 nowhere/c.mp3", "a.mp4 ! bad_output"},
		{"a.mp4 song/c.mp3", "a.mp4 ! bad_output"},
		{"-d song a.mp4", "a.mp4 ! bad_output"},
		{"-d outlink -r in2 out", "in2/one.mp4 > outlink/one.mp3, out ! not_found"},
		// Folders.
		{"-r in", "in/dangling.mp4 ! not_found, in/linked.mp4 > in/linked.mp3, in/one.mp4 > in/one.mp3, in/sub/three.3gp > in/sub/three.mp3, in/two.m4a > in/two.mp3"},
		{"-r in2 out", "in2/one.mp4 > out/one.mp3"},
		{"-r in2 made", "in2/one.mp4 > made/one.mp3"},
		{"-r in2/ a.mp4 made/", "in2/one.mp4 > made/one.mp3, a.mp4 > made/a.mp3"},
		{"-r inlink made", "inlink/dangling.mp4 ! not_found, inlink/linked.mp4 > made/linked.mp3, inlink/one.mp4 > made/one.mp3, inlink/sub/three.3gp > made/sub/three.mp3, inlink/two.m4a > made/two.mp3"},
		{"-r -d made in2 in", "in2/one.mp4 > made/one.mp3, in/dangling.mp4 ! not_found, in/linked.mp4 > made/linked.mp3, in/one.mp4 ! output_taken, in/sub/three.3gp > made/sub/three.mp3, in/two.m4a > made/two.mp3"},
		{"-r clash", "clash/x.mov > clash/x.mp3, clash/x.mp4 ! output_taken"},
		{"-r empty", "empty ! not_found"},
		{"-r a.mp4", "a.mp4 > a.mp3"},
		{"http://example.org/a.mp4 a.mp4", "http://example.org/a.mp4 ! not_found, a.mp4 > a.mp3"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got, err := planOf(t, strings.Fields(c.args)...)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Split(c.want, ", "); !slices.Equal(got, want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
}
