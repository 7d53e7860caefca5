package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// TestFrozenServer runs before those that run at the same time, and would stop.
func TestFrozenServer(t *testing.T) {
	db := open(t, newURL(t, MySQL))
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Thaw(); err != nil {
			t.Fatal(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, queryErr := db.ExecContext(ctx, "DO 1")
	txErr := db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error { return nil })
	migrateErr := db.Migrate(ctx, counted, "test_schema")
	if queryErr == nil || txErr == nil || migrateErr == nil {
		t.Errorf("a server that hangs answers: %v, %v, %v", queryErr, txErr, migrateErr)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("given up after %v", d)
	}
}

// TestRestartedServer: what was committed is there, and an open database connects
// anew by itself.
func TestRestartedServer(t *testing.T) {
	db := open(t, newURL(t, MySQL))
	exec(t, db, "CREATE TABLE t (n BIGINT)")
	exec(t, db, "INSERT INTO t VALUES (7)")
	stmt, err := db.Prepared(t.Context(), "SELECT n FROM t")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	for range 3 {
		if err = stmt.QueryRowContext(t.Context()).Scan(&n); err == nil {
			break
		}
	}
	if err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	const password = "s3cr/t?#%"
	taken := strings.TrimPrefix(newURL(t, MySQL), "mysql://")
	host := taken[strings.LastIndex(taken, "@")+1:]
	for _, url := range []string{
		"", "postgres://u:" + password + "@h/db", "mysql:", "mysql://", "mysql://host", "mysql://u:p@/db",
		"mysql://u:" + password + "@host:3306/db",
		"mysql://u:s3cr@host:s3cr/db", "mysql://u:s3cr%zz@host/db", "mysql://u:s3cr@host/", "mysql://u:s3cr@host/a/b",
		"mysql://:s3cr@host/db", "mysql://u:s3cr@host/db?s3cr=%zz", "mysql://u:s3cr@host/db?multiStatements=true",
		"mysql://u:s3cr@host/db?tls=maybe", "mysql://u:s3cr@host/db?tls=true&tls=false", "mysql://u:s3cr@host/db#x",
		"mysql://u:s3cr@127.0.0.1:1/db",        // nobody there
		"mysql://nobody:s3cr@" + host,          // denied
		"mysql://nobody:s3cr@" + host + "xyz",  // no such database
		"mysql://u:s3cr@" + host + "?tls=true", // the server has none
		"sqlite:", "sqlite::memory:", "sqlite://host/x.db", "sqlite:" + t.TempDir(), "sqlite:" + t.TempDir() + "/no/x.db",
	} {
		db, err := Open(t.Context(), url)
		if err == nil {
			db.Close()
			t.Errorf("%s: opened", url)
			continue
		}
		if !strings.HasPrefix(err.Error(), "sqldb: ") || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%s: %v", url, err)
		}
	}
	db := open(t, newURL(t, MySQL))
	if s := fmt.Sprintf("%v %s %+v", db, db, db); strings.Contains(s, "p/w") || strings.Contains(s, "p%2Fw") || !strings.Contains(s, "mysql://test") {
		t.Error(s)
	}
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.db", "a b?c=d#e%41&ü.db", "_pragma=x.db"} {
		path := filepath.Join(t.TempDir(), name)
		first := open(t, "sqlite:"+path)
		second := open(t, "sqlite://"+path)
		exec(t, first, "CREATE TABLE t (n INTEGER)")
		exec(t, second, "INSERT INTO t VALUES (1)")
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			var got string
			if err := first.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
			}
		}
		if first.Dialect() != SQLite || first.String() != "sqlite:"+path {
			t.Errorf("%s, %s", first.Dialect(), first)
		}
	}
}

