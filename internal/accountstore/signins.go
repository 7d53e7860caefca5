package accountstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

// KeepSignIn keeps what a sign-in has begun with, sealed, for a time.
func (s *Store) KeepSignIn(ctx context.Context, id string, sealed []byte, lifetime time.Duration) error {
	if _, err := s.exec(ctx, "INSERT INTO sign_ins (id, sealed, expires_at) VALUES (?, ?, "+s.db.Now()+" + ?)", id, sealed, lifetime.Microseconds()); err != nil {
		return fmt.Errorf("accountstore: keep a sign-in: %w", err)
	}
	return nil
}

// TakeSignIn returns what [Store.KeepSignIn] has kept, once; [account.ErrNotFound] if it
// was taken, its time is over, or it never was.
func (s *Store) TakeSignIn(ctx context.Context, id string) (sealed []byte, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT sealed FROM sign_ins WHERE id = ? AND expires_at > "+s.db.Now()+s.forUpdate(), id).Scan(&sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return account.ErrNotFound
		}
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, "DELETE FROM sign_ins WHERE id = ?", id)
		if err != nil {
			return err
		}
		if found, err := r.RowsAffected(); err != nil || found == 0 {
			return errors.Join(err, account.ErrNotFound) // another was faster
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("accountstore: take a sign-in: %w", err)
	}
	return sealed, nil
}

// PurgeSignIns removes those whose time is over.
func (s *Store) PurgeSignIns(ctx context.Context) error {
	if _, err := s.exec(ctx, "DELETE FROM sign_ins WHERE expires_at < "+s.db.Now()); err != nil {
		return fmt.Errorf("accountstore: purge sign-ins: %w", err)
	}
	return nil
}
