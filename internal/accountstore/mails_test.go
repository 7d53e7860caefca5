package accountstore

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

func newMail(t *testing.T, kind account.MailKind, a account.Account, token string) account.NewMail {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.NewMail{
		Mail: account.Mail{ID: id.String(), To: a.Email, Kind: kind, Token: token}, User: a.ID, Lifetime: time.Hour,
	}
}

// many lets a test keep as many mails as it likes.
var many = account.MailLimits{Most: 1 << 30}

func add(t *testing.T, s *Store, m account.NewMail) {
	t.Helper()
	if kept, err := s.AddMail(t.Context(), m, many); err != nil || !kept {
		t.Fatal(kept, err)
	}
}

// TestMails: a mail is one process's at a time, comes again when that does not say what
// became of it, and is over when it does.
func TestMails(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		if _, err := s.ClaimMail(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Fatal(err)
		}
		n := newMail(t, account.MailReset, a, "digest")
		add(t, s, n)
		held := newMail(t, account.MailTaken, a, "")
		held.Hold = true
		add(t, s, held)
		add(t, s, newMail(t, account.MailNone, account.Account{Email: "nobody@example.org"}, "digest of nobody"))
		m, err := s.ClaimMail(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		want := n.Mail
		want.Tries, want.Created, want.Expires = 1, m.Created, m.Created.Add(time.Hour)
		if m != want || time.Since(m.Created).Abs() > 10*time.Second {
			t.Errorf("got %+v\nwant %+v", m, want)
		}
		if other, err := s.ClaimMail(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("claimed twice: %+v, %v", other, err)
		}
		past := func() {
			t.Helper()
			if _, err := db.ExecContext(ctx, "UPDATE account_mails SET due_at = due_at - 120000000 WHERE due_at > 0"); err != nil {
				t.Fatal(err)
			}
		}
		past() // who had it is gone
		second, err := s.ClaimMail(ctx, time.Minute)
		if err != nil || second.Tries != 2 {
			t.Fatalf("%+v, %v", second, err)
		}
		// The first one was only slow. What it says is not for this try.
		if err := s.MailFailed(ctx, m, 0, "late"); err != nil {
			t.Error(err)
		}
		if err := s.MailFailed(ctx, second, time.Minute, "the server is down"); err != nil {
			t.Error(err)
		}
		if _, err := s.ClaimMail(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("tried again too early: %v", err)
		}
		past()
		third, err := s.ClaimMail(ctx, time.Minute)
		if err != nil || third.Tries != 3 {
			t.Fatalf("%+v, %v", third, err)
		}
		if err := s.MailSent(ctx, third); err != nil {
			t.Error(err)
		}
		past()
		if _, err := s.ClaimMail(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("sent twice: %v", err)
		}
		// What has expired is not sent, and then purged.
		add(t, s, newMail(t, account.MailReset, a, "another"))
		if _, err := db.ExecContext(ctx, "UPDATE account_mails SET expires_at = expires_at - 3600000001"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ClaimMail(ctx, time.Minute); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("expired: %v", err)
		}
		count := func() (n int) {
			if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM account_mails").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := s.PurgeMails(ctx); err != nil || count() != 4 {
			t.Errorf("%d are kept, %v", count(), err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE account_mails SET expires_at = expires_at - 86400000001"); err != nil {
			t.Fatal(err)
		}
		if err := s.PurgeMails(ctx); err != nil || count() != 0 {
			t.Errorf("%d are kept, %v", count(), err)
		}
	})
}

// TestClaimMailAtOnce: of many who send mails at the same time each mail goes to one.
func TestClaimMailAtOnce(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		for i := range 20 {
			add(t, s, newMail(t, account.MailReset, a, fmt.Sprint("digest", i)))
		}
		var mu sync.Mutex
		claimed := map[string]int{}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for {
					m, err := s.ClaimMail(t.Context(), time.Minute)
					if errors.Is(err, account.ErrNotFound) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					claimed[m.ID]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, n := range claimed {
			if n != 1 {
				t.Errorf("%s went to %d", id, n)
			}
		}
		if len(claimed) != 20 {
			t.Errorf("%d were claimed", len(claimed))
		}
	})
}

func TestMailLimits(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		limits := account.MailLimits{Gap: time.Minute, Span: time.Hour, Most: 3}
		try := func(kind account.MailKind, a account.Account) bool {
			t.Helper()
			kept, err := s.AddMail(ctx, newMail(t, kind, a, ""), limits)
			if err != nil {
				t.Fatal(err)
			}
			return kept
		}
		later := func(d time.Duration) {
			t.Helper()
			if _, err := db.ExecContext(ctx, "UPDATE account_mails SET created_at = created_at - ?", d.Microseconds()); err != nil {
				t.Fatal(err)
			}
		}
		shouting := account.Account{ID: a.ID, Email: "ADA@example.org"}
		if !try(account.MailReset, a) || try(account.MailReset, a) || try(account.MailReset, shouting) {
			t.Error("two within a minute")
		}
		if !try(account.MailTaken, a) || !try(account.MailReset, account.Account{Email: "eve@example.org"}) {
			t.Error("another kind, or another address, counts")
		}
		later(61 * time.Second)
		ok := try(account.MailReset, shouting)
		later(61 * time.Second)
		if !ok || !try(account.MailReset, a) {
			t.Error("three an hour are too many")
		}
		later(61 * time.Second)
		if try(account.MailReset, a) {
			t.Error("four an hour")
		}
		later(58 * time.Minute)
		if !try(account.MailReset, a) {
			t.Error("an hour later")
		}
	})
}

