package fair

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

var maria *testserver.MariaDBServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.MariaDB, &maria)) }

func newStore(t testing.TB, kind sqldb.Dialect) *jobstore.Store {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "jobs.db")
	if kind == sqldb.MySQL {
		var err error
		if url, err = maria.NewDatabase(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := jobstore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return jobstore.New(db)
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// submit makes a queued job.
func submit(t testing.TB, s Jobs, owner string) job.Job {
	t.Helper()
	j, err := s.Submit(context.WithoutCancel(t.Context()), job.Submission{Job: job.Job{ID: newID(), Owner: owner}})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

const lease = time.Minute

var quiet = slog.New(slog.DiscardHandler)

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}
