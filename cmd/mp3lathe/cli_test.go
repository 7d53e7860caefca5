package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4", "b.mp4", "melody.mp4", "folder/c.mp4", "melody.mp4")
	write(t, "cover.txt", []byte("no picture"))
	write(t, "big.jpg", make([]byte, maxCover+1))
	for _, c := range []struct{ args, want string }{
		{"", "mp3lathe convert FILE"},
		{"convrt a.mp4", `did you mean "convert"`},
		{"a.mp4", "to convert it: mp3lathe convert a.mp4"},
		{"convert", "no input is given; mp3lathe convert --help"},
		{"probe", "no input is given; mp3lathe probe --help"},
		{"completion", "completion"},
		{"completion tcsh", "must be one of"},
		{"convert --bitrat 192 a.mp4", `did you mean "--bitrate"`},
		{"convert a.mp4 --bitrate", "--bitrate needs a value"},
		{"convert --bitrate 100 a.mp4", "no constant bit rate of 100 kb/s"},
		{"convert --bitrate loud a.mp4", `"loud" is not a bit rate`},
		{"convert --vbr 10 a.mp4", "VBR quality 10"},
		{"convert --abr 400 a.mp4", "average bit rate 400"},
		{"convert --vbr 2 --bitrate 192 a.mp4", "can't be used together"},
		{"convert --abr 160 --vbr 0 a.mp4", "can't be used together"},
		{"convert --rate 44000 a.mp4", "no sample rate of 44000 Hz"},
		{"convert --channels 3 a.mp4", "want keep, mono or stereo"},
		{"convert --track 0x a.mp4", "--track"},
		{"convert --track -1 a.mp4", "--track"},
		{"convert --track 1 --lang eng a.mp4", "can't be used together"},
		{"convert --start 1:99 a.mp4", `"1:99" is not a time`},
		{"convert --start 5 --end 3 a.mp4", "is not after start"},
		{"convert --end 3 --duration 2 a.mp4", "can't be used together"},
		{"convert --max-duration 0 a.mp4", "lets nothing through"},
		{"convert --tag mood=happy a.mp4", `no tag is called "mood"`},
		{"convert --tag title a.mp4", "want NAME=TEXT"},
		{"convert --tag title= a.mp4", "has no value"},
		{"convert --tag title=x --title y a.mp4", "given twice"},
		{"convert --cover nothing.jpg a.mp4", "cover nothing.jpg cannot be read: no such file"},
		{"convert --cover cover.txt a.mp4", "neither a JPEG nor a PNG"},
		{"convert --cover . a.mp4", "cover . cannot be read: is a directory"},
		{"convert --cover big.jpg a.mp4", "cover big.jpg is larger than 16.0 MiB"},
		{"convert --jobs -2 a.mp4", "--jobs"},
		{"convert --overwrite --skip-existing a.mp4", "can't be used together"},
		{"convert -o x.mp3 -d folder a.mp4", "can't be used together"},
		{"convert a.mp4 b.wav", "name the output b.mp3"},
		{"convert a.mp4 -o b.wav", "name the output b.mp3"},
		{"convert a.mp4 out", "to name the output: out.mp3"},
		{"convert a.mp4 b.mp4 c.mp3", "2 inputs cannot all go to c.mp3"},
		{"convert a.mp4 b.mp4 -", "2 inputs cannot all go to standard output"},
		{"convert folder", "mp3lathe convert -r folder"},
		{"convert -r folder x.mp3", "the folder folder cannot go to x.mp3"},
		{"convert - a.mp4", "neither"},
		{"convert - folder", "give the output as NAME.mp3"},
		{"convert - a.mp4 -d folder", "has to be the only input"},
		{"convert --json a.mp4 -", "cannot both go to standard output"},
		{"probe - -", "can be given once"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := inProcess(t, "", strings.Fields(c.args)...)
			if c.args == "convert - a.mp4" {
				c.want = "has to be the only input" // the second is an input that exists
			}
			got.want(t, exitUsage, "mp3lathe: ", c.want)
			if strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
				t.Errorf("not one line on standard error alone:\n%s%s", got.stderr, got.stdout)
			}
		})
	}
	sameFiles(t, "a.mp4", "b.mp4", "folder/c.mp4", "cover.txt", "big.jpg")
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"--help", "convert --help", "probe -h", "version --help", "completion --help", "convert a.mp4 b.mp3 --help"} {
		got := inProcess(t, "", strings.Fields(args)...)
		got.want(t, exitDone)
		if !strings.HasPrefix(got.stdout, "Usage: mp3lathe ") {
			t.Errorf("%s begins with %.40q", args, got.stdout)
		}
		for line := range strings.Lines(got.stdout) {
			if len(line) > 81 {
				t.Errorf("%s has a line of %d columns: %s", args, len(line)-1, line)
			}
		}
		if c := strings.Fields(args)[0]; (c == "convert" || c == "probe" || c == "--help") && !strings.Contains(got.stdout, "\n  130  interrupted") {
			t.Errorf("%s does not explain the exit codes", args)
		}
	}
}

