package notifier

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/job"
)

// verify checks a link as the gateway does, and returns its end.
func (s *system) verify(t *testing.T, l string, now time.Time) time.Time {
	t.Helper()
	u, err := url.Parse(l)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/tools/v1/jobs/" + id + "/audio"; u.Path != want || u.Host != "mp3.example.org" {
		t.Errorf("the link is %s", l)
	}
	unix := u.Query().Get("expires")
	if err := s.links.Verify(id, unix, u.Query().Get("signature"), now); err != nil {
		t.Errorf("%v: %s", err, l)
	}
	seconds, err := time.ParseDuration(unix + "s")
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(int64(seconds/time.Second), 0)
}

var (
	textLink = regexp.MustCompile(`(?m)^https://\S+$`)
	htmlLink = regexp.MustCompile(`<a href="([^"]*)">`)
)

func TestSuccess(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{})
	for range 3 { // the queue may say it again
		if err := s.Handle(t.Context(), id, 3); err != nil {
			t.Fatal(err)
		}
	}
	mails := s.mails(t)
	if len(mails) != 1 || !slices.Equal(s.jobs.outcomes(), []string{""}) {
		t.Fatalf("%d mails, %q noted", len(mails), s.jobs.outcomes())
	}
	m := mails[0]
	if m.to != "ada@example.com" || m.subject != "lecture.mp3 is ready" || m.id != "<"+id+".3@example.org>" {
		t.Errorf("%s, %s, %s", m.to, m.subject, m.id)
	}
	for _, want := range []string{
		"lecture.mp3 is ready.", "1:02:03", "12.8 MiB", "VBR 2, 44.1 kHz stereo",
		s.jobs.job.Expires.UTC().Format("Monday, 2 January 2006, 15:04 UTC"), "Job: " + id,
	} {
		if !strings.Contains(m.text, want) || !strings.Contains(m.html, want) {
			t.Errorf("%q is missing in\n%s\n%s", want, m.text, m.html)
		}
	}
	if !regexp.MustCompile(`(?m)^Job: ` + id + `$`).MatchString(m.text) {
		t.Errorf("no line of the job in\n%s", m.text)
	}
	inText, inHTML := textLink.FindAllString(m.text, -1), htmlLink.FindAllStringSubmatch(m.html, -1)
	if len(inText) != 1 || len(inHTML) != 1 || inText[0] != html.UnescapeString(inHTML[0][1]) {
		t.Fatalf("links %q, %q", inText, inHTML)
	}
	if end := s.verify(t, inText[0], time.Now()); !end.Equal(s.jobs.job.Expires.Truncate(time.Second)) {
		t.Errorf("the link ends at %v, the MP3 at %v", end, s.jobs.job.Expires)
	}
}

// TestLinkEnds: with the MP3 or with the longest life of a link, whichever is first.
func TestLinkEnds(t *testing.T) {
	t.Parallel()
	j := succeeded()
	j.Expires = time.Now().Add(1000 * time.Hour)
	s := start(t, j, Config{LinkLifetime: time.Hour})
	before := time.Now()
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Fatal(err)
	}
	end := s.verify(t, textLink.FindString(s.mails(t)[0].text), time.Now())
	if life := end.Sub(before); life < time.Hour-time.Second || life > time.Hour+time.Minute {
		t.Errorf("the link lives for %v", life)
	}

	j.Expires = time.Now().Add(-time.Second)
	s = start(t, j, Config{})
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Fatal(err)
	}
	if len(s.smtp.Messages()) != 0 || !slices.Equal(s.jobs.outcomes(), []string{tooLate}) {
		t.Errorf("too late: %d mails, %q noted", len(s.smtp.Messages()), s.jobs.outcomes())
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	for _, code := range job.Codes() {
		j := failed()
		j.Failure = &job.Failure{Code: code, Detail: "track 2\r\nof 1 <b>"}
		v := newView(&j, "mp3lathe", "", time.Time{})
		text, _, err := v.render()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, j.Failure.Advice()) || !strings.Contains(text, "(track 2 of 1 <b>).\n") {
			t.Errorf("%s:\n%s", code, text)
		}
	}
	s := start(t, failed(), Config{})
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Fatal(err)
	}
	m := s.mails(t)[0]
	if m.subject != "lecture.mp4 could not be converted" {
		t.Errorf("subject %s", m.subject)
	}
	for _, want := range []string{"lecture.mp4 could not be converted.", s.jobs.job.Failure.Sentence(), s.jobs.job.Failure.Advice(), "Job: " + id} {
		if !strings.Contains(m.text, want) || !strings.Contains(m.html, want) {
			t.Errorf("%q is missing in\n%s\n%s", want, m.text, m.html)
		}
	}
	if strings.Contains(m.text+m.html, "https://") {
		t.Errorf("a link to nothing in\n%s\n%s", m.text, m.html)
	}
}

