package accountstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

func newSession(t *testing.T, user string) account.NewSession {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.NewSession{
		Session: account.Session{ID: id.String(), User: user, Address: "2001:db8::1", Agent: "ü\"'" + strings.Repeat("x", 240)},
		Family:  "family of " + id.String()[30:], Token: "first", Lifetime: time.Hour, Idle: 10 * time.Minute,
	}
}

// onAccount runs a test on each database with an account.
func onAccount(t *testing.T, f func(*testing.T, *sqldb.DB, *Store, account.Account)) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		a, err := s.Create(t.Context(), newAccount(t, "ada@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		f(t, db, s, a)
	})
}

func TestSession(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		n := newSession(t, a.ID)
		if err := s.CreateSession(ctx, n, a.PasswordHash); err != nil {
			t.Fatal(err)
		}
		got, err := s.Session(ctx, n.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := n.Session
		want.Created, want.Used = got.Created, got.Created
		want.Expires, want.Ends = got.Created.Add(10*time.Minute), got.Created.Add(time.Hour)
		if got != want || time.Since(got.Created).Abs() > 10*time.Second {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		if all, err := s.Sessions(ctx, a.ID); err != nil || len(all) != 1 || all[0] != want {
			t.Errorf("%+v, %v", all, err)
		}
		for _, c := range []struct {
			email, address string
			want           bool
		}{
			{"ADA@example.org", "2001:db8::1", true}, {"ada@example.org", "2001:db8::2", false}, {"eve@example.org", "2001:db8::1", false}, {"ada@example.org", "", false},
		} {
			if known, err := s.KnownAddress(ctx, c.email, c.address); err != nil || known != c.want {
				t.Errorf("%+v: %v, %v", c, known, err)
			}
		}
		for _, user := range []string{"", "nobody", a.ID + "x"} {
			if all, err := s.Sessions(ctx, user); err != nil || len(all) != 0 {
				t.Errorf("of %q: %+v, %v", user, all, err)
			}
			if err := s.EndSession(ctx, user, n.ID); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("ended by %q: %v", user, err)
			}
		}
		if _, err := s.Session(ctx, "nobody"); !errors.Is(err, account.ErrNotFound) {
			t.Error(err)
		}
		if err := s.EndSession(ctx, a.ID, n.ID); err != nil {
			t.Error(err)
		}
		if known, err := s.KnownAddress(ctx, a.Email, n.Address); err != nil || known {
			t.Errorf("known after the end: %v, %v", known, err)
		}
		if _, err := s.Session(ctx, n.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("after its end: %v", err)
		}
		if err := s.EndSession(ctx, a.ID, n.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("ended twice: %v", err)
		}
	})
}

// TestSessionOfTheChanged: no session begins with a password that has just been changed,
// of an account that is locked, or of none.
func TestSessionOfTheChanged(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		if err := s.CreateSession(ctx, newSession(t, a.ID), "another hash"); !errors.Is(err, account.ErrConflict) {
			t.Errorf("changed: %v", err)
		}
		if err := s.CreateSession(ctx, newSession(t, "nobody"), a.PasswordHash); !errors.Is(err, account.ErrConflict) {
			t.Errorf("of nobody: %v", err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE users SET locked_at = 1"); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateSession(ctx, newSession(t, a.ID), a.PasswordHash); !errors.Is(err, account.ErrConflict) {
			t.Errorf("locked: %v", err)
		}
	})
}

func TestRefresh(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		n := newSession(t, a.ID)
		if err := s.CreateSession(ctx, n, a.PasswordHash); err != nil {
			t.Fatal(err)
		}
		step := func(token string, next ...string) (string, error) {
			got, now, err := s.Refresh(ctx, n.Family, token, next, time.Minute)
			if err == nil && (got.ID != n.ID || got.User != a.ID) {
				t.Errorf("of %+v", got)
			}
			return now, err
		}
		if now, err := step("first", "second", "second of old"); err != nil || now != "second" {
			t.Fatal(now, err)
		}
		if now, err := step("first", "second of new", "second"); err != nil || now != "second" {
			t.Errorf("asked again: %s, %v", now, err)
		}
		if now, err := step("second", "third"); err != nil || now != "third" {
			t.Fatal(now, err)
		}
		if _, _, err := s.Refresh(ctx, "another family", "third", []string{"x"}, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("of another family: %v", err)
		}
		got, _, err := s.Refresh(ctx, n.Family, "first", []string{"second"}, time.Minute)
		if !errors.Is(err, account.ErrReused) || got.ID != n.ID {
			t.Errorf("of long ago: %+v, %v", got, err)
		}
		if _, err := step("third", "fourth"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("after that: %v", err)
		}

		// The time is over, or the successor is another than was given.
		for _, next := range []string{"second", "another"} {
			n := newSession(t, a.ID)
			if err := s.CreateSession(ctx, n, a.PasswordHash); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Refresh(ctx, n.Family, "first", []string{"second"}, time.Minute); err != nil {
				t.Fatal(err)
			}
			if next == "second" {
				if _, err := db.ExecContext(ctx, "UPDATE sessions SET rotated_at = rotated_at - 60000001"); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := s.Refresh(ctx, n.Family, "first", []string{next}, time.Minute); !errors.Is(err, account.ErrReused) {
				t.Errorf("%s: %v", next, err)
			}
		}
	})
}

