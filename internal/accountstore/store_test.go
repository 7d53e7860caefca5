package accountstore

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var _ auth.Accounts = (*Store)(nil)

// mariadb is started once for all tests.
var mariadb *testserver.MariaDBServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.MariaDB, &mariadb)) }

// onBoth runs a test on each database.
func onBoth(t *testing.T, f func(*testing.T, *sqldb.DB)) {
	t.Parallel()
	urls := map[string]func() (string, error){
		"sqlite":  func() (string, error) { return "sqlite:" + filepath.Join(t.TempDir(), "test.db"), nil },
		"mariadb": func() (string, error) { return mariadb.NewDatabase(t.Context()) },
	}
	for name, newURL := range urls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, err := newURL()
			if err != nil {
				t.Fatal(err)
			}
			db, err := sqldb.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := Migrate(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			f(t, db)
		})
	}
}

func newAccount(t *testing.T, email string) account.Account {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.Account{
		ID: id.String(), Email: email, Role: "user",
		PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
	}
}

func TestStore(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		want := newAccount(t, "Ada.Lovelace@Example.org")
		before := time.Now()
		made, err := s.Create(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		if d := made.Created.Sub(before); d < -time.Second || d > 10*time.Second {
			t.Errorf("made at %v, which is %v off", made.Created, d)
		}
		want.Created = made.Created
		if diff := cmp.Diff(want, made); diff != "" {
			t.Error(diff)
		}
		for _, email := range []string{"Ada.Lovelace@Example.org", "ada.lovelace@example.org", " ADA.LOVELACE@EXAMPLE.ORG\n"} {
			got, err := s.ByEmail(ctx, email)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%q: %v\n%s", email, err, diff)
			}
		}
		got, err := s.ByID(ctx, want.ID)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}

		for _, id := range []string{"", "no", strings.ToUpper(want.ID), strings.Repeat("x", 1000), "ü"} {
			if a, err := s.ByID(ctx, id); !errors.Is(err, account.ErrNotFound) || a != (account.Account{}) {
				t.Errorf("the ID %q: %+v, %v", id, a, err)
			}
		}
		for _, email := range []string{"", "ada@example.org", "%", "' OR 1=1 --", "ada.lovelace@example.örg", strings.Repeat("x", 5000)} {
			if a, err := s.ByEmail(ctx, email); !errors.Is(err, account.ErrNotFound) || a != (account.Account{}) {
				t.Errorf("the address %q: %+v, %v", email, a, err)
			}
		}
	})
}

func TestTaken(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		first := newAccount(t, "ada@example.org")
		if _, err := s.Create(ctx, first); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, newAccount(t, "ADA@example.ORG")); !errors.Is(err, account.ErrTaken) {
			t.Errorf("the address in capitals: %v", err)
		}
		// Accents tell addresses apart, whatever the database's collation is.
		for _, email := range []string{"äda@example.org", "ada@example.org.", "ada @example.org"} {
			if _, err := s.Create(ctx, newAccount(t, email)); err != nil {
				t.Errorf("%q: %v", email, err)
			}
		}
		same := newAccount(t, "eve@example.org")
		same.ID = first.ID
		if _, err := s.Create(ctx, same); err == nil || errors.Is(err, account.ErrTaken) {
			t.Errorf("an ID for the second time: %v", err)
		}
		if got, err := s.ByID(ctx, first.ID); err != nil || got.Email != first.Email {
			t.Errorf("the first account: %+v, %v", got, err)
		}
	})
}

