package accountstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

func newAct(t *testing.T, action account.Action, subject string) account.Act {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.Act{ID: id.String(), Actor: "root", ActorEmail: "root@example.org", Place: "192.0.2.1", Action: action, Subject: subject, Detail: "weil ü"}
}

// TestActs: what an administrator does and the note of it are there together, or neither.
func TestActs(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		session := newSession(t, a.ID)
		if err := s.CreateSession(ctx, session, a.PasswordHash); err != nil {
			t.Fatal(err)
		}
		lock := newAct(t, account.ActLock, a.ID)
		if err := s.Lock(ctx, lock); err != nil {
			t.Fatal(err)
		}
		locked, err := s.ByID(ctx, a.ID)
		if err != nil || time.Since(locked.Locked).Abs() > 10*time.Second {
			t.Errorf("%+v, %v", locked, err)
		}
		if all, err := s.Sessions(ctx, a.ID); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
		if err := s.Lock(ctx, newAct(t, account.ActLock, a.ID)); err != nil {
			t.Error(err)
		}
		if again, err := s.ByID(ctx, a.ID); err != nil || again != locked {
			t.Errorf("%+v, %v", again, err)
		}
		if err := s.Unlock(ctx, newAct(t, account.ActUnlock, a.ID)); err != nil {
			t.Error(err)
		}
		if got, err := s.ByID(ctx, a.ID); err != nil || got != a {
			t.Errorf("%+v, %v", got, err)
		}
		// A note that cannot be made: its ID is there already.
		if err := s.Lock(ctx, lock); err == nil {
			t.Error("noted twice")
		}
		if got, err := s.ByID(ctx, a.ID); err != nil || got != a {
			t.Errorf("locked without a note: %+v, %v", got, err)
		}
		five, none := int64(5), int64(0)
		if err := s.SetQuota(ctx, account.Quota{Jobs: &five, StoredBytes: &none}, newAct(t, account.ActQuota, a.ID)); err != nil {
			t.Error(err)
		}
		if got, err := s.ByID(ctx, a.ID); err != nil || got.Quota != `{"jobs":5,"stored_bytes":0}` {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.SetQuota(ctx, account.Quota{}, newAct(t, account.ActQuota, a.ID)); err != nil {
			t.Error(err)
		}
		if got, err := s.ByID(ctx, a.ID); err != nil || got != a {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.Logout(ctx, newAct(t, account.ActLogout, a.ID)); err != nil {
			t.Error(err)
		}
		if err := s.AdminReset(ctx, newMail(t, account.MailReset, a, "digest"), newAct(t, account.ActReset, a.ID)); err != nil {
			t.Error(err)
		}
		if _, err := s.Resettable(ctx, "digest"); err != nil {
			t.Error(err)
		}
		nobody := func(action account.Action) account.Act { return newAct(t, action, "nobody") }
		for i, err := range []error{
			s.Lock(ctx, nobody(account.ActLock)), s.Unlock(ctx, nobody(account.ActUnlock)), s.Logout(ctx, nobody(account.ActLogout)),
			s.SetQuota(ctx, account.Quota{}, nobody(account.ActQuota)), s.AdminReset(ctx, newMail(t, account.MailReset, a, "x"), nobody(account.ActReset)),
		} {
			if !errors.Is(err, account.ErrNotFound) {
				t.Errorf("call %d on nobody: %v", i, err)
			}
		}
		made := newAccount(t, "eve@example.org")
		if err := s.CreateNoted(ctx, made, newAct(t, account.ActCreate, made.ID)); err != nil {
			t.Error(err)
		}
		again := newAccount(t, "EVE@example.org")
		if err := s.CreateNoted(ctx, again, newAct(t, account.ActCreate, again.ID)); !errors.Is(err, account.ErrTaken) {
			t.Errorf("taken: %v", err)
		}
		if err := s.Note(ctx, newAct(t, account.ActView, "")); err != nil {
			t.Error(err)
		}
		acts, err := s.Audit(ctx, "", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var did []account.Action
		for _, act := range acts {
			did = append(did, act.Action)
		}
		if fmt.Sprint(did) != "[view create reset logout quota quota unlock lock lock]" {
			t.Errorf("%v", did)
		}
		first := acts[len(acts)-1]
		if time.Since(first.At).Abs() > time.Minute {
			t.Errorf("at %v", first.At)
		}
		if first.At = (time.Time{}); first != lock {
			t.Errorf("got %+v\nwant %+v", first, lock)
		}
		if page, err := s.Audit(ctx, a.ID, acts[3].ID, 2); err != nil || len(page) != 2 || page[0].ID != acts[4].ID {
			t.Errorf("%+v, %v", page, err)
		}
		if page, err := s.Audit(ctx, made.ID, "", 100); err != nil || len(page) != 1 {
			t.Errorf("%+v, %v", page, err)
		}
	})
}

func TestUsers(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		for _, email := range []string{"Bob@example.org", "ada.b@example.org", "ada@example.org", "eve@example.org", "ad~@example.org"} {
			if _, err := s.Create(ctx, newAccount(t, email)); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			q    account.UserQuery
			want string
		}{
			{account.UserQuery{Limit: 100}, "[ada.b@example.org ada@example.org ad~@example.org Bob@example.org eve@example.org]"},
			{account.UserQuery{Limit: 2}, "[ada.b@example.org ada@example.org]"},
			{account.UserQuery{After: "ada@example.org", Limit: 2}, "[ad~@example.org Bob@example.org]"},
			{account.UserQuery{Email: "ADA", Limit: 9}, "[ada.b@example.org ada@example.org]"},
			{account.UserQuery{Email: "ada", After: "ADA.B@example.org", Limit: 9}, "[ada@example.org]"},
			{account.UserQuery{Email: "b", Limit: 9}, "[Bob@example.org]"},
			{account.UserQuery{Email: "%", Limit: 9}, "[]"},
			{account.UserQuery{Email: "_", Limit: 9}, "[]"},
			{account.UserQuery{}, "[ada.b@example.org]"},
		} {
			found, err := s.Users(ctx, c.q)
			emails := []string{}
			for _, a := range found {
				emails = append(emails, a.Email)
			}
			if got := fmt.Sprint(emails); err != nil || got != c.want {
				t.Errorf("%+v: %s, want %s, %v", c.q, got, c.want, err)
			}
		}
	})
}

// TestPurgeAudit: entries go when they are old enough, and no others.
func TestPurgeAudit(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		old, young := newAct(t, account.ActLock, a.ID), newAct(t, account.ActUnlock, a.ID)
		if err := errors.Join(s.Lock(ctx, old), s.Unlock(ctx, young)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE account_audit SET at = at - ? WHERE id = ?", (25 * time.Hour).Microseconds(), old.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.PurgeAudit(ctx, 26*time.Hour); err != nil {
			t.Fatal(err)
		}
		if acts, err := s.Audit(ctx, "", "", 10); err != nil || len(acts) != 2 {
			t.Errorf("%+v, %v", acts, err)
		}
		if err := s.PurgeAudit(ctx, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if acts, err := s.Audit(ctx, "", "", 10); err != nil || len(acts) != 1 || acts[0].ID != young.ID {
			t.Errorf("%+v, %v", acts, err)
		}
	})
}
