package main

import (
	"context"

	"github.com/mp3lathe/mp3lathe/internal/app"
)

// listenFlag is where "mp3lathe serve" listens.
type listenFlag struct {
	Listen string `short:"l" group:"Service:" placeholder:"ADDRESS" default:"127.0.0.1:8080" env:"MP3LATHE_LISTEN" help:"Address to listen on."`
}

// healthCmd is "mp3lathe health".
type healthCmd struct {
	listenFlag
	app.AskFlags
}

func (*healthCmd) usage() string { return "mp3lathe health [flags]" }

func (*healthCmd) footer() string {
	return `The address is that of the mp3lathe serve that is asked. The exit code is 0 if it is
ready, or alive with --live, and else 1. Container engines want such a command.
`
}

// Run asks.
func (c *healthCmd) Run(ctx context.Context, std *stdio) error {
	return c.Ask(ctx, std.out, "listen", c.Listen)
}
