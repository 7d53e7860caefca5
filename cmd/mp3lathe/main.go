// Command mp3lathe turns MP4 files and their relatives into MP3.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	enter()
	// A reader that goes away must not kill the process half-way through a
	// file: the write fails instead, and the command ends in order.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	// After the first signal they have their usual effect again, so that the
	// second one ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// stopSignals returns the signals that ask for an orderly end. One that the
// parent has switched off, as nohup does with SIGHUP, stays off.
func stopSignals() []os.Signal {
	var signals []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}
