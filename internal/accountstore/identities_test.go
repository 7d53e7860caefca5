package accountstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

func newIdentity(t *testing.T, user, subject string) account.Identity {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.Identity{ID: id.String(), User: user, Issuer: "https://id.example.org", Subject: subject, Email: subject + "@example.net"}
}

// verifiedAccount makes an account whose address is verified.
func verifiedAccount(t *testing.T, s *Store, email string) account.Account {
	t.Helper()
	a := newAccount(t, email)
	a.Verified = time.Now()
	a, err := s.Create(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func linked(t *testing.T, a account.Account) account.NewMail {
	return newMail(t, account.MailLinked, a, "")
}

// TestIdentities: an identity belongs to one account, is found by issuer and subject to
// the letter, and begins sessions as long as it is linked.
func TestIdentities(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a, b := verifiedAccount(t, s, "ada@example.org"), verifiedAccount(t, s, "eve@example.org")
		i := newIdentity(t, a.ID, "Subject")
		if err := s.Link(ctx, i, linked(t, a)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Identity(ctx, i.Issuer, i.Subject)
		if err != nil || got.ID != i.ID || got.User != a.ID || got.Email != i.Email || time.Since(got.Created).Abs() > 10*time.Second || got.Used != got.Created {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, other := range [][2]string{{i.Issuer, "subject"}, {i.Issuer, "Subject "}, {i.Issuer, ""}, {i.Issuer + "/", "Subject"}, {"HTTPS://id.example.org", "Subject"}, {i.Issuer, "ü"}} {
			if got, err := s.Identity(ctx, other[0], other[1]); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%q: %+v, %v", other, got, err)
			}
		}
		for _, who := range []account.Account{a, b} {
			if err := s.Link(ctx, newIdentity(t, who.ID, "Subject"), linked(t, who)); !errors.Is(err, account.ErrLinked) {
				t.Errorf("linked again: %v", err)
			}
		}
		if err := s.Link(ctx, newIdentity(t, a.ID, "subject"), linked(t, a)); err != nil {
			t.Errorf("in small letters it is another: %v", err)
		}
		if err := s.Link(ctx, newIdentity(t, "nobody", "x"), linked(t, a)); !errors.Is(err, account.ErrConflict) {
			t.Errorf("to an account that is none: %v", err)
		}
		unverified, err := s.Create(ctx, newAccount(t, "grace@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Link(ctx, newIdentity(t, unverified.ID, "x"), linked(t, unverified)); !errors.Is(err, account.ErrConflict) {
			t.Errorf("to an account that is not verified: %v", err)
		}

		n := newSession(t, a.ID)
		n.Fresh = true
		i.Email = "new@example.net"
		if err := s.SignIn(ctx, i, n); err != nil {
			t.Fatal(err)
		}
		session, err := s.Session(ctx, n.ID)
		if err != nil || session.Proved != session.Created || session.User != a.ID {
			t.Errorf("%+v, %v", session, err)
		}
		if got, err := s.Identity(ctx, i.Issuer, i.Subject); err != nil || got.Email != "new@example.net" || got.Used.Before(got.Created) {
			t.Errorf("%+v, %v", got, err)
		}
		plain := newSession(t, a.ID)
		if err := s.SignIn(ctx, i, plain); err != nil {
			t.Fatal(err)
		}
		if session, err := s.Session(ctx, plain.ID); err != nil || !session.Proved.IsZero() {
			t.Errorf("%+v, %v", session, err)
		}
		if err := s.SignIn(ctx, i, newSession(t, b.ID)); !errors.Is(err, account.ErrConflict) {
			t.Errorf("to the account of another: %v", err)
		}
		if err := s.Lock(ctx, account.Act{ID: "1", Action: account.ActLock, Subject: a.ID}); err != nil {
			t.Fatal(err)
		}
		if err := s.SignIn(ctx, i, newSession(t, a.ID)); !errors.Is(err, account.ErrConflict) {
			t.Errorf("locked: %v", err)
		}
		if err := s.Link(ctx, newIdentity(t, a.ID, "y"), linked(t, a)); !errors.Is(err, account.ErrConflict) {
			t.Errorf("linked to a locked one: %v", err)
		}
		all, err := s.Identities(ctx, a.ID)
		if err != nil || len(all) != 2 || all[0].ID != i.ID {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// TestCreateLinked: an account and its identity come together or not at all, once.
func TestCreateLinked(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		var made atomic.Int32
		var wg sync.WaitGroup
		for n := range 8 {
			a := newAccount(t, fmt.Sprintf("ada%d@example.org", n%2)) // two at a time have one address
			a.PasswordHash, a.Verified = "", time.Now()
			i := newIdentity(t, a.ID, fmt.Sprint(n/2%2)) // or one subject
			wg.Go(func() {
				switch err := s.CreateLinked(ctx, a, i); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, account.ErrTaken) && !errors.Is(err, account.ErrLinked):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var users, identities int
		err := errors.Join(db.QueryRowContext(ctx, "SELECT COUNT(*) FROM users").Scan(&users), db.QueryRowContext(ctx, "SELECT COUNT(*) FROM identities").Scan(&identities))
		if err != nil || users != int(made.Load()) || identities != users || users < 1 || users > 2 {
			t.Errorf("%d were made: %d accounts, %d identities, %v", made.Load(), users, identities, err)
		}
	})
}

// TestUnlink: an identity goes with the sessions but one; the last one of an account
// without a password stays, also if two are taken at the same time.
func TestUnlink(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a := newAccount(t, "ada@example.org")
		a.PasswordHash, a.Verified = "", time.Now()
		first := newIdentity(t, a.ID, "1")
		if err := s.CreateLinked(ctx, a, first); err != nil {
			t.Fatal(err)
		}
		second := newIdentity(t, a.ID, "2")
		if err := s.Link(ctx, second, linked(t, a)); err != nil {
			t.Fatal(err)
		}
		here, there := newSession(t, a.ID), newSession(t, a.ID)
		for _, n := range []account.NewSession{here, there} {
			if err := s.SignIn(ctx, first, n); err != nil {
				t.Fatal(err)
			}
		}
		mail := func() account.NewMail { return newMail(t, account.MailUnlinked, a, "") }
		other := verifiedAccount(t, s, "eve@example.org")
		if err := s.Unlink(ctx, other.ID, first.ID, "", mail()); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("of another: %v", err)
		}
		mails := []account.NewMail{mail(), mail()}
		errs := make(chan error, 2)
		for n, i := range []account.Identity{first, second} {
			go func() { errs <- s.Unlink(ctx, a.ID, i.ID, here.ID, mails[n]) }()
		}
		switch e1, e2 := <-errs, <-errs; {
		case e1 == nil && errors.Is(e2, account.ErrLastWay), e2 == nil && errors.Is(e1, account.ErrLastWay):
		default:
			t.Errorf("%v, %v", e1, e2)
		}
		if all, err := s.Identities(ctx, a.ID); err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		if _, err := s.Session(ctx, here.ID); err != nil {
			t.Errorf("this session: %v", err)
		}
		if _, err := s.Session(ctx, there.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("the other: %v", err)
		}
		if err := s.SignIn(ctx, account.Identity{Issuer: first.Issuer, Subject: "3"}, newSession(t, a.ID)); !errors.Is(err, account.ErrConflict) {
			t.Errorf("an identity that is none: %v", err)
		}
		for n := range account.MaxIdentities {
			err := s.Link(ctx, newIdentity(t, a.ID, fmt.Sprint("more ", n)), linked(t, a))
			if last := n == account.MaxIdentities-1; errors.Is(err, account.ErrTooMany) != last || err != nil && !last {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
}

// TestDeleteIdentities: they go with their account, and are free again.
func TestDeleteIdentities(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		a, b := verifiedAccount(t, s, "ada@example.org"), verifiedAccount(t, s, "eve@example.org")
		for _, who := range []account.Account{a, b} {
			if err := s.Link(ctx, newIdentity(t, who.ID, who.Email), linked(t, who)); err != nil {
				t.Fatal(err)
			}
		}
		told := newMail(t, account.MailDeleted, a, "")
		told.User = ""
		if err := s.Delete(ctx, a.ID, a.PasswordHash, told); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, a.ID, a.PasswordHash, told); !errors.Is(err, account.ErrConflict) {
			t.Errorf("again: %v", err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM identities").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d are left, %v", n, err)
		}
		if err := s.Link(ctx, newIdentity(t, b.ID, a.Email), linked(t, b)); err != nil {
			t.Error(err)
		}
	})
}

// TestSignIns: what a sign-in has begun with is there once, and in time.
func TestSignIns(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		sealed := make([]byte, 8192)
		for i := range sealed {
			sealed[i] = byte(i)
		}
		if err := s.KeepSignIn(ctx, "one", sealed, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := s.KeepSignIn(ctx, "one", sealed, time.Minute); err == nil {
			t.Error("kept twice")
		}
		var wg sync.WaitGroup
		var taken atomic.Int32
		for range 4 {
			wg.Go(func() {
				switch got, err := s.TakeSignIn(ctx, "one"); {
				case err == nil && string(got) == string(sealed):
					taken.Add(1)
				case !errors.Is(err, account.ErrNotFound):
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Errorf("taken %d times", taken.Load())
		}
		if err := errors.Join(s.KeepSignIn(ctx, "late", []byte("x"), -time.Millisecond), s.KeepSignIn(ctx, "good", []byte("y"), time.Minute)); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"late", "none", ""} {
			if got, err := s.TakeSignIn(ctx, id); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%q: %q, %v", id, got, err)
			}
		}
		if err := s.PurgeSignIns(ctx); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sign_ins").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d are left, %v", n, err)
		}
		if got, err := s.TakeSignIn(ctx, "good"); err != nil || string(got) != "y" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
