package sqldb

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // the driver
)

// sqlitePath is the absolute path in what follows "sqlite:".
func sqlitePath(path string) (string, error) {
	if strings.HasPrefix(path, "///") {
		path = path[2:]
	}
	if path == "" || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "//") {
		return "", errors.New("the SQLite URL names no file: want sqlite:/path/file.db")
	}
	return filepath.Abs(path)
}

// writable is W_OK of access(2).
const writable = 2

// touch makes an empty file that only its owner may read, since rows hold addresses.
// One that is there already must be writable: SQLite would take it otherwise, and
// fail at the first change.
//
// It opens no file by this name. To close one would drop all locks that this process
// has on it (POSIX), those of another connection that was faster.
func touch(path string) error {
	err := syscall.Access(path, writable)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "write to", Path: path, Err: err}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "open", Path: path, Err: e.Err} // the name that the user knows
	}
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func openSQLite(path string) (*DB, error) {
	path, err := sqlitePath(path)
	if err != nil {
		return nil, err
	}
	if err := touch(path); err != nil {
		return nil, err // it names the file
	}

	open := func(synchronous string) (*sql.DB, error) {
		q := url.Values{
			"_busy_timeout": {"5000"},
			"_journal_mode": {"WAL"},
			"_synchronous":  {synchronous},
			"_foreign_keys": {"1"},
			"_txlock":       {"immediate"}, // a transaction that will write says so at once
			"_dqs":          {"0"},
		}
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
		if err == nil {
			// SQLite has one writer, and those who wait are better off in
			// database/sql's queue than in a loop of retries.
			db.SetMaxOpenConns(1)
			db.SetConnMaxIdleTime(0)
		}
		return db, err
	}
	full := func() (*sql.DB, error) { return open("FULL") } // an accepted job survives a power cut
	db, err := full()
	if err != nil {
		return nil, err
	}
	relaxed, err := open("NORMAL")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	d := &DB{DB: db, dialect: SQLite, name: "sqlite:" + path, migrator: full}
	d.relaxed = &DB{DB: relaxed, dialect: SQLite, name: d.name, migrator: full}
	return d, nil
}
