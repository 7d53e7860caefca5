package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// The exit codes; exitCodes in help.go tells people what they mean.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// cli is the whole command line.
type cli struct {
	Convert    convertCmd    `cmd:"" help:"Convert MP4 files to MP3."`
	Probe      probeCmd      `cmd:"" help:"Show what is in MP4 files."`
	Serve      serveCmd      `cmd:"" help:"Serve the whole system from this machine: upload, convert, download, mail."`
	Login      loginCmd      `cmd:"" help:"Log in to a service."`
	Logout     logoutCmd     `cmd:"" help:"Log out again."`
	Whoami     whoamiCmd     `cmd:"" help:"Show who is logged in, and where."`
	Keys       keysCmd       `cmd:"" help:"List, make and revoke API keys."`
	Admin      adminCmd      `cmd:"" help:"Make administrators, and jobs of what an older service has kept."`
	Health     healthCmd     `cmd:"" help:"Ask the mp3lathe serve that runs on this machine whether it is well."`
	Version    versionCmd    `cmd:"" help:"Show the versions of this program and its libraries."`
	Completion completionCmd `cmd:"" help:"Print a script that completes the command line in a shell."`

	VersionFlag versionFlag `name:"version" help:"Show the version."`
}

// stdio is the input and the outputs of a command.
type stdio struct {
	in  io.Reader
	out *stickyWriter
	err io.Writer
}

// stickyWriter remembers the first error, so that printing needs no checks and
// run can still say that the output is incomplete.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	s.err = err
	return n, err
}

// usageError is a command line that cannot be obeyed.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, a ...any) error { return usageError{fmt.Sprintf(format, a...)} }

var (
	// errReported means that some input failed and that this has been said.
	errReported = errors.New("some input failed")
	// errInterrupted means that a signal ended the command, which has been said.
	errInterrupted = errors.New("interrupted")
)

// run is the command without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	std := &stdio{in: stdin, out: &stickyWriter{w: stdout}, err: stderr}
	err := execute(ctx, args, std)
	if err == nil || errors.Is(err, errReported) {
		if werr := std.out.err; werr != nil {
			// Whoever closed the pipe knows that, and wants to hear no more.
			err = errReported
			if !brokenPipe(werr) {
				err = fmt.Errorf("cannot write to standard output: %w", innermost(werr))
			}
		}
	}
	var (
		usage    usageError
		settings app.SettingsError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &settings):
		for _, sentence := range settings {
			fmt.Fprintf(stderr, "mp3lathe: %s\n", printable(sentence))
		}
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "mp3lathe: %s\n", printable(usage.text))
		return exitUsage
	}
	fmt.Fprintf(stderr, "mp3lathe: %s\n", printable(app.Plain(err)))
	return exitFailed
}

// execute parses the command line and runs the command in it.
func execute(ctx context.Context, args []string, std *stdio) error {
	var (
		grammar cli
		exited  bool
	)
	parser, err := newParser(&grammar, std, func(int) { exited = true })
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usageError{"say what to do: mp3lathe convert FILE, mp3lathe probe FILE; mp3lathe --help shows all"}
	}
	kctx, err := parser.Parse(args)
	if exited || std.out.err != nil { // --help and --version have printed what they could
		return nil
	}
	if err != nil {
		return parseError(err, args)
	}
	app.FlagsFirst(kctx)
	kctx.BindTo(ctx, (*context.Context)(nil))
	return kctx.Run(std)
}

func newParser(grammar *cli, std *stdio, exit func(int), more ...kong.Option) (*kong.Kong, error) {
	return kong.New(grammar, append([]kong.Option{
		kong.Name("mp3lathe"),
		kong.Description("mp3lathe turns MP4 and its relatives (M4A, M4B, M4V, MOV, 3GP) into MP3."),
		kong.Writers(std.out, std.err),
		kong.Exit(exit),
		kong.Vars{
			"bitrates": numbers(transcode.Bitrates()),
			"rates":    numbers(transcode.SampleRates()),
			"tags":     strings.Join(job.TagNames(), ", "),
		},
		// A laptop should not have to wait for minutes.
		app.Vars("20s"),
		kong.Help(printHelp),
		kong.ValueFormatter(app.Describe),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, Compact: true, WrapUpperBound: 100}),
	}, more...)...)
}

// parseError turns what kong says about a command line into a usage error that
// names the help, and knows the commonest slip: a file without a command.
func parseError(err error, args []string) error {
	command := ""
	var perr *kong.ParseError
	if errors.As(err, &perr) && perr.Context != nil && perr.Context.Selected() != nil {
		command = " " + perr.Context.Selected().Name
	}
	if first := args[0]; command == "" && !strings.HasPrefix(first, "-") {
		if _, serr := os.Stat(first); serr == nil {
			return usagef("%s is not a command; to convert it: mp3lathe convert %[1]s", first)
		}
	}
	text := err.Error()
	if flag, _, ok := strings.Cut(text, ": expected "); ok && strings.Contains(text, "<EOL>") {
		text = flag + " needs a value"
	}
	if strings.HasPrefix(text, `expected "<in>`) {
		text = "no input is given"
	}
	return usagef("%s; mp3lathe%s --help shows how", strings.TrimSuffix(text, "?"), command)
}
