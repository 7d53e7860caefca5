package accountstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// sessionColumns in the order in which scanSession reads them.
const sessionColumns = "id, user_id, address, agent, created_at, used_at, idle, ends_at, proved_at"

func scanSession(scan func(...any) error, more ...any) (account.Session, error) {
	var a account.Session
	var created, used, idle, ends, proved int64
	err := scan(append([]any{&a.ID, &a.User, &a.Address, &a.Agent, &created, &used, &idle, &ends, &proved}, more...)...)
	if err != nil {
		return account.Session{}, err
	}
	a.Created, a.Used, a.Expires, a.Ends = at(created), at(used), at(min(used+idle, ends)), at(ends)
	if proved != 0 {
		a.Proved = at(proved)
	}
	return a, nil
}

func at(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// live is the condition of a session that goes on.
func (s *Store) live() string {
	return "ended_at = 0 AND ends_at > " + s.db.Now() + " AND used_at + idle > " + s.db.Now()
}

// CreateSession keeps a new session of an account whose hash is the one that its
// password was checked against; [account.ErrConflict] if that has changed since, or the
// account is locked or gone. If its user has more than [account.MaxSessions] then, the
// one that was not used for longest ends.
func (s *Store) CreateSession(ctx context.Context, n account.NewSession, hash string) error {
	lock := ""
	if s.db.Dialect() == sqldb.MySQL {
		lock = " LOCK IN SHARE MODE" // who changes it waits, and then ends this session too
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		found, err := column(ctx, tx, "SELECT id FROM users WHERE id = ? AND password_hash = ? AND locked_at IS NULL"+lock, n.User, hash)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return account.ErrConflict
		}
		return s.createSession(ctx, tx, n)
	})
	if err != nil {
		return fmt.Errorf("accountstore: create a session: %w", err)
	}
	return nil
}

