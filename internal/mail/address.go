package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest address and its longest part before the @, in bytes (RFC 5321,
// section 4.5.3.1, as corrected by erratum 1690 of RFC 3696).
const (
	maxAddress = 254
	maxLocal   = 64
)

// maxName is the longest name before an address that is taken, in bytes.
const maxName = 100

// CheckAddress reports why s is not an address that mail can be sent to, in words
// made for users. It wants one plain address, such as ada@example.org: no name, no
// quotes, no comments, ASCII only (a domain with other letters has an "xn--" form,
// which is fine). Whether the mailbox exists only its server knows.
func CheckAddress(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case s == "":
		return errors.New("the mail address is empty")
	case len(s) > maxAddress:
		return fmt.Errorf("the mail address is longer than %d characters", maxAddress)
	case !ok || strings.Contains(domain, "@"):
		return errors.New("a mail address has one @, as in ada@example.org")
	case len(local) > maxLocal:
		return fmt.Errorf("the part before the @ is longer than %d characters", maxLocal)
	case !isDotAtom(local):
		return errors.New("the part before the @ of the mail address is not usable")
	case !isDomain(domain):
		return errors.New("the part after the @ of the mail address is not a domain")
	}
	return nil
}

// isDotAtom reports whether s is words with dots between them, as RFC 5322, section
// 3.2.3 has it.
func isDotAtom(s string) bool {
	for _, atom := range strings.Split(s, ".") {
		if atom == "" {
			return false
		}
		for _, c := range []byte(atom) {
			if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", rune(c)) {
				return false
			}
		}
	}
	return true
}

// isDomain reports whether s is a host name (RFC 1123, section 2.1); one label, as
// in localhost, will do. An IP address is not one.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !isAlphanumeric(c) && c != '-' {
				return false
			}
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// parseFrom reads the sender's address, which may have a name.
func parseFrom(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf("sender %q: want an address such as \"MP3 service <mp3@example.org>\": %w", s, err)
	}
	if err := CheckAddress(a.Address); err != nil {
		return nil, fmt.Errorf("sender %q: %w", s, err)
	}
	if !isText(a.Name) || len(a.Name) > maxName {
		return nil, fmt.Errorf("sender %q: the name has control characters or more than %d bytes", s, maxName)
	}
	return a, nil
}

// isText reports whether s is one line of UTF-8.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}
