package sqldb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var server *testserver.MariaDBServer

// migrateEnv makes this test's program one that migrates a database and ends.
const migrateEnv = "SQLDB_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateEnv); url != "" {
		os.Exit(migrateAndExit(url))
	}
	os.Exit(testserver.Main(m, testserver.MariaDB, &server))
}

func migrateAndExit(url string) int {
	db, err := Open(context.Background(), url)
	if err == nil {
		defer db.Close()
		err = db.Migrate(context.Background(), counted, "test_schema")
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// each runs a test on every kind of database, at the same time.
func each(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Parallel()
	for _, kind := range []Dialect{SQLite, MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, open(t, newURL(t, kind)))
		})
	}
}

func newURL(t testing.TB, kind Dialect) string {
	t.Helper()
	if kind == SQLite {
		return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	}
	url, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t testing.TB, url string) *DB {
	t.Helper()
	db, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t testing.TB, db *DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func number(t testing.TB, db *DB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
