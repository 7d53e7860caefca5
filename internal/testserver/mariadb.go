package testserver

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mariadbPassword has the characters that a URL must escape.
const mariadbPassword = "p/w@:?#%äs"

// MariaDBServer is a MariaDB of its own, with its data in a folder of its own.
type MariaDBServer struct {
	port  int
	dir   string
	bin   string
	flags []string

	mu   sync.Mutex
	proc *process
	next int
}

// MariaDB makes an empty data folder and starts a mariadbd on it, on loopback. Stop
// it at the end.
func MariaDB(ctx context.Context) (*MariaDBServer, error) { return MariaDBWith(ctx) }

// MariaDBWith is [MariaDB] with further flags for mariadbd, which beat those that it
// would have.
func MariaDBWith(ctx context.Context, flags ...string) (*MariaDBServer, error) {
	bin, err := program("mariadbd")
	if err != nil {
		return nil, fmt.Errorf("mariadb: %w", err)
	}
	port, err := FreePort()
	if err != nil {
		return nil, fmt.Errorf("mariadb: %w", err)
	}
	// The path of a socket must be short, so that it is not made in a test's folder.
	dir, err := os.MkdirTemp("", "mariadb-*")
	if err != nil {
		return nil, fmt.Errorf("mariadb: %w", err)
	}
	s := &MariaDBServer{port: port, dir: dir, bin: bin, flags: flags}
	if err = s.install(ctx); err == nil {
		if err = s.Start(ctx); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

// program finds a server's program, which an ordinary user's PATH need not name.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/libexec"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed (scripts/deps.sh --test installs it)", name)
}

// settings are those of installing and running alike: no file of the machine's is
// read, and data is written as if it did not matter, which a crash of the program
// alone survives.
func (s *MariaDBServer) settings() []string {
	a := []string{
		"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--tmpdir=" + s.dir,
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
		"--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync",
	}
	if os.Geteuid() == 0 {
		a = append(a, "--user=root")
	}
	return a
}

func (s *MariaDBServer) install(ctx context.Context) error {
	install, err := program("mariadb-install-db")
	if err != nil {
		return fmt.Errorf("mariadb: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, install, append(s.settings(),
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	return nil
}

// Start starts the server again after Kill, on its port and with its data.
func (s *MariaDBServer) Start(ctx context.Context) error {
	admin, err := s.admin("root", "", "")
	if err != nil {
		return fmt.Errorf("mariadb: %w", err)
	}
	defer admin.Close()
	argv := append([]string{s.bin}, s.settings()...)
	argv = append(argv,
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port), "--socket="+filepath.Join(s.dir, "sock"),
		"--pid-file="+filepath.Join(s.dir, "pid"), "--skip-name-resolve", "--skip-log-bin", "--max-connections=300")
	argv = append(argv, s.flags...)
	proc, err := start(ctx, "mariadbd", s.dir, argv, nil, func(ctx context.Context) error {
		var one int
		return admin.QueryRowContext(ctx, "SELECT 1").Scan(&one)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	return nil
}

func (s *MariaDBServer) admin(user, password, database string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = user, password, database
	c.Net, c.Addr = "tcp", "127.0.0.1:"+strconv.Itoa(s.port)
	c.InterpolateParams = true
	c.Logger = &mysql.NopLogger{} // it is asked before it is up
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// NewDatabase makes an empty database with a user of its own, and returns the URL
// of it in the form that package sqldb opens.
func (s *MariaDBServer) NewDatabase(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.next++
	name := "test" + strconv.Itoa(s.next)
	s.mu.Unlock()
	admin, err := s.admin("root", "", "")
	if err != nil {
		return "", fmt.Errorf("mariadb: %w", err)
	}
	defer admin.Close()
	for _, q := range []string{
		// Not the character set that a program should rely on.
		"CREATE DATABASE " + name + " CHARACTER SET latin1",
		"CREATE USER '" + name + "'@'127.0.0.1' IDENTIFIED BY '" + mariadbPassword + "'",
		"GRANT ALL ON " + name + ".* TO '" + name + "'@'127.0.0.1'",
	} {
		if _, err := admin.ExecContext(ctx, q); err != nil {
			return "", fmt.Errorf("mariadb: a new database: %w", err)
		}
	}
	u := url.URL{
		Scheme: "mysql", User: url.UserPassword(name, mariadbPassword),
		Host: "127.0.0.1:" + strconv.Itoa(s.port), Path: "/" + name,
	}
	return u.String(), nil
}

func (s *MariaDBServer) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Kill ends the server as a crash does; what was committed is there after Start.
func (s *MariaDBServer) Kill() error { return s.process().stop(syscall.SIGKILL) }

// Freeze makes the server hang: it takes connections and answers nothing. Thaw lets
// it go on. It returns when all of the server's threads stand still: a signal is
// only on its way to them.
func (s *MariaDBServer) Freeze() error {
	if err := s.process().cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		switch still, err := s.standsStill(); {
		case err != nil:
			return fmt.Errorf("mariadb: %w", err)
		case still:
			return nil
		case time.Now().After(end):
			return errors.New("mariadb: the server does not stop")
		}
	}
}

func (s *MariaDBServer) standsStill() (bool, error) {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(s.Pid()) + "/task/*/stat")
	if err != nil {
		return false, err
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return false, err
		}
		// "pid (name) state ...", and the name may hold anything.
		if i := bytes.LastIndexByte(b, ')'); i < 0 || !bytes.HasPrefix(b[i:], []byte(") T")) {
			return false, nil
		}
	}
	return len(threads) > 0, nil
}

// Thaw ends Freeze.
func (s *MariaDBServer) Thaw() error { return s.process().cmd.Process.Signal(syscall.SIGCONT) }

// Pid of the server's process, for measurements.
func (s *MariaDBServer) Pid() int { return s.process().cmd.Process.Pid }

// Stop ends the server, frozen or not, and removes its folder.
func (s *MariaDBServer) Stop() error {
	err := s.process().stop(syscall.SIGKILL)
	return errors.Join(err, os.RemoveAll(s.dir))
}
