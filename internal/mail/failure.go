package mail

import (
	"errors"

	gomail "github.com/wneessen/go-mail"
)

// failure is an error of this package.
type failure struct {
	err       error
	permanent bool
}

func (f *failure) Error() string { return "mail: " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Permanent reports whether sending the same message again must fail again: the
// recipient or the message was refused for good (5xx), or the message cannot be
// written. Everything else is temporary: the network, time-outs, refusals for now
// (4xx), and what an operator will have to mend, such as a wrong password, a
// refused sender or a certificate that does not fit. It is false for nil.
func Permanent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.permanent
}

// refused reports whether an error is a server's last word on the recipient or the
// content of a message.
func refused(err error) bool {
	var e *gomail.SendError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
	default:
		return false
	}
	switch code := e.ErrorCode(); code {
	case 500, 502, 503, 504, // it does not understand us
		523, 524, 525, 530, 534, 535, 538: // our account, or encryption (RFC 4954, RFC 5248)
		return false
	default:
		return code >= 500 && code <= 599
	}
}
