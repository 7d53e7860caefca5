// Package planted has faults for caged children to commit, so that tests can see what
// becomes of them. A program that calls [Enter] instead of [cage.Enter] has children
// that convert as ever, but for sources that [Source] made: those make them do
// something evil, after they have locked themselves in. It is imported by tests only.
package planted

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// Fault is something evil.
type Fault string

// The faults.
const (
	Segfault Fault = "segfault" // reads where nothing is, as C code does
	Abort    Fault = "abort"    // as an assertion in C does
	Panic    Fault = "panic"    // in Go
	Nil      Fault = "nil"      // a nil pointer in Go
	Exit     Fault = "exit"     // ends without a word
	Hoard    Fault = "hoard"    // allocates for ever in Go
	HoardC   Fault = "hoard-c"  // allocates for ever outside of Go, and falls over it
	Spin     Fault = "spin"     // uses a processor for ever
	Stall    Fault = "stall"    // does nothing for ever
	Open     Fault = "open"     // reads /etc/passwd
	Create   Fault = "create"   // makes a file
	Connect  Fault = "connect"  // calls a server on loopback
	Listen   Fault = "listen"   // is one
	Fork     Fault = "fork"     // becomes two
	Vfork    Fault = "vfork"    // becomes two that share their memory
	Exec     Fault = "exec"     // becomes a shell
	Trace    Fault = "trace"    // debugs its parent
	Kill     Fault = "kill"     // ends its parent
	Code     Fault = "code"     // makes memory that can be run
	Flood    Fault = "flood"    // writes MP3 for ever
	Noise    Fault = "noise"    // writes what is no message for ever
	Shout    Fault = "shout"    // writes on standard error for ever
	Chatter  Fault = "chatter"  // makes progress for ever
	Long     Fault = "long"     // announces a message of 4 GiB
	Beyond   Fault = "beyond"   // writes far behind the end of the MP3
	Before   Fault = "before"   // reads before the beginning of the source
	Huge     Fault = "huge"     // asks for 4 GiB of the source
	Empty    Fault = "empty"    // says that it is done without an MP3
	Riddle   Fault = "riddle"   // gives a verdict that is no JSON
	Neither  Fault = "neither"  // gives a verdict without a result or an error
	Canceled Fault = "canceled" // says that it was canceled
	Look     Fault = "look"     // tells in its MP3 what it sees: a [Sight]
	Slow     Fault = "slow"     // converts nothing for 200 ms, and says so in order
)

// Faults returns all faults that end a child out of order, and the kind that the cage
// must call each.
func Faults() map[Fault]cage.Kind {
	return map[Fault]cage.Kind{
		Segfault: cage.Crashed, Abort: cage.Crashed, Panic: cage.Crashed, Nil: cage.Crashed, Exit: cage.Crashed, Shout: cage.Crashed,
		Hoard: cage.OutOfMemory, HoardC: cage.OutOfMemory,
		Spin: cage.TimedOut, Stall: cage.TimedOut,
		Open: cage.Forbidden, Create: cage.Forbidden, Connect: cage.Forbidden, Listen: cage.Forbidden, Fork: cage.Forbidden, Vfork: cage.Forbidden,
		Exec: cage.Forbidden, Trace: cage.Forbidden, Kill: cage.Forbidden, Code: cage.Forbidden,
		Flood: cage.Lied, Noise: cage.Lied, Chatter: cage.Lied, Long: cage.Lied, Beyond: cage.Lied, Before: cage.Lied, Huge: cage.Lied,
		Empty: cage.Lied, Riddle: cage.Lied, Neither: cage.Lied,
	}
}

const mark = "mp3lathe planted fault: "

// Source is a source that makes a child commit a fault. It begins like an MP4 file.
// salt tells sources of the same fault apart.
func Source(f Fault, salt string) []byte {
	return []byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + mark + string(f) + "\n" + salt + strings.Repeat("\n", 64))
}

// Enter is [cage.Enter] for tests.
func Enter() { cage.EnterWith(convert) }

func convert(ctx context.Context, dst io.Writer, src io.ReadSeeker, opts *transcode.Options) (*transcode.Result, error) {
	head := make([]byte, 256)
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	_, rest, ok := bytes.Cut(head[:n], []byte(mark))
	if !ok {
		return transcode.Convert(ctx, dst, src, opts)
	}
	name, _, _ := bytes.Cut(rest, []byte("\n"))
	return commit(Fault(name), dst, opts)
}

// socket is the child's descriptor of the cage's protocol.
const socket = 3

// say sends a message as it should not be.
func say(kind byte, length uint32, body []byte) {
	m := binary.LittleEndian.AppendUint32([]byte{kind}, length)
	send(append(m, body...))
}

func send(m []byte) {
	for len(m) > 0 {
		n, err := unix.Write(socket, m)
		if err != nil && err != unix.EINTR {
			sleep() // the parent has closed it, and will end this process
		}
		m = m[max(n, 0):]
	}
}

// written is a piece of MP3 as the protocol has it.
func written(offset uint64, n int) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, offset), make([]byte, n)...)
}

// sigaction is the kernel's structure; its zero value is the default action.
type sigaction struct{ handler, flags, restorer, mask uint64 }

// unhandled gives a signal its default action, as it has in a C program.
func unhandled(s syscall.Signal) {
	var a sigaction
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0)
}

