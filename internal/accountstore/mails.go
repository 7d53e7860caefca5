package accountstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

const mailColumns = "id, email, kind, COALESCE(token, ''), created_at, expires_at, tries"

func scanMail(scan func(...any) error, more ...any) (account.Mail, error) {
	var m account.Mail
	var created, expires int64
	err := scan(append([]any{&m.ID, &m.To, &m.Kind, &m.Token, &created, &expires, &m.Tries}, more...)...)
	if err != nil {
		return account.Mail{}, err
	}
	m.Created, m.Expires = at(created), at(expires)
	return m, nil
}

// Register makes an account, as [Store.Create] does, and keeps a mail to its owner, both
// or none.
func (s *Store) Register(ctx context.Context, a account.Account, m account.NewMail) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.create(ctx, tx, a); err != nil {
			return err
		}
		return s.addMail(ctx, tx, m)
	})
	if err != nil {
		return fmt.Errorf("accountstore: register: %w", s.taken(ctx, err, a))
	}
	return nil
}

// AddMail keeps a mail, unless its address has had too many of the kind: false then.
func (s *Store) AddMail(ctx context.Context, m account.NewMail, limits account.MailLimits) (kept bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var many, early int64
		err := tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(MAX(created_at), 0) - "+s.db.Now()+" + ? FROM account_mails WHERE email_key = ? AND kind = ? AND created_at > "+
			s.db.Now()+" - ?", limits.Gap.Microseconds(), account.EmailKey(m.To), string(m.Kind), limits.Span.Microseconds()).Scan(&many, &early)
		if err != nil {
			return err
		}
		if kept = many < int64(limits.Most) && early <= 0; !kept {
			return nil
		}
		return s.addMail(ctx, tx, m)
	})
	if err != nil {
		return false, fmt.Errorf("accountstore: add a mail: %w", err)
	}
	return kept, nil
}