// TestRegister: account and mail are there, or neither.
func TestRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a := newAccount(t, "ada@example.org")
		if err := s.Register(ctx, a, newMail(t, account.MailVerify, a, "digest")); err != nil {
			t.Fatal(err)
		}
		again := newAccount(t, "ADA@example.org")
		if err := s.Register(ctx, again, newMail(t, account.MailVerify, again, "other")); !errors.Is(err, account.ErrTaken) {
			t.Errorf("taken: %v", err)
		}
		// A mail that cannot be kept: its token is there already.
		b := newAccount(t, "eve@example.org")
		if err := s.Register(ctx, b, newMail(t, account.MailVerify, b, "digest")); err == nil || errors.Is(err, account.ErrTaken) {
			t.Errorf("without its mail: %v", err)
		}
		if _, err := s.ByEmail(ctx, b.Email); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("half an account: %v", err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM account_mails").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d mails, %v", n, err)
		}
	})
}

func TestVerify(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		if !a.Verified.IsZero() {
			t.Errorf("from the beginning: %v", a.Verified)
		}
		known := newAccount(t, "root@example.org")
		known.Verified = time.Now()
		if made, err := s.Create(ctx, known); err != nil || time.Since(made.Verified).Abs() > 10*time.Second {
			t.Errorf("%+v, %v", made, err)
		}
		add(t, s, newMail(t, account.MailVerify, a, "verify"))
		add(t, s, newMail(t, account.MailReset, a, "reset"))
		for _, bad := range []string{"", "x", "reset", "VERIFY"} {
			if err := s.Verify(ctx, bad); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := s.Verify(ctx, "verify"); err != nil {
			t.Fatal(err)
		}
		first, err := s.ByID(ctx, a.ID)
		if err != nil || time.Since(first.Verified).Abs() > 10*time.Second {
			t.Errorf("%+v, %v", first, err)
		}
		if err := s.Verify(ctx, "verify"); err != nil {
			t.Error(err)
		}
		if again, err := s.ByID(ctx, a.ID); err != nil || again != first {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE account_mails SET expires_at = 1"); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(ctx, "verify"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestResetPassword(t *testing.T) {
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
			add(t, s, newMail(t, account.MailReset, who, "one of "+who.ID[30:]))
			add(t, s, newMail(t, account.MailReset, who, "two of "+who.ID[30:]))
		}
		one, two := "one of "+a.ID[30:], "two of "+a.ID[30:]
		if got, err := s.Resettable(ctx, two); err != nil || got != a {
			t.Errorf("%+v, %v", got, err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := ""
		for i := range 6 {
			m := newMail(t, account.MailChanged, a, "")
			wg.Go(func() {
				hash := fmt.Sprint("hash", i)
				switch err := s.ResetPassword(ctx, []string{one, two}[i%2], hash, m); {
				case err == nil:
					mu.Lock()
					if done != "" {
						t.Error("two set it")
					}
					done = hash
					mu.Unlock()
				case !errors.Is(err, account.ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := s.ByID(ctx, a.ID)
		if err != nil || done == "" || got.PasswordHash != done || got.Verified.IsZero() {
			t.Errorf("%+v, %q, %v", got, done, err)
		}
		for _, token := range []string{one, two, "x", ""} {
			if _, err := s.Resettable(ctx, token); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%q: %v", token, err)
			}
		}
		if all, err := s.Sessions(ctx, a.ID); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		if all, err := s.Sessions(ctx, other.ID); err != nil || len(all) != 1 {
			t.Errorf("the other's: %+v, %v", all, err)
		}
		if got, err := s.Resettable(ctx, "one of "+other.ID[30:]); err != nil || got.ID != other.ID {
			t.Errorf("the other's: %+v, %v", got, err)
		}
		// The mails with links that do nothing any more are not sent; the one that tells is.
		kinds := map[account.MailKind]int{}
		for {
			m, err := s.ClaimMail(ctx, time.Hour)
			if err != nil {
				break
			}
			if m.To == a.Email {
				kinds[m.Kind]++
			}
		}
		if len(kinds) != 1 || kinds[account.MailChanged] != 1 {
			t.Errorf("%v", kinds)
		}
	})
}
