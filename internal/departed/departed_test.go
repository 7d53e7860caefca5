package departed

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// mariadb is started once for all tests.
var mariadb *testserver.MariaDBServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.MariaDB, &mariadb)) }

// onBoth runs a test on each database.
func onBoth(t *testing.T, f func(*testing.T, *sqldb.DB)) {
	t.Parallel()
	for name, newURL := range map[string]func() (string, error){
		"sqlite":  func() (string, error) { return "sqlite:" + filepath.Join(t.TempDir(), "test.db"), nil },
		"mariadb": func() (string, error) { return mariadb.NewDatabase(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, err := newURL()
			if err != nil {
				t.Fatal(err)
			}
			db, err := sqldb.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			for range 2 { // the second one finds nothing to do
				if err := Migrate(t.Context(), db); err != nil {
					t.Fatal(err)
				}
			}
			f(t, db)
		})
	}
}

func TestDepartures(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
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
		if err := db.Close(); err != nil {
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
