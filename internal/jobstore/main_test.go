package jobstore

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

// servers are those that the tests share.
var servers *testserver.Databases

func TestMain(m *testing.M) {
	os.Exit(testserver.Main(m, func(ctx context.Context) (*testserver.Databases, error) {
		return testserver.StartDatabases(ctx, real())
	}, &servers))
}

// each runs a test on every kind of database, at the same time.
func each(t *testing.T, test func(t *testing.T, s store)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t, kind))
		})
	}
}

// eachSQL runs a test of what only SQL has.
func eachSQL(t *testing.T, test func(t *testing.T, s *sqlStore)) {
	t.Parallel()
	for _, kind := range sqlKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, openSQL(t, newURL(t, kind)))
		})
	}
}

func newStore(t testing.TB, k kind) store {
	t.Helper()
	return open(t, newURL(t, k))
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

const (
	lease     = time.Minute
	retention = time.Hour
	notifyTo  = "ada@example.com"
)

var (
	owner   = newID()
	result  = job.Result{Key: "out/x/1.mp3", Bytes: 7, Language: "Ä \U0001F3B5 <b>"}
	storage = job.Failure{Code: job.Storage, Detail: "the bucket is away"}
	invalid = job.Failure{Code: job.InvalidData}
	crashed = job.Failure{Code: job.Crashed}
)

// insert makes a queued job whose end is to be told.
func insert(t testing.TB, s store) job.Job {
	t.Helper()
	j, err := s.Insert(t.Context(), job.Job{ID: newID(), Owner: owner, NotifyTo: notifyTo, FileName: "talk.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func claim(t testing.TB, s store, id string, lease time.Duration) job.Job {
	t.Helper()
	j, err := s.Claim(t.Context(), id, "w", lease)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// in makes a job that is in a state.
func in(t testing.TB, s store, state job.State) job.Job {
	t.Helper()
	j := insert(t, s)
	var err error
	switch state {
	case job.Running:
		return claim(t, s, j.ID, lease)
	case job.Succeeded:
		j, err = s.Succeed(t.Context(), j.ID, claim(t, s, j.ID, lease).Attempt, result, retention)
	case job.Failed:
		j, err = s.Fail(t.Context(), j.ID, claim(t, s, j.ID, lease).Attempt, invalid, retention)
	case job.Canceled:
		j, err = s.Cancel(t.Context(), j.ID)
	case job.Expired:
		if _, err = s.Succeed(t.Context(), j.ID, claim(t, s, j.ID, lease).Attempt, result, 0); err == nil {
			j, err = s.Expire(t.Context(), j.ID)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if j.State != state {
		t.Fatalf("the job is %s, not %s", j.State, state)
	}
	return j
}

func get(t testing.TB, s store, id string) job.Job {
	t.Helper()
	j, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// ids of jobs.
func ids(jobs []job.Job) []string {
	l := make([]string, len(jobs))
	for i, j := range jobs {
		l[i] = j.ID
	}
	return l
}
