package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// task is one input and the place of its MP3. Both are as the command line
// names them; "-" is standard input or output.
type task struct {
	in, out string
	makeDir bool  // the folder of out is made if it is missing
	skip    bool  // out exists, and the command line says to leave it
	err     error // why the task cannot be done; nothing is tried then
}

// destination is where the command line wants the MP3s.
type destination struct {
	kind destinationKind
	path string // of the file or the folder
}

type destinationKind int

const (
	beside destinationKind = iota
	toFile
	toFolder
	toStdout
)

// plan decides which inputs there are and where each goes, before any work
// starts. What concerns the command line as a whole is an error; what concerns
// one input is left in its task.
func (c *convertCmd) plan() ([]task, error) {
	inputs, dest, err := c.destination()
	if err != nil {
		return nil, err
	}
	if slices.Contains(inputs, "-") {
		if len(inputs) > 1 {
			return nil, usagef("standard input (-) has to be the only input")
		}
		if dest.kind == beside || dest.kind == toFolder {
			return nil, usagef("standard input has no name to make an output name of; give the output as NAME.mp3")
		}
	}
	var tasks []task
	for _, in := range inputs {
		more, err := c.tasksOf(in, dest)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, more...)
	}
	c.checkOutputs(tasks)
	return tasks, nil
}

// destination tells the output from the inputs.
func (c *convertCmd) destination() ([]string, destination, error) {
	none := destination{}
	switch {
	case c.OutputDir != "":
		return c.In, destination{toFolder, c.OutputDir}, nil
	case c.Output != "":
		dest, ok := c.asOutput(c.Output)
		if !ok {
			return nil, none, notAnOutput(c.Output)
		}
		return c.In, dest, c.checkSingle(c.In, dest)
	case len(c.In) == 1 && c.In[0] == "-":
		return c.In, destination{kind: toStdout}, nil
	case len(c.In) == 1:
		return c.In, none, nil
	}

	inputs, last := c.In[:len(c.In)-1], c.In[len(c.In)-1]
	if dest, ok := c.asOutput(last); ok {
		return inputs, dest, c.checkSingle(inputs, dest)
	}
	_, err := os.Stat(last)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case otherFormats[extension(last)]:
		return nil, none, notAnOutput(last)
	case missing && len(c.In) == 2 && !isFamily(last) && !strings.Contains(last, "://"):
		return nil, none, usagef("%s is neither an input that exists nor an output; to name the output: %[1]s.mp3, to put it into a folder: --output-dir %[1]s", last)
	}
	return c.In, none, nil
}

// asOutput reports whether name can only be meant as an output.
func (c *convertCmd) asOutput(name string) (destination, bool) {
	info, err := os.Stat(name)
	switch {
	case name == "-":
		return destination{kind: toStdout}, true
	case err == nil && info.IsDir(), strings.HasSuffix(name, string(filepath.Separator)):
		return destination{toFolder, name}, true
	case extension(name) == ".mp3":
		return destination{toFile, name}, true
	case c.Recursive && errors.Is(err, fs.ErrNotExist) && filepath.Ext(name) == "":
		return destination{toFolder, name}, true
	}
	return destination{}, false
}

// checkSingle refuses several inputs for one file.
func (c *convertCmd) checkSingle(inputs []string, dest destination) error {
	if dest.kind != toFile && dest.kind != toStdout {
		return nil
	}
	name := dest.path
	if dest.kind == toStdout {
		name = "standard output"
	}
	if len(inputs) > 1 {
		return usagef("%d inputs cannot all go to %s; give a folder with --output-dir", len(inputs), name)
	}
	if info, err := os.Stat(inputs[0]); err == nil && info.IsDir() {
		return usagef("the folder %s cannot go to %s; give a folder with --output-dir", inputs[0], name)
	}
	return nil
}

func notAnOutput(name string) error {
	return usagef("%s: mp3lathe writes MP3 only; name the output %s, or an existing folder",
		name, strings.TrimSuffix(name, filepath.Ext(name))+".mp3")
}

