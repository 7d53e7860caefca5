package auth

import (
	"bytes"
	"context"
	"embed"
	"encoding/base32"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/internal/mail"
)

// Mails are rows first, written together with what they tell of, and sent from there by
// [Service.Run] of any process: none is lost while the mail server is away. The secret
// in a link is not in its row, only its digest: it is derived from the mail's ID and the
// service's secret, so that a mail that is sent again has the same link.
const (
	verifyLifetime = 24 * time.Hour
	resetLifetime  = time.Hour
	noticeLifetime = 3 * 24 * time.Hour
	decoyLifetime  = time.Hour

	mailLease   = 2 * time.Minute
	mailTimeout = time.Minute
	mailsAtOnce = 4
	firstResend = 10 * time.Second // it doubles with each try
	lastResend  = 10 * time.Minute
	maxFailure  = 200 // bytes of the reason of a failure that are kept

	poll      = 5 * time.Second // for rows that other processes have made
	tidyEvery = time.Hour
)

// mailLimits of one kind to one address. There are no more in the time that a link is
// good for than these, so whoever asks for too many has a good one already.
func mailLimits(lifetime time.Duration) account.MailLimits {
	return account.MailLimits{Gap: time.Minute, Span: lifetime, Most: 5}
}

// Mailer sends mails; [mail.Sender] and [mail.Folder] do.
type Mailer interface {
	Send(ctx context.Context, m mail.Message) error
}

//go:embed templates
var templateFiles embed.FS

// mailTemplates are named by the kinds of mails. They are part of the program: one that
// does not parse fails every test.
var mailTemplates = template.Must(template.ParseFS(templateFiles, "templates/*.txt"))

// mailSecret returns the secret in the link of a mail; "" if it has none, or if it was
// made with a secret of the service that is not known any more.
func (s *Service) mailSecret(id string, kind account.MailKind, digested string) string {
	for _, secret := range s.mailSecrets(id, kind) {
		if digest(secret) == digested {
			return secret
		}
	}
	return ""
}

func (s *Service) mailSecrets(id string, kind account.MailKind) (all []string) {
	for _, b := range s.secrets.derive("mails", []byte(id), []byte(kind)) {
		all = append(all, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:20]))
	}
	return all
}

// newMail makes a mail to an address, of the account of a user.
func (s *Service) newMail(kind account.MailKind, user, to string) (account.NewMail, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return account.NewMail{}, fmt.Errorf("auth: new mail: %w", err)
	}
	m := account.NewMail{Mail: account.Mail{ID: id.String(), To: to, Kind: kind}, User: user, Lifetime: noticeLifetime, Hold: s.mailer == nil}
	switch kind {
	case account.MailVerify:
		m.Lifetime = verifyLifetime
	case account.MailReset:
		m.Lifetime = resetLifetime
	case account.MailNone:
		m.Lifetime = decoyLifetime
	}
	switch kind {
	case account.MailVerify, account.MailReset, account.MailNone: // which must not be told by what it takes
		m.Token = digest(s.mailSecrets(m.ID, kind)[0])
	}
	return m, nil
}

// addMail keeps a mail, unless its address has had enough of the kind.
func (s *Service) addMail(ctx context.Context, kind account.MailKind, user, to string) error {
	m, err := s.newMail(kind, user, to)
	if err != nil {
		return err
	}
	if _, err := s.accounts.AddMail(ctx, m, mailLimits(m.Lifetime)); err != nil {
		return &storeError{err}
	}
	s.wake()
	return nil
}

