package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal and what was written to it.
type terminal struct {
	master, slave *os.File
	read          sync.WaitGroup
	text          strings.Builder
	begun         chan struct{} // closed when there is text
}

func newTerminal(t *testing.T, columns int) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{master: master, slave: slave, begun: make(chan struct{})}
	term.read.Go(func() {
		_, _ = io.CopyN(&term.text, master, 1)
		close(term.begun)
		_, _ = io.Copy(&term.text, master)
	})
	return term
}

// run runs cmd, whose streams may be the terminal, and returns its exit code
// and what the terminal was sent. meanwhile is called while cmd runs.
func (term *terminal) run(t *testing.T, cmd *exec.Cmd, meanwhile ...func()) (int, string) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range meanwhile {
		f()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	term.slave.Close()
	term.read.Wait() // ends with an error when nobody has the terminal open any more
	term.master.Close()
	return cmd.ProcessState.ExitCode(), strings.ReplaceAll(term.text.String(), "\r\n", "\n")
}

var escape = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

func TestBarsOnTerminal(t *testing.T) {
	names := []string{"träumend 夢.mp4", "träumend 夢.mp4", "bad.mp4", "media/bad-text.mp4"}
	args := []string{"convert", "--jobs", "2", "träumend 夢.mp4", "bad.mp4"}
	for i := range 8 {
		name := fmt.Sprintf("melody number %d.mp4", i)
		names, args = append(names, name, "melody.mp4"), append(args, name)
	}
	for _, columns := range []int{100, 60, 40, 20} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			workFolder(t, names...)
			term := newTerminal(t, columns)
			cmd := command(t, args...)
			cmd.Env = append(cmd.Env, "TERM=xterm")
			cmd.Stdout, cmd.Stderr = term.slave, term.slave
			code, text := term.run(t, cmd)
			if code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			for _, want := range []string{" of 10 files", "melody number 7.mp4 -> melody number 7.mp3  0:10", "mp3lathe: bad.mp4: not a usable", "mp3lathe: 1 of 10 inputs failed\n"} {
				if !strings.Contains(text, want) {
					t.Errorf("the terminal was not sent %q", want)
				}
			}
			if columns >= 60 && !regexp.MustCompile(`melody nu.*\[[=> ]+\]  +\d+ %  +[\d.]+x  ETA 0:0\d`).MatchString(text) {
				t.Error("there is no bar")
			}
			for line := range strings.SplitSeq(escape.ReplaceAllString(text, ""), "\n") {
				if strings.Contains(line, " -> ") || strings.HasPrefix(line, "mp3lathe: ") {
					continue // those may be long
				}
				if w := runewidth.StringWidth(line); w >= columns {
					t.Errorf("a bar of %d columns: %q", w, line)
				}
			}
			for _, code := range escape.FindAllString(text, -1) {
				if strings.HasSuffix(code, "m") {
					t.Errorf("a colour: %q", code)
				}
			}
			if t.Failed() {
				t.Logf("%q", text)
			}
		})
	}
}

// Bars belong on a terminal that can move its cursor, and only there.
func TestNoBars(t *testing.T) {
	for _, c := range []struct {
		name, term string
		args       []string
		pipe       bool // standard error is a pipe
	}{
		{"dumb", "dumb", []string{"convert", "a.mp4"}, false},
		{"quiet", "xterm", []string{"convert", "-q", "a.mp4"}, false},
		{"piped", "xterm", []string{"convert", "a.mp4"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			workFolder(t, "a.mp4", "melody.mp4")
			term := newTerminal(t, 80)
			cmd := command(t, c.args...)
			cmd.Env = append(cmd.Env, "TERM="+c.term)
			cmd.Stdout = term.slave
			var stderr strings.Builder
			if cmd.Stderr = term.slave; c.pipe {
				cmd.Stderr = &stderr
			}
			code, text := term.run(t, cmd)
			if code != exitDone || strings.ContainsAny(text+stderr.String(), "\x1b%") || stderr.Len() > 0 {
				t.Errorf("exit code %d, %q, %q", code, text, stderr.String())
			}
			if want := !strings.Contains(text, "a.mp4 -> a.mp3"); want != (c.name == "quiet") {
				t.Errorf("the terminal was sent %q", text)
			}
		})
	}
}

// With the bars on the terminal and the MP3 or the lines elsewhere, the two stay
// apart.
func TestBarsBesideOutput(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4")
	for _, args := range [][]string{{"convert", "a.mp4", "-"}, {"convert", "--json", "a.mp4", "b.mp3"}} {
		term := newTerminal(t, 80)
		cmd := command(t, args...)
		cmd.Env = append(cmd.Env, "TERM=xterm")
		var stdout strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, term.slave
		code, text := term.run(t, cmd)
		if code != exitDone || !strings.Contains(text, " %  ") {
			t.Errorf("exit code %d, the terminal was sent %q", code, text)
		}
		if args[1] == "--json" {
			objects(t, stdout.String())
		} else {
			isMP3(t, []byte(stdout.String()))
			if !strings.Contains(text, "a.mp4 -> standard output") {
				t.Errorf("the terminal was sent %q", text)
			}
		}
	}
}

func TestTerminalAsStream(t *testing.T) {
	workFolder(t, "a.mp4", "melody.mp4")
	for _, c := range []struct{ args, want string }{
		{"convert a.mp4 -", "mp3lathe: an MP3 does not belong on a terminal; redirect it (> FILE.mp3) or name an output file\n"},
		{"convert - a.mp3", "mp3lathe: standard input is a terminal; pipe an MP4 file into it, or name one\n"},
		{"probe -", "mp3lathe: standard input is a terminal; pipe an MP4 file into it, or name one\n"},
	} {
		term := newTerminal(t, 200)
		cmd := command(t, strings.Fields(c.args)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
		if code, text := term.run(t, cmd); code != exitUsage || text != c.want {
			t.Errorf("%s: exit code %d, %q", c.args, code, text)
		}
	}
	sameFiles(t, "a.mp4")
}

// Ctrl-C on a terminal removes the bars and says one line.
func TestInterruptOnTerminal(t *testing.T) {
	dir := workFolder(t, "melody.mp4", "melody.mp4")
	args := []string{"convert", "--jobs", "1"}
	for i := range 200 {
		name := fmt.Sprintf("%03d.mp4", i)
		if err := os.Symlink(dir+"/melody.mp4", name); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	term := newTerminal(t, 80)
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdout, cmd.Stderr = term.slave, term.slave
	code, text := term.run(t, cmd, func() {
		<-term.begun
		time.Sleep(300 * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGINT)
	})
	last := text[strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1:]
	last = escape.ReplaceAllString(last, "")
	if code != exitInterrupted || !strings.HasPrefix(last, "mp3lathe: interrupted; ") {
		t.Errorf("exit code %d, the last line is %q", code, last)
	}
	for _, name := range files(t) {
		if strings.HasSuffix(name, ".part") {
			t.Errorf("%s is left", name)
		}
	}
}
