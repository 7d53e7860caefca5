package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// QueryTimeout is the limit that [DB.Bound] sets.
const QueryTimeout = 10 * time.Second

// Dialect is the SQL that a database speaks.
type Dialect string

// The dialects.
const (
	MySQL  Dialect = "mysql"
	SQLite Dialect = "sqlite"
)

// DB is an open database. Its methods may be called by many at a time.
type DB struct {
	*sql.DB

	dialect Dialect
	name    string
	// migrator opens the database anew for changes of its schema, which may take
	// longer than a query, over a single connection.
	migrator func() (*sql.DB, error)
	relaxed  *DB // nil if there is no difference

	newer atomic.Bool // see Newer

	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

// Open opens the database of a URL and asks whether it answers, for at most
// [QueryTimeout]:
//
//	mysql://user:password@host:port/name[?tls=true|skip-verify|preferred|false]
//	sqlite:/path/file.db
//
// Special characters in user and password are to be percent-encoded. The port may
// be left out (3306). An SQLite file is made, readable by its owner only, if it is
// not there; its folder is not.
func Open(ctx context.Context, url string) (*DB, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	var db *DB
	var err error
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		db, err = openSQLite(path)
	} else {
		db, err = openMySQL(url)
	}
	if err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	if err := db.reach(ctx); err != nil {
		return nil, fmt.Errorf("sqldb: open %s: %w", db, errors.Join(err, db.Close()))
	}
	return db, nil
}

// reach connects. Two who turn a new SQLite file's journal into a WAL at the same time
// get SQLITE_BUSY at once, without the wait that they asked for.
func (db *DB) reach(ctx context.Context) error {
	if db.dialect != SQLite {
		return db.PingContext(ctx)
	}
	return db.Retry(ctx, func() error { return db.PingContext(ctx) })
}

// CheckURL reports what is wrong with a URL for [Open], without the password in it.
// It opens nothing.
func CheckURL(url string) error {
	var err error
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		_, err = sqlitePath(path)
	} else if strings.HasPrefix(url, "mysql://") {
		_, err = mysqlConfig(url)
	} else {
		err = errors.New(`the database's URL must start with "mysql://" or "sqlite:"`)
	}
	if err != nil {
		return fmt.Errorf("sqldb: %w", err)
	}
	return nil
}

// Close closes the database.
func (db *DB) Close() error {
	if db.dialect == MySQL {
		// All is committed. What can fail is to take leave of a server that has died
		// since a connection was used.
		_ = db.DB.Close()
		return nil
	}
	if db.relaxed != nil {
		return errors.Join(db.relaxed.Close(), db.DB.Close())
	}
	return db.DB.Close()
}

// Relaxed is the same database for changes that a power cut may undo. They survive
// the end of the process, and a power cut too once another change is committed by
// db itself. SQLite waits for the disk at each commit, and need not for these; MySQL
// makes no difference.
func (db *DB) Relaxed() *DB {
	if db.relaxed != nil {
		return db.relaxed
	}
	return db
}

// String names the database, without the password.
func (db *DB) String() string { return db.name }

// Dialect is the SQL that the database speaks.
func (db *DB) Dialect() Dialect { return db.dialect }

// Now is the SQL expression of the database's clock: an integer, microseconds since
// the Unix epoch, the same throughout one statement. SQLite's counts in
// milliseconds.
func (db *DB) Now() string {
	if db.dialect == SQLite {
		return "(CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) * 1000)"
	}
	// Unlike UNIX_TIMESTAMP, this knows no time zone.
	return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
}

// Bound limits a context to [QueryTimeout], if it does not end earlier by itself.
func (db *DB) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, QueryTimeout)
}

// Prepared returns a prepared statement, made at the first call. It lives as long
// as the database is open and is not to be closed. Texts are few and constant:
// values belong into placeholders.
func (db *DB) Prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	db.mu.Lock()
	s := db.statements[query]
	db.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	if db.statements == nil {
		db.statements = map[string]*sql.Stmt{}
	}
	first := db.statements[query]
	if first == nil {
		db.statements[query] = s
	}
	db.mu.Unlock()
	if first != nil {
		return first, s.Close()
	}
	return s, nil
}
