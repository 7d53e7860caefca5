package token

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestSeenExpires: a token that was good before ends at its time.
func TestSeenExpires(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	var now atomic.Pointer[time.Time]
	set := func(at time.Time) { now.Store(&at) }
	end := time.Now().Truncate(time.Second).Add(time.Hour)
	v := is.verifier(t, func(cfg *Config) {
		cfg.Leeway = -1
		cfg.now = func() time.Time { return *now.Load() }
	})
	raw := is.sign(t, "a", with(jwt.MapClaims{"exp": end.Unix(), "quota": map[string]int{"jobs": 7}}))
	set(end.Add(-time.Second))
	for range 2 {
		c, err := v.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Is(RoleUser) {
			t.Errorf("roles %v", c.Roles)
		}
		if c.Quota == nil || c.Quota.Jobs == nil || *c.Quota.Jobs != 7 || c.Quota.DailyBytes != nil {
			t.Errorf("quota %+v", c.Quota)
		}
		c.Roles[0] = RoleAdmin // what a caller does with them is not remembered
		*c.Quota.Jobs = 1 << 40
	}
	if _, ok := v.seen.get(raw); !ok {
		t.Error("it is not remembered")
	}
	set(end)
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
	set(end.Add(-2 * time.Hour))
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) {
		t.Errorf("before its time: %v", err)
	}
}

// TestSeenKeyReplaced: a token of a key whose ID has got another key is refused.
func TestSeenKeyReplaced(t *testing.T) {
	t.Parallel()
	is := newIssuer(t, "a")
	v := is.verifier(t, func(c *Config) { c.Refresh = 10 * time.Millisecond })
	raw := is.sign(t, "a", good())
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	is.rotate(t, "a")
	eventually(t, "it is refused", func() bool {
		_, err := v.Verify(t.Context(), raw)
		return errors.Is(err, ErrInvalid)
	})
}

func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	var s seen
	for i := range 3 * maxSeen {
		raw := fmt.Sprint(i)
		s.put(raw, signed{kid: raw})
		if got, ok := s.get(raw); !ok || got.kid != raw || len(s.tokens) > maxSeen {
			t.Fatalf("%q: %v, %v, %d tokens", raw, got.kid, ok, len(s.tokens))
		}
	}
}
