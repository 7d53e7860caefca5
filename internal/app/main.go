package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/alecthomas/kong"
)

// Exit codes of the services' commands.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is the command of a service: it parses args by a grammar, a struct for kong
// with a "serve" command at least, runs the command that they name, and returns the
// exit code. The Run methods in the grammar take a context, which ends at a signal,
// and a [Std].
func Main(ctx context.Context, name, description string, grammar any, args []string, stdout, stderr io.Writer) int {
	exited := false
	parser, err := kong.New(grammar, kong.Name(name), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return exitFailed
	}
	kctx, err := parser.Parse(args)
	switch {
	case exited: // --help has printed what it had to
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v; %s --help shows how\n", name, err, name)
		return exitUsage
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(&Std{Out: stdout, Err: stderr}); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return exitFailed
	}
	return exitDone
}

// Std are the outputs of a command.
type Std struct{ Out, Err io.Writer }

// Service opens parts for a service, runs it, and closes them again.
func (s *Std) Service(flags LogFlags, service string, open func(p *Parts) error, run func(p *Parts) error) (err error) {
	p := &Parts{Log: flags.Logger(s.Err).With(slog.String("service", service))}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := open(p); err != nil {
		return err
	}
	if err := run(p); err != nil {
		return err
	}
	p.Log.Info("stopped")
	return nil
}