// TestTakenAtOnce: of many who want an address at the same time one gets it.
func TestTakenAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		for round := range 5 {
			var wg sync.WaitGroup
			var made atomic.Int32
			email := fmt.Sprintf("ada%d@example.org", round)
			for i := range 16 {
				a := newAccount(t, email)
				if i%2 == 1 {
					a.Email = strings.ToUpper(email)
				}
				wg.Go(func() {
					switch _, err := s.Create(t.Context(), a); {
					case err == nil:
						made.Add(1)
					case !errors.Is(err, account.ErrTaken):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if made.Load() != 1 {
				t.Errorf("%d accounts of one address", made.Load())
			}
		}
	})
}

func TestSetPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a, err := s.Create(ctx, newAccount(t, "ada@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		other, err := s.Create(ctx, newAccount(t, "eve@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetPassword(ctx, a.ID, a.PasswordHash, "second"); err != nil {
			t.Fatal(err)
		}
		if err := s.SetPassword(ctx, a.ID, a.PasswordHash, "third"); !errors.Is(err, account.ErrConflict) {
			t.Errorf("with the hash before: %v", err)
		}
		if err := s.SetPassword(ctx, a.ID, "SECOND", "third"); !errors.Is(err, account.ErrConflict) {
			t.Errorf("with the hash in capitals: %v", err)
		}
		if err := s.SetPassword(ctx, a.ID, "second", "second"); err != nil {
			t.Errorf("without a change: %v", err)
		}
		if err := s.SetPassword(ctx, "nobody", "second", "third"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		want := a
		want.PasswordHash = "second"
		if got, err := s.ByID(ctx, a.ID); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := s.ByID(ctx, other.ID); err != nil || got != other {
			t.Errorf("the other: %+v, %v", got, err)
		}

		// Of many who replace the same hash one does.
		var wg sync.WaitGroup
		var done atomic.Int32
		for i := range 16 {
			wg.Go(func() {
				switch err := s.SetPassword(ctx, a.ID, "second", fmt.Sprintf("of %d", i)); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, account.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done.Load() != 1 {
			t.Errorf("%d changes", done.Load())
		}
	})
}

func TestLocked(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a, err := s.Create(ctx, newAccount(t, "ada@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE users SET locked_at = 1000001 WHERE id = ?", a.ID); err != nil {
			t.Fatal(err)
		}
		got, err := s.ByID(ctx, a.ID)
		if err != nil || !got.Locked.Equal(time.Unix(1, 1000)) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestSigningKeys: they are counted, so that of many who add one at the same time one
// does, and their times are the database's.
func TestSigningKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		if keys, err := s.SigningKeys(ctx); err != nil || len(keys) != 0 {
			t.Fatalf("%v, %v", keys, err)
		}
		sealed := []byte{1, 0, 255, '\''}
		for i := range int64(3) {
			k := account.SigningKey{Number: i + 1, ID: fmt.Sprint("key", i+1), Sealed: sealed, SignsIn: time.Duration(i) * time.Hour}
			if err := s.AddSigningKey(ctx, k, 0); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := s.SigningKeys(ctx)
		if err != nil || len(keys) != 3 {
			t.Fatalf("%v, %v", keys, err)
		}
		for i, k := range keys {
			d := time.Duration(i)*time.Hour - k.SignsIn
			if k.Number != int64(i+1) || k.ID != fmt.Sprint("key", i+1) || !bytes.Equal(k.Sealed, sealed) || d < 0 || d > 10*time.Second {
				t.Errorf("%+v", k)
			}
		}
		var wg sync.WaitGroup
		var added atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				switch err := s.AddSigningKey(ctx, account.SigningKey{Number: 4, ID: fmt.Sprint("of", i), Sealed: sealed}, 3); {
				case err == nil:
					added.Add(1)
				case !errors.Is(err, account.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		keys, err = s.SigningKeys(ctx)
		if err != nil || added.Load() != 1 || len(keys) != 2 || keys[0].Number != 3 {
			t.Errorf("%d were added: %v, %v", added.Load(), keys, err)
		}
	})
}

// TestOldProgram: what a program of the first version says to the database is understood,
// word by word: this test is to be kept as it is when the columns change.
func TestOldProgram(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		const id = "018f0000-0000-7000-8000-000000000001"
		if _, err := db.ExecContext(ctx, "INSERT INTO users (id, email, email_key, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?, "+db.Now()+")",
			id, "Ada@example.org", "ada@example.org", "hash", "user"); err != nil {
			t.Fatal(err)
		}
		var gotID, email, hash, role string
		var created int64
		var locked sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT id, email, password_hash, role, created_at, locked_at FROM users WHERE email_key = ?", "ada@example.org").
			Scan(&gotID, &email, &hash, &role, &created, &locked); err != nil || gotID != id || locked.Valid {
			t.Errorf("%s, %v", gotID, err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", "second", id, "hash"); err != nil {
			t.Error(err)
		}
		if got, err := New(db).ByID(ctx, id); err != nil || got.PasswordHash != "second" || !got.Verified.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestMigrateAgain: migrations run once, and leave the rows alone.
func TestMigrateAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		a, err := s.Create(t.Context(), newAccount(t, "ada@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		if err := Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if got, err := s.ByID(t.Context(), a.ID); err != nil || got != a {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// text returns all that rows say, with spaces around each value.
func text(t *testing.T, rows *sql.Rows) string {
	t.Helper()
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			b.WriteString(" " + v.String + " ")
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestIndexes: accounts are found by an index.
func TestIndexes(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		for i := range 50 {
			if _, err := s.Create(ctx, newAccount(t, fmt.Sprintf("user%d@example.org", i))); err != nil {
				t.Fatal(err)
			}
		}
		for where, value := range map[string]string{
			"users WHERE id": newAccount(t, "").ID, "users WHERE email_key": "user7@example.org",
			"sessions WHERE id": "x", "sessions WHERE family": "x", "sessions WHERE user_id": "x",
			"account_mails WHERE id": "x", "account_mails WHERE token": "x", "account_mails WHERE user_id": "x",
			"account_audit WHERE subject": "x", "api_keys WHERE id": "x", "api_keys WHERE hash": "x", "api_keys WHERE user_id": "x",
		} {
			explain := "EXPLAIN "
			if db.Dialect() == sqldb.SQLite {
				explain = "EXPLAIN QUERY PLAN "
			}
			rows, err := db.QueryContext(ctx, explain+"SELECT * FROM "+where+" = ?", value)
			if err != nil {
				t.Fatal(err)
			}
			plan := text(t, rows)
			if strings.Contains(plan, "SCAN") || strings.Contains(plan, " ALL ") {
				t.Errorf("%s: %s", where, plan)
			}
		}
	})
}

// TestGone: a database that is gone is neither a missing nor a taken account.
func TestGone(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err1 := s.ByID(t.Context(), "x")
		_, err2 := s.ByEmail(t.Context(), "x")
		_, err3 := s.Create(t.Context(), newAccount(t, "ada@example.org"))
		err4 := s.SetPassword(t.Context(), "x", "a", "b")
		_, err5 := s.SigningKeys(t.Context())
		err6 := s.AddSigningKey(t.Context(), account.SigningKey{Number: 1, ID: "x"}, 0)
		_, err7 := s.Session(t.Context(), "x")
		_, err8 := s.Sessions(t.Context(), "x")
		_, _, err9 := s.Refresh(t.Context(), "x", "y", []string{"z"}, 0)
		err10 := s.CreateSession(t.Context(), newSession(t, "x"), "y")
		err11 := s.EndSession(t.Context(), "x", "y")
		_, err12 := s.EndSessions(t.Context(), "x", "y")
		err13 := s.EndFamily(t.Context(), "x")
		err14 := s.ChangePassword(t.Context(), "x", "a", "b", newSession(t, "x"), account.NewMail{})
		err15 := s.PurgeSessions(t.Context())
		_, err16 := s.AddMail(t.Context(), account.NewMail{}, many)
		_, err17 := s.ClaimMail(t.Context(), time.Minute)
		_, err18 := s.Resettable(t.Context(), "x")
		_, err19 := s.CreateAPIKey(t.Context(), newKey(t, "x", "y"), "z", account.NewMail{})
		_, err20 := s.APIKeys(t.Context(), "x")
		_, err21 := s.APIKey(t.Context(), "x")
		_, err22 := s.ClaimDeparture(t.Context(), time.Minute)
		_, err23 := s.Users(t.Context(), account.UserQuery{})
		_, err24 := s.Audit(t.Context(), "", "", 1)
		act := account.Act{Action: account.ActLock, Subject: "x"}
		more := []error{
			err23, err24, s.Lock(t.Context(), act), s.Unlock(t.Context(), act), s.Logout(t.Context(), act), s.Note(t.Context(), act),
			s.SetQuota(t.Context(), account.Quota{}, act), s.AdminReset(t.Context(), account.NewMail{}, act), s.CreateNoted(t.Context(), newAccount(t, "x"), act),
			err19, err20, err21, err22, s.RevokeAPIKey(t.Context(), "x", "y"), s.APIKeyUsed(t.Context(), "x", 0), s.Delete(t.Context(), "x", "y", account.NewMail{}),
			s.Departed(t.Context(), account.Departure{}), s.DepartLater(t.Context(), account.Departure{}, 0),
			err16, err17, err18, s.MailSent(t.Context(), account.Mail{}), s.MailFailed(t.Context(), account.Mail{}, 0, "x"), s.PurgeMails(t.Context()),
			s.Register(t.Context(), newAccount(t, "x"), account.NewMail{}), s.Verify(t.Context(), "x"), s.ResetPassword(t.Context(), "x", "y", account.NewMail{}),
		}
		for i, err := range append(more, err1, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13, err14, err15) {
			if err == nil || errors.Is(err, account.ErrNotFound) || errors.Is(err, account.ErrTaken) || errors.Is(err, account.ErrConflict) {
				t.Errorf("call %d: %v", i+1, err)
			}
		}
	})
}