// TestRetries: a mail server that is out of order costs nothing but time.
func TestRetries(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{})
	s.smtp.RefuseRecipient(450, 2)
	for i := range 2 {
		if err := s.Handle(t.Context(), id, 3); err == nil || s.jobs.leased() {
			t.Errorf("refused for now, %d: %v, leased: %v", i, err, s.jobs.leased())
		}
	}
	s.smtp.RefuseData(451, 1)
	if err := s.Handle(t.Context(), id, 3); err == nil {
		t.Error("refused data for now is no error")
	}
	s.smtp.DropAfterReply(1)
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Error(err)
	}
	if n := len(s.smtp.Messages()); n != 1 || !slices.Equal(s.jobs.outcomes(), []string{""}) {
		t.Errorf("%d mails, %q noted", n, s.jobs.outcomes())
	}
}

// TestWindow: the one way to a second mail, which can be recognised.
func TestWindow(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{})
	s.smtp.DropBeforeReply(1)
	if err := s.Handle(t.Context(), id, 3); err == nil {
		t.Error("no answer is an answer")
	}
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Error(err)
	}
	if m := s.mails(t); len(m) != 2 || m[0].id != m[1].id {
		t.Errorf("mails %v", m)
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*system){
		"no such mailbox": func(s *system) { s.smtp.RefuseRecipient(550, 1) },
		"refused content": func(s *system) { s.smtp.RefuseData(554, 1) },
		"no address":      func(s *system) { s.jobs.job.NotifyTo = "ada@example.com\r\nBcc: eve@example.org" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, succeeded(), Config{})
			change(s)
			for range 2 {
				if err := s.Handle(t.Context(), id, 3); err != nil {
					t.Error(err)
				}
			}
			told := s.jobs.outcomes()
			if len(told) != 1 || told[0] == "" || len(told[0]) > maxReason || strings.ContainsAny(told[0], "\r\n") {
				t.Errorf("noted: %q", told)
			}
			if n := len(s.smtp.Messages()); n != 0 {
				t.Errorf("%d mails", n)
			}
		})
	}
}

// TestNothingToTell: notices of ends that are no more, or of no job.
func TestNothingToTell(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jobs){
		"retried, queued":     func(s *jobs) { s.job.State = job.Queued },
		"retried, running":    func(s *jobs) { s.job.State, s.job.Attempt = job.Running, 4 },
		"retried, ended":      func(s *jobs) { s.job.Attempt = 4 },
		"canceled":            func(s *jobs) { s.job.State = job.Canceled },
		"expired":             func(s *jobs) { s.job.State = job.Expired },
		"nobody to tell":      func(s *jobs) { s.job.NotifyTo = "" },
		"deleted":             func(s *jobs) { s.job.ID = "another" },
		"told":                func(s *jobs) { s.job.Notified = time.Now() },
		"told by another now": func(s *jobs) { s.lease = time.Now().Add(time.Hour) },
	} {
		s := start(t, succeeded(), Config{})
		change(s.jobs)
		leased := s.jobs.leased()
		if err := s.Handle(t.Context(), id, 3); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(s.smtp.Messages()) != 0 || len(s.jobs.outcomes()) != 0 || s.jobs.leased() != leased {
			t.Errorf("%s: %d mails, %q noted, leased: %v", name, len(s.smtp.Messages()), s.jobs.outcomes(), s.jobs.leased())
		}
	}
}

