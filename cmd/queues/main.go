// Command queues serves a page about mp3lathe's queues, for gateways to show to
// administrators.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/queues"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.Main(ctx, "mp3lathe-queues", "A page about mp3lathe's queues, for gateways to show to administrators.", &queues.CLI{},
		os.Args[1:], &app.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
