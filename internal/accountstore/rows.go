package accountstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list reads all rows of a query, each by scan.
func list[T any](ctx context.Context, q querier, scan func(scan func(...any) error) (T, error), query string, args ...any) (all []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return all, nil
}

// forUpdate has a SELECT lock its rows. SQLite has one writer at a time anyway.
func (s *Store) forUpdate() string {
	if s.db.Dialect() == sqldb.MySQL {
		return " FOR UPDATE"
	}
	return ""
}
