// Command auth keeps the accounts of mp3lathe's users and signs their tokens.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mp3lathe/mp3lathe/internal/app"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Main(ctx, "mp3lathe-auth", "Keeps accounts and signs access tokens.", &app.AuthCLI{},
		os.Args[1:], &app.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: version}))
}
