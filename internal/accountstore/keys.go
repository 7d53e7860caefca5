package accountstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// SigningKeys returns all keys, the oldest first.
func (s *Store) SigningKeys(ctx context.Context) ([]account.SigningKey, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	keys, err := list(ctx, s.db, func(scan func(...any) error) (k account.SigningKey, err error) {
		var in int64
		err = scan(&k.Number, &k.ID, &k.Sealed, &in)
		k.SignsIn = time.Duration(in) * time.Microsecond
		return k, err
	}, "SELECT number, kid, sealed, signs_at - "+s.db.Now()+" FROM signing_keys ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("accountstore: signing keys: %w", err)
	}
	return keys, nil
}

// AddSigningKey keeps a key that may sign when SignsIn has passed, and removes those
// with a number below keep. The error is [account.ErrConflict] if there is a key of its
// number already: somebody else has just added one.
func (s *Store) AddSigningKey(ctx context.Context, k account.SigningKey, keep int64) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO signing_keys (number, kid, sealed, created_at, signs_at) VALUES (?, ?, ?, "+
			s.db.Now()+", "+s.db.Now()+" + ?)", k.Number, k.ID, k.Sealed, k.SignsIn.Microseconds())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM signing_keys WHERE number < ?", keep)
		return err
	})
	if sqldb.IsDuplicate(err) {
		err = account.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("accountstore: add the signing key %d: %w", k.Number, err)
	}
	return nil
}