// TestRefreshAtOnce: many who use a token at the same time get one answer.
func TestRefreshAtOnce(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		n := newSession(t, a.ID)
		if err := s.CreateSession(t.Context(), n, a.PasswordHash); err != nil {
			t.Fatal(err)
		}
		token := n.Token
		for round := range 5 {
			next := fmt.Sprint("next", round)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if _, now, err := s.Refresh(t.Context(), n.Family, token, []string{next}, time.Minute); err != nil || now != next {
						t.Errorf("%s, %v", now, err)
					}
				})
			}
			wg.Wait()
			token = next
		}
	})
}

// TestSessionTimes: what has ended by itself is not there, and is purged.
func TestSessionTimes(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		for _, past := range []string{"used_at = used_at - 600000001", "ends_at = ends_at - 3600000001"} {
			n := newSession(t, a.ID)
			if err := s.CreateSession(ctx, n, a.PasswordHash); err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(ctx, "UPDATE sessions SET "+past+" WHERE id = ?", n.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Session(ctx, n.ID); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%s: %v", past, err)
			}
			if _, _, err := s.Refresh(ctx, n.Family, n.Token, []string{"x"}, time.Minute); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%s: %v", past, err)
			}
		}
		n := newSession(t, a.ID)
		if err := s.CreateSession(ctx, n, a.PasswordHash); err != nil {
			t.Fatal(err)
		}
		if err := s.PurgeSessions(ctx); err != nil {
			t.Fatal(err)
		}
		var kept string
		if err := db.QueryRowContext(ctx, "SELECT id FROM sessions").Scan(&kept); err != nil || kept != n.ID {
			t.Errorf("%s, %v", kept, err)
		}
	})
}

// TestManySessions: the one that was not used for longest makes room.
func TestManySessions(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		var first string
		for i := range account.MaxSessions + 1 {
			n := newSession(t, a.ID)
			n.Family = fmt.Sprint("family", i)
			if err := s.CreateSession(ctx, n, a.PasswordHash); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = n.ID
			}
		}
		all, err := s.Sessions(ctx, a.ID)
		if err != nil || len(all) != account.MaxSessions {
			t.Errorf("%d, %v", len(all), err)
		}
		if _, err := s.Session(ctx, first); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("the first: %v", err)
		}
		if n, err := s.EndSessions(ctx, a.ID, all[3].ID); err != nil || n != account.MaxSessions-1 {
			t.Errorf("%d ended, %v", n, err)
		}
		if left, err := s.Sessions(ctx, a.ID); err != nil || len(left) != 1 || left[0].ID != all[3].ID {
			t.Errorf("%+v, %v", left, err)
		}
	})
}

// TestChangePassword: of many changes at once one is done, and its session is the only
// one, whoever logs in meanwhile with the old password.
func TestChangePassword(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		other, err := s.Create(ctx, newAccount(t, "eve@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CreateSession(ctx, newSession(t, other.ID), other.PasswordHash); err != nil {
			t.Fatal(err)
		}
		old := a.PasswordHash
		for round := range 5 {
			var wg sync.WaitGroup
			var done atomic.Int32
			var hash, session atomic.Value
			for i := range 4 {
				n := newSession(t, a.ID)
				n.Family = fmt.Sprint("change", round, i)
				m := newMail(t, account.MailChanged, a, "")
				wg.Go(func() {
					switch err := s.ChangePassword(ctx, a.ID, old, fmt.Sprint("hash", round, i), n, m); {
					case err == nil:
						done.Add(1)
						hash.Store(fmt.Sprint("hash", round, i))
						session.Store(n.ID)
					case !errors.Is(err, account.ErrConflict):
						t.Error(err)
					}
				})
				login := newSession(t, a.ID)
				login.Family = fmt.Sprint("login", round, i)
				wg.Go(func() {
					if err := s.CreateSession(ctx, login, old); err != nil && !errors.Is(err, account.ErrConflict) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if done.Load() != 1 {
				t.Fatalf("%d changes", done.Load())
			}
			all, err := s.Sessions(ctx, a.ID)
			if err != nil || len(all) != 1 || all[0].ID != session.Load() {
				t.Fatalf("%d sessions go on, %v", len(all), err)
			}
			old = hash.Load().(string)
		}
		if all, err := s.Sessions(ctx, other.ID); err != nil || len(all) != 1 {
			t.Errorf("the other's: %+v, %v", all, err)
		}
		n := newSession(t, a.ID)
		n.ID = "an ID that is by far too long for the column, which makes it fail at the end"
		if db.Dialect() == sqldb.MySQL {
			if err := s.ChangePassword(ctx, a.ID, old, "half", n, newMail(t, account.MailChanged, a, "")); err == nil {
				t.Error("a session that cannot be kept")
			}
			if got, err := s.ByID(ctx, a.ID); err != nil || got.PasswordHash != old {
				t.Errorf("half a change: %+v, %v", got, err)
			}
		}
	})
}
