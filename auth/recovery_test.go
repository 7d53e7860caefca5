package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/auth/account"
	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/mail"
)

const eve = "eve@example.org"

// bare is all of an answer but what differs for each request.
func bare(t *testing.T, a answer) string {
	t.Helper()
	var body m
	if a.body != "" {
		a.decode(t, &body)
	}
	delete(body, "instance")
	h := a.header.Clone()
	h.Del("X-Request-Id")
	h.Del("Date")
	b, err := json.Marshal([]any{a.status, h, body})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRegisterAlike: whether there is an account of an address only its owner learns.
func TestRegisterAlike(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	first := f.post("/v1/auth/register", m{"email": email, "password": password})
	verify := f.mail(email, 1)
	if !strings.Contains(verify.Text, "https://mp3.example.org/v1/auth/pages/verify?token=") || linkToken(t, verify) == "" {
		t.Errorf("%s", verify.Text)
	}
	again := f.post("/v1/auth/register", m{"email": email, "password": "another pass phrase"})
	if a, b := bare(t, first), bare(t, again); a != b || first.status != http.StatusAccepted {
		t.Errorf("the first:\n%s\nthe second:\n%s", a, b)
	}
	taken := f.mail(email, 2)
	if !strings.Contains(taken.Subject, "already") || strings.Contains(taken.Text, "token=") || !strings.Contains(taken.Text, "/v1/auth/pages/forgot") {
		t.Errorf("%s\n%s", taken.Subject, taken.Text)
	}
	if a := f.post("/v1/auth/login", m{"email": email, "password": "another pass phrase"}); a.status != 401 {
		t.Errorf("the second password: %d", a.status)
	}
	f.login(email, password)
	// What is wrong with the input is told in both cases too.
	for _, address := range []string{email, eve} {
		if a := f.post("/v1/auth/register", m{"email": address, "password": "short"}); a.status != 422 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	var wg sync.WaitGroup
	for i := range 12 {
		address := email
		if i%2 == 0 {
			address = strings.ToUpper(email)
		}
		wg.Go(func() {
			if a := f.post("/v1/auth/register", m{"email": address, "password": password}); a.status != http.StatusAccepted {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	var n int
	if err := f.db.QueryRow("SELECT COUNT(*) FROM users").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d accounts, %v", n, err)
	}
	f.mail(email, 1)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) { c.Verification = VerifyJobs })
	f.register(email, password)
	in := f.loggedIn(email, password)
	scopes := func(raw string) (scopes []string, verified bool) {
		t.Helper()
		c, err := f.verifier(t).Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		var me accountapi.Me
		f.do("GET", "/v1/auth/me", "", bearer(raw)).decode(t, &me)
		return c.Scopes, me.Verified
	}
	if got, verified := scopes(in.AccessToken); slices.Contains(got, token.ScopeJobsWrite) || !slices.Contains(got, token.ScopeJobsRead) || verified {
		t.Errorf("before: %v, %v", got, verified)
	}
	secret := linkToken(t, f.mail(email, 1))
	for _, bad := range []string{"", "x", digest(secret), strings.ToLower(secret), secret + "A", strings.Repeat("A", 2000)} {
		if a := f.post("/v1/auth/verify", m{"token": bad}); a.status != 410 || a.code() != "mail_link_over" {
			t.Errorf("%q: %d %s", bad, a.status, a.body)
		}
	}
	if a := f.post("/v1/auth/reset", m{"token": secret, "password": "a new pass phrase"}); a.status != 410 {
		t.Errorf("the link sets a password: %d %s", a.status, a.body)
	}
	for range 2 { // who opens a link twice is not told that it is wrong
		if a := f.post("/v1/auth/verify", m{"token": secret}); a.status != 204 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	in, a := f.refreshWith(in.RefreshToken)
	if a.status != 200 {
		t.Fatal(a.body)
	}
	if got, verified := scopes(in.AccessToken); !slices.Contains(got, token.ScopeJobsWrite) || !verified {
		t.Errorf("after: %v, %v", got, verified)
	}
	f.exec("UPDATE account_mails SET expires_at = expires_at - ?", verifyLifetime.Microseconds())
	if a := f.post("/v1/auth/verify", m{"token": secret}); a.status != 410 {
		t.Errorf("a day later: %d %s", a.status, a.body)
	}
}

// TestVerifyBeforeLogin: with that setting nobody gets in before, and only who knows the
// password learns why.
func TestVerifyBeforeLogin(t *testing.T) {
	t.Parallel()
	f := serve(t, func(c *Config, _ *Deps) { c.Verification = VerifyLogin })
	f.register(email, password)
	for _, a := range []answer{
		f.post("/v1/auth/login", m{"email": email, "password": password}), f.do("POST", "/login", "", basic(email, password)),
	} {
		if a.status != 403 || a.code() != "email_unverified" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := f.post("/v1/auth/login", m{"email": email, "password": "wrong"}); a.status != 401 || a.code() != "bad_credentials" {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.mail(email, 1)
	// The mail got lost; another works too, once the first is a minute old.
	if a := f.post("/v1/auth/verify/send", m{"email": email}); a.status != 202 {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.exec("UPDATE account_mails SET created_at = created_at - 60000001")
	f.post("/v1/auth/verify/send", m{"email": " " + strings.ToLower(email) + " "})
	second := f.mail(email, 2)
	if len(f.mails.to(email)) != 2 {
		t.Error("the first wish was too early, and was met")
	}
	if a := f.post("/v1/auth/verify", m{"token": linkToken(t, second)}); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.login(email, password)
	// Whom an administrator has made is let in.
	if err := f.CreateUser(t.Context(), eve, password, token.RoleUser); err != nil {
		t.Fatal(err)
	}
	f.login(eve, password)
}

func TestReset(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	in := f.loggedIn(email, password)
	const other = "staple battery horse"
	ask := func() string {
		t.Helper()
		before := len(f.mails.to(email))
		f.exec("UPDATE account_mails SET created_at = created_at - 60000001")
		if a := f.post("/v1/auth/reset/send", m{"email": email}); a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return linkToken(t, f.mail(email, before+1))
	}
	f.mail(email, 1)
	first, second := ask(), ask()
	set := func(secret, password string) answer {
		return f.post("/v1/auth/reset", m{"token": secret, "password": password})
	}
	if a := set("x"+second, other); a.status != 410 || a.code() != "mail_link_over" {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A password that will not do does not use up the link.
	for _, bad := range []string{"short", "password1", "Ada.Lovelace"} {
		if a := set(second, bad); a.status != 422 || !strings.Contains(a.body, "body.password") {
			t.Errorf("%q: %d %s", bad, a.status, a.body)
		}
	}
	f.login(email, password) // which is still the one
	if a := set(second, other); a.status != 204 || a.body != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, secret := range map[string]string{"used": second, "an older one": first} {
		if a := set(secret, "yet another phrase"); a.status != 410 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := f.post("/v1/auth/login", m{"email": email, "password": password}); a.status != 401 {
		t.Errorf("the old password: %d", a.status)
	}
	_, a := f.refreshWith(in.RefreshToken)
	wantEnded(t, "a session of before", a)
	raw := f.login(email, other)
	var me accountapi.Me
	if f.do("GET", "/v1/auth/me", "", bearer(raw)).decode(t, &me); !me.Verified {
		t.Error("who has the mail is not verified by it")
	}
	if told := f.mail(email, 4); !strings.Contains(told.Subject, "was changed") || strings.Contains(told.Text, other) {
		t.Errorf("%+v", told)
	}
	late := ask()
	f.exec("UPDATE account_mails SET expires_at = expires_at - ?", resetLifetime.Microseconds())
	if a := set(late, password); a.status != 410 {
		t.Errorf("an hour later: %d %s", a.status, a.body)
	}
	// A change of the password ends links too.
	late = ask()
	in = f.loggedIn(email, other)
	if a := f.do("POST", "/v1/auth/password", fmt.Sprintf(`{"current_password":%q,"new_password":%q}`, other, password), bearer(in.AccessToken)); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := set(late, other); a.status != 410 {
		t.Errorf("after a change: %d %s", a.status, a.body)
	}
}

// TestResetTakesOver: who gets an account by the mail of its address, which somebody else
// has made for it, has it alone: the keys of that one are gone. Those of an account that was
// its owner's before stay.
func TestResetTakesOver(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"a stranger's": false, "the owner's": true} {
		f := serve(t, nil)
		f.register(email, password)
		if verifying := linkToken(t, f.mail(email, 1)); before {
			if a := f.post("/v1/auth/verify", m{"token": verifying}); a.status != 204 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		key, _ := f.makeKey(f.login(email, password), m{"name": "x", "scopes": []string{"jobs:read"}, "password": password})
		f.post("/v1/auth/reset/send", m{"email": email})
		// The second mail tells of the key.
		if a := f.post("/v1/auth/reset", m{"token": linkToken(t, f.mail(email, 3)), "password": "staple battery horse"}); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if a := f.do("POST", "/v1/auth/token", "", bearer(key.Secret)); (a.status == 200) != before {
			t.Errorf("%s: the key: %d %s", name, a.status, a.body)
		}
	}
}

// TestResetAtOnce: of many who use a link at the same time one does.
func TestResetAtOnce(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	f.post("/v1/auth/reset/send", m{"email": email})
	secret := linkToken(t, f.mail(email, 2))
	var wg sync.WaitGroup
	var done, over atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			switch a := f.post("/v1/auth/reset", m{"token": secret, "password": fmt.Sprint("pass phrase number ", i)}); a.status {
			case 204:
				done.Add(1)
			case 410:
				over.Add(1)
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if done.Load() != 1 || over.Load() != 7 {
		t.Errorf("%d set it, %d did not", done.Load(), over.Load())
	}
}

// TestMailAlike: who asks for a mail learns nothing, and nobody gets one who should not.
func TestMailAlike(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	f.register("locked@example.org", password)
	f.exec("UPDATE users SET locked_at = 1 WHERE email = 'locked@example.org'")
	for _, path := range []string{"/v1/auth/reset/send", "/v1/auth/verify/send"} {
		var want string
		for _, address := range []string{"aa@example.org", email, email, "locked@example.org", "aa@example.org"} {
			a := f.post(path, m{"email": address})
			got := strings.ReplaceAll(bare(t, a), address, "-")
			got = strings.ReplaceAll(got, fmt.Sprint(len(a.body)), "-") // the length
			if want == "" {
				want = got
			}
			if got != want || a.status != http.StatusAccepted {
				t.Errorf("%s %s:\n%s\n%s", path, address, got, want)
			}
		}
		for _, address := range []string{"", "x", "a@b@c", "ada@example.org\r\nBcc: eve@example.org", strings.Repeat("x", 250) + "@x"} {
			if a := f.post(path, m{"email": address}); a.status != 422 {
				t.Errorf("%s %q: %d %s", path, address, a.status, a.body)
			}
		}
	}
	f.mail(email, 2)
	f.quietMails()
	if n := len(f.mails.to(email)); n != 2 { // to verify, and one to reset
		t.Errorf("%d mails", n)
	}
	if n := len(f.mails.to("aa@example.org")); n != 0 {
		t.Errorf("%d mails to nobody", n)
	}
	if n := len(f.mails.to("locked@example.org")); n != 1 {
		t.Errorf("%d mails to who is locked out", n)
	}
}

// quietMails waits until no mail is to be sent.
func (f *fixture) quietMails() {
	f.t.Helper()
	for n := 1; n > 0; time.Sleep(2 * time.Millisecond) {
		if err := f.db.QueryRow("SELECT COUNT(*) FROM account_mails WHERE due_at > 0").Scan(&n); err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestMailLimit: an address gets few mails, and always has a link that is good.
func TestMailLimit(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	f.mail(email, 1)
	for range 9 {
		f.exec("UPDATE account_mails SET created_at = created_at - 60000001, expires_at = expires_at - 60000001")
		f.post("/v1/auth/reset/send", m{"email": email})
	}
	f.quietMails()
	mails := f.mails.to(email)
	if len(mails) != 6 {
		t.Errorf("%d mails", len(mails))
	}
	if a := f.post("/v1/auth/reset", m{"token": linkToken(t, mails[1]), "password": "a new pass phrase"}); a.status != 204 {
		t.Errorf("the first of them: %d %s", a.status, a.body)
	}
}

// TestNoMails: without a mail server there is no way to a new password, and that is said
// whatever the address.
func TestNoMails(t *testing.T) {
	t.Parallel()
	f := serve(t, func(_ *Config, d *Deps) { d.Mailer = nil })
	f.register(email, password)
	for _, address := range []string{email, eve} {
		if a := f.post("/v1/auth/reset/send", m{"email": address}); a.status != 501 || a.code() != "no_mails" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := f.post("/v1/auth/register", m{"email": address, "password": password}); a.status != 202 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	f.login(email, password)
}

// TestPages: what a person does with the links in mails.
func TestPages(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	form := func(path string, values url.Values) answer {
		return f.do("POST", path, values.Encode(), "Content-Type: application/x-www-form-urlencoded")
	}
	wantPage := func(a answer, status int, texts ...string) {
		t.Helper()
		if a.status != status || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") ||
			!strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("Referrer-Policy") != "no-referrer" ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", a.status, a.header)
		}
		for _, text := range texts {
			if !strings.Contains(a.body, text) {
				t.Errorf("no %q in\n%s", text, a.body)
			}
		}
	}
	link := func(n int) string {
		t.Helper()
		text := f.mail(email, n).Text
		_, rest, ok := strings.Cut(text, "https://mp3.example.org")
		if !ok {
			t.Fatalf("no link in %s", text)
		}
		path, _, _ := strings.Cut(rest, "\n")
		return path
	}
	verify := link(1)
	wantPage(f.do("GET", verify, ""), 200, "<form method=\"post\" action=\"verify\">", linkToken(t, f.mail(email, 1)))
	if a, err := f.store.ByEmail(t.Context(), email); err != nil || !a.Verified.IsZero() {
		t.Error("to look at the page verifies the address")
	}
	path, _, _ := strings.Cut(verify, "?")
	wantPage(form(path, url.Values{"token": {"wrong"}}), 410, "role=\"alert\"", "was used, has expired")
	wantPage(form(path, url.Values{"token": {linkToken(t, f.mail(email, 1))}}), 200, "Your address is confirmed")
	if a, err := f.store.ByEmail(t.Context(), email); err != nil || a.Verified.IsZero() {
		t.Error("the address is not verified")
	}

	wantPage(f.do("GET", "/v1/auth/pages/forgot", ""), 200, "type=\"email\"")
	wantPage(form("/v1/auth/pages/forgot", url.Values{"email": {eve}}), 200, "If there is an account")
	wantPage(form("/v1/auth/pages/forgot", url.Values{"email": {"nobody"}}), 422, "role=\"alert\"")
	wantPage(form("/v1/auth/pages/forgot", url.Values{"email": {email}}), 200, "If there is an account")
	reset := link(2)
	wantPage(f.do("GET", reset, ""), 200, "type=\"password\"", "autocomplete=\"new-password\"")
	secret := linkToken(t, f.mail(email, 2))
	path, _, _ = strings.Cut(reset, "?")
	wantPage(form(path, url.Values{"token": {secret}, "password": {"short"}}), 422, "8 to 128 characters", secret)
	wantPage(form(path, url.Values{"token": {secret}, "password": {"a new pass phrase"}}), 200, "Your password is set")
	wantPage(form(path, url.Values{"token": {secret}, "password": {"a newer pass phrase"}}), 410, "was used")
	f.login(email, "a new pass phrase")

	// Nothing that came in gets out as HTML.
	const script = `"><script>alert(1)</script>`
	for _, a := range []answer{
		f.do("GET", "/v1/auth/pages/reset?token="+url.QueryEscape(script), ""), form(path, url.Values{"token": {script}}),
		form("/v1/auth/pages/forgot", url.Values{"email": {script}}),
	} {
		if strings.Contains(a.body, "<script") {
			t.Errorf("%s", a.body)
		}
	}
	if a := form(path, url.Values{"token": {strings.Repeat("x", 5000)}}); a.status != 400 || a.code() != "bad_request" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestMailServerDown: mails wait for the mail server, and for a process that sends them;
// their links stay the same. What it refuses for good is given up.
func TestMailServerDown(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.mails.set(errors.New("dial tcp: refused"))
	f.register(email, password)
	tries := func() (n int, failure string) {
		t.Helper()
		if err := f.db.QueryRow("SELECT tries, failure FROM account_mails WHERE email = ? AND sent_at = 0", email).Scan(&n, &failure); err != nil {
			t.Fatal(err)
		}
		return n, failure
	}
	for n, failure := tries(); n == 0 || failure == ""; n, failure = tries() {
		time.Sleep(2 * time.Millisecond)
	}
	f.mails.set(nil)
	// Another process on the same database; it is later.
	f.exec("UPDATE account_mails SET due_at = 1")
	g := serveOn(t, f, nil)
	secret := linkToken(t, g.mail(email, 1))
	if a := g.post("/v1/auth/verify", m{"token": secret}); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !strings.Contains(f.log.String()+g.log.String(), "a mail could not be sent; it is tried again") {
		t.Error("the log does not say so")
	}

	f.mails.set(permanent(t))
	f.register(eve, password)
	for {
		var due int64
		var failure string
		if err := f.db.QueryRow("SELECT due_at, failure FROM account_mails WHERE email = ?", eve).Scan(&due, &failure); err != nil {
			t.Fatal(err)
		}
		if due == 0 && failure != "" {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if !strings.Contains(f.log.String()+g.log.String(), "mail given up") {
		t.Error("the log does not say so")
	}
}

// TestMailOfAnOldSecret: a mail that waits over a change of the secret has its link; one
// whose secret is gone is given up, and says why.
func TestMailOfAnOldSecret(t *testing.T) {
	t.Parallel()
	old, line := NewSecret(), NewSecret()
	f := serve(t, func(c *Config, d *Deps) { c.Secrets = secrets(t, old) })
	a, err := f.store.Create(t.Context(), account0(t))
	if err != nil {
		t.Fatal(err)
	}
	mk := func(g *fixture) string {
		t.Helper()
		nm, err := f.newMail("reset", a.ID, a.Email)
		if err != nil {
			t.Fatal(err)
		}
		return g.mailSecret(nm.ID, nm.Kind, nm.Token)
	}
	both := serveOn(t, f, func(c *Config, _ *Deps) { c.Secrets = secrets(t, line, old) })
	alone := serveOn(t, f, func(c *Config, _ *Deps) { c.Secrets = secrets(t, line) })
	if mk(f) == "" || mk(both) == "" || mk(alone) != "" {
		t.Error("the link of a mail is not that of the secret it was made with")
	}
}

// account0 is an account that is to be kept.
func account0(t *testing.T) account.Account {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return account.Account{ID: id.String(), Email: email, PasswordHash: "x", Role: token.RoleUser}
}

// permanent is the error of a mail server that refuses for good: of a message that
// cannot be sent.
func permanent(t *testing.T) error {
	t.Helper()
	folder, err := mail.NewFolder(t.TempDir(), "mp3lathe <mp3@example.org>")
	if err != nil {
		t.Fatal(err)
	}
	err = folder.Send(t.Context(), mail.Message{})
	if !mail.Permanent(err) {
		t.Fatal(err)
	}
	return err
}

// TestTimingOfMails: a wish for a mail, and a registration, take as long whether there
// is an account of the address. They are measured as ratios of medians.
func TestTimingOfMails(t *testing.T) {
	f := serve(t, func(c *Config, d *Deps) { c.Password = PasswordParams{} })
	f.register(email, password)
	for name, send := range map[string]func(address string, i int) answer{
		"reset":  func(address string, _ int) answer { return f.post("/v1/auth/reset/send", m{"email": address}) },
		"verify": func(address string, _ int) answer { return f.post("/v1/auth/verify/send", m{"email": address}) },
		"register": func(address string, i int) answer {
			if address != email {
				address = fmt.Sprintf("%d.%d@example.org", i, time.Now().UnixNano())
			}
			return f.post("/v1/auth/register", m{"email": address, "password": password})
		},
	} {
		var ratio float64
		for range 6 {
			var known, unknown []time.Duration
			for i := range 15 {
				// Both are asked for after a while, or the second finds that it is too early.
				f.exec("DELETE FROM account_mails")
				for _, c := range []struct {
					address string
					into    *[]time.Duration
				}{{email, &known}, {eve, &unknown}} {
					began := time.Now()
					if a := send(c.address, i); a.status != 202 {
						t.Fatalf("%d %s", a.status, a.body)
					}
					*c.into = append(*c.into, time.Since(began))
					f.quietMails()
				}
			}
			slices.Sort(known)
			slices.Sort(unknown)
			ratio = float64(unknown[7]) / float64(known[7])
			t.Logf("%s: unknown %v, known %v: %.2f", name, unknown[7], known[7], ratio)
			if ratio > 0.5 && ratio < 2 {
				break
			}
		}
		if ratio <= 0.5 || ratio >= 2 {
			t.Errorf("%s: for an unknown address it takes %.2f times as long", name, ratio)
		}
	}
}
