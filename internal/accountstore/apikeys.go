package accountstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

const apiKeyColumns = "id, user_id, name, prefix, scopes, created_at, expires_at, used_at"

func scanAPIKey(scan func(...any) error) (account.APIKey, error) {
	var k account.APIKey
	var scopes string
	var created, expires, used int64
	err := scan(&k.ID, &k.User, &k.Name, &k.Prefix, &scopes, &created, &expires, &used)
	if err != nil {
		return account.APIKey{}, err
	}
	k.Scopes, k.Created, k.Expires = strings.Fields(scopes), at(created), at(expires)
	if used != 0 {
		k.Used = at(used)
	}
	return k, nil
}

// CreateAPIKey keeps a key of an account of that hash, and a mail that tells of it. The
// error is [account.ErrConflict] if the account has another hash, or is locked or gone,
// and [account.ErrTooMany] if it has [account.MaxAPIKeys] keys.
func (s *Store) CreateAPIKey(ctx context.Context, n account.NewAPIKey, hash string, m account.NewMail) (account.APIKey, error) {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// Locked, so that two at the same time are counted one after the other.
		found, err := column(ctx, tx, "SELECT id FROM users WHERE id = ? AND password_hash = ? AND locked_at IS NULL"+s.forUpdate(), n.User, hash)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return account.ErrConflict
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM api_keys WHERE user_id = ? AND expires_at < "+s.db.Now(), n.User); err != nil {
			return err
		}
		var many int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM api_keys WHERE user_id = ?", n.User).Scan(&many); err != nil {
			return err
		}
		if many >= account.MaxAPIKeys {
			return account.ErrTooMany
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO api_keys (id, user_id, name, prefix, hash, scopes, created_at, expires_at, used_at)
			VALUES (?, ?, ?, ?, ?, ?, `+s.db.Now()+", "+s.db.Now()+" + ?, 0)",
			n.ID, n.User, n.Name, n.Prefix, n.Hash, strings.Join(n.Scopes, " "), n.Lifetime.Microseconds()); err != nil {
			return err
		}
		return s.addMail(ctx, tx, m)
	})
	if err != nil {
		return account.APIKey{}, fmt.Errorf("accountstore: create an API key: %w", err)
	}
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	k, err := scanAPIKey(s.db.QueryRowContext(ctx, "SELECT "+apiKeyColumns+" FROM api_keys WHERE id = ?", n.ID).Scan)
	if err != nil {
		return account.APIKey{}, fmt.Errorf("accountstore: create an API key: %w", err)
	}
	return k, nil
}

// APIKeys returns the keys of a user, the newest first, those included that have expired
// and were not removed yet.
func (s *Store) APIKeys(ctx context.Context, user string) ([]account.APIKey, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	keys, err := list(ctx, s.db, scanAPIKey, "SELECT "+apiKeyColumns+" FROM api_keys WHERE user_id = ? ORDER BY id DESC", user)
	if err != nil {
		return nil, fmt.Errorf("accountstore: API keys: %w", err)
	}
	return keys, nil
}

// RevokeAPIKey removes a key of a user; [account.ErrNotFound] if he has none of this ID.
func (s *Store) RevokeAPIKey(ctx context.Context, user, id string) error {
	n, err := s.exec(ctx, "DELETE FROM api_keys WHERE id = ? AND user_id = ?", id, user)
	if err == nil && n == 0 {
		err = account.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("accountstore: revoke an API key: %w", err)
	}
	return nil
}

// APIKey returns the key of a hash; [account.ErrNotFound] if there is none, or it has
// expired.
func (s *Store) APIKey(ctx context.Context, hash string) (account.APIKey, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	k, err := scanAPIKey(s.db.QueryRowContext(ctx, "SELECT "+apiKeyColumns+" FROM api_keys WHERE hash = ? AND expires_at > "+s.db.Now(), hash).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = account.ErrNotFound
	}
	if err != nil {
		return account.APIKey{}, fmt.Errorf("accountstore: API key: %w", err)
	}
	return k, nil
}

// APIKeyUsed notes that a key is used, unless that was noted within the time of gap. A
// power cut may undo it.
func (s *Store) APIKeyUsed(ctx context.Context, id string, gap time.Duration) error {
	relaxed := &Store{s.db.Relaxed()}
	_, err := relaxed.exec(ctx, "UPDATE api_keys SET used_at = "+s.db.Now()+" WHERE id = ? AND used_at <= "+s.db.Now()+" - ?", id, gap.Microseconds())
	if err != nil {
		return fmt.Errorf("accountstore: an API key is used: %w", err)
	}
	return nil
}
