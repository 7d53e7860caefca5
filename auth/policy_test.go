package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestNewPassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, password, why string }{
		{"a phrase", "correct horse battery", ""},
		{"of one kind of character", "lkjhqwpo", ""},
		{"spaces in it", "  a  b  c  ", ""},
		{"control characters", "tab\tand\x00nul", ""},
		{"another script", "пароль-и-слова", ""},
		{"128", strings.Repeat("xyz12", 25) + "abc", ""},
		{"128 of four bytes", strings.Repeat("🎵🎶🎷🎸🎹", 25) + "🎺🎻🥁", ""},
		{"129 before they are composed", strings.Repeat("xyz12", 25) + "ab" + "a\u0308", ""},
		{"short", "lkjhqwp", "8 to 128 characters"},
		{"short in characters, not in bytes", "äöüßñéè", "8 to 128 characters"},
		{"short when composed", "lkjhqwa\u0308", "8 to 128 characters"},
		{"long", strings.Repeat("xyz12", 25) + "abcd", "8 to 128 characters"},
		{"long when taken apart", strings.Repeat("ﷺ", 8), "8 to 128 characters"},
		{"not UTF-8", "lkjhqwpo\xff", "UTF-8"},
		{"the commonest", "password", "guessed first"},
		{"in capitals", "PassWord", "guessed first"},
		{"in wide letters", "ｐａｓｓｗｏｒｄ", "guessed first"},
		{"with digits", "password1", "guessed first"},
		{"a row of keys", "qwertyuiop", "guessed first"},
		{"up", "bcdefghij", "simple pattern"},
		{"down", "jihgfedcba", "simple pattern"},
		{"down in another script", "йизжедгв", "simple pattern"},
		{"one character", strings.Repeat("ü", 20), "simple pattern"},
		{"spaces", "            ", "simple pattern"},
		{"a unit", "xy1zxy1zxy1", "simple pattern"},
		{"the service", "MP3lathe123", "little more"},
		{"the address", "Ada.Lovelace@example.org", "little more"},
		{"its first part", "ada.lovelace!!!", "little more"},
		{"its domain", "example99", "little more"},
		{"names and something", "mp3lathe with ada.lovelace", ""},
	} {
		got, err := newPassword("f", c.password, "Ada.Lovelace@Example.org")
		if c.why == "" {
			if err != nil || got != normal(c.password) {
				t.Errorf("%s: %q, %v", c.name, got, err)
			}
			continue
		}
		var in *inputError
		if !errors.As(err, &in) || in.field != "f" || !strings.Contains(in.message, c.why) || got != "" {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
}

// TestCommonPasswords: the list has the 3000 commonest that the rules would else let
// pass, each line of it is refused, and none is there that the rules refuse anyway.
func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	n := 0
	last := ""
	for line := range strings.Lines(common) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line <= last || line != strings.ToLower(normal(line)) || utf8.RuneCountInString(line) < minPassword {
			t.Errorf("the line %q", line)
		}
		last = line
		if _, err := newPassword("password", line, ""); err == nil {
			t.Errorf("%q is taken", line)
		}
		n++
	}
	if n < 3000 {
		t.Errorf("%d passwords", n)
	}
}

// TestNormalForm: a password is the same however it is typed, and nothing else is.
func TestNormalForm(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, "Zoë's ﬁne №1 ｐａｓｓ")
	for p, want := range map[string]int{
		"Zoe\u0308's fine No1 pass": 200, "Zoë's ﬁne №1 ｐａｓｓ": 200,
		"Zoe's fine No1 pass": 401, "zoë's fine No1 pass": 401, "Zoë's fine No1 pass ": 401,
	} {
		if a := f.post("/v1/auth/login", m{"email": email, "password": p}); a.status != want {
			t.Errorf("%q: %d", p, a.status)
		}
		if a := f.do("POST", "/login", "", basic(email, p)); a.status != want {
			t.Errorf("%q by HTTP Basic: %d", p, a.status)
		}
	}
}

// TestPasswordRules: whatever is taken keeps to the bounds, is its own normal form, and
// would be taken again.
func TestPasswordRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.OneOf(rapid.StringN(0, 140, -1), rapid.StringMatching(`[a-c]{6,12}`), rapid.SampledFrom([]string{"mp3lathe", "ada@example.org"})).Draw(t, "password")
		got, err := newPassword("password", p, "ada@example.org")
		if err != nil {
			return
		}
		n := utf8.RuneCountInString(got)
		again, err := newPassword("password", got, "ada@example.org")
		if n < minPassword || n > maxPassword || err != nil || again != got {
			t.Fatalf("%q: %d characters, then %q, %v", got, n, again, err)
		}
	})
}

func FuzzNewPassword(f *testing.F) {
	f.Add("password", "ada@example.org")
	f.Add("ﷺﷺﷺﷺﷺﷺﷺﷺ", "@")
	f.Add(fmt.Sprint("\xff", strings.Repeat("\u0308", 200)), "")
	f.Fuzz(func(t *testing.T, p, email string) {
		if got, err := newPassword("password", p, email); err == nil && !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
	})
}
