package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cost is what processes took. The zero value is nothing.
type cost struct {
	Wall float64 `json:"wall_seconds"`
	CPU  float64 `json:"cpu_seconds"`    // user and system
	Peak int64   `json:"peak_bytes"`     // resident, at most
	Read int64   `json:"read_bytes"`     // by read calls, from files and all else
	Told int64   `json:"told,omitempty"` // what `mp3lathe convert --json` says that it read of the source
}

// work is what a contender has to do: processes, so many at once.
type work struct {
	commands [][]string
	atOnce   int // 0 is 1
}

// measure runs the processes of a work and returns what they took together. Peak is
// then that of as many processes as run at once, the largest of them.
func measure(ctx context.Context, w work) (cost, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	costs := make([]cost, len(w.commands))
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(1, w.atOnce) {
		workers.Go(func() {
			for i := range next {
				var err error
				if costs[i], err = run(ctx, w.commands[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range w.commands {
		next <- i
	}
	close(next)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return cost{}, err
	}
	sum := cost{Wall: time.Since(began).Seconds()}
	var peaks []int64
	for _, c := range costs {
		sum.CPU += c.CPU
		sum.Read += c.Read
		sum.Told += c.Told
		peaks = append(peaks, c.Peak)
	}
	slices.Sort(peaks)
	slices.Reverse(peaks)
	for _, p := range peaks[:min(len(peaks), max(1, w.atOnce))] {
		sum.Peak += p
	}
	return sum, nil
}

// run runs one process. Its wall time is left out.
func run(ctx context.Context, command []string) (cost, error) {
	if err := ctx.Err(); err != nil {
		return cost{}, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	read, ioErr := readBytes(cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		return cost{}, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, &stderr)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, errors.New("this system does not tell what a process took")
	}
	return cost{
		CPU:  (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
		Peak: usage.Maxrss << 10,
		Read: read,
		Told: toldBytes(stdout.Bytes()),
	}, ioErr
}

// readBytes waits for a process to end and returns how many bytes it read by read
// calls, as the kernel counted them. A process that has ended keeps the count until
// somebody waits for it in earnest.
func readBytes(pid int) (int64, error) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return 0, fmt.Errorf("waiting for a process: %w", err)
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "rchar: "); ok {
			return strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return 0, errors.New("/proc/PID/io has no rchar")
}

// toldBytes returns how many bytes of the source `mp3lathe convert --json` says that
// it read; 0 for what others print.
func toldBytes(stdout []byte) int64 {
	var record struct {
		BytesRead int64 `json:"bytes_read"`
	}
	_ = json.Unmarshal(stdout, &record)
	return record.BytesRead
}
