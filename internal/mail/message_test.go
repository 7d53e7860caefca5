package mail_test

import (
	"context"
	"errors"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/internal/mail"
)

var _ = []interface {
	Send(context.Context, mail.Message) error
}{(*mail.Sender)(nil), (*mail.Folder)(nil)}

var goodAddresses = []string{
	"ada@example.com", "a@b", "ada.lovelace+mp3@sub.example.co.uk", "x!#$%&'*/=?^_`{|}~-@example.org",
	"ADA@EXAMPLE.COM", "1@2.example", "root@localhost", "a@xn--mller-kva.example", strings.Repeat("a", 64) + "@example.org",
}

var badAddresses = []string{
	"", "@", "ada", "ada@", "@example.org", "ada@@example.org", "ada@b@example.org", " ada@example.org", "ada@example.org ",
	"ada @example.org", "a,b@example.org", "a@example.org,b@example.org", "a@example.org;b@example.org", "a@example.org b@example.org",
	"Ada <ada@example.org>", "<ada@example.org>", "ada@example.org>", `"ada lovelace"@example.org`, `"a@b"@example.org`,
	"ada(comment)@example.org", "ada@example.org (Ada)", "group: a@example.org;", ".ada@example.org", "ada.@example.org", "a..b@example.org",
	"ada@example..org", "ada@.example.org", "ada@example.org.", "ada@-example.org", "ada@example-.org", "ada@exa_mple.org",
	"ada@[127.0.0.1]", "ada@127.0.0.1", "ada@[IPv6:::1]", "ada@example.org\r\nBcc: eve@example.org", "ada\r\n@example.org", "ada@example.org\n",
	"ada\x00@example.org", "ada@example.org\x00", "ada\t@example.org", "ädä@example.org", "ada@exämple.org", "ada@example\u2028.org",
	"ada@example.org%0d%0aBcc:eve@example.org", "=?utf-8?q?ada?=@exa mple.org", strings.Repeat("a", 65) + "@example.org",
	"a@" + strings.Repeat("a", 64) + ".org", "a@" + strings.Repeat("aaaaaaa.", 32) + "org", "ada@example.org SIZE=1", "ada\xff@example.org",
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, s := range goodAddresses {
		if err := mail.CheckAddress(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range badAddresses {
		if err := mail.CheckAddress(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

// FuzzCheckAddress: what is taken is one bare address to the standard library too.
func FuzzCheckAddress(f *testing.F) {
	for _, s := range slices.Concat(goodAddresses, badAddresses) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if mail.CheckAddress(s) != nil {
			return
		}
		list, err := netmail.ParseAddressList(s)
		if err != nil || len(list) != 1 || list[0].Address != s || list[0].Name != "" {
			t.Errorf("%q is %v, %v", s, list, err)
		}
		if strings.ContainsAny(s, "\r\n\x00 <>,;:\"()\\") {
			t.Errorf("%q", s)
		}
	})
}

// folder returns a sender into a folder, and a way to take out the only mail in it.
func folder(t *testing.T) (*mail.Folder, func(fatal) []byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a", "mails")
	f, err := mail.NewFolder(dir, from)
	if err != nil {
		t.Fatal(err)
	}
	return f, func(t fatal) []byte {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		name := filepath.Join(dir, files[0].Name())
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// TestSubjects: odd ones arrive as they were.
func TestSubjects(t *testing.T) {
	t.Parallel()
	f, take := folder(t)
	for _, subject := range []string{
		"lecture.mp4 is ready", "Vorlesung über Öl.mp4 is ready", "講義.mp4 🎵", strings.Repeat("ü", 250), strings.Repeat("x", 500),
		"two  spaces", " leading", "trailing ", "  ", strings.Repeat("word ", 60) + " x", "=?utf-8?q?=0D=0ABcc:_eve@example.org?=",
		"=?UTF-8?B?SGk=?= =?UTF-8?B?SGk=?=", "a: b, c; <d> \"e\" \\", "Bcc: eve@example.org", strings.Repeat(" ", 100) + "x", "x?=", "%0d%0aBcc: x",
		strings.Repeat("a b  c", 80),
	} {
		m := message()
		m.Subject = subject
		if err := f.Send(t.Context(), m); err != nil {
			t.Errorf("%q: %v", subject, err)
			continue
		}
		if got, _, _ := read(t, take(t), m.To); got != subject {
			t.Errorf("%q became %q", subject, got)
		}
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	f, _ := folder(t)
	for name, change := range map[string]func(*mail.Message){
		"break in subject":        func(m *mail.Message) { m.Subject = "x\r\nBcc: eve@example.org" },
		"line feed in subject":    func(m *mail.Message) { m.Subject = "x\nBcc: eve@example.org" },
		"return in subject":       func(m *mail.Message) { m.Subject = "x\rBcc: eve@example.org" },
		"body in subject":         func(m *mail.Message) { m.Subject = "x\r\n\r\n<h1>" },
		"zero in subject":         func(m *mail.Message) { m.Subject = "x\x00" },
		"tab in subject":          func(m *mail.Message) { m.Subject = "x\ty" },
		"next line in subject":    func(m *mail.Message) { m.Subject = "x\u0085y" },
		"separator in subject":    func(m *mail.Message) { m.Subject = "x\u2028y" },
		"not UTF-8":               func(m *mail.Message) { m.Subject = "x\xff" },
		"no subject":              func(m *mail.Message) { m.Subject = "" },
		"long subject":            func(m *mail.Message) { m.Subject = strings.Repeat("x", 501) },
		"no ID":                   func(m *mail.Message) { m.ID = "" },
		"break in ID":             func(m *mail.Message) { m.ID = "x\r\nBcc: eve@example.org" },
		"path in ID":              func(m *mail.Message) { m.ID = "../../etc/x" },
		"dots in ID":              func(m *mail.Message) { m.ID = ".." },
		"angle in ID":             func(m *mail.Message) { m.ID = "a>b" },
		"domain in ID":            func(m *mail.Message) { m.ID = "a@b" },
		"long ID":                 func(m *mail.Message) { m.ID = strings.Repeat("a", 65) },
		"no text":                 func(m *mail.Message) { m.Text = "" },
		"text that is not UTF-8":  func(m *mail.Message) { m.Text = "\xff" },
		"HTML that is not UTF-8":  func(m *mail.Message) { m.HTML = "\xff" },
		"a recipient with a name": func(m *mail.Message) { m.To = "Ada <ada@example.org>" },
	} {
		m := message()
		change(&m)
		if err := f.Send(t.Context(), m); err == nil || !mail.Permanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, to := range badAddresses {
		m := message()
		m.To = to
		if err := f.Send(t.Context(), m); err == nil || !mail.Permanent(err) {
			t.Errorf("to %q: %v", to, err)
		}
	}
}

// TestAnyMessage: whatever a mail is made of, either it is refused, or it reads as
// one mail to one recipient, with our header and no other, and the words of ours.
func TestAnyMessage(t *testing.T) {
	t.Parallel()
	f, take := folder(t)
	bits := rapid.SampledFrom([]string{
		"\r", "\n", "\r\n", "\r\n\r\n", " ", "\t", "Bcc: eve@example.org", "eve@example.org", ",", "<", ">", "\"", "=?utf-8?q?=0A?=", ".", "..",
		"\u2028", "\u202e", "ü", "🎵", "@", "--", "boundary", "=", "=3D", "\x00", "long" + strings.Repeat("x", 90),
	})
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOfN(bits, 0, 12), func(s []string) string { return strings.Join(s, "") }))
	rapid.Check(t, func(r *rapid.T) {
		m := mail.Message{
			ID:      rapid.OneOf(rapid.Just(id), text).Draw(r, "id"),
			To:      rapid.OneOf(rapid.SampledFrom(goodAddresses), text, rapid.Map(text, func(s string) string { return "ada@example.org" + s })).Draw(r, "to"),
			Subject: text.Draw(r, "subject"), Text: text.Draw(r, "text"), HTML: text.Draw(r, "html"),
		}
		if err := f.Send(context.Background(), m); err != nil {
			if !mail.Permanent(err) {
				r.Fatal(err)
			}
			return
		}
		subject, body, html := read(r, take(r), m.To)
		if subject != m.Subject {
			r.Fatalf("subject %q became %q", m.Subject, subject)
		}
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		if lines.Replace(body) != lines.Replace(m.Text) || lines.Replace(html) != lines.Replace(m.HTML) {
			r.Fatalf("bodies became %q, %q", body, html)
		}
	})
}

// FuzzSubject: a subject is refused or arrives.
func FuzzSubject(f *testing.F) {
	dir := f.TempDir()
	sender, err := mail.NewFolder(dir, from)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"x", "ü", "=?utf-8?q?x?=", "a  b", " ", "x\r\ny", strings.Repeat("ü ", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m := message()
		m.Subject = s
		if err := sender.Send(t.Context(), m); err != nil {
			if utf8.ValidString(s) && s != "" && len(s) <= 500 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		b, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(files[0])
		if got, _, _ := read(t, b, m.To); got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mails")
	f, err := mail.NewFolder(dir, from)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("%v, %v", info, err)
	}
	for _, n := range []string{"3", "1", "2"} {
		m := message()
		m.ID, m.HTML = "job."+n, ""
		if err := f.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for i, n := range []string{"3", "1", "2"} { // in the order of their sending
		name := files[i].Name()
		if !strings.HasSuffix(name, "-job."+n+".eml") {
			t.Errorf("file %d is %s", i, name)
		}
		if info, err := files[i].Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, text, _ := read(t, b, "ada@example.com"); lf(text) != message().Text {
			t.Errorf("text %q", text)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Send(ctx, message()); !errors.Is(err, context.Canceled) || mail.Permanent(err) {
		t.Error(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Send(t.Context(), message()); err == nil || mail.Permanent(err) {
		t.Errorf("into no folder: %v", err)
	}
	if _, err := mail.NewFolder(dir, "nobody"); err == nil {
		t.Error("a sender without an address")
	}
	if _, err := mail.NewFolder("/dev/null/mails", from); err == nil {
		t.Error("a folder below a file")
	}
}