func TestMySQLSession(t *testing.T) {
	t.Parallel()
	db := open(t, newURL(t, MySQL))
	if db.Dialect() != MySQL {
		t.Error(db.Dialect())
	}
	for variable, want := range map[string]string{
		"@@time_zone": "+00:00", "@@character_set_client": "utf8mb4", "@@character_set_results": "utf8mb4",
		"@@collation_connection": "utf8mb4_bin",
	} {
		var got string
		if err := db.QueryRowContext(t.Context(), "SELECT "+variable).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", variable, got, err, want)
		}
	}
	exec(t, db, "CREATE TABLE t (s VARCHAR(3))")
	if _, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (?)", "long"); err == nil {
		t.Error("what does not fit was cut")
	}
	exec(t, db, "INSERT INTO t VALUES (?)", "abc")
	r, err := db.ExecContext(t.Context(), "UPDATE t SET s = 'abc'")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		t.Errorf("%d rows found, %v", n, err)
	}
	// Within a transaction what others have committed is seen.
	if err := db.InTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		for _, want := range []string{"abc", "new"} {
			var got string
			if err := tx.QueryRowContext(ctx, "SELECT s FROM t").Scan(&got); err != nil || got != want {
				return fmt.Errorf("%q, %w; want %q", got, err, want)
			}
			exec(t, db, "UPDATE t SET s = 'new'")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestNow(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		before := time.Now().Add(-2 * time.Millisecond) // SQLite's resolution
		now := time.UnixMicro(number(t, db, "SELECT "+db.Now()))
		if now.Before(before) || now.After(time.Now().Add(2*time.Millisecond)) {
			t.Errorf("%v, and here %v", now, time.Now())
		}
		if d := number(t, db, "SELECT "+db.Now()+" - "+db.Now()); d != 0 {
			t.Errorf("it moves by %d within a statement", d)
		}
		last := int64(0)
		for range 200 {
			n := number(t, db, "SELECT "+db.Now())
			if n < last {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
	})
}

func TestDuplicate(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		exec(t, db, "CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, name VARCHAR(9) NOT NULL UNIQUE)")
		exec(t, db, "INSERT INTO t VALUES ('a', 'x')")
		for values, want := range map[string]bool{"('a', 'y')": true, "('b', 'x')": true, "('c', NULL)": false} {
			_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES "+values)
			if err == nil || IsDuplicate(err) != want || IsDuplicate(fmt.Errorf("wrapped: %w", err)) != want || IsContention(err) {
				t.Errorf("%s: %v", values, err)
			}
		}
		if IsDuplicate(nil) || IsContention(nil) || IsDuplicate(errors.New("x")) {
			t.Error("no error is one of those")
		}
	})
}

// TestInTx: reading and writing in a transaction loses no update, whatever gets in
// the way: each locks two rows in the order it likes.
func TestInTx(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		exec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
		exec(t, db, "INSERT INTO t VALUES (0, 0), (1, 0)")
		lock := ""
		if db.Dialect() == MySQL {
			lock = " FOR UPDATE"
		}
		const workers, rounds = 4, 10
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for range rounds {
					err := db.InTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
						for i := range 2 {
							id, n := (w+i)%2, 0
							if err := tx.QueryRowContext(ctx, "SELECT n FROM t WHERE id = ?"+lock, id).Scan(&n); err != nil {
								return err
							}
							if _, err := tx.ExecContext(ctx, "UPDATE t SET n = ? WHERE id = ?", n+1, id); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := number(t, db, "SELECT SUM(n) FROM t"); n != 2*workers*rounds {
			t.Errorf("%d, want %d", n, 2*workers*rounds)
		}

		boom := errors.New("boom")
		for _, end := range []func() error{func() error { return boom }, func() error { panic(boom) }} {
			func() {
				defer func() { _ = recover() }()
				err := db.InTx(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
					if _, err := tx.ExecContext(ctx, "UPDATE t SET n = 0"); err != nil {
						return err
					}
					return end()
				})
				if !errors.Is(err, boom) {
					t.Error(err)
				}
			}()
		}
		if n := number(t, db, "SELECT SUM(n) FROM t"); n != 2*workers*rounds {
			t.Errorf("%d after a rollback", n)
		}
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	url := newURL(t, SQLite)
	db, other := open(t, url), open(t, url)
	exec(t, db, "CREATE TABLE t (n INTEGER)")
	exec(t, db, "PRAGMA busy_timeout = 1")
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	calls := 0
	insert := func() error {
		calls++
		_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
		return err
	}
	if err := db.Retry(t.Context(), insert); !IsContention(err) || calls != maxTries {
		t.Errorf("%v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Retry(ctx, insert); !errors.Is(err, context.Canceled) || !IsContention(err) {
		t.Error(err)
	}
	free := func() error {
		if calls++; calls == 2 {
			if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
				t.Error(err)
			}
		}
		_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
		return err
	}
	if calls = 0; db.Retry(t.Context(), free) != nil || calls != 2 {
		t.Errorf("%d calls", calls)
	}
}

func TestPrepared(t *testing.T) {
	each(t, func(t *testing.T, db *DB) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				stmt, err := db.Prepared(t.Context(), "SELECT ? + 1")
				if err != nil {
					t.Error(err)
					return
				}
				n := 0
				if err := stmt.QueryRowContext(t.Context(), i).Scan(&n); err != nil || n != i+1 {
					t.Errorf("%d + 1 = %d, %v", i, n, err)
				}
			})
		}
		wg.Wait()
		if len(db.statements) != 1 {
			t.Errorf("%d statements", len(db.statements))
		}
		if _, err := db.Prepared(t.Context(), "SELEKT"); err == nil {
			t.Error("prepared nonsense")
		}
		ctx, cancel := db.Bound(t.Context())
		defer cancel()
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > QueryTimeout {
			t.Errorf("ends at %v", end)
		}
	})
}

