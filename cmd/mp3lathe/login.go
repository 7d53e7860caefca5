package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// loginCmd is "mp3lathe login".
type loginCmd struct {
	URL   string `arg:"" help:"Address of the service, such as https://mp3.example.org."`
	Email string `placeholder:"ADDRESS" help:"E-mail address of the account. Default: it is asked for."`

	Provider string `placeholder:"NAME" help:"Sign in in the browser, with this provider of OpenID Connect."`
	Fresh    bool   `help:"With --provider: it asks who you are, even if you are signed in there. Does for a password for five minutes."`
}

func (*loginCmd) usage() string { return "mp3lathe login URL [flags]" }

func (*loginCmd) footer() string {
	return `The password is asked for, or read from standard input. With --provider you sign in in
your browser on this machine. What is kept of the login, its tokens, lies in
~/.config/mp3lathe/login.json, which nobody else can read; one login at a time.

Examples:
  mp3lathe login https://mp3.example.org --email ada@example.org
  mp3lathe login https://mp3.example.org --provider example
`
}

// Run logs in.
func (c *loginCmd) Run(ctx context.Context, std *stdio) error {
	server, err := serverURL(c.URL)
	if err != nil {
		return err
	}
	tokens, email, err := c.tokens(ctx, std, server)
	if err != nil {
		return err
	}
	if old, err := readLogin(); err == nil { // which must not be left behind
		_ = (&client.Client{Base: old.Server}).Logout(ctx, old.Refresh)
	}
	if err := (login{Server: server, Access: tokens.Access, Expires: tokens.Expires, Refresh: tokens.Refresh}).write(); err != nil {
		return fmt.Errorf("the login cannot be kept: %w", err)
	}
	fmt.Fprintf(std.out, "logged in to %s as %s\n", server, email)
	return nil
}

// tokens are those of a new session, of the account of an address.
func (c *loginCmd) tokens(ctx context.Context, std *stdio, server string) (tokens client.Tokens, email string, err error) {
	switch {
	case c.Provider != "" && c.Email != "":
		return tokens, "", usagef("--email is for a login with a password, and --provider for one without")
	case c.Provider == "" && c.Fresh:
		return tokens, "", usagef("--fresh goes with --provider")
	case c.Provider != "":
		if tokens, err = signIn(ctx, std, server, c.Provider, c.Fresh); err != nil {
			return tokens, "", err
		}
		me, err := (&client.Client{Base: server, Token: tokens.Access}).Me(ctx)
		if err != nil {
			return tokens, "", fmt.Errorf("%s: %w", server, words(err))
		}
		return tokens, printable(me.Email), nil
	}
	if email = c.Email; email == "" {
		if f, ok := std.in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
			return tokens, "", usagef("give the address of the account with --email")
		}
		fmt.Fprint(std.err, "E-mail address: ")
		line, err := bufio.NewReader(std.in).ReadString('\n')
		if err != nil {
			return tokens, "", fmt.Errorf("the address cannot be read: %w", err)
		}
		email = strings.TrimSpace(line)
	}
	password, err := askPassword(std)
	if err != nil {
		return tokens, "", err
	}
	if tokens, err = (&client.Client{Base: server}).Session(ctx, email, password); err != nil {
		return tokens, "", fmt.Errorf("%s: %w", server, words(err))
	}
	return tokens, email, nil
}

// logoutCmd is "mp3lathe logout".
type logoutCmd struct{}

// Run ends the session, and forgets it whether or not the service can be reached.
func (*logoutCmd) Run(ctx context.Context, std *stdio) error {
	l, err := readLogin()
	if errors.Is(err, errNoLogin) {
		fmt.Fprintln(std.out, "nobody was logged in")
		return nil
	}
	if err != nil {
		return errors.Join(err, forgetLogin())
	}
	ended := (&client.Client{Base: l.Server}).Logout(ctx, l.Refresh)
	if err := forgetLogin(); err != nil {
		return err
	}
	if ended != nil {
		return fmt.Errorf("the login is forgotten here, but %s could not be told: %w", l.Server, words(ended))
	}
	fmt.Fprintf(std.out, "logged out of %s\n", l.Server)
	return nil
}

// whoamiCmd is "mp3lathe whoami".
type whoamiCmd struct{}

// Run asks the service.
func (*whoamiCmd) Run(ctx context.Context, std *stdio) error {
	c, err := loggedIn()
	if err != nil {
		return err
	}
	me, err := c.Me(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Base, words(err))
	}
	verified := ""
	if !me.Verified {
		verified = ", address not confirmed"
	}
	fmt.Fprintf(std.out, "%s (%s%s) at %s\n", me.Email, strings.Join(me.Roles, ", "), verified, c.Base)
	return nil
}

// keysCmd is "mp3lathe keys".
type keysCmd struct {
	List   keysListCmd   `cmd:"" default:"1" help:"List the API keys."`
	Create keysCreateCmd `cmd:"" help:"Make an API key, and print it; it is not shown again."`
	Revoke keysRevokeCmd `cmd:"" help:"Revoke an API key."`
}

type keysListCmd struct{}

// Run lists the keys.
func (*keysListCmd) Run(ctx context.Context, std *stdio) error {
	c, err := loggedIn()
	if err != nil {
		return err
	}
	keys, err := c.Keys(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Base, words(err))
	}
	rows := [][]string{{"ID", "KEY", "NAME", "SCOPES", "EXPIRES", "LAST USED"}}
	for _, k := range keys {
		used := "never"
		if k.Used != nil {
			used = k.Used.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{k.ID, k.Prefix + "_...", printable(k.Name), strings.Join(k.Scopes, ","), k.Expires.Local().Format(time.DateOnly), used})
	}
	fmt.Fprint(std.out, columns("", rows))
	return nil
}

type keysCreateCmd struct {
	Name   string   `arg:"" help:"What the key is for."`
	Scopes []string `placeholder:"SCOPE,..." default:"jobs:read,jobs:write" help:"What it is good for: jobs:read, jobs:write, admin."`
	Days   int      `placeholder:"N" default:"90" help:"How many days it is good, up to 366."`
}

func (*keysCreateCmd) usage() string { return "mp3lathe keys create NAME [flags]" }

func (*keysCreateCmd) footer() string {
	return `The password is asked for, or read from standard input. Within five minutes of mp3lathe
login --provider NAME --fresh an empty line does. The key is all that is printed to standard
output.

Example:
  mp3lathe keys create nightly --days 30 > nightly.key
`
}

// Run makes a key.
func (k *keysCreateCmd) Run(ctx context.Context, std *stdio) error {
	c, err := loggedIn()
	if err != nil {
		return err
	}
	password, err := askPassword(std)
	if err != nil {
		return err
	}
	made, err := c.CreateKey(ctx, k.Name, k.Scopes, k.Days, password)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Base, words(err))
	}
	fmt.Fprintln(std.out, made.Secret)
	fmt.Fprintf(std.err, "mp3lathe: the key %s is good until %s\n", made.ID, made.Expires.Local().Format(time.DateOnly))
	return nil
}

type keysRevokeCmd struct {
	ID string `arg:"" help:"ID of the key, as in the list."`
}

// Run revokes a key.
func (k *keysRevokeCmd) Run(ctx context.Context, std *stdio) error {
	c, err := loggedIn()
	if err != nil {
		return err
	}
	if err := c.RevokeKey(ctx, k.ID); err != nil {
		return fmt.Errorf("%s: %w", c.Base, words(err))
	}
	fmt.Fprintf(std.out, "the key %s is revoked\n", k.ID)
	return nil
}
