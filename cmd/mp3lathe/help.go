package main

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// described is a command that words its own usage line and what stands below
// its flags.
type described interface {
	usage() string
	footer() string
}

const exitCodes = `Exit codes:
  0    all done
  1    some input failed; the others are done
  2    the command line is wrong; nothing was done
  130  interrupted (Ctrl-C or SIGTERM); no unfinished file is left
`

const rootExamples = `Examples:
  mp3lathe convert talk.mp4            make talk.mp3 beside it
  mp3lathe convert -r Videos Music     a whole folder, as a tree below Music
  mp3lathe probe talk.mp4              show tracks, tags and chapters
`

// printHelp is kong's help with the usage line before it and examples after it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	usage, footer := "mp3lathe COMMAND [flags]", rootExamples+"\n"+exitCodes
	if node := ctx.Selected(); node != nil {
		usage, footer = node.FullPath()+" [flags]", ""
		if d, ok := node.Target.Addr().Interface().(described); ok {
			usage, footer = d.usage(), d.footer()
		}
	}
	fmt.Fprintf(ctx.Stdout, "Usage: %s\n", usage)
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if footer != "" {
		fmt.Fprintf(ctx.Stdout, "\n%s", footer)
	}
	return nil
}
