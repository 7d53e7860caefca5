// Package accountstore keeps accounts in a table of SQL, the same on MySQL and on
// SQLite:
//
//	db, err := sqldb.Open(ctx, "sqlite:/var/lib/mp3lathe/mp3lathe.db")
//	...
//	err = accountstore.Migrate(ctx, db)
//	...
//	store := accountstore.New(db)
//
// Its errors wrap those of package account.
package accountstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

//go:embed migrations
var files embed.FS

// Store keeps accounts. Its methods may be called at the same time.
type Store struct{ db *sqldb.DB }

// New returns a store on a database whose schema [Migrate] has brought up to date.
// The caller closes the database.
func New(db *sqldb.DB) *Store { return &Store{db} }

// Create makes an account and returns it with the times of its making, which are the
// database's; its address counts as verified if Verified is set. The error is
// [account.ErrTaken] if an account has the address.
func (s *Store) Create(ctx context.Context, a account.Account) (account.Account, error) {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error { return s.create(ctx, tx, a) })
	if err != nil {
		return account.Account{}, fmt.Errorf("accountstore: create: %w", s.taken(ctx, err, a))
	}
	return s.ByID(ctx, a.ID)
}

func (s *Store) create(ctx context.Context, tx *sql.Tx, a account.Account) error {
	verified := "NULL"
	if !a.Verified.IsZero() {
		verified = s.db.Now()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO users (id, email, email_key, password_hash, role, created_at, verified_at)
		VALUES (?, ?, ?, ?, ?, `+s.db.Now()+", "+verified+")",
		a.ID, a.Email, account.EmailKey(a.Email), a.PasswordHash, a.Role)
	return err
}

// taken says of a row that was refused as a duplicate whether it is for the address.
func (s *Store) taken(ctx context.Context, err error, a account.Account) error {
	if !sqldb.IsDuplicate(err) {
		return err
	}
	// IDs are made to be unique: it is the address, but that can be asked.
	if _, found := s.ByEmail(ctx, a.Email); found == nil {
		return account.ErrTaken
	}
	return err
}

// ByID returns the account of an ID, or [account.ErrNotFound].
func (s *Store) ByID(ctx context.Context, id string) (account.Account, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	a, err := s.one(ctx, "id", id)
	if err != nil {
		return account.Account{}, fmt.Errorf("accountstore: by ID: %w", err)
	}
	return a, nil
}

// ByEmail returns the account whose address has the same [account.EmailKey], or
// [account.ErrNotFound].
func (s *Store) ByEmail(ctx context.Context, email string) (account.Account, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	a, err := s.one(ctx, "email_key", account.EmailKey(email))
	if err != nil {
		return account.Account{}, fmt.Errorf("accountstore: by e-mail: %w", err)
	}
	return a, nil
}

// SetPassword replaces the hash old of an account by another. The error is
// [account.ErrConflict] if the account has another one than old, and
// [account.ErrNotFound] if there is no such account.
func (s *Store) SetPassword(ctx context.Context, id, old, hash string) error {
	n, err := s.exec(ctx, "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", hash, id, old)
	if err == nil && n == 0 {
		if _, err = s.ByID(ctx, id); err == nil {
			err = account.ErrConflict
		}
	}
	if err != nil {
		return fmt.Errorf("accountstore: set the password of %s: %w", id, err)
	}
	return nil
}

// one returns the account that has a value in a column with unique values.
func (s *Store) one(ctx context.Context, column, value string) (account.Account, error) {
	a, err := scanAccount(s.db.QueryRowContext(ctx, "SELECT "+accountColumns+" FROM users WHERE "+column+" = ?", value).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = account.ErrNotFound
	}
	return a, err
}

// accountColumns in the order in which scanAccount reads them.
const accountColumns = "id, email, password_hash, role, created_at, locked_at, verified_at, quota"

func scanAccount(scan func(...any) error) (account.Account, error) {
	var (
		a                account.Account
		created          int64
		locked, verified sql.NullInt64
		quota            sql.NullString
	)
	if err := scan(&a.ID, &a.Email, &a.PasswordHash, &a.Role, &created, &locked, &verified, &quota); err != nil {
		return account.Account{}, err
	}
	a.Created = at(created)
	if locked.Valid {
		a.Locked = at(locked.Int64)
	}
	if verified.Valid {
		a.Verified = at(verified.Int64)
	}
	a.Quota = quota.String
	return a, nil
}

// Migrate brings the tables of the accounts up to date. Many may call it at the same
// time.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return fmt.Errorf("accountstore: %w", err)
	}
	if err := db.Migrate(ctx, migrations, "accounts_schema"); err != nil {
		return fmt.Errorf("accountstore: %w", err)
	}
	return nil
}
