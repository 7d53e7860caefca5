// Command auth keeps the accounts of mp3lathe's users and signs their tokens.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Main(ctx, "mp3lathe-auth", "Keeps accounts and signs access tokens.", &cli{}, os.Args[1:], os.Stdout, os.Stderr))
}

type cli struct {
	Serve      serveCmd      `cmd:"" default:"withargs" help:"Serve until SIGTERM or Ctrl-C."`
	Keygen     keygenCmd     `cmd:"" help:"Print a new key for signing tokens (PEM)."`
	CreateUser createUserCmd `cmd:"" help:"Make an account. Its password is read from standard input."`
}

// parts are what both commands that work on accounts need.
type parts struct {
	app.AuthFlags
	app.DatabaseFlags
	app.LogFlags
}

// open makes the auth service on its database.
func (c *parts) open(ctx context.Context, p *app.Parts) (*auth.Service, error) {
	key, err := c.Key()
	if err != nil {
		return nil, err
	}
	return p.OpenAccounts(ctx, c.DatabaseFlags.Open, c.AuthFlags, key)
}

type serveCmd struct {
	Listen string `group:"Service:" placeholder:"ADDRESS" default:":8081" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
	parts
}

// Run serves until ctx is done.
func (c *serveCmd) Run(ctx context.Context, std *app.Std) error {
	var s *auth.Service
	return std.Service(c.LogFlags, "auth", func(p *app.Parts) (err error) {
		s, err = c.open(ctx, p)
		return err
	}, func(p *app.Parts) error {
		l, err := app.Listen(ctx, c.Listen)
		if err != nil {
			return err
		}
		return p.Auth(ctx, l, s)
	})
}

type keygenCmd struct{}

// Run prints a key.
func (keygenCmd) Run(std *app.Std) error {
	pem, err := auth.GenerateKeyPEM()
	if err == nil {
		_, err = std.Out.Write(pem)
	}
	return err
}

type createUserCmd struct {
	Email string `arg:"" help:"E-mail address of the user."`
	Role  string `enum:"user,admin" default:"user" help:"user or admin."`
	parts
}

// Run makes an account.
func (c *createUserCmd) Run(ctx context.Context, std *app.Std) error {
	password, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if password = strings.TrimRight(password, "\r\n"); password == "" {
		return errors.Join(errors.New("no password came from standard input"), err)
	}
	var s *auth.Service
	return std.Service(c.LogFlags, "auth", func(p *app.Parts) (err error) {
		s, err = c.open(ctx, p)
		return err
	}, func(*app.Parts) error {
		if err := s.CreateUser(ctx, c.Email, password, c.Role); err != nil {
			return err
		}
		_, err := fmt.Fprintf(std.Out, "%s has an account (%s)\n", c.Email, c.Role)
		return err
	})
}
