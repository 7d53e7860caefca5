package accountstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

// maxPage is the most rows of one answer.
const maxPage = 100

// Users returns accounts in the order of their addresses, at most 100.
func (s *Store) Users(ctx context.Context, q account.UserQuery) ([]account.Account, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	prefix := account.EmailKey(q.Email)
	where, args := "email_key > ?", []any{account.EmailKey(q.After)}
	if prefix != "" {
		// A range, for the index; no character of an address comes after "~".
		where, args = where+" AND email_key >= ? AND email_key < ?", append(args, prefix, prefix+"\x7f")
	}
	found, err := list(ctx, s.db, scanAccount, "SELECT "+accountColumns+" FROM users WHERE "+where+" ORDER BY email_key LIMIT ?",
		append(args, min(max(q.Limit, 1), maxPage))...)
	if err != nil {
		return nil, fmt.Errorf("accountstore: users: %w", err)
	}
	return found, nil
}

// act changes an account and notes who did it, both or nothing. The error is
// [account.ErrNotFound] if there is no such account.
func (s *Store) act(ctx context.Context, act account.Act, change func(ctx context.Context, tx *sql.Tx) error) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		found, err := column(ctx, tx, "SELECT id FROM users WHERE id = ?", act.Subject)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return account.ErrNotFound
		}
		if err := change(ctx, tx); err != nil {
			return err
		}
		return s.note(ctx, tx, act)
	})
	if err != nil {
		return fmt.Errorf("accountstore: %s %s: %w", act.Action, act.Subject, err)
	}
	return nil
}

func (s *Store) note(ctx context.Context, tx *sql.Tx, act account.Act) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO account_audit (id, at, actor, actor_email, place, action, subject, detail) VALUES (?, "+s.db.Now()+", ?, ?, ?, ?, ?, ?)",
		act.ID, act.Actor, act.ActorEmail, act.Place, string(act.Action), act.Subject, act.Detail)
	return err
}

// Note notes what was done that changes nothing.
func (s *Store) Note(ctx context.Context, act account.Act) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error { return s.note(ctx, tx, act) })
	if err != nil {
		return fmt.Errorf("accountstore: note an act: %w", err)
	}
	return nil
}

// CreateNoted is [Store.Create], noted in the audit log.
func (s *Store) CreateNoted(ctx context.Context, a account.Account, act account.Act) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.create(ctx, tx, a); err != nil {
			return err
		}
		return s.note(ctx, tx, act)
	})
	if err != nil {
		return fmt.Errorf("accountstore: create: %w", s.taken(ctx, err, a))
	}
	return nil
}

// Lock locks an account and ends its sessions. One that is locked stays so.
func (s *Store) Lock(ctx context.Context, act account.Act) error {
	return s.act(ctx, act, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET locked_at = "+s.db.Now()+" WHERE id = ? AND locked_at IS NULL", act.Subject); err != nil {
			return err
		}
		return s.endAll(ctx, tx, act.Subject)
	})
}

// Unlock is the end of [Store.Lock].
func (s *Store) Unlock(ctx context.Context, act account.Act) error {
	return s.act(ctx, act, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET locked_at = NULL WHERE id = ?", act.Subject)
		return err
	})
}

// Logout ends all sessions of an account.
func (s *Store) Logout(ctx context.Context, act account.Act) error {
	return s.act(ctx, act, func(ctx context.Context, tx *sql.Tx) error { return s.endAll(ctx, tx, act.Subject) })
}

func (s *Store) endAll(ctx context.Context, tx *sql.Tx, user string) error {
	_, err := tx.ExecContext(ctx, "UPDATE sessions SET ended_at = "+s.db.Now()+" WHERE user_id = ? AND "+s.live(), user)
	return err
}

// SetQuota sets what an account may take up.
func (s *Store) SetQuota(ctx context.Context, q account.Quota, act account.Act) error {
	var value any
	if q != (account.Quota{}) {
		b, err := json.Marshal(q)
		if err != nil {
			return fmt.Errorf("accountstore: set a quota: %w", err)
		}
		value = string(b)
	}
	return s.act(ctx, act, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE users SET quota = ? WHERE id = ?", value, act.Subject)
		return err
	})
}

// AdminReset keeps a mail for a new password that an administrator wants to be sent.
func (s *Store) AdminReset(ctx context.Context, m account.NewMail, act account.Act) error {
	return s.act(ctx, act, func(ctx context.Context, tx *sql.Tx) error { return s.addMail(ctx, tx, m) })
}

// Audit returns what was done, the newest first, at most 100: to one account if it is
// named, and before the entry of an ID if that is.
func (s *Store) Audit(ctx context.Context, subject, before string, limit int) ([]account.Act, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	var where []string
	var args []any
	if subject != "" {
		where, args = append(where, "subject = ?"), append(args, subject)
	}
	if before != "" {
		where, args = append(where, "id < ?"), append(args, before)
	}
	query := "SELECT id, at, actor, actor_email, place, action, subject, detail FROM account_audit"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	acts, err := list(ctx, s.db, func(scan func(...any) error) (a account.Act, err error) {
		var when int64
		err = scan(&a.ID, &when, &a.Actor, &a.ActorEmail, &a.Place, &a.Action, &a.Subject, &a.Detail)
		a.At = at(when)
		return a, err
	}, query+" ORDER BY id DESC LIMIT ?", append(args, min(max(limit, 1), maxPage))...)
	if err != nil {
		return nil, fmt.Errorf("accountstore: audit: %w", err)
	}
	return acts, nil
}

// PurgeAudit removes what was done longer ago than age.
func (s *Store) PurgeAudit(ctx context.Context, age time.Duration) error {
	if _, err := s.exec(ctx, "DELETE FROM account_audit WHERE at < "+s.db.Now()+" - ?", age.Microseconds()); err != nil {
		return fmt.Errorf("accountstore: purge the audit log: %w", err)
	}
	return nil
}
