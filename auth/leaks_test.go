package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/auth/account"
)

// broken is a store that fails or panics.
type broken struct {
	Accounts // whatever else is called panics
	panics   bool
}

func (b broken) fail() error {
	if b.panics {
		panic("the store is broken")
	}
	return errors.New("dial tcp 10.1.2.3:3306: connection refused")
}
func (b broken) ByID(context.Context, string) (account.Account, error) {
	return account.Account{}, b.fail()
}
func (b broken) ByEmail(context.Context, string) (account.Account, error) {
	return account.Account{}, b.fail()
}
func (b broken) Register(context.Context, account.Account, account.NewMail) error { return b.fail() }
func (b broken) KnownAddress(context.Context, string, string) (bool, error)       { return false, b.fail() }
func (b broken) SetPassword(context.Context, string, string, string) error        { return b.fail() }
func (b broken) SigningKeys(context.Context) ([]account.SigningKey, error)        { return nil, b.fail() }

// TestSecrets: neither passwords nor tokens nor hashes are in logs and problems,
// whatever goes wrong.
func TestSecrets(t *testing.T) {
	t.Parallel()
	f := serve(t, nil)
	f.register(email, password)
	in := f.loggedIn(email, password)
	raw := in.AccessToken
	refresh, _ := parseRefresh(in.RefreshToken)
	f.post("/v1/auth/reset/send", m{"email": email})
	verifying, resetting := linkToken(t, f.mail(email, 1)), linkToken(t, f.mail(email, 2))
	hidden := []string{
		password, raw, refresh.family, refresh.own, verifying, resetting, strings.Split(raw, ".")[2], f.hashOf(email), f.hashOf(email)[len("$argon2id$v=19$m=64,t=1,p=1$"):],
		base64.StdEncoding.EncodeToString([]byte(email + ":" + password)), url.QueryEscape(password), "wrong horse battery",
	}
	look := func(where, text string) {
		t.Helper()
		for _, s := range hidden {
			if strings.Contains(text, s) {
				t.Errorf("%s: the secret %q is in %s", where, s, text)
			}
		}
	}
	for name, g := range map[string]*fixture{
		"whole":    f,
		"broken":   serveOn(t, f, func(_ *Config, d *Deps) { d.Accounts = broken{} }),
		"panics":   serveOn(t, f, func(_ *Config, d *Deps) { d.Accounts = broken{panics: true} }),
		"busy":     serveOn(t, f, func(c *Config, _ *Deps) { c.HashWait = 1 }),
		"stranger": serveOn(t, f, func(c *Config, _ *Deps) { c.Issuer = "somebody" }),
	} {
		if name == "busy" {
			for range cap(g.hasher.slots) {
				g.hasher.slots <- struct{}{}
			}
		}
		answers := []answer{
			f.post("/v1/auth/login", m{"email": email, "password": "wrong horse battery"}),
			f.do("POST", "/login", "", basic(email, "wrong horse battery")),
			f.do("POST", "/v1/auth/login", `{"email":"x","password":"`+password+`"`),
			f.do("POST", "/v1/auth/login", `{"email":"x","password":["`+password+`"]}`),
			f.do("POST", "/v1/auth/login", `{"email":"`+password+`","password":["`+password+`"]}`),
			f.do("POST", "/v1/auth/login?password="+url.QueryEscape(password), `{}`),
			f.do("POST", "/v1/auth/register", `{"email":"`+password+`","password":"`+password+`"}`),
			f.do("GET", "/v1/auth/me", "", bearer(raw+"x")),
			f.do("POST", "/validate", "", bearer(raw+"x")),
			f.do("POST", "/v1/auth/password", `{"current_password":"wrong horse battery","new_password":"`+password+`"}`, bearer(raw)),
			f.do("POST", "/v1/auth/password", `{"current_password":"`+password+`","new_password":["`+password+`"]}`, bearer(raw)),
			f.do("POST", "/v1/auth/refresh", `{"refresh_token":"`+in.RefreshToken+`x","more":"`+in.RefreshToken+`"}`),
			f.do("POST", "/v1/auth/verify", `{"token":["`+verifying+`"]}`),
			f.do("POST", "/v1/auth/reset", `{"token":"`+resetting+`","password":"short"}`),
			f.do("POST", "/v1/auth/pages/reset?token="+resetting, "token="+resetting+"x&password=x", "Content-Type: application/x-www-form-urlencoded"),
			f.do("POST", "/v1/auth/refresh?refresh_token="+in.RefreshToken, `{}`),
			f.do("POST", "/v1/auth/refresh", `{"refresh_token":"mp3r_x_`+refresh.own+`"}`),
			f.do("GET", "/v1/auth/me?access_token="+raw, ""),
			g.post("/v1/auth/register", m{"email": email, "password": password}),
			g.post("/v1/auth/register", m{"email": "eve@example.org", "password": password[:20] + strings.Repeat("x", 120)}),
		}
		if name != "whole" {
			answers = append(answers, g.post("/v1/auth/register", m{"email": "eve@example.org", "password": password}))
		}
		if name != "whole" && name != "busy" {
			answers = append(answers,
				g.do("GET", "/v1/auth/me", "", bearer(raw)),
				g.do("POST", "/validate", "", bearer(raw)))
		}
		if name != "whole" && name != "stranger" {
			answers = append(answers,
				g.post("/v1/auth/login", m{"email": email, "password": password}),
				g.do("POST", "/login", "", basic(email, password)))
		}
		for i, a := range answers {
			if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
				continue // the form has what was typed in
			}
			if a.status < 400 && a.status != http.StatusAccepted {
				t.Errorf("%s: answer %d is no refusal: %d %s", name, i, a.status, a.body)
			}
			look(name, a.body)
			if strings.Contains(a.body, "10.1.2.3") || strings.Contains(a.body, "broken") {
				t.Errorf("%s tells how it works: %s", name, a.body)
			}
		}
		look(name, g.log.String())
		if name == "broken" && !strings.Contains(g.log.String(), "10.1.2.3") {
			t.Errorf("the log does not say what is broken: %s", g.log)
		}
	}
	f.post("/v1/auth/refresh", m{"refresh_token": "mp3r_" + refresh.family + "_x"}) // which is told of in the log
	look("whole", f.log.String())
	for _, secret := range []string{password, raw, refresh.family, refresh.own, verifying, resetting} {
		if text := f.dump(); strings.Contains(text, secret) {
			t.Errorf("the secret %q is in the database:\n%s", secret, text)
		}
	}
}

// dump is all text that the database holds.
func (f *fixture) dump() string {
	f.t.Helper()
	tables, err := f.db.QueryContext(f.t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			f.t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := errors.Join(tables.Err(), tables.Close()); err != nil {
		f.t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range names {
		rows, err := f.db.QueryContext(f.t.Context(), "SELECT * FROM "+name)
		if err != nil {
			f.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			f.t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				f.t.Fatal(err)
			}
			for _, v := range values {
				switch v := (*v.(*any)).(type) {
				case []byte:
					b.Write(v)
				default:
					fmt.Fprint(&b, v)
				}
				b.WriteByte(' ')
			}
			b.WriteByte('\n')
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			f.t.Fatal(err)
		}
	}
	if b.Len() < 100 {
		f.t.Fatal("the database is empty")
	}
	return b.String()
}
