package mongo

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

// What only MongoDB has. The tests of what all stores do are those of package jobstore.

var server *testserver.MongoDBServer

func TestMain(m *testing.M) {
	os.Exit(testserver.Main(m, func(ctx context.Context) (*testserver.MongoDBServer, error) {
		return testserver.MongoDB(ctx, os.Getenv("MP3LATHE_TEST_MONGODB"))
	}, &server))
}

func newDB(t testing.TB) *mongodb.DB {
	t.Helper()
	url, err := server.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return openDB(t, url)
}

func openDB(t testing.TB, url string) *mongodb.DB {
	t.Helper()
	db, err := mongodb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newStore(t testing.TB) *Store {
	t.Helper()
	db := newDB(t)
	if _, err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return New(db)
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

const (
	lease     = time.Minute
	retention = time.Hour
	owner     = "anna"
)

// claimed is a key that its holder has.
func claimed(t testing.TB, s *Store) *job.Keyed {
	t.Helper()
	k := &job.Keyed{RequestKey: job.RequestKey{Owner: owner, Name: newID(), Holder: newID()}, Request: job.Request{Head: "h", Body: "b", Bytes: 1}}
	if _, ok, err := s.ClaimKey(t.Context(), *k, lease); err != nil || !ok {
		t.Fatal(ok, err)
	}
	return k
}

// leadsTo is the job to which a key leads, as another request finds it.
func leadsTo(t testing.TB, s *Store, k *job.Keyed) string {
	t.Helper()
	other := *k
	other.Holder = newID()
	rec, ok, err := s.ClaimKey(t.Context(), other, lease)
	if err != nil || ok {
		t.Fatalf("another has the key: %t, %v", ok, err)
	}
	return rec.JobID
}

func submission(k *job.Keyed, twin string) job.Submission {
	return job.Submission{Job: job.Job{ID: newID(), Owner: owner, NotifyTo: "a@example.com", FileName: "a.mp4"}, Twin: twin, Key: k}
}

func made(t testing.TB, s *Store, sub job.Submission) job.Job {
	t.Helper()
	j, err := s.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// failedJob is one that can be retried.
func failedJob(t testing.TB, s *Store) job.Job {
	t.Helper()
	j := made(t, s, submission(nil, newID()))
	if _, err := s.Claim(t.Context(), j.ID, "w", lease); err != nil {
		t.Fatal(err)
	}
	j, err := s.Fail(t.Context(), j.ID, 1, job.Failure{Code: job.Internal}, retention)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
