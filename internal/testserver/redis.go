package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// redisDatabases is how many URLs one server can hand out.
const redisDatabases = 256

// RedisServer is a redis-server of its own, with nothing on disk.
type RedisServer struct {
	// URL of database 0, which NewURL does not hand out.
	URL string

	port int
	dir  string

	mu   sync.Mutex
	proc *process
	next int
}

// Redis starts a redis-server on loopback. Stop it at the end.
func Redis(ctx context.Context) (*RedisServer, error) {
	port, err := FreePort()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	dir, err := os.MkdirTemp("", "redis-*")
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	s := &RedisServer{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), port: port, dir: dir, next: 1}
	if err := s.Start(ctx); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// NewURL returns the URL of an empty database that no other caller gets. Publishing
// and FLUSHALL know no databases.
func (s *RedisServer) NewURL() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next >= redisDatabases {
		return "", errors.New("redis: no databases are left")
	}
	if err := s.say(context.Background(), "SELECT "+strconv.Itoa(s.next), "FLUSHDB"); err != nil {
		return "", err
	}
	u := fmt.Sprintf("redis://127.0.0.1:%d/%d", s.port, s.next)
	s.next++
	return u, nil
}

// say sends commands that answer with a status.
func (s *RedisServer) say(ctx context.Context, commands ...string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	defer conn.Close()
	deadline := time.Now().Add(5 * time.Second)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = conn.SetDeadline(deadline)
	answers := bufio.NewReader(conn)
	for _, command := range commands {
		if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
			return fmt.Errorf("redis: %s: %w", command, err)
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			return fmt.Errorf("redis: %s: %w", command, err)
		}
		if !strings.HasPrefix(answer, "+") {
			return fmt.Errorf("redis: %s: %s", command, strings.TrimSpace(answer))
		}
	}
	return nil
}

// Start starts the server again after Kill, on its port and without its data.
func (s *RedisServer) Start(ctx context.Context) error {
	proc, err := start(ctx, "redis-server", s.dir, []string{"redis-server",
		"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
		"--databases", strconv.Itoa(redisDatabases), "--loglevel", "warning",
	}, nil, func(ctx context.Context) error { return s.say(ctx, "PING") })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	return nil
}

func (s *RedisServer) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Kill ends the server as a crash does: its data is lost.
func (s *RedisServer) Kill() error { return s.process().stop(syscall.SIGKILL) }

// Wipe makes it forget all that it holds: FLUSHALL.
func (s *RedisServer) Wipe(ctx context.Context) error { return s.say(ctx, "FLUSHALL") }

// Freeze makes the server hang: it takes connections and answers nothing. Thaw lets
// it go on.
func (s *RedisServer) Freeze() error { return s.process().cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *RedisServer) Thaw() error { return s.process().cmd.Process.Signal(syscall.SIGCONT) }

// Pid of the server's process, for measurements.
func (s *RedisServer) Pid() int { return s.process().cmd.Process.Pid }

// Stop ends the server, frozen or not, and removes its folder.
func (s *RedisServer) Stop() error {
	err := s.process().stop(syscall.SIGKILL)
	return errors.Join(err, os.RemoveAll(s.dir))
}
