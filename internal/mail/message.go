package mail

import (
	"encoding/base64"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
)

// Message is a mail to one recipient.
type Message struct {
	// ID becomes the Message-ID, with the sender's domain behind it: letters,
	// digits and ".-_+", at most 64 of them. Whoever sends a mail again after a
	// crash gives it the same ID, so that programs, and people who see two, can
	// tell that it is one.
	ID string
	// To is one address that [CheckAddress] accepts.
	To string
	// Subject is one line of UTF-8, at most 500 bytes.
	Subject string
	// Text is the body for all readers. HTML says the same for those that show it;
	// empty for a mail of text alone. Both are UTF-8; lines end with "\n".
	Text, HTML string
}

const (
	maxID      = 64
	maxSubject = 500
)

// validate reports the first field that cannot go into a mail.
func (m *Message) validate() error {
	if err := CheckAddress(m.To); err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	switch {
	case m.ID == "" || len(m.ID) > maxID || !isDotAtom(m.ID) || strings.Trim(strings.ToLower(m.ID), "abcdefghijklmnopqrstuvwxyz0123456789.-_+") != "":
		return fmt.Errorf("message ID %q: want 1 to %d letters, digits and \".-_+\"", m.ID, maxID)
	case m.Subject == "" || len(m.Subject) > maxSubject:
		return fmt.Errorf("the subject is empty or longer than %d bytes", maxSubject)
	case !isText(m.Subject):
		return errors.New("the subject has control characters or is not UTF-8")
	case m.Text == "":
		return errors.New("the mail has no text")
	case !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML):
		return errors.New("the text is not UTF-8")
	}
	return nil
}

// build makes the mail with all its header. An error is permanent.
func (m *Message) build(from *netmail.Address, now time.Time) (*gomail.Msg, error) {
	if err := m.validate(); err != nil {
		return nil, &failure{err: err, permanent: true}
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: m.To})
	msg.SetGenHeader(gomail.HeaderSubject, encodeSubject(m.Subject))
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetDateWithValue(now)
	// RFC 3834: no answer by a machine, please.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// encodeSubject writes a subject for the header: as it is if it is short ASCII
// words, else as encoded words (RFC 2047). The library encodes only what is not
// ASCII, and so would let a file name that looks like an encoded word be decoded
// by the reader, and fold lines at spaces that then get lost.
func encodeSubject(s string) string {
	plain := !strings.Contains(s, "=?")
	for _, word := range strings.Split(s, " ") {
		plain = plain && word != "" && len(word) < 60
	}
	for _, c := range []byte(s) {
		plain = plain && c >= ' ' && c <= '~'
	}
	if plain {
		return s
	}
	// An encoded word has at most 75 characters, and whole runes.
	const most = (75 - len("=?UTF-8?B?") - len("?=")) / 4 * 3
	var words []string
	for s != "" {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > most {
				break
			}
			n += size
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " ")
}
