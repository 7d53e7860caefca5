package job

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var codeForm = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

func TestCodes(t *testing.T) {
	t.Parallel()
	codes := Codes()
	if len(words) != len(codes) {
		t.Errorf("%d codes, words for %d", len(codes), len(words))
	}
	for i, c := range codes {
		if !codeForm.MatchString(string(c)) || slices.Contains(codes[:i], c) {
			t.Errorf("the code %q", c)
		}
		if _, ok := words[c]; !ok {
			t.Errorf("no words for %s", c)
			continue
		}
		for _, detail := range []string{"", "ac4", "24h0m0s of audio", "夢"} {
			f := &Failure{Code: c, Detail: detail}
			sentence(t, c, f.Sentence())
			sentence(t, c, f.Advice())
			if !strings.Contains(f.Sentence(), detail) {
				t.Errorf("%s: %q lacks the detail %q", c, f.Sentence(), detail)
			}
		}
	}
	// The same words for two codes would be one code too many. Advice may be the same.
	said := map[string]Code{}
	for _, c := range codes {
		s := (&Failure{Code: c}).Sentence()
		if other, ok := said[s]; ok {
			t.Errorf("%s and %s say %q", c, other, s)
		}
		said[s] = c
	}
}

// sentence checks the form of one sentence, made for users.
func sentence(t *testing.T, c Code, s string) {
	t.Helper()
	body, ended := strings.CutSuffix(s, ".")
	if !ended || body == "" || !unicode.IsUpper(rune(s[0])) || strings.ContainsAny(body, ".!\n") || strings.TrimSpace(s) != s {
		t.Errorf("%s: %q is not one sentence", c, s)
	}
	if strings.Contains(s, "_") || strings.Contains(s, "--") {
		t.Errorf("%s: %q is not in words for users", c, s)
	}
}

// A code that this program doesn't know, of a newer worker say, has words too.
func TestUnknownCode(t *testing.T) {
	t.Parallel()
	f, internal := &Failure{Code: "tomorrow"}, &Failure{Code: Internal}
	if f.Sentence() != internal.Sentence() || f.Advice() != internal.Advice() {
		t.Errorf("%q %q", f.Sentence(), f.Advice())
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	var again []Code
	for _, c := range Codes() {
		if !c.Permanent() {
			again = append(again, c)
		}
	}
	if !slices.Equal(again, []Code{Storage, StorageFull, WorkerLost, Internal}) {
		t.Errorf("tried again: %v", again)
	}
	// Advice that names a setting names one that there is.
	for c, w := range words {
		for _, name := range regexp.MustCompile(`[a-z]+(-[a-z]+)+`).FindAllString(w.advice, -1) {
			if !slices.Contains(SettingNames(), name) {
				t.Errorf("%s: no setting is called %s", c, name)
			}
		}
	}
}
