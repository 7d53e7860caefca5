package accountstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// TestDelete: an account goes with all that is its own and nothing else, once, and
// leaves a departure.
func TestDelete(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		other, err := s.Create(ctx, newAccount(t, "eve@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []account.Account{a, other} {
			if err := s.CreateSession(ctx, newSession(t, who.ID), who.PasswordHash); err != nil {
				t.Fatal(err)
			}
			add(t, s, newMail(t, account.MailReset, who, "digest of "+who.ID[30:]))
		}
		told := newMail(t, account.MailDeleted, a, "")
		told.User = ""
		if err := s.Delete(ctx, a.ID, "another hash", told); !errors.Is(err, account.ErrConflict) {
			t.Errorf("changed: %v", err)
		}
		var wg sync.WaitGroup
		var done atomic.Int32
		for range 4 {
			told := newMail(t, account.MailDeleted, a, "")
			told.User = ""
			wg.Go(func() {
				switch err := s.Delete(ctx, a.ID, a.PasswordHash, told); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, account.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done.Load() != 1 {
			t.Errorf("deleted %d times", done.Load())
		}
		for _, where := range []string{"users WHERE id", "sessions WHERE user_id", "account_mails WHERE user_id"} {
			for id, want := range map[string]int{a.ID: 0, other.ID: 1} {
				var n int
				if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+where+" = ?", id).Scan(&n); err != nil || n != want {
					t.Errorf("%s: %d, want %d, %v", where, n, want, err)
				}
			}
		}
		if _, err := s.Create(ctx, newAccount(t, a.Email)); err != nil {
			t.Errorf("the address again: %v", err)
		}

		d, err := s.ClaimDeparture(ctx, time.Minute)
		if err != nil || d != (account.Departure{User: a.ID, Tries: 1}) {
			t.Fatalf("%+v, %v", d, err)
		}
		if _, err := s.ClaimDeparture(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("claimed twice: %v", err)
		}
		if err := s.DepartLater(ctx, d, -time.Second); err != nil {
			t.Error(err)
		}
		again, err := s.ClaimDeparture(ctx, time.Minute)
		if err != nil || again.Tries != 2 {
			t.Fatalf("%+v, %v", again, err)
		}
		if err := s.DepartLater(ctx, d, -time.Second); err != nil { // of a try that is over
			t.Error(err)
		}
		if _, err := s.ClaimDeparture(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("the old try set it: %v", err)
		}
		for range 2 {
			if err := s.Departed(ctx, again); err != nil {
				t.Error(err)
			}
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM departures").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d are left, %v", n, err)
		}
	})
}

// TestOwnedTables: no table with rows of users is forgotten when an account goes.
func TestOwnedTables(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		query := "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'user_id' WHERE m.type = 'table' ORDER BY m.name"
		if db.Dialect() == sqldb.MySQL {
			query = "SELECT table_name FROM information_schema.columns WHERE table_schema = DATABASE() AND column_name = 'user_id' ORDER BY table_name"
		}
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{"departures": true}
		for _, table := range ownedTables {
			known[table] = true
		}
		var found []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			if found = append(found, name); !known[name] {
				t.Errorf("%s is not among those that go with an account", name)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(found) != len(known) {
			t.Error(fmt.Sprint(found), err)
		}
	})
}