// tasksOf returns the tasks of one input: more than one if it is a folder.
func (c *convertCmd) tasksOf(in string, dest destination) ([]task, error) {
	if in == "-" {
		return []task{c.place(in, "", dest)}, nil
	}
	info, err := os.Stat(in)
	switch {
	case err != nil:
		return []task{{in: in, err: refuseOpen(in, err)}}, nil
	case !info.IsDir():
		if !info.Mode().IsRegular() && (dest.kind == beside || dest.kind == toFolder) {
			return nil, usagef("%s is not a file with a name to make an output name of; give the output as NAME.mp3", in)
		}
		return []task{c.place(in, "", dest)}, nil
	case !c.Recursive:
		return nil, usagef("%s is a folder; to convert all that is in it: mp3lathe convert -r %[1]s", in)
	}
	var tasks []task
	walk(in, func(file, below string, err error) {
		if err != nil {
			tasks = append(tasks, task{in: file, err: refuseOpen(file, err)})
			return
		}
		tasks = append(tasks, c.place(file, below, dest))
	})
	if tasks == nil {
		tasks = []task{{in: in, err: &refusal{codeNotFound, "no MP4 files in this folder",
			"it looks for " + strings.Join(familyExtensions, " ")}}}
	}
	return tasks, nil
}

// place returns the task of the file in. below is the folder of it, from the
// folder on that was given as input.
func (c *convertCmd) place(in, below string, dest destination) task {
	t := task{in: in}
	switch dest.kind {
	case toStdout:
		t.out = "-"
	case toFile:
		t.out = dest.path
	case toFolder:
		t.out = filepath.Join(dest.path, below, outputName(in))
		t.makeDir = true
	case beside:
		t.out = filepath.Join(filepath.Dir(in), outputName(in))
	}
	return t
}

// outputName is the name of the MP3 of a file.
func outputName(in string) string {
	name := filepath.Base(in)
	if ext := filepath.Ext(name); isFamily(name) || otherFormats[strings.ToLower(ext)] {
		name = name[:len(name)-len(ext)]
	}
	return name + ".mp3"
}

// checkOutputs refuses every task that would overwrite something: a file that
// exists, the MP3 of another task, or an input.
func (c *convertCmd) checkOutputs(tasks []task) {
	var inputs []os.FileInfo
	for _, t := range tasks {
		if info, err := os.Stat(t.in); err == nil {
			inputs = append(inputs, info)
		}
	}
	owner := map[string]string{}
	for i := range tasks {
		t := &tasks[i]
		if t.err != nil || t.out == "-" {
			continue
		}
		key := canonical(t.out)
		if first, taken := owner[key]; taken {
			t.err = &refusal{codeTaken, "its output " + t.out + " is that of " + first + " already",
				"convert it alone and name another output"}
			continue
		}
		owner[key] = t.in
		t.skip, t.err = c.checkOutput(t.out, t.makeDir, inputs)
	}
}

// checkOutput looks at what is at the place of an output.
func (c *convertCmd) checkOutput(out string, makeDir bool, inputs []os.FileInfo) (skip bool, err error) {
	info, err := os.Stat(out)
	if err != nil {
		if _, lerr := os.Lstat(out); lerr == nil {
			return false, &refusal{codeBadOutput, "its output " + out + " is a symbolic link to nothing", "remove it or name another output"}
		}
		dir := filepath.Dir(out)
		if dinfo, derr := os.Stat(dir); derr == nil && !dinfo.IsDir() {
			return false, &refusal{codeBadOutput, dir + " is not a folder", "name another output"}
		} else if derr != nil && !makeDir {
			return false, &refusal{codeBadOutput, "there is no folder " + dir, "make it, or use --output-dir, which does"}
		}
		return false, nil
	}
	for _, in := range inputs {
		if os.SameFile(info, in) {
			return false, &refusal{codeSameFile, "its output " + out + " is an input", "name another output"}
		}
	}
	switch {
	case info.IsDir():
		return false, &refusal{codeBadOutput, "its output " + out + " is a folder", "name another output"}
	case !info.Mode().IsRegular():
		return false, &refusal{codeBadOutput, "its output " + out + " is not a file", "use - and redirect standard output"}
	case c.SkipExisting:
		return true, nil
	case !c.Overwrite:
		return false, existsAlready(out)
	}
	return false, nil
}

func existsAlready(out string) error {
	return &refusal{codeExists, "its output " + out + " exists", "--overwrite replaces it"}
}

// canonical names a place in one way only, as far as its folder exists.
func canonical(name string) string {
	abs, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return filepath.Join(dir, filepath.Base(abs))
	}
	return abs
}