func commit(f Fault, dst io.Writer, opts *transcode.Options) (*transcode.Result, error) {
	runtime.LockOSThread()
	// How it ends if nothing stops it: the test sees what it could do.
	unhindered := func(err error) (*transcode.Result, error) {
		fmt.Fprintf(dst, "%s: %v", f, err)
		return &transcode.Result{}, nil
	}
	switch f {
	case Segfault:
		unhandled(syscall.SIGSEGV)
		return nil, *(*error)(nil)
	case Abort:
		unhandled(syscall.SIGABRT)
		unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGABRT)
	case Panic:
		panic("planted")
	case Nil:
		return nil, *(*error)(nil)
	case Exit:
		os.Exit(0)
	case Hoard:
		for all := [][]byte{}; ; {
			b := make([]byte, 8<<20)
			touch(b)
			all = append(all, b)
		}
	case HoardC:
		for {
			b, err := unix.Mmap(-1, 0, 8<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				// Not a Go program's nil pointer, but what the runtime ends the program for.
				unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSEGV)
			}
			touch(b)
		}
	case Spin:
		for n := 0; ; n++ {
			runtime.KeepAlive(n)
		}
	case Stall:
		sleep()
	case Open:
		_, err := os.ReadFile("/etc/passwd")
		return unhindered(err)
	case Create:
		return unhindered(os.WriteFile("/tmp/mp3lathe-planted", nil, 0o600))
	case Connect:
		_, err := net.Dial("tcp", "127.0.0.1:9")
		return unhindered(err)
	case Listen:
		_, err := net.Listen("tcp", "127.0.0.1:0")
		return unhindered(err)
	case Fork, Vfork:
		flags := uintptr(unix.SIGCHLD)
		if f == Vfork {
			flags |= unix.CLONE_VM | unix.CLONE_VFORK
		}
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
		if pid == 0 && errno == 0 {
			unix.Exit(0)
		}
		return unhindered(errno)
	case Exec:
		return unhindered(unix.Exec("/bin/sh", []string{"sh", "-c", "exit 0"}, nil))
	case Trace:
		return unhindered(unix.PtraceAttach(1))
	case Kill:
		return unhindered(unix.Kill(1, 0))
	case Code:
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
		return unhindered(err)
	case Flood:
		for offset := uint64(0); ; offset += 64 << 10 {
			m := written(offset, 64<<10)
			say('w', uint32(len(m)), m)
		}
	case Noise:
		for {
			send(bytes.Repeat([]byte("noise"), 1<<10))
		}
	case Shout:
		for {
			if _, err := os.Stderr.Write(bytes.Repeat([]byte("\x1b[31mnoise\n"), 1<<10)); err != nil {
				os.Exit(1)
			}
		}
	case Chatter:
		for {
			say('p', 2, []byte("{}"))
		}
	case Long:
		say('w', 1<<32-1, make([]byte, 1<<10))
	case Beyond:
		m := written(1<<40, 100)
		say('w', uint32(len(m)), m)
	case Before:
		say('r', 12, []byte{255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0})
	case Huge:
		say('r', 12, []byte{0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255})
	case Empty:
		say('e', 13, []byte(`{"Result":{}}`))
	case Riddle:
		say('e', 3, []byte("who"))
	case Neither:
		say('e', 2, []byte("{}"))
	case Canceled:
		v := []byte(`{"Failure":{"Code":"canceled","Detail":"\u001b[31mnot\ntrue"}}`)
		say('e', uint32(len(v)), v)
	case Look:
		return look(dst)
	case Slow:
		opts.Progress(transcode.Progress{})
		time.Sleep(200 * time.Millisecond)
		return nil, &transcode.Error{Op: "open", Err: transcode.ErrNoAudio}
	default:
		return nil, fmt.Errorf("no fault is called %q", f)
	}
	sleep() // it was enough to say so
	return nil, nil
}

func sleep() {
	for {
		time.Sleep(time.Hour)
	}
}

// touch makes memory real.
func touch(b []byte) {
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
}

// Sight is what a child sees around it, and which of the cage's walls it runs into; of
// use where seccomp is left out, since that ends it at the first one.
type Sight struct {
	Environment []string
	Descriptors []int
	// Tries are the errors of what it tried, "" where it could.
	Tries map[Fault]string
}

// look looks around.
func look(dst io.Writer) (*transcode.Result, error) {
	s := Sight{Environment: os.Environ(), Tries: map[Fault]string{}}
	for fd := range 256 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			s.Descriptors = append(s.Descriptors, fd)
		}
	}
	try := func(f Fault, err error) {
		s.Tries[f] = ""
		if err != nil {
			s.Tries[f] = err.Error()
		}
	}
	if seccomp() {
		return sight(dst, s)
	}
	_, err := os.ReadFile("/etc/passwd")
	try(Open, err)
	try(Create, os.WriteFile("/tmp/mp3lathe-planted", nil, 0o600))
	_, err = net.Dial("tcp", "127.0.0.1:9")
	try(Connect, err)
	try(Kill, unix.Kill(unix.Getppid(), 0))
	try(Exec, unix.Exec("/bin/sh", []string{"sh", "-c", "exit 0"}, nil))
	return sight(dst, s)
}

// seccomp reports whether the process has a filter, by what its parent was told.
func seccomp() bool { return !strings.Contains(os.Args[1], `"Without":"seccomp"`) }

func sight(dst io.Writer, s Sight) (*transcode.Result, error) {
	err := json.NewEncoder(dst).Encode(s)
	return &transcode.Result{}, err
}
