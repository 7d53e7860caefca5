//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// process runs the command as a process and returns its exit code.
func process(t *testing.T, cmd *exec.Cmd) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func open(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flags, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestStandardInput(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4")
	inProcess(t, "", "convert", "a.mp4").want(t, exitDone)
	want := read(t, "a.mp3")
	source := read(t, "a.mp4")

	for _, c := range []struct {
		name  string
		stdin func(*exec.Cmd)
	}{
		{"pipe", func(cmd *exec.Cmd) { cmd.Stdin = bytes.NewReader(source) }},
		{"file", func(cmd *exec.Cmd) { cmd.Stdin = open(t, "a.mp4", os.O_RDONLY) }},
		{"file from its middle", func(cmd *exec.Cmd) {
			write(t, "padded", append([]byte("0123456789"), source...))
			f := open(t, "padded", os.O_RDONLY)
			if _, err := f.Seek(10, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = f
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := command(t, "convert", "--overwrite", "-", "out.mp3")
			c.stdin(cmd)
			got := process(t, cmd)
			got.want(t, exitDone)
			if !strings.HasPrefix(got.stdout, "standard input -> out.mp3  0:10") {
				t.Errorf("printed %q", got.stdout)
			}
			if !bytes.Equal(read(t, "out.mp3"), want) {
				t.Error("not the MP3 that the file gives")
			}
			cmd = command(t, "probe", "--json", "-")
			c.stdin(cmd)
			got = process(t, cmd)
			got.want(t, exitDone)
			if o := objects(t, got.stdout)[0]; o["bytes"] != float64(len(source)) {
				t.Errorf("object %v", o)
			}
		})
	}

	// A named pipe is a pipe by another name.
	if err := syscall.Mkfifo("pipe", 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		if f, err := os.OpenFile("pipe", os.O_WRONLY, 0); err == nil {
			f.Write(source)
			f.Close()
		}
	}()
	inProcess(t, "", "convert", "--overwrite", "pipe", "out.mp3").want(t, exitDone)
	if !bytes.Equal(read(t, "out.mp3"), want) {
		t.Error("not the MP3 that the file gives")
	}
	inProcess(t, "", "convert", "pipe").want(t, exitUsage, "give the output as NAME.mp3")

	inProcess(t, "", "convert", "-", "empty.mp3").want(t, exitFailed, "mp3lathe: standard input: not a usable MP4 file")
	cmd := command(t, "convert", "-", "null.mp3") // whose standard input is /dev/null
	process(t, cmd).want(t, exitFailed, "mp3lathe: standard input: it is not a file; give a file, or pipe one into -\n")
	inProcess(t, "", "convert", "/dev/null", "null.mp3").want(t, exitFailed, "/dev/null: it is not a file")
	sameFiles(t, "a.mp4", "a.mp3", "out.mp3", "padded", "pipe")
}

func TestStandardOutput(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4", "cut.m4a", "media/bad-cut-mdat.m4a")
	inProcess(t, "", "convert", "a.mp4").want(t, exitDone)
	want := read(t, "a.mp3")

	// A pipe cannot be completed at its end, but it is an MP3 and nothing else.
	got := process(t, command(t, "convert", "a.mp4", "-"))
	got.want(t, exitDone, "a.mp4 -> standard output  0:10")
	isMP3(t, []byte(got.stdout))
	piped := []byte(got.stdout)
	process(t, command(t, "convert", "--quiet", "a.mp4", "-")).want(t, exitDone)

	// A new file can.
	cmd := command(t, "convert", "-q", "a.mp4", "-")
	cmd.Stdout = open(t, "new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	process(t, cmd).want(t, exitDone)
	if !bytes.Equal(read(t, "new"), want) {
		t.Error("a file on standard output is not like a file by name")
	}

	// One with something in it cannot.
	for name, flags := range map[string]int{"appended": os.O_WRONLY | os.O_APPEND, "begun": os.O_WRONLY} {
		write(t, name, []byte("before"))
		cmd := command(t, "convert", "-q", "a.mp4", "-")
		f := open(t, name, flags)
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = f
		process(t, cmd).want(t, exitDone)
		if !bytes.Equal(read(t, name), append([]byte("before"), piped...)) {
			t.Errorf("%s: what was in the file is damaged", name)
		}
	}
	write(t, "appended to nothing", nil)
	cmd = command(t, "convert", "-q", "a.mp4", "-")
	cmd.Stdout = open(t, "appended to nothing", os.O_WRONLY|os.O_APPEND)
	process(t, cmd).want(t, exitDone)
	if !bytes.Equal(read(t, "appended to nothing"), piped) {
		t.Error("with O_APPEND the header was written at the end")
	}

	// A failure leaves a redirected file empty.
	cmd = command(t, "convert", "cut.m4a", "-")
	cmd.Stdout = open(t, "failed", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	process(t, cmd).want(t, exitFailed, "mp3lathe: cut.m4a: the file is cut off")
	if data := read(t, "failed"); len(data) != 0 {
		t.Errorf("%d bytes are left", len(data))
	}

	// From a pipe into a pipe.
	cmd = command(t, "convert", "-")
	cmd.Stdin = bytes.NewReader(read(t, "a.mp4"))
	got = process(t, cmd)
	got.want(t, exitDone, "standard input -> standard output  0:10")
	if !bytes.Equal([]byte(got.stdout), piped) {
		t.Error("another MP3 than from the file")
	}
}

// A reader that goes away ends the command without a word, and without harm to
// the files it works on.
func TestBrokenPipe(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4")
	for _, args := range []string{"convert a.mp4 -", "probe a.mp4", "version", "--help", "completion bash", "convert a.mp4", "convert --json a.mp4 b.mp3"} {
		t.Run(args, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			cmd := command(t, strings.Fields(args)...)
			cmd.Stdout = w
			got := process(t, cmd)
			w.Close()
			got.want(t, exitFailed)
		})
	}
	isMP3(t, read(t, "a.mp3"))
	isMP3(t, read(t, "b.mp3"))
	sameFiles(t, "a.mp4", "a.mp3", "b.mp3")
}

func TestFullDisk(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	cmd := command(t, "convert", "a.mp4", "-")
	cmd.Stdout = full
	process(t, cmd).want(t, exitFailed, "mp3lathe: a.mp4: ", "the disk is full; make room and start it again\n")
	cmd = command(t, "version")
	cmd.Stdout = full
	process(t, cmd).want(t, exitFailed, "mp3lathe: cannot write to standard output: no space left on device\n")

	t.Setenv("TMPDIR", "/nowhere")
	cmd = command(t, "convert", "-", "x.mp3")
	cmd.Stdin = strings.NewReader("something")
	process(t, cmd).want(t, exitFailed, "/nowhere")
}
