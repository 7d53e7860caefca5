package worker_test

import (
	"flag"
	"log/slog"
	"os"
	"testing"

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
	// Most tests wait, for the disk or for their time to come.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(testserver.Main(m, testserver.MariaDB, &mariadb))
}