// wake has mails and departures looked for that were just kept.
func (s *Service) wake() {
	for _, woken := range []chan struct{}{s.mailsWoken, s.departuresWoken} {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}

// compose writes a mail.
func (s *Service) compose(m account.Mail) (mail.Message, error) {
	v := struct{ URL, Secret, Service, To, Until, Time, Forgot string }{
		URL: s.publicURL, Service: service, To: m.To, Secret: s.mailSecret(m.ID, m.Kind, m.Token),
		Until: m.Expires.Format("Monday, 2 January 2006, 15:04 MST"), Time: m.Created.Format("Monday, 2 January 2006, 15:04 MST"),
		Forgot: s.publicURL + pagesPath + "forgot",
	}
	if m.Token != "" && v.Secret == "" {
		return mail.Message{}, errors.New("the secret of its link cannot be made any more: the service's secret has been changed")
	}
	var b bytes.Buffer
	if err := mailTemplates.ExecuteTemplate(&b, string(m.Kind)+".txt", v); err != nil {
		return mail.Message{}, err
	}
	subject, text, ok := strings.Cut(b.String(), "\n\n")
	if !ok {
		return mail.Message{}, fmt.Errorf("the template of %s has no subject", m.Kind)
	}
	return mail.Message{ID: m.ID, To: m.To, Subject: subject, Text: text}, nil
}

// Run sends mails, tells the gateway of accounts that were deleted, asks providers who
// they are, and removes what is over, until ctx is done. Any number of processes may do so at the same time.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	// Each by itself: neither waits for the other's server.
	for _, work := range []struct {
		woken <-chan struct{}
		do    func(context.Context)
	}{{s.mailsWoken, s.sendMails}, {s.departuresWoken, s.depart}} {
		wg.Go(func() {
			for ctx.Err() == nil {
				work.do(ctx)
				select {
				case <-ctx.Done():
				case <-work.woken:
				case <-time.After(poll*3/4 + rand.N(poll/2)):
				}
			}
		})
	}
	for _, p := range s.providers {
		wg.Go(func() { s.discover(ctx, p) })
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			s.tidy(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(tidyEvery):
			}
		}
	})
	wg.Wait()
	return nil
}

// sendMails sends those that are due, and returns when there are no more.
func (s *Service) sendMails(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait() // those that have begun come to an end
	slots := make(chan struct{}, mailsAtOnce)
	for s.mailer != nil && ctx.Err() == nil {
		slots <- struct{}{}
		m, err := s.accounts.ClaimMail(ctx, mailLease)
		if err != nil {
			if !errors.Is(err, account.ErrNotFound) && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "the mails to be sent cannot be read", "error", err)
			}
			return
		}
		sending.Go(func() {
			defer func() { <-slots }()
			s.deliver(ctx, m)
		})
	}
}

// tidy removes what is over.
func (s *Service) tidy(ctx context.Context) {
	err := errors.Join(s.accounts.PurgeSessions(ctx), s.accounts.PurgeMails(ctx), s.accounts.PurgeSignIns(ctx))
	if s.auditRetention > 0 {
		err = errors.Join(err, s.accounts.PurgeAudit(ctx, s.auditRetention))
	}
	if err != nil && ctx.Err() == nil {
		s.logger.WarnContext(ctx, "what is over could not be removed", "error", err)
	}
}

// deliver sends a mail that was claimed, and notes what came of it.
func (s *Service) deliver(ctx context.Context, m account.Mail) {
	log := s.logger.With("mail", m.ID, "kind", string(m.Kind), "try", m.Tries)
	message, err := s.compose(m)
	permanent := err != nil
	if err == nil {
		sending, cancel := context.WithTimeout(ctx, mailTimeout)
		defer cancel()
		err = s.mailer.Send(sending, message)
		permanent = mail.Permanent(err)
	}
	// The mail is out by then: a shutdown is no reason not to note it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mailLease/4)
	defer cancel()
	var again time.Duration
	switch {
	case err == nil:
		log.InfoContext(ctx, "mail sent")
		if err := s.accounts.MailSent(ctx, m); err != nil {
			log.WarnContext(ctx, "a mail was sent, and could not be noted; it may be sent again", "error", err)
		}
		return
	case permanent:
		log.WarnContext(ctx, "mail given up", "error", err)
	default:
		again = min(firstResend<<min(m.Tries-1, 10), lastResend)
		log.WarnContext(ctx, "a mail could not be sent; it is tried again", "in", again, "error", err)
	}
	if err := s.accounts.MailFailed(ctx, m, again, oneLine(err.Error(), maxFailure)); err != nil {
		log.WarnContext(ctx, "what became of a mail could not be noted", "error", err)
	}
}
