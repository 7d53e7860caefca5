package accountstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

// ownedTables are those with rows of users, by their column user_id, that go with an
// account.
var ownedTables = [...]string{"sessions", "account_mails", "api_keys", "identities"}

// Delete removes an account of that hash with all that belongs to it, and notes that its
// jobs are to be removed, and a mail that tells of it, all or nothing. The error is
// [account.ErrConflict] if it has another hash, or is gone.
func (s *Store) Delete(ctx context.Context, id, hash string, m account.NewMail) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = ? AND password_hash = ?", id, hash)
		if err != nil {
			return err
		}
		if found, err := r.RowsAffected(); err != nil || found == 0 {
			return errors.Join(err, account.ErrConflict)
		}
		for _, table := range ownedTables {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE user_id = ?", id); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO departures (user_id, since, due_at, tries) VALUES (?, "+s.db.Now()+", "+s.db.Now()+", 0)", id); err != nil {
			return err
		}
		return s.addMail(ctx, tx, m)
	})
	if err != nil {
		return fmt.Errorf("accountstore: delete %s: %w", id, err)
	}
	return nil
}

// ClaimDeparture returns a departure that is to be told now, which is the caller's for
// the time of a lease; [account.ErrNotFound] if there is none.
func (s *Store) ClaimDeparture(ctx context.Context, lease time.Duration) (account.Departure, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	for {
		var d account.Departure
		err := s.db.QueryRowContext(ctx, "SELECT user_id, tries FROM departures WHERE due_at <= "+s.db.Now()+" ORDER BY due_at LIMIT 1").Scan(&d.User, &d.Tries)
		if errors.Is(err, sql.ErrNoRows) {
			err = account.ErrNotFound
		}
		if err != nil {
			return account.Departure{}, fmt.Errorf("accountstore: claim a departure: %w", err)
		}
		n, err := s.exec(ctx, "UPDATE departures SET due_at = "+s.db.Now()+" + ?, tries = tries + 1 WHERE user_id = ? AND tries = ?", lease.Microseconds(), d.User, d.Tries)
		if err != nil {
			return account.Departure{}, fmt.Errorf("accountstore: claim a departure: %w", err)
		}
		if n == 1 { // else another was faster
			d.Tries++
			return d, nil
		}
	}
}

// Departed notes that a departure was told.
func (s *Store) Departed(ctx context.Context, d account.Departure) error {
	if _, err := s.exec(ctx, "DELETE FROM departures WHERE user_id = ?", d.User); err != nil {
		return fmt.Errorf("accountstore: departed: %w", err)
	}
	return nil
}

// DepartLater has a departure tried again after a time.
func (s *Store) DepartLater(ctx context.Context, d account.Departure, after time.Duration) error {
	_, err := s.exec(ctx, "UPDATE departures SET due_at = "+s.db.Now()+" + ? WHERE user_id = ? AND tries = ?", after.Microseconds(), d.User, d.Tries)
	if err != nil {
		return fmt.Errorf("accountstore: depart later: %w", err)
	}
	return nil
}
