package sqldb

import (
	"context"
	"errors"
	"io/fs"
	"os"
	osexec "os/exec"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// both makes migrations that are the same for both dialects.
func both(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range files {
		for _, dir := range []string{"mysql/", "sqlite/"} {
			m[dir+name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
		}
	}
	return m
}

// counted are migrations of which one may not run twice, and nothing would stop it.
var counted = both(map[string]string{
	"0001_table.sql": "CREATE TABLE runs (n INTEGER);",
	"0002_row.sql":   "INSERT INTO runs VALUES (1);",
})

func TestMigrate(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		for range 3 { // again: nothing is left to do
			if err := db.Migrate(t.Context(), counted, "test_schema"); err != nil {
				t.Fatal(err)
			}
		}
		if n := number(t, db, "SELECT COUNT(*) FROM runs"); n != 1 {
			t.Errorf("it ran %d times", n)
		}
		// Another set in the same database has its own count.
		if err := db.Migrate(t.Context(), both(map[string]string{"0001_x.sql": "CREATE TABLE x (n INTEGER);"}), "other_schema"); err != nil {
			t.Fatal(err)
		}
		// A newer program adds one; the older one that starts after it does no harm.
		newer := both(map[string]string{
			"0001_table.sql": "CREATE TABLE runs (n INTEGER);",
			"0002_row.sql":   "INSERT INTO runs VALUES (1);",
			"0003_add.sql":   "ALTER TABLE runs ADD COLUMN extra INTEGER NOT NULL DEFAULT 5;",
		})
		if err := db.Migrate(t.Context(), newer, "test_schema"); err != nil || db.Newer() {
			t.Fatal(err, db.Newer())
		}
		if err := db.Migrate(t.Context(), counted, "test_schema"); err != nil || !db.Newer() {
			t.Fatal(err, db.Newer())
		}
		if n := number(t, db, "SELECT SUM(extra) FROM runs"); n != 5 {
			t.Error(n)
		}
		for _, table := range []string{"", "a b", "x; DROP TABLE runs", "A"} {
			if err := db.Migrate(t.Context(), counted, table); err == nil {
				t.Errorf("the table %q", table)
			}
		}
		if err := db.Migrate(t.Context(), fstest.MapFS{}, "empty_schema"); err == nil {
			t.Error("no migrations at all")
		}
	})
}

// TestMigrateFails: a migration that fails is told, and can be repaired. On SQLite
// nothing is left of it, nor of those before it.
func TestMigrateFails(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		if err := db.Migrate(t.Context(), both(map[string]string{
			"0001_table.sql": "CREATE TABLE runs (n INTEGER);",
			"0002_row.sql":   "INSERT INTO runs VALUES (1);\nINSERT INTO nowhere VALUES (1);",
		}), "test_schema"); err == nil {
			t.Fatal("it worked")
		}
		if db.Dialect() == SQLite {
			if n := number(t, db, "SELECT COUNT(*) FROM sqlite_schema"); n != 0 {
				t.Errorf("%d tables and indexes are left", n)
			}
		}
		if err := db.Migrate(t.Context(), counted, "test_schema"); err != nil {
			t.Fatal(err)
		}
		if n := number(t, db, "SELECT COUNT(*) FROM runs"); n != 1 {
			t.Errorf("it ran %d times", n)
		}
	})
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []Dialect{SQLite, MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					db, err := Open(t.Context(), url)
					if err != nil {
						t.Error(err)
						return
					}
					defer db.Close()
					if err := db.Migrate(t.Context(), counted, "test_schema"); err != nil {
						t.Error(err)
					}
				})
			}
			// And other processes.
			for range 4 {
				wg.Go(func() {
					cmd := osexec.CommandContext(t.Context(), os.Args[0])
					cmd.Env = append(os.Environ(), migrateEnv+"="+url)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				})
			}
			wg.Wait()
			if n := number(t, open(t, url), "SELECT COUNT(*) FROM runs"); n != 1 {
				t.Errorf("it ran %d times", n)
			}
		})
	}
}

// TestMigrateWaits: as long as somebody else migrates, and the context lasts.
func TestMigrateWaits(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		slow := both(map[string]string{"0001_x.sql": "CREATE TABLE x (n INTEGER);"})
		if err := db.Migrate(t.Context(), slow, "test_schema"); err != nil {
			t.Fatal(err)
		}
		release := hold(t, db)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := db.Migrate(ctx, slow, "test_schema")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the lock is held, and yet: %v", err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("given up after %v", d)
		}
		release()
		if err := db.Migrate(t.Context(), slow, "test_schema"); err != nil {
			t.Error(err)
		}
	})
}

// hold takes the lock of a migration.
func hold(t *testing.T, db *DB) (release func()) {
	t.Helper()
	pool, err := db.migrator()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if db.Dialect() == SQLite {
		_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	} else {
		var name string
		if err = conn.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&name); err == nil {
			_, err = conn.ExecContext(t.Context(), "DO GET_LOCK(?, 0)", lockName(name, "test_schema"))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		conn.Close()
		pool.Close()
	}
}
