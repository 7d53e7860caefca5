package worker_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/internal/departed"
	"github.com/mp3lathe/mp3lathe/internal/events"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/worker"
)

// The parts that the service runs with fit.
var (
	_ worker.Jobs       = (*jobstore.Store)(nil)
	_ worker.SweepJobs  = (*jobstore.Store)(nil)
	_ worker.Queue      = (*queue.Client)(nil)
	_ worker.Publisher  = (*events.Bus)(nil)
	_ worker.Eraser     = (*objstore.Bucket)(nil)
	_ worker.Departures = (*departed.Store)(nil)

	_ worker.ObjectStore[*objstore.Reader, *objstore.Writer] = (*objstore.Bucket)(nil)
)

var discard = slog.New(slog.DiscardHandler)

var mariadb *testserver.MariaDBServer

func TestMain(m *testing.M) {
	planted.Enter()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	// Most tests wait, for the disk or for their time to come.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		return 1, err
	}
	if mariadb, err = testserver.MariaDB(context.Background()); err != nil {
		return 1, err
	}
	code = m.Run()
	if err := mariadb.Stop(); err != nil || code != 0 {
		return code, err
	}
	return code, goleak.Find()
}
