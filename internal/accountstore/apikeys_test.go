package accountstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

func newKey(t *testing.T, user, hash string) account.NewAPIKey {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.NewAPIKey{
		APIKey: account.APIKey{ID: id.String(), User: user, Name: "für nachts 🎵", Prefix: "mp3k_ABCDEFGH", Scopes: []string{"jobs:read", "admin"}},
		Hash:   hash, Lifetime: time.Hour,
	}
}

func TestAPIKeys(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		n := newKey(t, a.ID, "one")
		made, err := s.CreateAPIKey(ctx, n, a.PasswordHash, newMail(t, account.MailKey, a, ""))
		if err != nil {
			t.Fatal(err)
		}
		want := n.APIKey
		want.Created, want.Expires = made.Created, made.Created.Add(time.Hour)
		if diff := cmp.Diff(want, made); diff != "" || time.Since(made.Created).Abs() > 10*time.Second {
			t.Error(diff)
		}
		if m, err := s.ClaimMail(ctx, time.Minute); err != nil || m.Kind != account.MailKey {
			t.Errorf("%+v, %v", m, err)
		}
		for _, bad := range []string{"", "ONE", "two"} {
			if k, err := s.APIKey(ctx, bad); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%q: %+v, %v", bad, k, err)
			}
		}
		if k, err := s.APIKey(ctx, "one"); err != nil || k.ID != n.ID || !k.Used.IsZero() {
			t.Errorf("%+v, %v", k, err)
		}
		used := func() time.Time {
			t.Helper()
			keys, err := s.APIKeys(ctx, a.ID)
			if err != nil || len(keys) != 1 {
				t.Fatalf("%+v, %v", keys, err)
			}
			return keys[0].Used
		}
		note := func() {
			t.Helper()
			if err := s.APIKeyUsed(ctx, n.ID, time.Minute); err != nil {
				t.Error(err)
			}
		}
		note()
		first := used()
		if time.Since(first).Abs() > 10*time.Second {
			t.Errorf("used at %v", first)
		}
		if note(); used() != first {
			t.Errorf("noted again: %v", used())
		}
		if _, err := db.ExecContext(ctx, "UPDATE api_keys SET used_at = used_at - 60000001"); err != nil {
			t.Fatal(err)
		}
		if note(); used().Before(first) {
			t.Errorf("a minute later: %v", used())
		}
		if _, err := s.CreateAPIKey(ctx, newKey(t, a.ID, "two"), "another hash", newMail(t, account.MailKey, a, "")); !errors.Is(err, account.ErrConflict) {
			t.Errorf("with another password: %v", err)
		}
		for _, user := range []string{"", "eve"} {
			if err := s.RevokeAPIKey(ctx, user, n.ID); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("by %q: %v", user, err)
			}
			if keys, err := s.APIKeys(ctx, user); err != nil || len(keys) != 0 {
				t.Errorf("of %q: %+v, %v", user, keys, err)
			}
		}
		if _, err := db.ExecContext(ctx, "UPDATE api_keys SET expires_at = expires_at - 3600000001"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.APIKey(ctx, "one"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("expired: %v", err)
		}
		if err := s.RevokeAPIKey(ctx, a.ID, n.ID); err != nil {
			t.Error(err)
		}
		if err := s.RevokeAPIKey(ctx, a.ID, n.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
	})
}

// TestManyAPIKeys: of many who make keys at the same time no more succeed than there may
// be; those that have expired make room.
func TestManyAPIKeys(t *testing.T) {
	onAccount(t, func(t *testing.T, db *sqldb.DB, s *Store, a account.Account) {
		ctx := t.Context()
		for i := range account.MaxAPIKeys - 2 {
			if _, err := s.CreateAPIKey(ctx, newKey(t, a.ID, fmt.Sprint("key", i)), a.PasswordHash, newMail(t, account.MailKey, a, "")); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var made atomic.Int32
		for i := range 6 {
			n, m := newKey(t, a.ID, fmt.Sprint("late", i)), newMail(t, account.MailKey, a, "")
			wg.Go(func() {
				switch _, err := s.CreateAPIKey(ctx, n, a.PasswordHash, m); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, account.ErrTooMany):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 2 {
			t.Errorf("%d were made", made.Load())
		}
		if _, err := db.ExecContext(ctx, "UPDATE api_keys SET expires_at = 1 WHERE hash = 'key0'"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateAPIKey(ctx, newKey(t, a.ID, "room"), a.PasswordHash, newMail(t, account.MailKey, a, "")); err != nil {
			t.Error(err)
		}
		if keys, err := s.APIKeys(ctx, a.ID); err != nil || len(keys) != account.MaxAPIKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}