// TestRace: of many that were given the notice, one sends.
func TestRace(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Handle(t.Context(), id, 3); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(s.smtp.Messages()); n != 1 || len(s.jobs.outcomes()) != 1 {
		t.Errorf("%d mails, %q noted", n, s.jobs.outcomes())
	}
}

// TestStoreFails: an error of the store is one for the queue, and a mail that went
// out is noted as soon as the store is back.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{})
	s.jobs.claimErr = errors.New("gone away")
	if err := s.Handle(t.Context(), id, 3); !errors.Is(err, s.jobs.claimErr) {
		t.Error(err)
	}
	s.jobs.claimErr = nil
	s.jobs.notifiedErrs = 3
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Error(err)
	}
	if n := len(s.smtp.Messages()); n != 1 || len(s.jobs.outcomes()) != 1 {
		t.Errorf("%d mails, %q noted", n, s.jobs.outcomes())
	}

	// One that fails to release says both.
	s = start(t, succeeded(), Config{})
	s.jobs.releaseErr = errors.New("gone away")
	s.smtp.RefuseRecipient(450, 1)
	if err := s.Handle(t.Context(), id, 3); !errors.Is(err, s.jobs.releaseErr) || !strings.Contains(err.Error(), "450") {
		t.Error(err)
	}
}

// TestStoreIsAway: a mail that went out is not sent again, however long the store is away:
// longer than the lease, too.
func TestStoreIsAway(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{Lease: 2 * time.Second})
	s.jobs.fail(1000)
	done := make(chan error)
	go func() { done <- s.Handle(t.Context(), id, 3) }()
	until(t, func() bool { return len(s.smtp.Messages()) == 1 })
	until(t, func() bool { return !s.jobs.leased() })
	// The queue says it again: it is known what is still to be done.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Handle(ctx, id, 3); err == nil || !strings.Contains(err.Error(), "told, but not noted") {
		t.Error(err)
	}
	s.jobs.fail(0)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Handle(t.Context(), id, 3); err != nil {
		t.Error(err)
	}
	if n := len(s.smtp.Messages()); n != 1 || len(s.jobs.outcomes()) != 1 {
		t.Errorf("%d mails, %q noted", n, s.jobs.outcomes())
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time")
		}
	}
}

// TestShutdown: a notice that is broken off is released, and one whose mail has gone
// out is noted.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{})
	s.smtp.Hang(1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.smtp.Connections() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := s.Handle(ctx, id, 3); !errors.Is(err, context.Canceled) || s.jobs.leased() {
		t.Errorf("%v, leased: %v", err, s.jobs.leased())
	}

	ctx, cancel = context.WithCancel(t.Context())
	s.deps.Mailer = after{s.deps.Mailer, cancel}
	if err := s.Handle(ctx, id, 3); err != nil || len(s.jobs.outcomes()) != 1 {
		t.Errorf("%v, %q noted", err, s.jobs.outcomes())
	}
}

// after calls a function as soon as a mail was sent.
type after struct {
	Mailer
	do func()
}

func (a after) Send(ctx context.Context, m mail.Message) error {
	defer a.do()
	return a.Mailer.Send(ctx, m)
}

// TestSlowServer: a mail server that says nothing holds a notice for half of its
// lease, so that nobody else has it by then.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{Lease: 6 * time.Second})
	s.smtp.Hang(-1)
	begin := time.Now()
	if err := s.Handle(t.Context(), id, 3); !errors.Is(err, context.DeadlineExceeded) || s.jobs.leased() {
		t.Errorf("%v, leased: %v", err, s.jobs.leased())
	}
	if took := time.Since(begin); took < 3*time.Second || took > 5900*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	s := start(t, succeeded(), Config{Logger: slog.New(slog.DiscardHandler)})
	for _, cfg := range []Config{{Lease: time.Second}, {Lease: -1}, {LinkLifetime: time.Second}, {LinkLifetime: -1}, {Service: "a\r\nb"}} {
		if _, err := New(cfg, s.deps); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	for _, deps := range []Deps{{}, {Jobs: s.jobs, Links: s.links}, {Jobs: s.jobs, Mailer: s.deps.Mailer}, {Mailer: s.deps.Mailer, Links: s.links}} {
		if _, err := New(Config{}, deps); err == nil {
			t.Error("a dependency is missing, and nobody said so")
		}
	}
}
