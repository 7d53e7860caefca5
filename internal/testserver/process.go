// Package testserver starts the real servers that tests run against: MariaDB, Redis, an
// S3 server, one that speaks the protocol of MongoDB, a provider of OpenID Connect and an
// SMTP server, each on a port of its own on loopback, with its files in a folder of its own,
// and stops exactly what it started. A server that cannot be started is an error and never
// a reason to skip a test.
//
// It is imported by tests and benches only (and says so in errors, not by package testing).
package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds the start of any server, on a busy machine.
const startTimeout = 90 * time.Second

// process is a server that runs as a program.
type process struct {
	name string
	dir  string // removed at the end
	cmd  *exec.Cmd
	out  *tail
	done chan struct{} // closed when the program has ended
}

// start runs a program and waits until ready says nil. On failure the program is
// stopped, and the error holds the end of what it printed.
func start(ctx context.Context, name, dir string, argv, env []string, ready func(context.Context) error) (*process, error) {
	p := &process{name: name, dir: dir, out: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = dir
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	// A test that is killed leaves no server behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s cannot be started (scripts/deps.sh --test installs it): %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return p, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended at its start: %v\n%s", name, p.cmd.ProcessState, p.out)
		case <-ctx.Done():
			_ = p.stop(syscall.SIGKILL)
			return nil, fmt.Errorf("%s does not answer: %w\n%s", name, errors.Join(err, ctx.Err()), p.out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the program with a signal, and by force if it takes more than ten
// seconds, and waits for its end.
func (p *process) stop(signal syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("%s did not stop in time and was killed", p.name)
}

// FreePort returns a TCP port on loopback that nobody uses just now. It is not one of
// those that Linux gives to outgoing connections, to which one that was given back may
// go before it is used.
func FreePort() (int, error) {
	const first, ephemeral = 10000, 32768
	for {
		port := first + rand.IntN(ephemeral-first)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, l.Close()
	}
}

// tail keeps the last 8 KiB of what a server prints.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if extra := len(t.b) - 8<<10; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.Clone(t.b))
}
