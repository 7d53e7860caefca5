package cage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// lockIn gives up all that a conversion does not need, for ever. What this kernel
// cannot lock is told in what it returns.
func lockIn(args []string) (Locks, error) {
	var b bounds
	if len(args) != 1 {
		return Locks{}, errors.New("not one argument")
	}
	if err := json.Unmarshal([]byte(args[0]), &b); err != nil {
		return Locks{}, err
	}
	// What the runtime would do later, it does now: it has a poller as soon as there
	// is a timer, and looks into its control group for more processors unless it is
	// told how many there are.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	time.AfterFunc(time.Hour, func() {}).Stop()
	// Neither a debugger nor a core dump gets at its memory.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return Locks{}, err
	}
	if err := b.limit(); err != nil {
		return Locks{}, err
	}
	most, err := closeOthers()
	if err != nil {
		return Locks{}, err
	}
	var l Locks
	if b.Without != "landlock" {
		if version, err := landlocksys.LandlockGetABIVersion(); err == nil {
			l.Landlock = version
		}
		// No rule allows anything: no files, no TCP, no signals to others.
		if err := landlock.V11.BestEffort().Restrict(); err != nil {
			return l, err
		}
	}
	// Only now, since Landlock wants two descriptors for a moment. There may be none to
	// spare: those that the runtime has of its control group, if it is in one.
	if err := setLimit(unix.RLIMIT_NOFILE, uint64(most+1)); err != nil {
		return l, err
	}
	if b.Without != "seccomp" {
		err := filter()
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			return l, err
		}
		l.Seccomp = err == nil
	}
	return l, nil
}

// limit sets the resource limits but that on descriptors. Without privileges they
// cannot be raised again.
func (b *bounds) limit() error {
	if b.Memory > 0 {
		size, data, err := statm()
		if err != nil {
			return err
		}
		// What is mapped to be written counts as data. The address space holds, beside
		// that, what the runtime and the C library set apart and may never use.
		if err := setLimit(unix.RLIMIT_DATA, data+uint64(b.Memory)); err != nil {
			return err
		}
		if err := setLimit(unix.RLIMIT_AS, size+2*uint64(b.Memory)); err != nil {
			return err
		}
		// The collector works harder before that end is reached.
		debug.SetMemoryLimit(b.Memory / 2)
	}
	if b.CPU > 0 {
		if err := setLimit(unix.RLIMIT_CPU, uint64((b.CPU+time.Second-1)/time.Second)); err != nil {
			return err
		}
	}
	for _, resource := range []int{unix.RLIMIT_FSIZE, unix.RLIMIT_CORE, unix.RLIMIT_MEMLOCK, unix.RLIMIT_MSGQUEUE} {
		if err := setLimit(resource, 0); err != nil {
			return err
		}
	}
	return nil
}

func setLimit(resource int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	value = min(value, now.Max) // a lower one of whoever started the service holds
	if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
		return fmt.Errorf("resource limit %d: %w", resource, err)
	}
	return nil
}

// statm returns the size of the address space and of its data, in bytes: proc(5).
func statm() (size, data uint64, err error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 6 {
		return 0, 0, fmt.Errorf("/proc/self/statm: %q", b)
	}
	page := uint64(os.Getpagesize())
	size, err = strconv.ParseUint(fields[0], 10, 64)
	if err == nil {
		data, err = strconv.ParseUint(fields[5], 10, 64)
	}
	return size * page, data * page, err
}

// closeOthers closes what a child should not have inherited, and returns the highest
// descriptor left: those of a child, and the poller's.
func closeOthers() (most int, err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return 0, err
		}
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the folder's own, closed since
		}
		if fd > socketFD && to != "anon_inode:[eventpoll]" && to != "anon_inode:[eventfd]" {
			unix.Close(fd)
			continue
		}
		most = max(most, fd)
	}
	return most, nil
}

// filter lets the kernel end the process at any system call but those that Go's
// runtime, the C library and libav need to compute, and to read and write what is
// open already.
func filter() error {
	info, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	known := func(names ...string) (have []string) {
		for _, n := range names {
			if _, ok := info.SyscallNames[n]; ok {
				have = append(have, n)
			}
		}
		return have
	}
	when := func(name string, c ...seccomp.Condition) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: c}
	}
	is := func(argument uint32, value uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.Equal, Value: value}
	}
	has := func(argument uint32, bit uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.BitsSet, Value: bit}
	}
	lacks := func(argument uint32, bit uint64) seccomp.Condition {
		return seccomp.Condition{Argument: argument, Operation: seccomp.BitsNotSet, Value: bit}
	}
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionKillProcess,
			Syscalls: []seccomp.SyscallGroup{
				{
					Action: seccomp.ActionAllow,
					Names: known(
						"read", "write", "writev", "close", "fstat",
						"munmap", "madvise", "mremap", "brk",
						"futex", "sched_yield", "sched_getaffinity", "getcpu", "set_robust_list", "rseq", "restart_syscall",
						"epoll_pwait", "epoll_ctl",
						"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "getpid", "gettid",
						"nanosleep", "clock_nanosleep", "clock_gettime", "gettimeofday", "getrandom",
						"exit", "exit_group",
					),
					NamesWithCondtions: []seccomp.NameWithConditions{
						// Memory is data, never code.
						when("mmap", lacks(2, unix.PROT_EXEC)),
						when("mprotect", lacks(2, unix.PROT_EXEC)),
						// Threads, not processes. (BitsSet is any of them; the kernel takes this one only
						// with those that go with it.)
						when("clone", has(0, unix.CLONE_THREAD)),
						// Go's scheduler interrupts its own threads.
						when("tgkill", is(0, uint64(os.Getpid()))),
						// The runtime names its memory.
						when("prctl", is(0, unix.PR_SET_VMA)),
					},
				},
				{
					// Its flags cannot be seen from here; the C library takes clone instead.
					Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS),
					Names:  known("clone3"),
				},
			},
		},
	})
}
