package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// lockTimeout is how long Migrate waits for another one, if ctx does not end
// earlier.
const lockTimeout = 5 * time.Minute

// Migrate brings the schema up to the newest of the migrations, which are files as
// goose knows them (NNNN_name.sql) in the folders mysql and sqlite. Table is where
// the versions are kept, a name in lower case; each set of migrations has its own.
//
// Many may call it at the same time: one does the work under a lock, the others
// wait for it, for at most five minutes. A schema that is newer than the
// migrations, because a newer program made it, is left alone; [DB.Newer] tells.
//
// On SQLite all that is pending is one transaction. MySQL commits every change of a
// table at once, so a migration should be a single statement, or one that can run
// twice.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS, table string) error {
	if err := db.migrate(ctx, migrations, table); err != nil {
		return fmt.Errorf("sqldb: migrate %s of %s: %w", table, db, err)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context, migrations fs.FS, table string) (err error) {
	if table == "" || strings.Trim(table, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return fmt.Errorf("%q is not the name of a table", table)
	}
	dir, err := fs.Sub(migrations, string(db.dialect))
	if err != nil {
		return err
	}
	pool, err := db.migrator()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if db.dialect == SQLite {
		err = migrateSQLite(ctx, pool, dir, table)
	} else {
		err = migrateMySQL(ctx, pool, dir, table)
	}
	if err != nil {
		return err
	}
	return db.compare(ctx, pool, dir, table)
}

// compare finds out whether the schema is newer than the migrations in dir.
func (db *DB) compare(ctx context.Context, pool *sql.DB, dir fs.FS, table string) error {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return err
	}
	var known, there int64
	for _, e := range entries {
		if version, err := goose.NumericComponent(e.Name()); err == nil {
			known = max(known, version)
		}
	}
	if err := pool.QueryRowContext(ctx, "SELECT MAX(version_id) FROM "+table).Scan(&there); err != nil {
		return err
	}
	if there > known {
		db.newer.Store(true)
	}
	return nil
}

// Newer reports whether a [DB.Migrate] has found a schema that a newer program made.
func (db *DB) Newer() bool { return db.newer.Load() }

// up runs goose. Its own lock is not used: goose makes its table before it takes it.
func up(ctx context.Context, dialect goose.Dialect, pool *sql.DB, dir fs.FS, table string, opts ...goose.ProviderOption) error {
	opts = append(opts, goose.WithTableName(table), goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(dialect, pool, dir, opts...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// migrateMySQL holds a lock of the server's on a connection of its own.
func migrateMySQL(ctx context.Context, pool *sql.DB, dir fs.FS, table string) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var database string
	if err := conn.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&database); err != nil {
		return err
	}
	name := lockName(database, table)
	wait, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for got := false; !got; {
		// By the second, so that a server does not keep on waiting for one that left.
		var answer sql.NullBool
		if err := conn.QueryRowContext(wait, "SELECT GET_LOCK(?, 1)", name).Scan(&answer); err != nil {
			return fmt.Errorf("wait for the lock: %w", err)
		}
		if got = answer.Bool; !answer.Valid {
			return errors.New("wait for the lock: the server refuses it")
		}
	}
	defer func() {
		// A failure is harmless: closing the connection releases it too.
		free, cancel := context.WithTimeout(context.WithoutCancel(ctx), QueryTimeout)
		defer cancel()
		_, _ = conn.ExecContext(free, "DO RELEASE_LOCK(?)", name)
	}()
	return up(ctx, goose.DialectMySQL, pool, dir, table)
}

// lockName is the name of the lock: the server has only one set of them, and takes
// at most 64 characters.
func lockName(database, table string) string {
	sum := sha256.Sum256([]byte(database + "." + table))
	return "mp3lathe:migrate:" + hex.EncodeToString(sum[:16])
}

// migrateSQLite wraps everything into a transaction of the pool's only connection.
func migrateSQLite(ctx context.Context, pool *sql.DB, dir fs.FS, table string) error {
	wait, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for {
		_, err := pool.ExecContext(wait, "BEGIN IMMEDIATE")
		if err == nil {
			break
		}
		if !IsContention(err) || wait.Err() != nil {
			return fmt.Errorf("wait for the lock: %w", err)
		}
	}
	// IsolateDDL: goose begins no transactions of its own.
	err := up(ctx, goose.DialectSQLite3, pool, dir, table, goose.WithIsolateDDL(true))
	end := "COMMIT"
	if err != nil {
		end = "ROLLBACK"
	}
	_, endErr := pool.ExecContext(context.WithoutCancel(ctx), end)
	if err != nil {
		return err // closing the connection rolls back too
	}
	return endErr
}
