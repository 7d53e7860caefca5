package app

import "strings"

// plainError is an error in words for people, which knows the one it came from.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }

func (e *plainError) Unwrap() error { return e.err }

// Explain puts words before an error, and takes the names of packages and the line
// ends out of its text. nil stays nil.
func Explain(words string, err error) error {
	if err == nil {
		return nil
	}
	return &plainError{words + ": " + Plain(err), err}
}

// Plain is the text of an error for people: on one line (errors that were joined have
// one each), and without the names of packages that it begins with.
func Plain(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = withoutPackages(line)
	}
	// What Go calls a deadline is a part that hangs.
	return strings.ReplaceAll(strings.Join(lines, "; "), "context deadline exceeded", "no answer in time")
}

func withoutPackages(text string) string {
	for {
		name, rest, ok := strings.Cut(text, ": ")
		switch name {
		case "accountstore", "auth", "departed", "embedded", "fair", "gateway", "gridimport", "jobstore", "link", "mail", "mongodb", "notifier", "objstore", "queue", "rate", "sqldb", "throttle", "token", "worker":
		default:
			ok = false
		}
		if !ok {
			return text
		}
		text = rest
	}
}
