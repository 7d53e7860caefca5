package testserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// SMTPConfig says how an [SMTPServer] is spoken to. Its zero value is a server that
// offers STARTTLS and takes mail from anybody.
type SMTPConfig struct {
	// Security: "starttls" offers STARTTLS and insists on it (empty is the same),
	// "tls" speaks TLS from the first byte, "none" offers no encryption.
	Security string
	// User and Password that a client must give by AUTH PLAIN or LOGIN; none is
	// asked for if User is empty.
	User, Password string
	// Names in the certificate, DNS names and IP addresses; none is localhost,
	// 127.0.0.1 and ::1.
	Names []string
}

// SMTPMessage is a message that a server has taken.
type SMTPMessage struct {
	// At is when it was taken.
	At time.Time
	// From and To are those of the envelope.
	From string
	To   []string
	// Data as sent, with CRLF and without the dots of the transfer.
	Data []byte
	// User that sent it, empty without AUTH.
	User string
	// TLS reports whether the connection was encrypted.
	TLS bool
}

// SMTPServer is an SMTP server in the process of the test; other processes may use it
// too. Its faults can be set at any time: each takes a number of times that it is to
// happen, -1 for always, 0 for no more.
type SMTPServer struct {
	cfg      SMTPConfig
	server   *smtp.Server
	listener net.Listener
	pool     *x509.CertPool
	pem      []byte
	conns    sync.WaitGroup // connections and the accept loop

	mu       sync.Mutex
	messages []SMTPMessage
	change   chan struct{} // closed and replaced with each message
	accepted int
	open     map[net.Conn]struct{} // nil after Close
	faults   map[fault]*planned
}

// fault is a place where the server can be told to go wrong.
type fault int

const (
	faultRecipient fault = iota
	faultData
	faultHang
	faultDropBefore
	faultDropAfter
)

// planned is a fault to come.
type planned struct {
	times int
	code  int
}

// SMTP starts a server on a port of its own on loopback. The caller closes it.
func SMTP(cfg SMTPConfig) (*SMTPServer, error) {
	if cfg.Security == "" {
		cfg.Security = "starttls"
	}
	if !slices.Contains([]string{"starttls", "tls", "none"}, cfg.Security) {
		return nil, fmt.Errorf("testserver: SMTP: no security is called %q", cfg.Security)
	}
	if len(cfg.Names) == 0 {
		cfg.Names = []string{"localhost", "127.0.0.1", "::1"}
	}
	s := &SMTPServer{
		cfg: cfg, change: make(chan struct{}),
		open: map[net.Conn]struct{}{}, faults: map[fault]*planned{}, pool: x509.NewCertPool(),
	}
	cert, err := s.certificate()
	if err != nil {
		return nil, fmt.Errorf("testserver: SMTP: certificate: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("testserver: SMTP: %w", err)
	}
	s.listener = l

	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &smtpSession{server: s, conn: c}, nil
	}))
	s.server.Domain = "localhost"
	s.server.MaxMessageBytes = 16 << 20
	s.server.ReadTimeout = time.Minute
	s.server.WriteTimeout = time.Minute
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.AllowInsecureAuth = cfg.Security == "none"
	serve := net.Listener(&smtpListener{l, s})
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	switch cfg.Security {
	case "starttls":
		s.server.TLSConfig = config
	case "tls":
		serve = tls.NewListener(serve, config)
	}
	s.conns.Go(func() { _ = s.server.Serve(serve) })
	return s, nil
}

// Address of the server, host:port.
func (s *SMTPServer) Address() string { return s.listener.Addr().String() }

// CertPool holds the server's certificate, which no other authority has signed.
func (s *SMTPServer) CertPool() *x509.CertPool { return s.pool }

// CertPEM is the server's certificate as a PEM block, for other processes.
func (s *SMTPServer) CertPEM() []byte { return bytes.Clone(s.pem) }

// Messages taken so far, in their order.
func (s *SMTPServer) Messages() []SMTPMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Wait returns the messages as soon as there are n or more of them.
func (s *SMTPServer) Wait(ctx context.Context, n int) ([]SMTPMessage, error) {
	for {
		s.mu.Lock()
		messages, change := slices.Clone(s.messages), s.change
		s.mu.Unlock()
		if len(messages) >= n {
			return messages, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return messages, fmt.Errorf("testserver: SMTP: %d messages of %d: %w", len(messages), n, ctx.Err())
		}
	}
}

// Connections is how many connections were made so far.
func (s *SMTPServer) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// RefuseRecipient answers RCPT with a code such as 450 or 550.
func (s *SMTPServer) RefuseRecipient(code, times int) { s.plan(faultRecipient, code, times) }

// RefuseData answers a whole message with a code such as 451 or 554; it is not
// recorded.
func (s *SMTPServer) RefuseData(code, times int) { s.plan(faultData, code, times) }

// Hang accepts connections and says nothing, until the client goes or the server
// closes.
func (s *SMTPServer) Hang(times int) { s.plan(faultHang, 0, times) }

// DropBeforeReply takes and records a message and closes the connection without a
// word: the client cannot know.
func (s *SMTPServer) DropBeforeReply(times int) { s.plan(faultDropBefore, 0, times) }

// DropAfterReply takes a message, says so (250), and closes the connection.
func (s *SMTPServer) DropAfterReply(times int) { s.plan(faultDropAfter, 0, times) }

// Close stops the server, ends its connections and waits for them.
func (s *SMTPServer) Close() error {
	err := s.server.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	// The library knows the listener only a moment after it was started, and a
	// connection only a moment after it was accepted.
	if cerr := s.listener.Close(); !errors.Is(cerr, net.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	s.mu.Lock()
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for c := range open {
		c.Close()
	}
	s.conns.Wait()
	return err
}

func (s *SMTPServer) plan(f fault, code, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[f] = &planned{times: times, code: code}
}

// due reports whether a fault is to happen now, and counts it.
func (s *SMTPServer) due(f fault) (code int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.faults[f]
	if p == nil || p.times == 0 {
		return 0, false
	}
	if p.times > 0 {
		p.times--
	}
	return p.code, true
}

func (s *SMTPServer) record(m SMTPMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.change)
	s.change = make(chan struct{})
}

// certificate makes a self-signed certificate that lasts for a day.
func (s *SMTPServer) certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "SMTP server of a test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:         true, BasicConstraintsValid: true,
	}
	for _, name := range s.cfg.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	s.pool.AddCert(leaf)
	s.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// smtpListener counts connections, and keeps those that are to hang for itself.
type smtpListener struct {
	net.Listener
	server *SMTPServer
}

func (l *smtpListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &smtpConn{Conn: raw, server: l.server}
		if !c.add() {
			raw.Close()
			return nil, net.ErrClosed
		}
		if _, hang := l.server.due(faultHang); !hang {
			return c, nil
		}
		go func() { // until the client goes, or the server closes
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}()
	}
}

// smtpConn is known to its server until it is closed.
type smtpConn struct {
	net.Conn
	server *SMTPServer
	once   sync.Once
}

func (c *smtpConn) add() bool {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	s.accepted++
	s.open[c.Conn] = struct{}{}
	s.conns.Add(1)
	return true
}

func (c *smtpConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		s := c.server
		s.mu.Lock()
		delete(s.open, c.Conn)
		s.mu.Unlock()
		s.conns.Done()
	})
	return err
}
