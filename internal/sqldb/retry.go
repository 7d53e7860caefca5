package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors of MySQL that have names in its manual only.
const (
	erDiskFull        = 1021
	erGetErrno        = 1030
	erDupEntry        = 1062
	erRecordFileFull  = 1114
	erLockWaitTimeout = 1205
	erLockDeadlock    = 1213
)

// IsDuplicate reports whether a row was refused because another has its key.
func IsDuplicate(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number == erDupEntry
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// IsContention reports whether a statement did nothing because others were in its
// way: a deadlock or a lock that did not come free. It is worth another try.
func IsContention(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number == erLockDeadlock || e.Number == erLockWaitTimeout
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		code := e.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	return false
}

// isFull reports whether a statement did nothing because there is no room for what it
// would write.
func isFull(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		// The error that a storage engine had with the disk stands in the text only.
		return e.Number == erDiskFull || e.Number == erRecordFileFull ||
			e.Number == erGetErrno && strings.HasPrefix(e.Message, fmt.Sprintf("Got error %d ", syscall.ENOSPC))
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_FULL
	}
	return false
}

// maxTries of what meets contention.
const maxTries = 6

// Retry calls f until it ends in something else than contention, six times at the
// most. f must do nothing but one statement, or one transaction. An error that means
// that the database has no room is [syscall.ENOSPC].
func (db *DB) Retry(ctx context.Context, f func() error) error {
	for try := 1; ; try++ {
		err := f()
		if isFull(err) {
			return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
		}
		if try == maxTries || !IsContention(err) {
			return err
		}
		// At random, or those who met will meet again.
		pause := time.NewTimer(rand.N(time.Duration(try) * 10 * time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

// InTx runs f in a transaction that is committed if f returns nil and rolled back
// otherwise, all of it within [QueryTimeout]. MySQL reads what is committed (READ
// COMMITTED): lock a row that you decide on (FOR UPDATE), or change it by
// compare-and-set. On contention it starts over, so f may run several times and
// must do nothing outside of the transaction.
func (db *DB) InTx(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := db.Bound(ctx)
	defer cancel()
	var opts *sql.TxOptions
	if db.dialect == MySQL {
		opts = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return db.Retry(ctx, func() error {
		tx, err := db.BeginTx(ctx, opts)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		defer tx.Rollback() // after Commit it does nothing
		if err := f(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	})
}
