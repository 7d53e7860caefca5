package notifier

import (
	"bytes"
	"context"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ Mailer = (*mail.Sender)(nil)
	_ Mailer = (*mail.Folder)(nil)
	_ Links  = (*link.Signer)(nil)
)

const id = "01939b6e-5a1c-7c3e-9d2f-0123456789ab"

// succeeded is a job that made an MP3.
func succeeded() job.Job {
	return job.Job{
		ID: id, Owner: "u1", NotifyTo: "ada@example.com", FileName: "lecture.mp4", State: job.Succeeded, Attempt: 3, Tries: 1,
		Created: time.Now().Add(-time.Minute), Ended: time.Now(), Expires: time.Now().Add(48 * time.Hour),
		Result: &job.Result{
			Key: job.ResultKey(id, 3), Bytes: 13472208, Duration: 3723.4, SampleRate: 44100, Channels: 2, Encoding: "VBR 2", Track: 1, Codec: "aac",
		},
	}
}

// failed is one that did not.
func failed() job.Job {
	j := succeeded()
	j.State, j.Result, j.Failure = job.Failed, nil, &job.Failure{Code: job.NoAudio}
	return j
}

// jobs is a store of notices in memory, with the rules of the real one.
type jobs struct {
	mu    sync.Mutex
	job   job.Job
	lease time.Time
	told  []string // the failures of all calls of Notified that were accepted

	claimErr, releaseErr error
	notifiedErrs         int // so many calls of Notified fail
	onClaim              func()
}

func (s *jobs) ClaimNotice(_ context.Context, id string, lease time.Duration) (job.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch j := s.job; {
	case s.claimErr != nil:
		return job.Job{}, s.claimErr
	case id != j.ID:
		return job.Job{}, job.ErrNotFound
	case !j.Notified.IsZero() || time.Now().Before(s.lease):
		return job.Job{}, job.ErrConflict
	}
	s.lease = time.Now().Add(lease)
	if s.onClaim != nil {
		s.onClaim()
	}
	return s.job, nil
}

func (s *jobs) Notified(ctx context.Context, id string, attempt int, failure string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.notifiedErrs > 0:
		s.notifiedErrs--
		return io.ErrUnexpectedEOF
	case id != s.job.ID || attempt != s.job.Attempt || !s.job.Notified.IsZero():
		return job.ErrConflict
	}
	s.job.Notified = time.Now()
	s.told = append(s.told, failure)
	return nil
}

func (s *jobs) ReleaseNotice(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.lease = time.Time{}
	return s.releaseErr
}

// fail lets so many calls of Notified fail.
func (s *jobs) fail(calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notifiedErrs = calls
}

// outcomes are those that were noted so far.
func (s *jobs) outcomes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told
}

// leased reports whether somebody holds the notice.
func (s *jobs) leased() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.lease)
}

// system is a notifier with a store in memory and a real mail server.
type system struct {
	*Notifier
	jobs  *jobs
	smtp  *testserver.SMTPServer
	links *link.Signer
}

func start(t *testing.T, j job.Job, cfg Config) *system {
	t.Helper()
	server, err := testserver.SMTP(testserver.SMTPConfig{User: "mp3", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	sender, err := mail.New(mail.Config{
		Address: server.Address(), User: "mp3", Password: "secret", From: "MP3 <mp3@example.org>", RootCAs: server.CertPool(),
	})
	if err != nil {
		t.Fatal(err)
	}
	links, err := link.New("https://mp3.example.org/tools", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := &system{jobs: &jobs{job: j}, smtp: server, links: links}
	if s.Notifier, err = New(cfg, Deps{Jobs: s.jobs, Mailer: sender, Links: links}); err != nil {
		t.Fatal(err)
	}
	return s
}

// received is a mail as its reader sees it.
type received struct{ to, id, subject, text, html string }

// mails reads those that the server has taken.
func (s *system) mails(t *testing.T) (all []received) {
	t.Helper()
	for _, raw := range s.smtp.Messages() {
		m, err := netmail.ReadMessage(bytes.NewReader(raw.Data))
		if err != nil {
			t.Fatal(err)
		}
		list, err := m.Header.AddressList("To")
		if err != nil || len(list) != 1 || len(raw.To) != 1 || raw.To[0] != list[0].Address {
			t.Fatalf("to %v, %v, %v", list, raw.To, err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			t.Fatal(err)
		}
		_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		var bodies []string
		r := multipart.NewReader(m.Body, params["boundary"])
		for {
			part, err := r.NextPart()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(part)
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, strings.ReplaceAll(string(b), "\r\n", "\n"))
		}
		if len(bodies) != 2 {
			t.Fatalf("%d bodies", len(bodies))
		}
		all = append(all, received{list[0].Address, m.Header.Get("Message-Id"), subject, bodies[0], bodies[1]})
	}
	return all
}
