package mail_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// server starts an SMTP server for one test.
func server(t *testing.T, cfg testserver.SMTPConfig) *testserver.SMTPServer {
	t.Helper()
	s, err := testserver.SMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// sender returns one that fits the server, but for what change changes.
func sender(t *testing.T, s *testserver.SMTPServer, change func(*mail.Config)) *mail.Sender {
	t.Helper()
	cfg := mail.Config{Address: s.Address(), From: from, RootCAs: s.CertPool(), Hello: "client.example.org", Timeout: 20 * time.Second}
	if change != nil {
		change(&cfg)
	}
	m, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSecurities(t *testing.T) {
	t.Parallel()
	for _, security := range []string{"", "starttls", "tls", "none"} {
		for _, user := range []string{"", "lathe"} {
			t.Run(security+"/"+user, func(t *testing.T) {
				t.Parallel()
				s := server(t, testserver.SMTPConfig{Security: security, User: user, Password: "s3cret \x01ü"})
				m := sender(t, s, func(c *mail.Config) {
					c.Security = mail.Security(security)
					if user != "" {
						c.User, c.Password = user, "s3cret \x01ü"
					}
				})
				for range 2 {
					if err := m.Send(t.Context(), message()); err != nil {
						t.Fatal(err)
					}
				}
				got := s.Messages()
				if len(got) != 2 {
					t.Fatalf("%d messages", len(got))
				}
				first := got[0]
				if first.From != "mp3@example.org" || !slices.Equal(first.To, []string{"ada@example.com"}) ||
					first.User != user || first.TLS != (security != "none") {
					t.Errorf("envelope %s -> %s, user %s, TLS %v", first.From, first.To, first.User, first.TLS)
				}
				subject, text, html := read(t, first.Data, "ada@example.com")
				if want := message(); subject != want.Subject || lf(text) != want.Text || lf(html) != want.HTML {
					t.Errorf("%q\n%q\n%q", subject, text, html)
				}
				if !strings.Contains(string(first.Data), "\r\nMessage-ID: <"+id+"@example.org>\r\n") {
					t.Errorf("no such Message-ID in\n%s", first.Data)
				}
			})
		}
	}
}

// TestMisconfigured: none of it is the recipient's fault, so the mail is kept.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	unknown := func(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) }
	name := func(err error) bool { return errors.As(err, new(x509.HostnameError)) }
	for _, c := range []struct {
		name   string
		server testserver.SMTPConfig
		change func(*mail.Config)
		want   string
		is     func(error) bool
	}{
		{"wrong password", testserver.SMTPConfig{User: "u", Password: "p"}, func(c *mail.Config) { c.User, c.Password = "u", "q" }, "535", nil},
		{"wrong password over TLS", testserver.SMTPConfig{Security: "tls", User: "u", Password: "p"},
			func(c *mail.Config) { c.Security, c.User, c.Password = mail.TLS, "u", "q" }, "535", nil},
		{"no password", testserver.SMTPConfig{User: "u", Password: "p"}, nil, "530", nil},
		{"no AUTH there", testserver.SMTPConfig{}, func(c *mail.Config) { c.User, c.Password = "u", "p" }, "AUTH", nil},
		{"unknown authority", testserver.SMTPConfig{}, func(c *mail.Config) { c.RootCAs = x509.NewCertPool() }, "", unknown},
		{"unknown authority over TLS", testserver.SMTPConfig{Security: "tls"},
			func(c *mail.Config) { c.Security, c.RootCAs = mail.TLS, x509.NewCertPool() }, "", unknown},
		{"wrong name", testserver.SMTPConfig{Names: []string{"mail.example.org"}}, nil, "", name},
		{"no STARTTLS there", testserver.SMTPConfig{Security: "none"}, nil, "STARTTLS", nil},
		{"no TLS there", testserver.SMTPConfig{Security: "none"}, func(c *mail.Config) { c.Security = mail.TLS }, "tls", nil},
		{"insists on STARTTLS", testserver.SMTPConfig{}, func(c *mail.Config) { c.Security = mail.NoTLS }, "530", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, c.server)
			err := sender(t, s, c.change).Send(t.Context(), message())
			switch {
			case err == nil || mail.Permanent(err) || !strings.Contains(err.Error(), c.want):
				t.Errorf("%v, permanent: %v", err, mail.Permanent(err))
			case c.is != nil && !c.is(err):
				t.Errorf("%T: %v", err, err)
			case len(s.Messages()) != 0:
				t.Error("a message got through")
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := server(t, testserver.SMTPConfig{})
	m := sender(t, s, nil)
	for _, c := range []struct {
		refuse    func(code, times int)
		code      int
		permanent bool
	}{
		{s.RefuseRecipient, 421, false}, {s.RefuseRecipient, 450, false}, {s.RefuseRecipient, 452, false},
		{s.RefuseRecipient, 550, true}, {s.RefuseRecipient, 553, true}, {s.RefuseRecipient, 501, true}, {s.RefuseRecipient, 556, true},
		{s.RefuseRecipient, 530, false}, {s.RefuseRecipient, 503, false},
		{s.RefuseData, 451, false}, {s.RefuseData, 554, true}, {s.RefuseData, 552, true}, {s.RefuseData, 535, false},
	} {
		before := len(s.Messages())
		c.refuse(c.code, 1)
		if err := m.Send(t.Context(), message()); err == nil || mail.Permanent(err) != c.permanent {
			t.Errorf("%d: %v, permanent: %v", c.code, err, mail.Permanent(err))
		}
		if n := len(s.Messages()); n != before {
			t.Errorf("%d: %d messages", c.code, n-before)
		}
		if err := m.Send(t.Context(), message()); err != nil {
			t.Errorf("after %d: %v", c.code, err)
		}
	}
}

// TestDropped: a message that the server has taken is delivered, whatever comes
// then; one of which it did not say so is not, and may come twice.
func TestDropped(t *testing.T) {
	t.Parallel()
	s := server(t, testserver.SMTPConfig{})
	m := sender(t, s, nil)
	s.DropAfterReply(1)
	if err := m.Send(t.Context(), message()); err != nil {
		t.Errorf("taken and dropped: %v", err)
	}
	s.DropBeforeReply(1)
	if err := m.Send(t.Context(), message()); err == nil || mail.Permanent(err) {
		t.Errorf("dropped without a word: %v", err)
	}
	if n := len(s.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	for _, security := range []mail.Security{mail.StartTLS, mail.TLS, mail.NoTLS} {
		t.Run(string(security), func(t *testing.T) {
			t.Parallel()
			s := server(t, testserver.SMTPConfig{Security: string(security)})
			s.Hang(-1)
			m := sender(t, s, func(c *mail.Config) { c.Security, c.Timeout = security, 300*time.Millisecond })
			start := time.Now()
			err := m.Send(t.Context(), message())
			if !errors.Is(err, context.DeadlineExceeded) || mail.Permanent(err) {
				t.Error(err)
			}
			if took := time.Since(start); took < 300*time.Millisecond || took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestSilence: a server that greets, and then falls silent before each of its
// answers in turn.
func TestSilence(t *testing.T) {
	t.Parallel()
	replies := []string{"220 hello\r\n", "250 hello\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"}
	for n := range len(replies) + 1 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			b := make([]byte, 4096)
			for _, reply := range replies[:n] {
				if _, err := c.Write([]byte(reply)); err != nil {
					return
				}
				if _, err := c.Read(b); err != nil {
					return
				}
			}
			for err == nil { // until the client goes
				_, err = c.Read(b)
			}
		}()
		m, err := mail.New(mail.Config{Address: l.Addr().String(), Security: mail.NoTLS, From: from, Timeout: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := m.Send(t.Context(), message()); !errors.Is(err, context.DeadlineExceeded) || mail.Permanent(err) {
			t.Errorf("silence after %d replies: %v", n, err)
		}
		if took := time.Since(start); took >= 2*time.Second { // no second wait, of 2 s for the goodbye
			t.Errorf("silence after %d replies took %v", n, took)
		}
		l.Close()
		<-done
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := server(t, testserver.SMTPConfig{})
	s.Hang(-1)
	m := sender(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.Connections() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	start := time.Now()
	if err := m.Send(ctx, message()); !errors.Is(err, context.Canceled) || mail.Permanent(err) {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := m.Send(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: %v", err)
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	m, err := mail.New(mail.Config{Address: l.Addr().String(), From: from})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), message()); err == nil || mail.Permanent(err) {
		t.Error(err)
	}
	if mail.Permanent(nil) || mail.Permanent(errors.New("x")) {
		t.Error("permanent without a reason")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := mail.Config{Address: "mail.example.org", From: from}
	for name, change := range map[string]func(*mail.Config){
		"as it is":        func(c *mail.Config) {},
		"port":            func(c *mail.Config) { c.Address = "mail.example.org:2525" },
		"IPv4":            func(c *mail.Config) { c.Address = "192.0.2.1" },
		"IPv6":            func(c *mail.Config) { c.Address = "[2001:db8::1]:587" },
		"IPv6, no port":   func(c *mail.Config) { c.Address = "2001:db8::1" },
		"TLS":             func(c *mail.Config) { c.Security, c.User, c.Password = mail.TLS, "u", "p" },
		"local password":  func(c *mail.Config) { c.Address, c.Security, c.User = "localhost:25", mail.NoTLS, "u" },
		"address alone":   func(c *mail.Config) { c.From = "mp3@example.org" },
		"name in UTF-8":   func(c *mail.Config) { c.From = "Übersetzer <mp3@example.org>" },
		"name in quotes":  func(c *mail.Config) { c.From = `"MP3, Inc." <mp3@example.org>` },
		"own host's name": func(c *mail.Config) { c.Hello = "mp3.example.org" },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*mail.Config){
		"no address":       func(c *mail.Config) { c.Address = "" },
		"no host":          func(c *mail.Config) { c.Address = ":25" },
		"port 0":           func(c *mail.Config) { c.Address = "mail.example.org:0" },
		"port smtp":        func(c *mail.Config) { c.Address = "mail.example.org:smtp" },
		"port too high":    func(c *mail.Config) { c.Address = "mail.example.org:65536" },
		"URL":              func(c *mail.Config) { c.Address = "smtp://mail.example.org" },
		"socket":           func(c *mail.Config) { c.Address = "unix:///run/smtp" },
		"line break":       func(c *mail.Config) { c.Address = "mail.example.org\r\n:25" },
		"unknown security": func(c *mail.Config) { c.Security = "ssl" },
		"clear password":   func(c *mail.Config) { c.Security, c.User = mail.NoTLS, "u" },
		"no user":          func(c *mail.Config) { c.Password = "p" },
		"no sender":        func(c *mail.Config) { c.From = "" },
		"two senders":      func(c *mail.Config) { c.From = "a@example.org, b@example.org" },
		"sender's break":   func(c *mail.Config) { c.From = "MP3\r\nBcc: eve@example.org <a@example.org>" },
		"encoded break":    func(c *mail.Config) { c.From = "=?utf-8?q?a=0D=0Ab?= <a@example.org>" },
		"hello":            func(c *mail.Config) { c.Hello = "a b" },
		"time-out":         func(c *mail.Config) { c.Timeout = -1 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := mail.New(c); err == nil {
			t.Errorf("%s made a sender", name)
		}
	}
}
