package auth

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The shortest and the longest password, in characters (code points of NFKC).
const (
	minPassword = 8
	maxPassword = 128
)

// service is what the service is called, in lower case.
const service = "mp3lathe"

// common is the list of passwords that too many people have. The file says whose it is.
//
//go:embed passwords.txt
var common string

// normal is the form of a password in which it is counted, judged and hashed: Unicode's
// NFKC, one of the two that NIST SP 800-63B, section 5.1.1.2, names, so that a password
// is the same from every keyboard. (RFC 8265 would have NFC, which keeps a wide "A" and a
// "A" apart: what an input method makes of a key is not what its user chose.) Nothing is
// cut off, trimmed or folded in case.
func normal(password string) string { return norm.NFKC.String(password) }

// newPassword returns the normal form of a password for the account of an address, or,
// as an *inputError of a field, why it will not do. There are no rules about kinds of
// characters (NIST SP 800-63B, section 5.1.1.2).
func newPassword(field, password, email string) (string, error) {
	bad := func(why string) (string, error) { return "", &inputError{field, why} }
	if !utf8.ValidString(password) {
		return bad("the password is not text in UTF-8")
	}
	password = normal(password)
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
		return bad(fmt.Sprintf("a password has %d to %d characters", minPassword, maxPassword))
	}
	switch folded := strings.ToLower(password); {
	case strings.Contains(common, "\n"+folded+"\n"):
		return bad("this password is one of those that are guessed first")
	case repeats(folded) || runs(folded):
		return bad("this password is a simple pattern, which is guessed at once")
	case namesOnly(folded, email):
		return bad("this password is little more than the address or the name of the service")
	}
	return password, nil
}

// longestUnit of a pattern that repeats: "abcdabcd" is one of four.
const longestUnit = 4

// repeats reports whether a text is a few characters over and over.
func repeats(s string) bool {
	r := []rune(s)
	for unit := 1; unit <= min(longestUnit, len(r)/2); unit++ {
		same := true
		for i := unit; i < len(r) && same; i++ {
			same = r[i] == r[i-unit]
		}
		if same {
			return true
		}
	}
	return false
}

// runs reports whether a text goes up or down by one all the way: "23456789".
func runs(s string) bool {
	r := []rune(s)
	if len(r) < 2 || r[1]-r[0] != 1 && r[1]-r[0] != -1 {
		return false
	}
	for i := 2; i < len(r); i++ {
		if r[i]-r[i-1] != r[1]-r[0] {
			return false
		}
	}
	return true
}

const (
	// shortestName that counts: that two letters of an address are in a password is
	// no weakness.
	shortestName = 4
	// leastBeside is how many characters there must be beside the names.
	leastBeside = 4
)

// namesOnly reports whether a password (in lower case) has little in it but what
// everybody knows of an account: its address, the parts of that, and the service.
func namesOnly(password, email string) bool {
	email = strings.ToLower(normal(email))
	local, domain, _ := strings.Cut(email, "@")
	label, _, _ := strings.Cut(domain, ".")
	for _, name := range []string{email, local, domain, label, service} { // the long ones first
		if len(name) >= shortestName {
			password = strings.ReplaceAll(password, name, "")
		}
	}
	return utf8.RuneCountInString(password) < leastBeside
}