func (s *Store) createSession(ctx context.Context, tx *sql.Tx, n account.NewSession) error {
	proved := "0"
	if n.Fresh {
		proved = s.db.Now()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, user_id, family, token, replaced, rotated_at, idle, address, agent, created_at, used_at, ends_at, ended_at, proved_at)
		VALUES (?, ?, ?, ?, '', 0, ?, ?, ?, `+s.db.Now()+", "+s.db.Now()+", "+s.db.Now()+" + ?, 0, "+proved+")",
		n.ID, n.User, n.Family, n.Token, n.Idle.Microseconds(), n.Address, n.Agent, n.Lifetime.Microseconds())
	if err != nil {
		return err
	}
	surplus, err := column(ctx, tx, "SELECT id FROM sessions WHERE user_id = ? AND "+s.live()+" ORDER BY used_at DESC, id DESC LIMIT 1000 OFFSET ?",
		n.User, account.MaxSessions)
	if err != nil {
		return err
	}
	for _, id := range surplus {
		if _, err := tx.ExecContext(ctx, "UPDATE sessions SET ended_at = "+s.db.Now()+" WHERE id = ?", id); err != nil {
			return err
		}
	}
	return nil
}

// column reads the strings of a query of one column.
func column(ctx context.Context, tx *sql.Tx, query string, args ...any) (values []string, err error) {
	return list(ctx, tx, func(scan func(...any) error) (v string, err error) {
		err = scan(&v)
		return v, err
	}, query, args...)
}

// Session returns a session that goes on, or [account.ErrNotFound].
func (s *Store) Session(ctx context.Context, id string) (account.Session, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	a, err := scanSession(s.db.QueryRowContext(ctx, "SELECT "+sessionColumns+" FROM sessions WHERE id = ? AND "+s.live(), id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = account.ErrNotFound
	}
	if err != nil {
		return account.Session{}, fmt.Errorf("accountstore: session: %w", err)
	}
	return a, nil
}

// Sessions returns the sessions of a user that go on, the last used first.
func (s *Store) Sessions(ctx context.Context, user string) ([]account.Session, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	all, err := list(ctx, s.db, func(scan func(...any) error) (account.Session, error) { return scanSession(scan) },
		"SELECT "+sessionColumns+" FROM sessions WHERE user_id = ? AND "+s.live()+" ORDER BY used_at DESC, id DESC", user)
	if err != nil {
		return nil, fmt.Errorf("accountstore: sessions: %w", err)
	}
	return all, nil
}

// KnownAddress reports whether the account of an e-mail address has a session that began
// at a network address and goes on. The empty one is not known.
func (s *Store) KnownAddress(ctx context.Context, email, address string) (bool, error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM users u JOIN sessions s ON s.user_id = u.id WHERE u.email_key = ? AND s.address = ? AND s.address <> '' AND "+
		s.live(), account.EmailKey(email), address).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("accountstore: known address: %w", err)
	}
	return n > 0, nil
}

// Refresh replaces the refresh token of the session of a family, given as hashes, by the
// first of next, and returns the session and what is its token now. The token before
// gets the same answer again within grace of being replaced, by one of next. Any other
// ends the session: [account.ErrReused]. The error is [account.ErrNotFound] if there is
// no such session or it has ended.
func (s *Store) Refresh(ctx context.Context, family, token string, next []string, grace time.Duration) (a account.Session, now string, err error) {
	reused := false
	err = s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		reused = false
		var current, replaced string
		var since int64
		var err error
		a, err = scanSession(tx.QueryRowContext(ctx, "SELECT "+sessionColumns+", token, replaced, "+s.db.Now()+
			" - rotated_at FROM sessions WHERE family = ? AND "+s.live()+s.forUpdate(), family).Scan, &current, &replaced, &since)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return account.ErrNotFound
		case err != nil:
			return err
		case token == current:
			now = next[0]
			_, err = tx.ExecContext(ctx, "UPDATE sessions SET token = ?, replaced = ?, rotated_at = "+s.db.Now()+", used_at = "+s.db.Now()+" WHERE id = ?",
				now, token, a.ID)
			return err
		case token == replaced && since <= grace.Microseconds() && slices.Contains(next, current):
			now = current // the answer was lost
			return nil
		}
		reused = true // which must be committed
		_, err = tx.ExecContext(ctx, "UPDATE sessions SET ended_at = "+s.db.Now()+" WHERE id = ?", a.ID)
		return err
	})
	if err == nil && reused {
		err = account.ErrReused
	}
	if err != nil {
		return a, "", fmt.Errorf("accountstore: refresh a session: %w", err)
	}
	return a, now, nil
}

// EndFamily ends the session of a family, given as a hash. That there is none is no
// error.
func (s *Store) EndFamily(ctx context.Context, family string) error {
	_, err := s.end(ctx, "family = ?", family)
	if err != nil {
		return fmt.Errorf("accountstore: end a session: %w", err)
	}
	return nil
}

// EndSession ends a session of a user; [account.ErrNotFound] if he has none of this ID
// that goes on.
func (s *Store) EndSession(ctx context.Context, user, id string) error {
	n, err := s.end(ctx, "id = ? AND user_id = ?", id, user)
	if err == nil && n == 0 {
		err = account.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("accountstore: end a session: %w", err)
	}
	return nil
}

// EndSessions ends the sessions of a user, but for one if it is named, and returns how
// many.
func (s *Store) EndSessions(ctx context.Context, user, except string) (int, error) {
	n, err := s.end(ctx, "user_id = ? AND id <> ?", user, except)
	if err != nil {
		return 0, fmt.Errorf("accountstore: end sessions: %w", err)
	}
	return int(n), nil
}

func (s *Store) end(ctx context.Context, which string, args ...any) (n int64, err error) {
	return s.exec(ctx, "UPDATE sessions SET ended_at = "+s.db.Now()+" WHERE "+which+" AND "+s.live(), args...)
}

// exec runs a statement, again if others were in its way, and returns how many rows it
// found.
func (s *Store) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	err = s.db.Retry(ctx, func() error {
		r, err := s.db.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	return n, err
}

// ChangePassword replaces the hash old of an account by another, ends all its sessions,
// begins the one that is given, and keeps a mail that tells of it, all or nothing. The
// error is [account.ErrConflict] if the account has another hash than old.
func (s *Store) ChangePassword(ctx context.Context, id, old, hash string, n account.NewSession, m account.NewMail) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// The row is locked by that.
		r, err := tx.ExecContext(ctx, "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", hash, id, old)
		if err != nil {
			return err
		}
		if found, err := r.RowsAffected(); err != nil || found == 0 {
			return errors.Join(err, account.ErrConflict)
		}
		if err := s.setPassword(ctx, tx, id, hash, m); err != nil {
			return err
		}
		return s.createSession(ctx, tx, n)
	})
	if err != nil {
		return fmt.Errorf("accountstore: change the password of %s: %w", id, err)
	}
	return nil
}

// PurgeSessions removes the rows of sessions that have ended.
func (s *Store) PurgeSessions(ctx context.Context) error {
	if _, err := s.exec(ctx, "DELETE FROM sessions WHERE ends_at < "+s.db.Now()+" OR ended_at > 0 OR used_at + idle < "+s.db.Now()); err != nil {
		return fmt.Errorf("accountstore: purge sessions: %w", err)
	}
	return nil
}
