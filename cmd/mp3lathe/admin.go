package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/mp3lathe/mp3lathe/internal/app"
)

// adminCmd is "mp3lathe admin".
type adminCmd struct {
	Create       adminCreateCmd  `cmd:"" help:"Make an administrator of what mp3lathe serve serves, also while it does."`
	ImportGridfs importGridFSCmd `cmd:"" name:"import-gridfs" help:"Make jobs of what the Python project has kept in MongoDB."`
}

// adminCreateCmd is "mp3lathe admin create".
type adminCreateCmd struct {
	Email string `arg:"" help:"E-mail address of the administrator."`
	Data  string `short:"d" placeholder:"DIR" env:"MP3LATHE_DATA" complete:"folders" help:"The folder of mp3lathe serve. Default: ~/.local/share/mp3lathe."`
}

func (*adminCreateCmd) usage() string { return "mp3lathe admin create EMAIL [flags]" }

func (*adminCreateCmd) footer() string {
	return `The password is asked for, or read from the first line of standard input. There is none
by default.

Example:
  mp3lathe admin create ada@example.org
`
}

// Run makes an account in the database of the folder, which is made if need be.
func (c *adminCreateCmd) Run(ctx context.Context, std *stdio) error {
	dir := c.Data
	if dir == "" {
		var err error
		if dir, err = defaultData(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder for the data cannot be used (--data names another): %w", err)
	}
	password, err := askPassword(std)
	if err != nil {
		return err
	}
	d := dataFolder{dir: dir}
	made, err := app.CreateUser(ctx, d.database(), c.Email, password, "admin")
	if err != nil {
		return err
	}
	fmt.Fprintln(std.out, made)
	return nil
}

// askPassword reads a password, without showing it on a terminal.
func askPassword(std *stdio) (string, error) {
	if f, ok := std.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(std.err, "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(std.err)
		if err != nil {
			return "", fmt.Errorf("the password cannot be read: %w", err)
		}
		return string(b), nil
	}
	line, err := bufio.NewReader(std.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the password cannot be read from standard input: %w", err)
	}
	if line == "" {
		return "", errors.New("no password came: it is to be the first line of standard input")
	}
	return strings.TrimRight(line, "\r\n"), nil
}
