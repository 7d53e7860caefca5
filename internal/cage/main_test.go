package cage_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf"
	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// The variable that makes this program play another part in a test.
const part = "MP3LATHE_CAGE_TEST"

func TestMain(m *testing.M) {
	planted.Enter()
	switch os.Getenv(part) {
	case "":
		goleak.VerifyTestMain(m)
	case "lack":
		lack(os.Args[1])
	case "locks":
		locks()
	case "convert":
		convertInput()
	case "parent":
		parent()
	}
}

// lack goes on as the part "locks", on a kernel without what a system call does.
func lack(call string) {
	names := map[string][]string{
		"landlock": {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"},
		"seccomp":  {"seccomp"},
	}[call]
	err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls:      []seccomp.SyscallGroup{{Names: names, Action: seccomp.ActionErrno | seccomp.Action(syscall.ENOSYS)}},
	}})
	if err == nil {
		os.Setenv(part, "locks")
		err = syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	fmt.Println(err)
	os.Exit(1)
}

// locks tells what cages this kernel allows.
func locks() {
	var out struct {
		Locks  cage.Locks
		Strict string
	}
	c, err := cage.New(ctx(), cage.Config{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	out.Locks = c.Locks()
	if _, err := cage.New(ctx(), cage.Config{Strict: true}); err != nil {
		out.Strict = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(out)
	os.Exit(0)
}

// convertInput converts its standard input in a strict cage.
func convertInput() {
	c, err := cage.New(ctx(), cage.Config{Strict: true})
	if err == nil {
		_, err = c.Convert(ctx(), io.Discard, os.Stdin, &transcode.Options{Duration: time.Second})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("converted")
	os.Exit(0)
}

// parent has a child that does nothing, and waits to be killed.
func parent() {
	c, err := cage.New(ctx(), cage.Config{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		for {
			if pid, ok := childOf(os.Getpid()); ok {
				fmt.Println(pid)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err = convert(c, planted.Source(planted.Spin, ""), nil)
	fmt.Println("the child ended first:", err)
	os.Exit(1)
}
