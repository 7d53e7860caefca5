package sqldb

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	dialTimeout = 5 * time.Second
	// ioTimeout ends what no context does, such as a rollback on a host that is
	// gone. It lies above QueryTimeout.
	ioTimeout = 15 * time.Second
	// maxConns of one process. Queries are short, and a fleet has many processes.
	maxConns = 16
)

func openMySQL(raw string) (*DB, error) {
	cfg, err := mysqlConfig(raw)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := &DB{DB: sql.OpenDB(connector), dialect: MySQL}
	db.name = "mysql://" + cfg.User + "@" + cfg.Addr + "/" + cfg.DBName
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	// So that a change of the host behind the name is noticed.
	db.SetConnMaxLifetime(30 * time.Minute)

	slow := cfg.Clone()
	slow.ReadTimeout, slow.WriteTimeout = 0, 0
	slow.Params = maps.Clone(cfg.Params)
	// A change of the schema waits for those who read the table.
	slow.Params["lock_wait_timeout"] = "60"
	db.migrator = func() (*sql.DB, error) {
		c, err := mysql.NewConnector(slow)
		if err != nil {
			return nil, err
		}
		return sql.OpenDB(c), nil
	}
	return db, nil
}

// mysqlConfig reads a URL. What net/url says of a bad one may quote the password,
// so that is not passed on.
func mysqlConfig(raw string) (*mysql.Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the MySQL URL cannot be read: want mysql://user:password@host:port/name, special characters percent-encoded")
	}
	name := strings.TrimPrefix(u.Path, "/")
	switch {
	case u.Hostname() == "":
		return nil, errors.New("the MySQL URL names no host")
	case name == "" || strings.Contains(name, "/"):
		return nil, errors.New("the MySQL URL names no database")
	case u.User.Username() == "":
		return nil, errors.New("the MySQL URL names no user")
	case u.Fragment != "":
		return nil, errors.New("the MySQL URL has a #, which is to be percent-encoded")
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(u.Hostname(), "3306")
	if port := u.Port(); port != "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), port)
	}
	cfg.User, cfg.DBName = u.User.Username(), name
	cfg.Passwd, _ = u.User.Password()
	params, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the MySQL URL's parameters cannot be read")
	}
	for key, values := range params {
		modes := []string{"true", "skip-verify", "preferred", "false"}
		switch {
		case key != "tls":
			return nil, fmt.Errorf("the MySQL URL has the parameter %q; there is tls", key)
		case len(values) != 1 || !slices.Contains(modes, values[0]):
			return nil, fmt.Errorf("the MySQL URL's tls must be one of %s", strings.Join(modes, ", "))
		}
		cfg.TLSConfig = values[0]
	}

	cfg.Collation = "utf8mb4_bin"
	cfg.Loc, cfg.ParseTime = time.UTC, true
	// An update that finds the row as it should be has found it.
	cfg.ClientFoundRows = true
	// What is not prepared takes one round trip instead of three.
	cfg.InterpolateParams = true
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	cfg.Logger = &mysql.NopLogger{} // errors are returned
	cfg.Params = map[string]string{
		"time_zone": "'+00:00'",
		// What does not fit is an error and is not cut.
		"sql_mode": "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
		// A statement that is given up on does not wait for rows for long.
		"innodb_lock_wait_timeout": "5",
		"lock_wait_timeout":        "10",
	}
	return cfg, nil
}
