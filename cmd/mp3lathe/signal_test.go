//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A signal ends the files in work without leaving any part of them; those that
// are done stay.
func TestInterrupt(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := workFolder(t, "melody.mp4", "melody.mp4")
			const inputs = 300
			for i := range inputs {
				if err := os.MkdirAll("in", 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(filepath.Join(dir, "melody.mp4"), fmt.Sprintf("in/%03d.mp4", i)); err != nil {
					t.Fatal(err)
				}
			}
			// Where nohup has switched it off for this process, it is on again for its child.
			heard := make(chan os.Signal, 1)
			signal.Notify(heard, sig)
			defer signal.Stop(heard)
			cmd := command(t, "convert", "-r", "in", "out", "--jobs", "2", "--json")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(stdout)
			first, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond) // into the middle of a file
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			signaled := time.Now()
			rest, err := io.ReadAll(lines)
			if err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if took := time.Since(signaled); took > 5*time.Second {
				t.Errorf("it took %v to end", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Errorf("exit code %d", code)
			}
			m := regexp.MustCompile(`^mp3lathe: interrupted; (\d+) of 300 inputs are done, no unfinished file is left\n$`).FindStringSubmatch(stderr.String())
			if m == nil {
				t.Fatalf("standard error is %q", stderr.String())
			}
			count := map[string]int{}
			for _, o := range objects(t, first+string(rest)) {
				count[o["status"].(string)]++
			}
			if strconv.Itoa(count["done"]) != m[1] || count["done"]+count["canceled"] != inputs || count["canceled"] == 0 {
				t.Errorf("%v, and it says %s", count, m[1])
			}
			made, err := os.ReadDir("out")
			if err != nil {
				t.Fatal(err)
			}
			if len(made) != count["done"] {
				t.Errorf("%d files, %d done", len(made), count["done"])
			}
			for _, f := range made {
				if filepath.Ext(f.Name()) != ".mp3" || strings.HasPrefix(f.Name(), ".") {
					t.Errorf("%s is left", f.Name())
				}
			}
		})
	}
}

// While it waits for its input through a pipe, the first signal ends it.
func TestInterruptWhileReading(t *testing.T) {
	workFolder(t)
	cmd := command(t, "convert", "-", "out.mp3")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdin.Write(make([]byte, 1<<17)); err != nil { // more than a pipe holds, so it is reading
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || stderr.String() != "mp3lathe: interrupted; nothing was written\n" {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
	sameFiles(t)
}

// What the first signal cannot end, here the opening of a pipe that nobody
// writes to, the second one does.
func TestSecondInterrupt(t *testing.T) {
	workFolder(t)
	if err := syscall.Mkfifo("pipe", 0o666); err != nil {
		t.Fatal(err)
	}
	// A signal before the process has set itself up ends it at once, so it gets
	// time for that, and more of it if that was too little.
	for patience := 500 * time.Millisecond; patience < 10*time.Second; patience *= 2 {
		cmd := command(t, "convert", "pipe", "out.mp3")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		signals := 0
		for ended := false; !ended; {
			time.Sleep(patience)
			_ = cmd.Process.Signal(syscall.SIGINT)
			signals++
			select {
			case <-done:
				ended = true
			case <-time.After(patience):
				if signals > 3 {
					_ = cmd.Process.Kill()
					<-done
					t.Fatal("the second signal did not end it")
				}
			}
		}
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
			t.Fatalf("it ended after %d signals: %v", signals, cmd.ProcessState)
		}
		if signals > 1 {
			return
		}
	}
	t.Fatal("the first signal always ended it")
}