// Every flag must be explained, in the help and in the manual.
func TestEveryFlagIsExplained(t *testing.T) {
	var grammar cli
	parser, err := newParser(&grammar, &stdio{out: &stickyWriter{w: &bytes.Buffer{}}, err: &bytes.Buffer{}}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	manual := string(read(t, filepath.Join("..", "..", "docs", "cli.md")))
	for _, node := range parser.Model.Children {
		if !strings.Contains(manual, "mp3lathe "+node.Name) {
			t.Errorf("docs/cli.md lacks the command %s", node.Name)
		}
		for _, f := range node.Flags {
			if !strings.HasSuffix(f.Help, ".") && !strings.HasSuffix(f.Help, ").") {
				t.Errorf("--%s: its help is no sentence: %q", f.Name, f.Help)
			}
			// TestSettingsReference sees to those of serve.
			if node.Name != "serve" && !strings.Contains(manual, "--"+f.Name) {
				t.Errorf("docs/cli.md lacks --%s of %s", f.Name, node.Name)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	got := inProcess(t, "", "version")
	got.want(t, exitDone)
	for _, name := range []string{"mp3lathe  ", "libav     ", "LAME      ", "Go        go"} {
		if !strings.Contains(got.stdout, name) {
			t.Errorf("no %q in\n%s", name, got.stdout)
		}
	}
	got = inProcess(t, "", "version", "--json")
	got.want(t, exitDone)
	o := objects(t, got.stdout)[0]
	for _, key := range []string{"version", "go", "platform", "libav", "lame"} {
		if s, _ := o[key].(string); s == "" {
			t.Errorf("%s is missing in %s", key, got.stdout)
		}
	}
	got = inProcess(t, "", "--version")
	got.want(t, exitDone)
	if got.stdout != "mp3lathe "+currentVersions().Version+"\n" {
		t.Errorf("--version prints %q", got.stdout)
	}
}

// failingWriter is an output that cannot be written to.
type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestOutputThatFails(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4")
	for _, c := range []struct {
		name   string
		err    error
		stderr string
	}{
		{"full", &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}, "mp3lathe: cannot write to standard output: no space left on device\n"},
		{"closed", syscall.EPIPE, ""},
		{"odd", errors.New("strange"), "mp3lathe: cannot write to standard output: strange\n"},
	} {
		for _, args := range []string{"version", "probe a.mp4", "convert a.mp4 --overwrite"} {
			t.Run(c.name+" "+args, func(t *testing.T) {
				var stderr bytes.Buffer
				code := run(t.Context(), strings.Fields(args), nil, failingWriter{c.err}, &stderr)
				if code != exitFailed || stderr.String() != c.stderr {
					t.Errorf("exit code %d, standard error %q", code, stderr.String())
				}
			})
		}
	}
	isMP3(t, read(t, "a.mp3")) // the work is done all the same
}
