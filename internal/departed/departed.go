// Package departed keeps, beside the jobs, whose jobs are to be removed because their
// owners have deleted their accounts. The gateway writes it down, the sweeper of the
// workers does it: neither loses anything when it ends in the middle.
//
//	err := departed.Migrate(ctx, db)
//	...
//	err = departed.New(db).Depart(ctx, owner)
package departed

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

//go:embed migrations
var files embed.FS

// Migrate brings the table up to date. Many may call it at the same time.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return fmt.Errorf("departed: %w", err)
	}
	if err := db.Migrate(ctx, migrations, "departed_schema"); err != nil {
		return fmt.Errorf("departed: %w", err)
	}
	return nil
}

// Store keeps departures. Its methods may be called at the same time.
type Store struct{ db *sqldb.DB }

// New returns a store on a database that [Migrate] has prepared. The caller closes it.
func New(db *sqldb.DB) *Store { return &Store{db} }

// Depart notes that an owner is gone. To say so again is no error, and changes nothing.
func (s *Store) Depart(ctx context.Context, owner string) error {
	if owner == "" || len(owner) > 64 {
		return fmt.Errorf("departed: %q is not the ID of a user", owner)
	}
	err := s.exec(ctx, "INSERT INTO job_departures (owner, since, due_at) VALUES (?, "+s.db.Now()+", "+s.db.Now()+")", owner)
	if err != nil && !sqldb.IsDuplicate(err) {
		return fmt.Errorf("departed: %w", err)
	}
	return nil
}

// Due returns departures whose jobs are to be looked for now, at most limit, the one
// that has waited for longest first.
func (s *Store) Due(ctx context.Context, limit int) (due []job.Departure, err error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	defer func() {
		if err != nil {
			due, err = nil, fmt.Errorf("departed: due: %w", err)
		}
	}()
	rows, err := s.db.QueryContext(ctx, "SELECT owner, "+s.db.Now()+" - since FROM job_departures WHERE due_at <= "+s.db.Now()+" ORDER BY due_at LIMIT ?", limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d job.Departure
		var age int64
		if err := rows.Scan(&d.Owner, &age); err != nil {
			return nil, err
		}
		d.Age = time.Duration(age) * time.Microsecond
		due = append(due, d)
	}
	return due, errors.Join(rows.Err(), rows.Close())
}

// Again has an owner looked for once more, after a time.
func (s *Store) Again(ctx context.Context, owner string, after time.Duration) error {
	if err := s.exec(ctx, "UPDATE job_departures SET due_at = "+s.db.Now()+" + ? WHERE owner = ?", after.Microseconds(), owner); err != nil {
		return fmt.Errorf("departed: again: %w", err)
	}
	return nil
}

// Forget removes a departure that has been long ago.
func (s *Store) Forget(ctx context.Context, owner string) error {
	if err := s.exec(ctx, "DELETE FROM job_departures WHERE owner = ?", owner); err != nil {
		return fmt.Errorf("departed: forget: %w", err)
	}
	return nil
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	return s.db.Retry(ctx, func() error {
		_, err := s.db.ExecContext(ctx, query, args...)
		return err
	})
}
