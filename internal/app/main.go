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

// Std are what a command is given: the standard streams, and the version of its program.
type Std struct {
	In       io.Reader
	Out, Err io.Writer
	Version  string
}

// Main is the command of a service: it parses args by a grammar, a struct for kong
// with a default command, runs the command that they name, and returns the exit
// code. The Run methods in the grammar take a context, which ends at a signal, and a
// [Std].
func Main(ctx context.Context, name, description string, grammar any, args []string, std *Std) int {
	exited := false
	parser, err := kong.New(grammar, kong.Name(name), kong.Description(description), kong.Writers(std.Out, std.Err),
		kong.Exit(func(int) { exited = true }), Vars("5m"), kong.ValueFormatter(Describe), kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		fmt.Fprintf(std.Err, "%s: %v\n", name, err)
		return exitFailed
	}
	kctx, err := parser.Parse(args)
	switch {
	case exited: // --help has printed what it had to
		return exitDone
	case err != nil:
		fmt.Fprintf(std.Err, "%s: %v; %s --help shows how\n", name, err, name)
		return exitUsage
	}
	FlagsFirst(kctx)
	kctx.BindTo(ctx, (*context.Context)(nil))
	err = kctx.Run(std)
	var settings SettingsError
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitDone
	case errors.As(err, &settings):
		for _, sentence := range settings {
			fmt.Fprintf(std.Err, "%s: %s\n", name, sentence)
		}
		return exitUsage
	}
	fmt.Fprintf(std.Err, "%s: %s\n", name, Plain(err))
	return exitFailed
}

// printHelp is kong's help. That of a whole program tells the flags of its default
// command too, since they may be given without naming it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil || ctx.Selected() != nil {
		return err
	}
	def := ctx.Model.DefaultCmd
	if def == nil {
		return nil
	}
	of, err := kong.Trace(ctx.Kong, []string{def.Name})
	if err != nil {
		return err
	}
	fmt.Fprintf(ctx.Stdout, "\nWithout a command it is %s:\n\n", def.Name)
	return kong.DefaultHelpPrinter(options, of)
}

// Service opens parts for a service, runs it, and closes them again. It is no method of
// [Std]: kong looks for methods by name, so that the linker keeps all of what the types in
// the methods of its values can do, and each program would hold all services.
func Service(s *Std, flags LogFlags, service string, open func(p *Parts) error, run func(p *Parts) error) (err error) {
	p := &Parts{Log: flags.Logger(s.Err).With(slog.String("service", service)), Service: service, Version: s.Version}
	name := "mp3lathe-" + service
	if service == "all" {
		name = "mp3lathe"
	}
	stop, err := flags.TraceFlags.Start(context.Background(), name, s.Version, p.Log)
	if err != nil {
		return err
	}
	defer stop() // when the parts have said their last
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
