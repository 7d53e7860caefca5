package trial

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// processorTime is that of this process and of its children that have ended.
func processorTime() (total time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}

// measureMemory notes how much memory the process has, and returns a function that tells
// when it had more than most bytes above that since. Where the system does not say, it
// tells nothing.
func measureMemory(most int64) func() error {
	if most <= 0 || os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil { // forget the peak
		return func() error { return nil }
	}
	before := resident("VmRSS:")
	return func() error {
		if grown := resident("VmHWM:") - before; grown > most {
			return fmt.Errorf("the process grew by %d MiB, and may grow by %d", grown>>20, most>>20)
		}
		return nil
	}
}

// resident returns a line of /proc/self/status in bytes.
func resident(line string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte(line))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return n << 10
}
