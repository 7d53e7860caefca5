package accountstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

const identityColumns = "id, user_id, issuer, subject, email, created_at, used_at"

func scanIdentity(scan func(...any) error) (account.Identity, error) {
	var i account.Identity
	var created, used int64
	if err := scan(&i.ID, &i.User, &i.Issuer, &i.Subject, &i.Email, &created, &used); err != nil {
		return account.Identity{}, err
	}
	i.Created, i.Used = at(created), at(used)
	return i, nil
}

// Identity returns how an account is linked to a subject of an issuer, or
// [account.ErrNotFound].
func (s *Store) Identity(ctx context.Context, issuer, subject string) (account.Identity, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	i, err := scanIdentity(s.db.QueryRowContext(ctx, "SELECT "+identityColumns+" FROM identities WHERE issuer = ? AND subject = ?", issuer, subject).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = account.ErrNotFound
	}
	if err != nil {
		return account.Identity{}, fmt.Errorf("accountstore: identity: %w", err)
	}
	return i, nil
}

// Identities returns those of a user, the oldest first.
func (s *Store) Identities(ctx context.Context, user string) ([]account.Identity, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	all, err := list(ctx, s.db, scanIdentity, "SELECT "+identityColumns+" FROM identities WHERE user_id = ? ORDER BY created_at, id", user)
	if err != nil {
		return nil, fmt.Errorf("accountstore: identities: %w", err)
	}
	return all, nil
}

// CreateLinked is [Store.Create] of an account with an identity, both or none. The error
// may be [account.ErrTaken] or [account.ErrLinked] too.
func (s *Store) CreateLinked(ctx context.Context, a account.Account, i account.Identity) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.create(ctx, tx, a); err != nil {
			return err
		}
		return s.addIdentity(ctx, tx, i)
	})
	if err != nil {
		if err = s.taken(ctx, err, a); !errors.Is(err, account.ErrTaken) {
			err = s.linked(ctx, err, i)
		}
		return fmt.Errorf("accountstore: create: %w", err)
	}
	return nil
}

// Link links an identity to an account, and keeps a mail that tells of it, both or none.
// The account must have a verified address and not be locked: [account.ErrConflict] if
// that is not so. The error is [account.ErrLinked] if any account has the identity, and
// [account.ErrTooMany] if this one has [account.MaxIdentities].
func (s *Store) Link(ctx context.Context, i account.Identity, m account.NewMail) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		found, err := column(ctx, tx, "SELECT id FROM users WHERE id = ? AND verified_at IS NOT NULL AND locked_at IS NULL"+s.forUpdate(), i.User)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return account.ErrConflict
		}
		have, err := column(ctx, tx, "SELECT id FROM identities WHERE user_id = ?", i.User)
		if err != nil {
			return err
		}
		if len(have) >= account.MaxIdentities {
			return account.ErrTooMany
		}
		if err := s.addIdentity(ctx, tx, i); err != nil {
			return err
		}
		return s.addMail(ctx, tx, m)
	})
	if err != nil {
		return fmt.Errorf("accountstore: link an identity to %s: %w", i.User, s.linked(ctx, err, i))
	}
	return nil
}

// Unlink takes an identity from its user, ends all sessions but one, and keeps a mail
// that tells of it, all or nothing. The error is [account.ErrNotFound] if the user has
// none of this ID, and [account.ErrLastWay] if it is the last and there is no password.
func (s *Store) Unlink(ctx context.Context, user, id, session string, m account.NewMail) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// The account is locked, so that of two that take the last two one comes second.
		passwords, err := column(ctx, tx, "SELECT password_hash FROM users WHERE id = ?"+s.forUpdate(), user)
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, "DELETE FROM identities WHERE id = ? AND user_id = ?", id, user)
		if err != nil {
			return err
		}
		if found, err := r.RowsAffected(); err != nil || found == 0 || len(passwords) == 0 {
			return errors.Join(err, account.ErrNotFound)
		}
		left, err := column(ctx, tx, "SELECT id FROM identities WHERE user_id = ?", user)
		if err != nil {
			return err
		}
		if len(left) == 0 && passwords[0] == "" {
			return account.ErrLastWay
		}
		if _, err := tx.ExecContext(ctx, "UPDATE sessions SET ended_at = "+s.db.Now()+" WHERE user_id = ? AND id <> ? AND "+s.live(), user, session); err != nil {
			return err
		}
		return s.addMail(ctx, tx, m)
	})
	if err != nil {
		return fmt.Errorf("accountstore: unlink an identity of %s: %w", user, err)
	}
	return nil
}

// SignIn begins a session of the account that an identity is linked to, whose User is
// that of the session, and keeps the identity's address; [account.ErrConflict] if the
// account has it no more, or is locked or gone.
func (s *Store) SignIn(ctx context.Context, i account.Identity, n account.NewSession) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// Who locks or deletes the account, or unlinks the identity, waits, and then ends
		// this session too.
		found, err := column(ctx, tx, "SELECT u.id FROM users u JOIN identities i ON i.user_id = u.id WHERE u.id = ? AND u.locked_at IS NULL AND i.issuer = ? AND i.subject = ?"+
			s.forUpdate(), n.User, i.Issuer, i.Subject)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return account.ErrConflict
		}
		if _, err := tx.ExecContext(ctx, "UPDATE identities SET used_at = "+s.db.Now()+", email = ? WHERE issuer = ? AND subject = ?", i.Email, i.Issuer, i.Subject); err != nil {
			return err
		}
		return s.createSession(ctx, tx, n)
	})
	if err != nil {
		return fmt.Errorf("accountstore: sign in: %w", err)
	}
	return nil
}

func (s *Store) addIdentity(ctx context.Context, tx *sql.Tx, i account.Identity) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO identities ("+identityColumns+") VALUES (?, ?, ?, ?, ?, "+s.db.Now()+", "+s.db.Now()+")",
		i.ID, i.User, i.Issuer, i.Subject, i.Email)
	return err
}

// linked says of a row that was refused as a duplicate whether it is for the identity.
func (s *Store) linked(ctx context.Context, err error, i account.Identity) error {
	if !sqldb.IsDuplicate(err) {
		return err
	}
	if _, found := s.Identity(ctx, i.Issuer, i.Subject); found == nil {
		return account.ErrLinked
	}
	return err
}