func (s *Store) addMail(ctx context.Context, tx *sql.Tx, m account.NewMail) error {
	due := s.db.Now()
	if m.Hold || m.Kind == account.MailNone {
		due = "0"
	}
	var token any
	if m.Token != "" {
		token = m.Token
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO account_mails (id, user_id, email, email_key, kind, token, created_at, expires_at, due_at, tries, sent_at, used_at, failure)
		VALUES (?, ?, ?, ?, ?, ?, `+s.db.Now()+", "+s.db.Now()+" + ?, "+due+", 0, 0, 0, '')",
		m.ID, m.User, m.To, account.EmailKey(m.To), string(m.Kind), token, m.Lifetime.Microseconds())
	return err
}

// ClaimMail returns a mail that is to be sent now, which is the caller's for the time of
// a lease; [account.ErrNotFound] if there is none.
func (s *Store) ClaimMail(ctx context.Context, lease time.Duration) (account.Mail, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	for {
		var due int64
		m, err := scanMail(s.db.QueryRowContext(ctx, "SELECT "+mailColumns+", due_at FROM account_mails WHERE due_at > 0 AND due_at <= "+s.db.Now()+
			" AND expires_at > "+s.db.Now()+" ORDER BY due_at LIMIT 1").Scan, &due)
		if errors.Is(err, sql.ErrNoRows) {
			err = account.ErrNotFound
		}
		if err != nil {
			return account.Mail{}, fmt.Errorf("accountstore: claim a mail: %w", err)
		}
		n, err := s.exec(ctx, "UPDATE account_mails SET due_at = "+s.db.Now()+" + ?, tries = tries + 1 WHERE id = ? AND due_at = ? AND tries = ?",
			lease.Microseconds(), m.ID, due, m.Tries)
		if err != nil {
			return account.Mail{}, fmt.Errorf("accountstore: claim a mail: %w", err)
		}
		if n == 1 { // else another was faster
			m.Tries++
			return m, nil
		}
	}
}

// MailSent notes that a mail was sent by the try that was claimed. A later try than that
// is not bothered.
func (s *Store) MailSent(ctx context.Context, m account.Mail) error {
	if _, err := s.exec(ctx, "UPDATE account_mails SET due_at = 0, sent_at = "+s.db.Now()+" WHERE id = ? AND tries = ?", m.ID, m.Tries); err != nil {
		return fmt.Errorf("accountstore: mail %s was sent: %w", m.ID, err)
	}
	return nil
}

// MailFailed notes why a try has failed, and when the next is due: after again, or never
// if that is 0.
func (s *Store) MailFailed(ctx context.Context, m account.Mail, again time.Duration, why string) error {
	due, args := "0", []any{why}
	if again > 0 {
		due, args = s.db.Now()+" + ?", append(args, again.Microseconds())
	}
	if _, err := s.exec(ctx, "UPDATE account_mails SET failure = ?, due_at = "+due+" WHERE id = ? AND tries = ?", append(args, m.ID, m.Tries)...); err != nil {
		return fmt.Errorf("accountstore: mail %s was not sent: %w", m.ID, err)
	}
	return nil
}

// PurgeMails removes what has expired a day ago.
func (s *Store) PurgeMails(ctx context.Context) error {
	if _, err := s.exec(ctx, "DELETE FROM account_mails WHERE expires_at < "+s.db.Now()+" - 86400000000"); err != nil {
		return fmt.Errorf("accountstore: purge mails: %w", err)
	}
	return nil
}

// Verify notes that the owner of an account reads its mail, by the digest of the secret in
// one. To do so again is no error; [account.ErrNotFound] if there is no such mail, or its
// time is over.
func (s *Store) Verify(ctx context.Context, token string) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		user, err := s.mailOwner(ctx, tx, token, account.MailVerify, "")
		if err != nil {
			return err
		}
		return s.verified(ctx, tx, user)
	})
	if err != nil {
		return fmt.Errorf("accountstore: verify an address: %w", err)
	}
	return nil
}

func (s *Store) verified(ctx context.Context, tx *sql.Tx, user string) error {
	_, err := tx.ExecContext(ctx, "UPDATE users SET verified_at = "+s.db.Now()+" WHERE id = ? AND verified_at IS NULL", user)
	return err
}

// mailOwner returns the account that a secret in a mail belongs to, and locks it.
func (s *Store) mailOwner(ctx context.Context, tx *sql.Tx, token string, kind account.MailKind, more string) (string, error) {
	found, err := column(ctx, tx, `SELECT u.id FROM account_mails m JOIN users u ON u.id = m.user_id AND u.email_key = m.email_key
		WHERE m.token = ? AND m.kind = ? AND m.expires_at > `+s.db.Now()+more+s.forUpdate(), token, string(kind))
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", account.ErrNotFound
	}
	return found[0], nil
}

// unused is the further condition of a secret that is good once.
const unused = " AND m.used_at = 0"

// Resettable returns the account whose password may be set, by the digest of the secret
// in a mail; [account.ErrNotFound] if there is none, or it was used, or its time is over.
func (s *Store) Resettable(ctx context.Context, token string) (account.Account, error) {
	var id string
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		id, err = s.mailOwner(ctx, tx, token, account.MailReset, unused)
		return err
	})
	if err != nil {
		return account.Account{}, fmt.Errorf("accountstore: resettable: %w", err)
	}
	return s.ByID(ctx, id)
}

// ResetPassword sets a password, once for each secret: all that the account was sent are
// used up by it. All its sessions end, its address is verified, and a mail is kept that
// tells of it. If the address was not verified before, somebody else may have made the
// account, and its API keys go, too.
func (s *Store) ResetPassword(ctx context.Context, token, hash string, m account.NewMail) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		id, err := s.mailOwner(ctx, tx, token, account.MailReset, unused)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM api_keys WHERE user_id IN (SELECT id FROM users WHERE id = ? AND verified_at IS NULL)", id)
		if err != nil {
			return err
		}
		if err := s.verified(ctx, tx, id); err != nil {
			return err
		}
		return s.setPassword(ctx, tx, id, hash, m)
	})
	if err != nil {
		return fmt.Errorf("accountstore: reset a password: %w", err)
	}
	return nil
}

// setPassword does what goes with every new password.
func (s *Store) setPassword(ctx context.Context, tx *sql.Tx, id, hash string, m account.NewMail) error {
	for _, q := range []struct {
		query string
		args  []any
	}{
		{"UPDATE users SET password_hash = ? WHERE id = ?", []any{hash, id}},
		{"UPDATE sessions SET ended_at = " + s.db.Now() + " WHERE user_id = ? AND " + s.live(), []any{id}},
		{"UPDATE account_mails SET used_at = " + s.db.Now() + ", due_at = 0 WHERE user_id = ? AND kind = ? AND used_at = 0", []any{id, string(account.MailReset)}},
	} {
		if _, err := tx.ExecContext(ctx, q.query, q.args...); err != nil {
			return err
		}
	}
	return s.addMail(ctx, tx, m)
}
