package cage

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Kind is a way in which a child ends that is not in order.
type Kind string

// The kinds.
const (
	// Crashed by a signal, a panic, or by itself.
	Crashed Kind = "crashed"
	// OutOfMemory: it wanted more than it may have, or the machine had no more.
	OutOfMemory Kind = "out_of_memory"
	// TimedOut: it used more processor time than it may, or fell silent.
	TimedOut Kind = "timed_out"
	// Forbidden: it tried what the cage forbids.
	Forbidden Kind = "forbidden"
	// Lied: it said what no conversion says.
	Lied Kind = "lied"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Crashed, OutOfMemory, TimedOut, Forbidden, Lied} }

// Fault is the error of a conversion whose child did not end in order.
type Fault struct {
	Kind Kind
	// Detail is for logs: how the process ended, and its last words. It holds what a
	// stranger's file may have made it say; it is cleaned of what is not text.
	Detail string
}

// Error returns kind and detail.
func (f *Fault) Error() string { return fmt.Sprintf("cage: %s: %s", f.Kind, f.Detail) }

// autopsy is what is known of a child that has ended by itself.
type autopsy struct {
	state  *os.ProcessState
	words  string        // on its standard error
	cpu    time.Duration // that it may use
	memory int64         // bytes that it may use
	peak   int64         // bytes that it has used when it spoke last
}

// fault says what a child died of. The kernel's word comes first; the last words
// count only where that leaves a question open, since a child can say anything.
func (a autopsy) fault() *Fault {
	status := a.state.Sys().(syscall.WaitStatus)
	used := a.state.UserTime() + a.state.SystemTime()
	f := &Fault{Kind: Crashed, Detail: a.state.String()}
	if words := clean(a.words, maxText); words != "" {
		f.Detail += ": " + words
	}
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGSYS:
		f.Kind = Forbidden
	case status.Signaled() && status.Signal() == syscall.SIGXCPU,
		a.cpu > 0 && used >= a.cpu-time.Second:
		f.Kind = TimedOut
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		// Nobody here did it, so it was the kernel, for want of memory.
		f.Kind = OutOfMemory
	case a.starved():
		f.Kind = OutOfMemory
	}
	return f
}

// starved reports whether a child that crashed had come to the end of its memory: C
// code that gets none tends to fall over it.
func (a autopsy) starved() bool {
	if a.memory > 0 && a.peak > a.memory/10*9 {
		return true
	}
	for _, words := range []string{"out of memory", "cannot allocate memory", "cannot map pages", "failed to allocate", "failed to create new OS thread", "pthread_create failed"} {
		if strings.Contains(strings.ToLower(a.words), words) {
			return true
		}
	}
	return false
}