// TestFull: a database that has no room says so in the system's words, whichever it is.
func TestFull(t *testing.T) {
	t.Parallel()
	for kind, prepare := range map[Dialect][]string{
		SQLite: {"PRAGMA max_page_count = 20", "CREATE TABLE t (b BLOB)"},
		MySQL:  {"SET SESSION max_heap_table_size = 65536", "CREATE TABLE t (b VARBINARY(4000)) ENGINE = MEMORY"},
	} {
		db := open(t, newURL(t, kind))
		db.SetMaxOpenConns(1) // the limits are the connection's
		for _, q := range prepare {
			exec(t, db, q)
		}
		var err error
		for range 1000 {
			err = db.Retry(t.Context(), func() error {
				_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (?)", make([]byte, 4000))
				return err
			})
			if err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", kind, err)
		}
		// There is room again.
		exec(t, db, "DELETE FROM t")
		exec(t, db, "INSERT INTO t VALUES ('x')")
		if err := db.Retry(t.Context(), func() error { _, err := db.ExecContext(t.Context(), "no SQL"); return err }); err == nil || errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestRelaxed: commits of the one wait for the disk (synchronous=FULL), those of the
// other do not (NORMAL), and each sees what the other has committed.
func TestRelaxed(t *testing.T) {
	t.Parallel()
	db := open(t, newURL(t, SQLite))
	exec(t, db, "CREATE TABLE t (n BIGINT)")
	for i, c := range []struct {
		db, other *DB
		level     int
	}{{db, db.Relaxed(), 2}, {db.Relaxed(), db, 1}} {
		var level, n int
		if err := c.db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil || level != c.level {
			t.Errorf("synchronous is %d (%v), want %d", level, err, c.level)
		}
		exec(t, c.db, "INSERT INTO t VALUES (1)")
		if err := c.other.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n); err != nil || n != i+1 {
			t.Errorf("%d rows (%v), want %d", n, err, i+1)
		}
	}
	if my := open(t, newURL(t, MySQL)); my.Relaxed() != my {
		t.Error("MySQL has two")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Relaxed().PingContext(t.Context()); err == nil {
		t.Error("it is open after Close")
	}
}

// TestCloseAfterCrash: a server that has died in between is no reason for a service to
// end with an error.
func TestCloseAfterCrash(t *testing.T) {
	t.Parallel()
	server, err := testserver.MariaDB(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	url, err := server.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	stmt, err := db.Prepared(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	var one int
	if err := stmt.QueryRowContext(t.Context()).Scan(&one); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
