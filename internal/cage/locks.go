package cage

import (
	"fmt"
	"strings"
	"time"
)

// bounds are what a child locks itself in with; its parent tells it on the command
// line.
type bounds struct {
	Memory int64         // bytes more than an idle child has
	CPU    time.Duration // processor time
	// Without names locks to leave out, so that tests can see that each of the others
	// holds alone.
	Without string `json:",omitempty"`
}

// Locks are those that this machine's kernel has.
type Locks struct {
	// Landlock is the version of the kernel's Landlock, which keeps a child from files,
	// TCP and the signals of others; 0 is none.
	Landlock int
	// Seccomp: the kernel ends a child at any system call that a conversion does not
	// need.
	Seccomp bool
}

// Missing says what a kernel lacks of the cage; empty if nothing.
func (l Locks) Missing() string {
	var missing []string
	if l.Landlock == 0 {
		missing = append(missing, "Landlock (Linux 5.13, with landlock among the kernel's security modules)")
	}
	if !l.Seccomp {
		missing = append(missing, "seccomp filters")
	}
	return strings.Join(missing, " and ")
}

// MissingError is the error of a cage that must be whole and cannot be.
type MissingError struct{ Locks Locks }

// Error says what is missing.
func (e *MissingError) Error() string {
	return fmt.Sprintf("conversions cannot be locked in: the kernel lacks %s", e.Locks.Missing())
}
