package testserver

import (
	"io"
	"slices"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// smtpSession is one connection, before or after STARTTLS.
type smtpSession struct {
	server *SMTPServer
	conn   *smtp.Conn
	user   string
	from   string
	to     []string
	drop   bool // at the next reset, which follows the reply to DATA
}

var (
	_ smtp.Session     = (*smtpSession)(nil)
	_ smtp.AuthSession = (*smtpSession)(nil)
)

func (s *smtpSession) AuthMechanisms() []string {
	if s.server.cfg.User == "" {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *smtpSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		if cfg := s.server.cfg; cfg.User == "" || user != cfg.User || password != cfg.Password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	_, encrypted := s.conn.TLSConnectionState()
	switch {
	case s.server.cfg.Security != "none" && !encrypted:
		return refusal(530, "Must issue a STARTTLS command first")
	case s.server.cfg.User != "" && s.user == "":
		return refusal(530, "Authentication required")
	}
	s.from = from
	return nil
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if code, ok := s.server.due(faultRecipient); ok {
		return refusal(code, "The recipient is refused")
	}
	s.to = append(s.to, to)
	return nil
}

func (s *smtpSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if code, ok := s.server.due(faultData); ok {
		return refusal(code, "The message is refused")
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.server.record(SMTPMessage{At: time.Now(), From: s.from, To: slices.Clone(s.to), Data: data, User: s.user, TLS: encrypted})
	if _, ok := s.server.due(faultDropBefore); ok {
		s.conn.Conn().Close()
	}
	_, s.drop = s.server.due(faultDropAfter)
	return nil
}

func (s *smtpSession) Reset() {
	s.from, s.to = "", nil
	if s.drop {
		s.conn.Conn().Close()
	}
}

func (s *smtpSession) Logout() error { return nil }

// refusal is an SMTP error with the enhanced code that goes with its code.
func refusal(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: text}
}

// loginServer is the server's side of AUTH LOGIN.
type loginServer struct {
	check func(user, password string) error
	step  int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.step == 0 && response == nil {
		l.step = 1
		return []byte("Username:"), false, nil
	}
	switch l.step {
	case 0, 1: // the user, as initial response or as answer
		l.user, l.step = string(response), 2
		return []byte("Password:"), false, nil
	case 2:
		l.step = 3
		return nil, true, l.check(l.user, string(response))
	}
	return nil, false, sasl.ErrUnexpectedClientResponse
}
