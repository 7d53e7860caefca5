package testserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// Dump returns a database of [MariaDBServer.NewDatabase] as SQL, as it was at one moment,
// written by mariadb-dump for the database's own user.
func (s *MariaDBServer) Dump(ctx context.Context, database string) ([]byte, error) {
	var out bytes.Buffer
	err := s.client(ctx, "mariadb-dump", database, nil, &out, "--single-transaction")
	return out.Bytes(), err
}

// Load runs what Dump has returned in a database.
func (s *MariaDBServer) Load(ctx context.Context, database string, dump []byte) error {
	return s.client(ctx, "mariadb", database, bytes.NewReader(dump), io.Discard)
}

// client runs one of MariaDB's programs on a database.
func (s *MariaDBServer) client(ctx context.Context, name, database string, in io.Reader, out io.Writer, flags ...string) error {
	path, err := program(name)
	if err != nil {
		return fmt.Errorf("mariadb: %w", err)
	}
	u, err := url.Parse(database)
	if err != nil {
		return fmt.Errorf("mariadb: %w", err)
	}
	// Not on the command line, which others can see.
	password, _ := u.User.Password()
	file := filepath.Join(s.dir, name+".cnf")
	if err := os.WriteFile(file, fmt.Appendf(nil, "[client]\npassword=%q\n", password), 0o600); err != nil {
		return fmt.Errorf("mariadb: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"--defaults-file=" + file,
		"--host=" + u.Hostname(), "--port=" + u.Port(), "--user=" + u.User.Username()}, append(flags, filepath.Base(u.Path))...)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, said.Bytes())
	}
	return nil
}
