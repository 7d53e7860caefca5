package auth

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/accountstore"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/mail"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/internal/throttle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are password parameters for tests that are not about them.
var quick = PasswordParams{Memory: 64, Iterations: 1, Parallelism: 1}

// fixture is a service on a store of its own, behind an HTTP server.
type fixture struct {
	*Service
	t     *testing.T
	url   string
	db    *sqldb.DB
	store *accountstore.Store
	with  *Secrets
	mails *post
	log   *testserver.Output
}

// serve starts a service with changes to its settings.
func serve(t *testing.T, change func(*Config, *Deps)) *fixture {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := accountstore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return serveOn(t, &fixture{db: db, with: secrets(t)}, change)
}

// serveOn starts another service with the database and the secrets of one.
func serveOn(t *testing.T, on *fixture, change func(*Config, *Deps)) *fixture {
	t.Helper()
	db := on.db
	f := &fixture{t: t, db: db, store: accountstore.New(db), mails: on.mails, log: &testserver.Output{}}
	if f.mails == nil {
		f.mails = &post{}
	}
	cfg := Config{Secrets: on.with, Password: quick, PublicURL: "https://mp3.example.org/"}
	deps := Deps{
		Accounts: f.store, Mailer: f.mails, Limits: noLimits{}, Logger: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Checks: map[string]httpapi.Check{"database": func(ctx context.Context) error { return db.PingContext(ctx) }},
	}
	if change != nil {
		change(&cfg, &deps)
	}
	var err error
	if f.Service, err = New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	f.with = cfg.Secrets
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	if deps.Accounts == Accounts(f.store) { // what is in another's place need not do for mails
		wg.Go(func() {
			if err := f.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); wg.Wait() })
	server := httptest.NewServer(f.Handler())
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// noLimits lets everybody try as often as he likes, in tests that are not about that.
type noLimits struct{}

func (noLimits) Take(context.Context, ...throttle.Key) time.Duration { return 0 }
func (noLimits) Undo(context.Context, ...throttle.Key)               {}
func (noLimits) Forget(context.Context, ...throttle.Key)             {}

// post is a mail server that keeps what it is sent.
type post struct {
	mu   sync.Mutex
	sent []mail.Message
	fail error // what Send answers, if it is set
}

func (p *post) Send(_ context.Context, m mail.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.sent = append(p.sent, m)
	return nil
}

func (p *post) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// to returns the mails that an address has had.
func (p *post) to(email string) (mails []mail.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.sent {
		if strings.EqualFold(m.To, email) {
			mails = append(mails, m)
		}
	}
	return mails
}

// mail waits for the nth mail to an address, from 1, and returns it.
func (f *fixture) mail(email string, n int) mail.Message {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if mails := f.mails.to(email); len(mails) >= n {
			return mails[n-1]
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("no mail %d to %s came:\n%s", n, email, f.log)
		}
	}
}

// linkToken returns the token in the link of a mail.
func linkToken(t *testing.T, m mail.Message) string {
	t.Helper()
	_, rest, ok := strings.Cut(m.Text, "?token=")
	if !ok {
		t.Fatalf("there is no link in %s", m.Text)
	}
	secret, _, _ := strings.Cut(rest, "\n")
	return secret
}

// answer of the service.
type answer struct {
	status int
	header http.Header
	body   string
}

// code of the problem; "" if the answer is none.
func (a answer) code() string {
	var p httpapi.Problem
	if a.header.Get("Content-Type") != "application/problem+json" || json.Unmarshal([]byte(a.body), &p) != nil ||
		p.Status != a.status || p.Type != "urn:mp3lathe:problem:"+p.Code || p.Instance == "" {
		return ""
	}
	return p.Code
}

func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// do sends a request. Headers are "Name: value".
func (f *fixture) do(method, path, body string, headers ...string) answer {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (f *fixture) post(path string, body any) answer {
	f.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.do("POST", path, string(b))
}

type m map[string]any

// register makes an account and returns its ID.
func (f *fixture) register(email, password string) string {
	f.t.Helper()
	a := f.post("/v1/auth/register", m{"email": email, "password": password})
	if a.status != http.StatusAccepted {
		f.t.Fatalf("register %s: %d %s", email, a.status, a.body)
	}
	made, err := f.store.ByEmail(f.t.Context(), email)
	if err != nil {
		f.t.Fatal(err)
	}
	return made.ID
}

// login returns an access token.
func (f *fixture) login(email, password string) string {
	f.t.Helper()
	a := f.post("/v1/auth/login", m{"email": email, "password": password})
	if a.status != http.StatusOK {
		f.t.Fatalf("log in as %s: %d %s", email, a.status, a.body)
	}
	var got accountapi.LoggedIn
	a.decode(f.t, &got)
	return got.AccessToken
}

func bearer(raw string) string { return "Authorization: Bearer " + raw }
