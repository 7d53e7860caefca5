package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// Main is the TestMain of a package whose tests share a server: it starts it, runs the
// tests, stops it, and looks for goroutines that are left. m is the *testing.M. It
// returns the exit code.
func Main[S interface{ Stop() error }](m interface{ Run() int }, start func(context.Context) (S, error), shared *S) int {
	server, err := start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*shared = server
	code := m.Run()
	err = server.Stop()
	if code == 0 { // a test that fails leaves things behind
		err = errors.Join(err, goleak.Find())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
