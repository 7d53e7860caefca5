package app

import (
	"crypto/x509"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/mail"
)

// LinkFlags are about the links in mails.
type LinkFlags struct {
	PublicURL   string `group:"Service:" placeholder:"URL" env:"MP3LATHE_PUBLIC_URL" help:"The gateway's address as users see it, such as https://mp3.example.org."`
	LinkKey     string `group:"Service:" placeholder:"SECRET" env:"MP3LATHE_LINK_KEY" secret:"" help:"Key that signs download links, at least 32 characters. Several, one a line: the first signs, all are taken."`
	LinkKeyFile string `group:"Service:" placeholder:"FILE" env:"MP3LATHE_LINK_KEY_FILE" help:"File that holds the key, instead."`
}

// Check returns the signer of download links; nil if something is wrong.
func (c *LinkFlags) Check(f *Faults) *link.Signer {
	if c.PublicURL == "" {
		f.Add("public-url", "is not set")
	} else {
		CheckPublicURL(f, c.PublicURL)
	}
	text := f.Secret("link-key", c.LinkKey, c.LinkKeyFile)
	if text == "" {
		return nil // it has been said
	}
	keys, err := LinkKeys(text)
	if err != nil {
		f.Wrong("link-key", err)
		return nil
	}
	signer, _ := link.New(c.PublicURL, keys...)
	return signer
}

// LinkKeys reads the keys of links, one a line.
func LinkKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			keys = append(keys, []byte(line))
		}
	}
	// The address is a good one here, for faults of the keys alone.
	_, err := link.New("http://localhost", keys...)
	return keys, err
}

// CheckPublicURL says what is wrong with a --public-url.
func CheckPublicURL(f *Faults, url string) {
	_, err := link.New(url, make([]byte, link.MinKey))
	f.Wrong("public-url", err)
}

// MailFlags are about the mail server.
type MailFlags struct {
	SMTP             string `name:"smtp" group:"Mail:" placeholder:"HOST[:PORT]" env:"MP3LATHE_SMTP" help:"Mail server. The port is 587 if it is not given, 465 with tls, 25 with none."`
	SMTPSecurity     string `name:"smtp-security" group:"Mail:" placeholder:"KIND" enum:"starttls,tls,none" default:"starttls" env:"MP3LATHE_SMTP_SECURITY" help:"How mails are sent to it. With starttls a server without TLS gets none."`
	SMTPUser         string `name:"smtp-user" group:"Mail:" placeholder:"NAME" env:"MP3LATHE_SMTP_USER" help:"User at the mail server. Default: no authentication."`
	SMTPPassword     string `name:"smtp-password" group:"Mail:" placeholder:"SECRET" env:"MP3LATHE_SMTP_PASSWORD" secret:"" help:"Password of that user."`
	SMTPPasswordFile string `name:"smtp-password-file" group:"Mail:" placeholder:"FILE" env:"MP3LATHE_SMTP_PASSWORD_FILE" help:"File that holds the password, instead."`
	SMTPCA           string `name:"smtp-ca" group:"Mail:" placeholder:"FILE" env:"MP3LATHE_SMTP_CA" help:"File with the certificates (PEM) that vouch for the mail server's. Default: the system's."`
	MailFrom         string `name:"mail-from" group:"Mail:" placeholder:"ADDRESS" default:"mp3lathe <mp3lathe@localhost>" env:"MP3LATHE_MAIL_FROM" help:"Sender, such as \"MP3 service <mp3@example.org>\"."`
}

// Check returns the sender of mails; nil if something is wrong, or if there is no
// server, which is wrong if needed.
func (c *MailFlags) Check(f *Faults, needed bool) *mail.Sender {
	cfg := mail.Config{Address: c.SMTP, Security: mail.Security(c.SMTPSecurity), User: c.SMTPUser, From: c.MailFrom}
	_, err := mail.New(mail.Config{Address: "localhost", From: c.MailFrom})
	f.Wrong("mail-from", err)
	if c.SMTPUser != "" {
		cfg.Password = f.Secret("smtp-password", c.SMTPPassword, c.SMTPPasswordFile)
	} else if c.SMTPPassword != "" || c.SMTPPasswordFile != "" {
		f.Add("smtp-user", "is not set, but there is a password")
	}
	if c.SMTPCA != "" {
		if b := f.File("smtp-ca", c.SMTPCA); b != nil {
			cfg.RootCAs = x509.NewCertPool()
			if !cfg.RootCAs.AppendCertsFromPEM(b) {
				f.Add("smtp-ca", "names %s, which holds no certificate", c.SMTPCA)
			}
		}
	}
	if c.SMTP == "" {
		switch {
		case needed:
			f.Add("smtp", "is not set")
		case c.SMTPUser != "" || c.SMTPCA != "":
			f.Add("smtp", "is not set, but there are settings of a mail server")
		}
		return nil
	}
	// The sender is a good one here, for faults of the server's settings alone.
	server := cfg
	server.From = "mp3lathe@localhost"
	if _, err := mail.New(server); err != nil {
		f.Wrong("smtp", err)
		return nil
	}
	sender, _ := mail.New(cfg)
	return sender
}
