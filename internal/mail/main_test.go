package mail_test

import (
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	from = "Müller's MP3 <mp3@example.org>"
	id   = "01939b6e-5a1c-7c3e-9d2f-0123456789ab.1"
)

func message() mail.Message {
	return mail.Message{
		ID: id, To: "ada@example.com", Subject: "lecture.mp4 is ready",
		Text: "Grüße\n.\n..two dots\n\nJob: 1\n", HTML: "<!doctype html>\n<p>Grüße</p>\n",
	}
}

// fatal is what tests and rapid's have in common.
type fatal interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// read parses a mail with the standard library and checks that it has the header
// that we set and no other, and one recipient. It returns subject and bodies.
func read(t fatal, raw []byte, to string) (subject, text, html string) {
	t.Helper()
	head, _, ok := strings.Cut(string(raw), "\r\n\r\n")
	if !ok || strings.Contains(strings.ReplaceAll(head, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(head, "\r\n", ""), "\r") {
		t.Fatalf("lines that do not end with CRLF:\n%q", head)
	}
	for _, line := range strings.Split(string(raw), "\r\n") {
		if len(line) > 998 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
	for _, line := range strings.Split(head, "\r\n") {
		if strings.TrimSpace(line) == "" {
			t.Fatalf("a blank line in the header:\n%s", head)
		}
		for _, c := range []byte(line) {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %#x in the header:\n%s", c, head)
			}
		}
	}
	m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatalf("%v:\n%s", err, head)
	}
	var names []string
	for name, values := range m.Header {
		names = append(names, name)
		if len(values) != 1 {
			t.Fatalf("%s is there %d times:\n%s", name, len(values), head)
		}
	}
	slices.Sort(names)
	want := []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	if m.Header.Get("Content-Transfer-Encoding") != "" { // of a mail of one part
		want = slices.Insert(want, 1, "Content-Transfer-Encoding")
	}
	if !slices.Equal(names, want) {
		t.Fatalf("the header has %v", names)
	}
	list, err := m.Header.AddressList("To")
	if err != nil || len(list) != 1 || list[0].Address != to || list[0].Name != "" {
		t.Fatalf("to %v, %v; want %s", list, err, to)
	}
	if sender, err := netmail.ParseAddress(m.Header.Get("From")); err != nil || sender.Name != "Müller's MP3" || sender.Address != "mp3@example.org" {
		t.Fatalf("from %v, %v", sender, err)
	}
	if _, err := m.Header.Date(); err != nil {
		t.Fatal(err)
	}
	if got := m.Header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Fatalf("Auto-Submitted: %s", got)
	}
	if subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		b, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		return subject, string(b), ""
	}
	if kind != "multipart/alternative" {
		t.Fatalf("the mail is %s", kind)
	}
	var bodies []string
	r := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{"text/plain", "text/html"} {
		part, err := r.NextPart() // undoes quoted-printable
		if err != nil {
			t.Fatal(err)
		}
		if got := part.Header.Get("Content-Type"); got != want+"; charset=UTF-8" {
			t.Fatalf("part is %s", got)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(b))
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Fatalf("a third part, %v", err)
	}
	return subject, bodies[0], bodies[1]
}

func lf(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
