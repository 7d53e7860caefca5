package auth

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func secrets(t testing.TB, lines ...string) *Secrets {
	t.Helper()
	if len(lines) == 0 {
		lines = []string{NewSecret()}
	}
	s, err := ParseSecrets(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseSecrets(t *testing.T) {
	t.Parallel()
	a, b := NewSecret(), NewSecret()
	if a == b || len(a) < MinSecret {
		t.Errorf("%q, %q", a, b)
	}
	if s := secrets(t, "", "  "+a+"\r", "", b, ""); len(s.keys) != 2 || string(s.keys[0]) != a || string(s.keys[1]) != b {
		t.Errorf("%d keys", len(s.keys))
	}
	for _, bad := range []string{"", " \n", "geheim0815", a + "\ngeheim0815"} {
		if _, err := ParseSecrets(bad); err == nil || strings.Contains(err.Error(), "geheim0815") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %s", secrets(t, a), secrets(t, a), secrets(t, a), secrets(t, a)); strings.Contains(text, a) || strings.Contains(text, fmt.Sprint([]byte(a))) {
		t.Errorf("they print as %s", text)
	}
}

// TestSeal: what is sealed opens with each line that it may have been sealed with, for
// its own purpose and name, and in no other way; no byte of it can be changed.
func TestSeal(t *testing.T) {
	t.Parallel()
	old, line := NewSecret(), NewSecret()
	plain := []byte("a private key")
	sealed, err := secrets(t, old).seal("keys", "one", plain)
	if err != nil || bytes.Contains(sealed, plain) {
		t.Fatalf("%q, %v", sealed, err)
	}
	again, err := secrets(t, old).seal("keys", "one", plain)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same twice, %v", err)
	}
	for _, s := range []*Secrets{secrets(t, old), secrets(t, line, old), secrets(t, old, line)} {
		if got, err := s.open("keys", "one", sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%q, %v", got, err)
		}
	}
	s := secrets(t, old)
	if _, err := secrets(t, line).open("keys", "one", sealed); err == nil {
		t.Error("another secret opens it")
	}
	if _, err := s.open("mails", "one", sealed); err == nil {
		t.Error("it opens for another purpose")
	}
	if _, err := s.open("keys", "two", sealed); err == nil {
		t.Error("it opens by another name")
	}
	rapid.Check(t, func(t *rapid.T) {
		spoilt := bytes.Clone(sealed)
		if rapid.Bool().Draw(t, "cut") {
			spoilt = spoilt[:rapid.IntRange(0, len(spoilt)-1).Draw(t, "length")]
		} else {
			spoilt[rapid.IntRange(0, len(spoilt)-1).Draw(t, "place")] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		}
		if _, err := s.open("keys", "one", spoilt); err == nil {
			t.Fatal("it opens")
		}
	})
}

func TestDerive(t *testing.T) {
	t.Parallel()
	old, line := NewSecret(), NewSecret()
	one := func(s *Secrets, purpose string, parts ...string) string {
		var b [][]byte
		for _, p := range parts {
			b = append(b, []byte(p))
		}
		return string(s.derive(purpose, b...)[0])
	}
	s := secrets(t, old)
	want := one(s, "mails", "a", "bc")
	for _, other := range []string{
		one(s, "keys", "a", "bc"), one(s, "mails", "ab", "c"), one(s, "mails", "abc"), one(s, "mails", "a", "bc", ""), one(secrets(t, line), "mails", "a", "bc"),
	} {
		if other == want {
			t.Error("two that differ are the same")
		}
	}
	if all := secrets(t, line, old).derive("mails", []byte("a"), []byte("bc")); len(all) != 2 || string(all[1]) != want || string(all[0]) == want {
		t.Error("the old secret's is not the second")
	}
}
