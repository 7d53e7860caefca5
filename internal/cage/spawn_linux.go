package cage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// self is this program's file, even if another has been installed in its place.
const self = "/proc/self/exe"

// spawner starts children. The kernel ends them with the thread that started them
// (PR_SET_PDEATHSIG), so that is one which stays.
type spawner struct {
	asked chan func()
	done  chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{asked: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for {
			select {
			case f := <-s.asked:
				f()
			case <-s.done:
				return
			}
		}
	}()
	return s
}

func (s *spawner) close() { close(s.done) }

// start starts a child, and returns it and the parent's end of its socket.
func (s *spawner) start(b bounds) (*process, net.Conn, error) {
	arg, err := json.Marshal(b)
	if err != nil {
		return nil, nil, err
	}
	conn, socket, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	defer socket.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	defer null.Close()
	words, stderr, err := socketPair()
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	defer stderr.Close()
	// With the least room, of a few lines, a child that says why it ends has not ended
	// when the first of it is heard.
	if err := syscall.SetsockoptInt(int(stderr.Fd()), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 0); err != nil {
		conn.Close()
		words.Close()
		return nil, nil, os.NewSyscallError("setsockopt", err)
	}
	attr := &os.ProcAttr{
		Files: []*os.File{null, null, stderr, socket},
		Dir:   "/",
		// Nothing of this process's environment, which holds credentials. The one
		// variable is glibc's: with one arena there is nothing that it would read a file
		// in /proc for, or set 64 MiB of address space apart for each thread.
		Env: []string{"MALLOC_ARENA_MAX=1"},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	started := make(chan struct{})
	var p *os.Process
	select {
	case s.asked <- func() {
		defer close(started)
		p, err = os.StartProcess(self, []string{childName, string(arg)}, attr)
	}:
		<-started
	case <-s.done:
		err = errors.New("the cage is closed")
	}
	if err != nil {
		conn.Close()
		words.Close()
		return nil, nil, err
	}
	child := &process{p: p, bounds: b, ended: make(chan struct{})}
	go child.reap(words)
	return child, conn, nil
}

// socketPair returns two ends of a stream: one for the runtime's poller and one that
// blocks, for the child.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "cage"), os.NewFile(uintptr(fds[1]), "caged")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// process is a child.
type process struct {
	p      *os.Process
	bounds bounds

	killed atomic.Bool // by us

	ended chan struct{} // closed when what follows is known
	state *os.ProcessState
	words string
	peak  int64 // of its memory when it spoke last, in bytes; 0 if it did not
}

// maxWords is how much of a child's standard error is kept, and maxNoise how much is
// read of it.
const (
	maxWords = 4 << 10
	maxNoise = 1 << 20
)

// reap waits for the child's end.
func (c *process) reap(words net.Conn) {
	silent := make(chan struct{})
	go func() {
		defer close(silent)
		c.listen(words)
	}()
	// Before its number can be another's, the rest of its group ends with it. It can
	// have one only on a kernel that could not lock it in.
	for unix.Waitid(unix.P_PID, c.p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	syscall.Kill(-c.p.Pid, syscall.SIGKILL)
	c.state, _ = c.p.Wait()
	<-silent
	close(c.ended)
}

// listen takes the last words, and looks each time how much memory the child has had:
// once it has ended nobody knows, since the peak that the kernel then tells (wait4) is
// its parent's if that is higher.
func (c *process) listen(words net.Conn) {
	buf := make([]byte, maxWords)
	n := 0
	for n < maxWords {
		m, err := words.Read(buf[n:])
		if n += m; err != nil {
			break
		}
		c.peak = max(c.peak, peak(c.p.Pid))
	}
	c.words = string(buf[:n])
	io.CopyN(io.Discard, words, maxNoise)
	words.Close() // who says more is ended by SIGPIPE
}

// peak returns the most memory that a process has had, in bytes; 0 if it has ended, or
// if that is not for us to see: proc(5).
func peak(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(b), "\nVmHWM:")
	var kib int64
	fmt.Sscanf(line, "%d kB", &kib)
	return kib << 10
}

// kill ends the child.
func (c *process) kill() {
	c.killed.Store(true)
	c.p.Kill() // does nothing once it was waited for
}

// wait waits for the end.
func (c *process) wait() { <-c.ended }

// patience is how long a child that has closed its socket may take to end.
const patience = 10 * time.Second

// died returns what the child died of; nil if it has not, or by our hand.
func (c *process) died() *Fault {
	select {
	case <-c.ended:
	case <-time.After(patience):
		return nil
	}
	if c.killed.Load() || c.state == nil {
		return nil
	}
	return autopsy{state: c.state, words: c.words, cpu: c.bounds.CPU, memory: c.bounds.Memory, peak: c.peak}.fault()
}
