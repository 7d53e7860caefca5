package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Security is how a connection to the mail server is encrypted.
type Security string

// The kinds of security.
const (
	// StartTLS begins in the clear and goes on encrypted, or not at all: a server
	// that does not offer it gets no mail.
	StartTLS Security = "starttls"
	// TLS is encrypted from the first byte.
	TLS Security = "tls"
	// NoTLS is not encrypted: for a relay on the same machine or network.
	NoTLS Security = "none"
)

// DefaultTimeout bounds one delivery if [Config.Timeout] is not set.
const DefaultTimeout = 30 * time.Second

// quitTimeout bounds the goodbye after a message has been taken.
const quitTimeout = 2 * time.Second

// Config of a [Sender]. Address and From must be set.
type Config struct {
	// Address of the mail server: host or host:port. The port is 587 for StartTLS,
	// 465 for TLS and 25 for NoTLS if it is not given.
	Address string
	// Security; empty is StartTLS.
	Security Security
	// User and Password; no authentication if User is empty. Without encryption
	// they are only sent to the same machine.
	User, Password string
	// From is the sender's address, which may have a name: "MP3 service
	// <mp3@example.org>".
	From string
	// Hello is the name that we introduce ourselves by; empty is the machine's.
	Hello string
	// Timeout of a whole delivery, from the connection to the server's word that it
	// has the message; 0 is [DefaultTimeout].
	Timeout time.Duration
	// RootCAs that the server's certificate is checked against; nil are the
	// system's.
	RootCAs *x509.CertPool
}

func (c Config) withDefaults() Config {
	c.Security = cmp.Or(c.Security, StartTLS)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	return c
}

// Validate reports the first setting that cannot be used.
func (c Config) Validate() error {
	_, _, err := c.withDefaults().check()
	return err
}

// check returns host and port of the server, and the sender, of a configuration
// with defaults.
func (c Config) check() (address string, from *netmail.Address, err error) {
	bad := func(format string, a ...any) (string, *netmail.Address, error) {
		return "", nil, fmt.Errorf("mail: "+format, a...)
	}
	ports := map[Security]string{StartTLS: "587", TLS: "465", NoTLS: "25"}
	if ports[c.Security] == "" {
		return bad("no security is called %q: want starttls, tls or none", c.Security)
	}
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil { // no port
		host, port = strings.Trim(c.Address, "[]"), ports[c.Security]
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || net.ParseIP(host) == nil && !isDomain(host) {
		return bad("server address %q: want host:port", c.Address)
	}
	switch {
	case c.User == "" && c.Password != "":
		return bad("there is a password, and no user")
	case c.User != "" && c.Security == NoTLS && host != "localhost" && host != "127.0.0.1" && host != "::1":
		return bad("the password would go to %s unencrypted: use starttls or tls", host)
	case c.Hello != "" && !isDomain(c.Hello):
		return bad("hello %q: want a host name", c.Hello)
	case c.Timeout < 0:
		return bad("time-out %v: want a positive one", c.Timeout)
	}
	if from, err = parseFrom(c.From); err != nil {
		return bad("%w", err)
	}
	return net.JoinHostPort(host, port), from, nil
}

// Sender sends mails by SMTP, each over a connection of its own. It is safe for use
// by many goroutines.
type Sender struct {
	cfg     Config
	address string // host:port
	host    string
	from    *netmail.Address
}

// New returns a sender. It does not connect yet.
func New(cfg Config) (*Sender, error) {
	cfg = cfg.withDefaults()
	address, from, err := cfg.check()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return &Sender{cfg: cfg, address: address, host: host, from: from}, nil
}

// Send delivers a message to the server and returns nil as soon as that has taken
// it. It returns within [Config.Timeout], or soon after the context is done.
// [Permanent] tells the kinds of error apart.
func (s *Sender) Send(ctx context.Context, m Message) error {
	msg, err := m.build(s.from, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	err = s.deliver(ctx, msg)
	switch {
	case msg.IsDelivered(): // whatever went wrong afterwards
		return nil
	case err == nil:
		err = errors.New("not delivered")
	case ctx.Err() != nil:
		// The library hides this one, and says "closed connection".
		err = fmt.Errorf("%s: %w: %w", s.address, context.Cause(ctx), err)
	default:
		err = fmt.Errorf("%s: %w", s.address, err)
	}
	return &failure{err: err, permanent: refused(err)}
}

// deliver hands over a message. Connecting is done here and not by the library: that
// forgets a connection when a greeting fails, gives each step a time-out of its own,
// and does not look at the context after it has dialled.
func (s *Sender) deliver(ctx context.Context, msg *gomail.Msg) error {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()

	config := &tls.Config{ServerName: s.host, RootCAs: s.cfg.RootCAs, MinVersion: tls.VersionTLS12}
	var conn net.Conn = patient{raw}
	if s.cfg.Security == TLS {
		c := tls.Client(conn, config)
		if err := c.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = c
	}
	client, err := s.client(conn, config)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = client.SendWithSMTPClient(session, msg)
	// A goodbye is good manners, and not worth a wait.
	if raw.SetDeadline(time.Now().Add(quitTimeout)) == nil {
		_ = client.CloseWithSMTPClient(session)
	}
	return err
}

// client returns the library's client for one connection.
func (s *Sender) client(conn net.Conn, config *tls.Config) (*gomail.Client, error) {
	opts := []gomail.Option{
		gomail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }),
		gomail.WithTimeout(s.cfg.Timeout),
		gomail.WithTLSConfig(config),
		// All that we send is ASCII, and not every server behind the first one
		// takes more.
		gomail.WithoutSMTPUTF8(),
		// What fails after the message was taken must not look like a failure.
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch s.cfg.Security {
	case StartTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLS:
		opts = append(opts, gomail.WithSSL())
	case NoTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.cfg.Hello != "" {
		opts = append(opts, gomail.WithHELO(s.cfg.Hello))
	}
	if s.cfg.User != "" {
		opts = append(opts, gomail.WithUsername(s.cfg.User), gomail.WithPassword(s.cfg.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return gomail.NewClient(s.host, opts...)
}

// patient is a connection whose time-outs the library cannot change: the context's
// end closes it.
type patient struct{ net.Conn }

func (patient) SetDeadline(time.Time) error      { return nil }
func (patient) SetReadDeadline(time.Time) error  { return nil }
func (patient) SetWriteDeadline(time.Time) error { return nil }
