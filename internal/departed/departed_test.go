package departed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/jobstore/mongo"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// servers are started once for all tests.
var servers *testserver.Databases

func TestMain(m *testing.M) {
	os.Exit(testserver.Main(m, func(ctx context.Context) (*testserver.Databases, error) {
		return testserver.StartDatabases(ctx, os.Getenv("MP3LATHE_TEST_MONGODB"))
	}, &servers))
}

// onEach runs a test on each database, MongoDB with the departures of its own package.
func onEach(t *testing.T, f func(t *testing.T, s jobs.Departures, close func() error)) {
	t.Parallel()
	for name, newURL := range map[string]func() (string, error){
		"sqlite":  func() (string, error) { return "sqlite:" + filepath.Join(t.TempDir(), "test.db"), nil },
		"mariadb": func() (string, error) { return servers.MariaDB.NewDatabase(t.Context()) },
		"mongodb": servers.Mongo.NewDatabase,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, err := newURL()
			if err != nil {
				t.Fatal(err)
			}
			s, close := open(t, url)
			t.Cleanup(func() { close() })
			f(t, s, close)
		})
	}
}

func open(t *testing.T, url string) (jobs.Departures, func() error) {
	t.Helper()
	if mongodb.IsURL(url) {
		db, err := mongodb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mongo.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		return mongo.NewDepartures(db), db.Close
	}
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one finds nothing to do
		if err := Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	return New(db), db.Close
}

func TestDepartures(t *testing.T) {
	onEach(t, func(t *testing.T, s jobs.Departures, close func() error) {
		ctx := t.Context()
		due := func(limit int) (owners []string) {
			t.Helper()
			all, err := s.Due(ctx, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range all {
				if d.Age < 0 || d.Age > time.Minute {
					t.Errorf("%+v", d)
				}
				owners = append(owners, d.Owner)
			}
			return owners
		}
		if got := due(10); len(got) != 0 {
			t.Errorf("%v", got)
		}
		var wg sync.WaitGroup
		for range 4 {
			for _, owner := range []string{"ada", "eve"} {
				wg.Go(func() {
					if err := s.Depart(ctx, owner); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if len(due(10)) != 2 || len(due(1)) != 1 {
			t.Errorf("%v", due(10))
		}
		if err := s.Again(ctx, "ada", time.Hour); err != nil {
			t.Error(err)
		}
		// To say so again does not begin it anew.
		if err := s.Depart(ctx, "ada"); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(due(10)); got != "[eve]" {
			t.Errorf("%v", got)
		}
		if err := s.Again(ctx, "ada", -time.Second); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(due(10)); got != "[ada eve]" && got != "[eve ada]" {
			t.Errorf("%v", got)
		}
		if err := s.Forget(ctx, "eve"); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(due(10)); got != "[ada]" {
			t.Errorf("%v", got)
		}
		for _, bad := range []string{"", strings.Repeat("x", 65)} {
			if err := s.Depart(ctx, bad); err == nil {
				t.Errorf("%q is taken", bad)
			}
		}
		if err := close(); err != nil {
			t.Fatal(err)
		}
		_, err := s.Due(ctx, 1)
		for i, err := range []error{err, s.Depart(ctx, "x"), s.Again(ctx, "x", 0), s.Forget(ctx, "x")} {
			if err == nil {
				t.Errorf("call %d works without a database", i)
			}
		}
	})
}
