package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/internal/app/apptest"
)

// ended is how a program ended.
type ended struct {
	code           int
	stdout, stderr string
}

// program runs one of the programs. It must end by itself.
func program(t *testing.T, grammar any, stdin string, args ...string) ended {
	t.Helper()
	var out, err bytes.Buffer
	code := Main(t.Context(), "program", "For a test.", grammar, args, &Std{In: strings.NewReader(stdin), Out: &out, Err: &err})
	return ended{code, out.String(), err.String()}
}

// write makes a file in a folder of the test's.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// good are settings that are right and lead nowhere.
var good = map[string][]string{
	"database": {"--database=mysql://u:p@127.0.0.1:1/x"},
	"redis":    {"--redis=redis://127.0.0.1:1/0"},
	"bucket":   {"--bucket=s3://x?region=us-east-1", "--s3-access-key=a", "--s3-secret-key=b"},
	"links":    {"--public-url=http://mp3.example.org", "--link-key=0123456789abcdef0123456789abcdef"},
	"auth-url": {"--auth-url=http://127.0.0.1:1"},
	"mail":     {"--smtp=mail.example.org"},
}

func settings(sets ...string) []string {
	var args []string
	for _, s := range sets {
		args = append(args, good[s]...)
	}
	return args
}

// TestWrongSettings: every wrong setting is told in a sentence of its own, all at
// once, with the flag's name and the variable's, and nothing is begun.
func TestWrongSettings(t *testing.T) {
	key := write(t, "auth.key", auth.NewSecret()+"\n")
	empty, short := write(t, "empty", " \n"), write(t, "short", "too short\n")
	gateway := settings("database", "redis", "bucket", "links", "auth-url")
	notifier := settings("database", "redis", "links", "mail")
	authArgs := append(settings("database"), "--auth-key-file="+key)
	oidcArgs := append(slices.Clone(authArgs), "--public-url=https://mp3.example.org", "--oidc=[]")
	for _, c := range []struct {
		grammar any
		args    []string
		more    string
		want    []string
	}{
		{&GatewayCLI{}, nil, "", []string{
			"--public-url (MP3LATHE_PUBLIC_URL) is not set",
			"--link-key (MP3LATHE_LINK_KEY) is not set, nor is --link-key-file (MP3LATHE_LINK_KEY_FILE)",
			"--auth-url (MP3LATHE_AUTH_URL) is not set",
			"--database (MP3LATHE_DATABASE) is not set, nor is --database-file",
			"--bucket (MP3LATHE_BUCKET) is not set",
			"--redis (MP3LATHE_REDIS) is not set, nor is --redis-file",
		}},
		{&GatewayCLI{}, gateway, "--max-upload=-5 --upload-idle=0s --drain=-1s --listen=8080", []string{
			"--listen (MP3LATHE_LISTEN) is \"8080\": want an address such as 127.0.0.1:8080",
			"--max-upload (MP3LATHE_MAX_UPLOAD) is -5: want 1 or more",
			"--upload-idle (MP3LATHE_UPLOAD_IDLE) is 0s: want 1s or more",
			"--drain (MP3LATHE_DRAIN) is -1s: want 0s or more",
		}},
		{&GatewayCLI{}, gateway, "--max-upload=0", []string{"is 0: want 1 or more"}},
		{&GatewayCLI{}, gateway, "--auth-url=x", []string{"--auth-url (MP3LATHE_AUTH_URL) is \"x\": want one such as http://auth:8081"}},
		{&GatewayCLI{}, gateway, "--jobs=ftp://x", []string{"--database (MP3LATHE_DATABASE) is wrong"}},
		{&GatewayCLI{}, gateway, "--queues-url=queues:8086", []string{"--queues-url (MP3LATHE_QUEUES_URL) is \"queues:8086\": want one such as http://queues:8086"}},
		{&GatewayCLI{}, gateway, "--auth-url=http://auth:8081?a=b", []string{"--auth-url (MP3LATHE_AUTH_URL) is"}},
		{&GatewayCLI{}, gateway, "--public-url=mp3.example.org", []string{"--public-url (MP3LATHE_PUBLIC_URL) is wrong: public URL \"mp3.example.org\": want one such as"}},
		{&GatewayCLI{}, gateway, "--public-url=mp3.example.org --link-key=secret0815", []string{
			"--public-url (MP3LATHE_PUBLIC_URL) is wrong", "--link-key (MP3LATHE_LINK_KEY) is wrong: key 1 has 10 bytes; want at least 32"}},
		{&GatewayCLI{}, gateway, "--database=postgres://u:secret0815@h/x", []string{"--database (MP3LATHE_DATABASE) is wrong: the database's URL must start with \"mysql://\", \"sqlite:\" or \"mongodb://\""}},
		{&GatewayCLI{}, gateway, "--database=mongodb://u:secret0815@h", []string{"--database (MP3LATHE_DATABASE) is wrong: the URL names no database: want mongodb://host/name"}},
		{&NotifierCLI{}, notifier, "--database=mongodb+srv://u:secret0815@h:1/x", []string{"--database (MP3LATHE_DATABASE) is wrong: a mongodb+srv URL names one host, without a port"}},
		{&AuthCLI{}, authArgs, "--database=mongodb://u:secret0815@h/x", []string{"--database (MP3LATHE_DATABASE) is wrong: the database's URL must start with \"mysql://\" or \"sqlite:\""}},
		{&GatewayCLI{}, gateway, "--database=mysql://u:secret0815@h", []string{"--database (MP3LATHE_DATABASE) is wrong: the MySQL URL names no database"}},
		{&GatewayCLI{}, gateway, "--database=sqlite:", []string{"--database (MP3LATHE_DATABASE) is wrong: the SQLite URL names no file"}},
		{&GatewayCLI{}, gateway, "--redis=:secret0815@127.0.0.1", []string{"--redis (MP3LATHE_REDIS) is wrong: the URL of Redis is not one"}},
		{&GatewayCLI{}, gateway, "--bucket=/srv/mp3", []string{"--bucket (MP3LATHE_BUCKET) is wrong: open bucket /srv/mp3: the scheme \"\" is neither file nor s3"}},
		{&GatewayCLI{}, gateway, "--bucket=file://srv/mp3", []string{"--bucket (MP3LATHE_BUCKET) is wrong: open bucket file://srv/mp3: a folder has no host"}},
		{&GatewayCLI{}, gateway, "--bucket=s3://x?region=us-east-1&endpoint=localhost:7070", []string{"--bucket (MP3LATHE_BUCKET) is wrong: open bucket", "endpoint must be"}},
		{&GatewayCLI{}, gateway, "--s3-access-key= --s3-secret-key=b", []string{"--s3-access-key (MP3LATHE_S3_ACCESS_KEY) is not set, but there is a secret key"}},
		{&GatewayCLI{}, gateway, "--s3-secret-key=", []string{"--s3-secret-key (MP3LATHE_S3_SECRET_KEY) is not set, nor is --s3-secret-key-file"}},
		{&GatewayCLI{}, gateway, "--database= --database-file=/nowhere/at/all", []string{"--database-file (MP3LATHE_DATABASE_FILE) names a file that cannot be read: /nowhere/at/all: no such file"}},
		{&GatewayCLI{}, gateway, "--database= --database-file=" + empty, []string{"--database-file (MP3LATHE_DATABASE_FILE) names " + empty + ", which is empty"}},
		{&GatewayCLI{}, gateway, "--database-file=" + short, []string{"--database (MP3LATHE_DATABASE) and --database-file (MP3LATHE_DATABASE_FILE) are both set: one is enough"}},
		{&AuthCLI{}, nil, "", []string{
			"--auth-key (MP3LATHE_AUTH_KEY) is not set, nor is --auth-key-file (MP3LATHE_AUTH_KEY_FILE)",
			"--database (MP3LATHE_DATABASE) is not set",
		}},
		{&AuthCLI{}, authArgs, "--token-lifetime=48h", []string{"--token-lifetime (MP3LATHE_TOKEN_LIFETIME) is 48h: want 1s to 24h"}},
		{&AuthCLI{}, authArgs, "--token-lifetime=1500ms", []string{"--token-lifetime (MP3LATHE_TOKEN_LIFETIME) is 1.5s: want whole seconds"}},
		{&AuthCLI{}, authArgs, "--session-lifetime=1m --session-idle=2m", []string{
			"--session-lifetime (MP3LATHE_SESSION_LIFETIME) is 1m: want 15m or more", "--session-idle (MP3LATHE_SESSION_IDLE) is 2m: want 1m to 1m"}},
		{&AuthCLI{}, authArgs, "--smtp=mail.example.org", []string{"--public-url (MP3LATHE_PUBLIC_URL) is not set, but there is a mail server"}},
		{&AuthCLI{}, authArgs, "--gateway-url=gateway:8080", []string{"--gateway-url (MP3LATHE_GATEWAY_URL) is \"gateway:8080\": want one such as http://gateway:8080"}},
		{&AuthCLI{}, authArgs, "--verification=jobs", []string{"--smtp (MP3LATHE_SMTP) is not set"}},
		{&AuthCLI{}, authArgs, "--public-url=x", []string{"--public-url (MP3LATHE_PUBLIC_URL) is wrong"}},
		{&AuthCLI{}, authArgs, "--audit-retention=1h", []string{"--audit-retention (MP3LATHE_AUDIT_RETENTION) is 1h: want 24h or more"}},
		{&AuthCLI{}, oidcArgs, "--public-url=", []string{"--public-url (MP3LATHE_PUBLIC_URL) is not set, but there are providers of OpenID Connect"}},
		{&AuthCLI{}, oidcArgs, "--oidc={}", []string{"--oidc (MP3LATHE_OIDC) is no JSON array of providers"}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"name":"secret0815`, []string{"--oidc (MP3LATHE_OIDC) is no JSON array of providers: it ends too early"}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"client_secret":["secret0815"]}]`, []string{"--oidc (MP3LATHE_OIDC) is no JSON array of providers: client_secret is to be of another type"}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"secret":"secret0815"}]`, []string{"--oidc (MP3LATHE_OIDC) is no JSON array of providers: unknown field \"secret\""}},
		{&AuthCLI{}, oidcArgs, `--oidc=[]secret0815`, []string{"--oidc (MP3LATHE_OIDC) has more behind the JSON array"}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"name":"x","issuer":"http://id.example.org","client_id":"y"}]`, []string{"--oidc (MP3LATHE_OIDC) is wrong: provider x: issuer: \"http://id.example.org\" must begin with https://"}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"name":"x","issuer":"https://id.example.org"}]`, []string{"--oidc (MP3LATHE_OIDC) is wrong: provider x has no client ID"}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"name":"x","issuer":"https://id.example.org","client_id":"y","client_secret":"secret0815","client_secret_file":"/nowhere"}]`, []string{
			`--oidc (MP3LATHE_OIDC) is wrong: provider "x": client_secret and client_secret_file are both set: one is enough`}},
		{&AuthCLI{}, oidcArgs, `--oidc=[{"name":"x","issuer":"https://id.example.org","client_id":"y","client_secret_file":"/nowhere","link":"always","registration":"no"}]`, []string{
			`--oidc (MP3LATHE_OIDC) names a file that cannot be read: /nowhere: no such file`, `is wrong: provider "x": there is no secret in /nowhere`,
			`--oidc (MP3LATHE_OIDC) is wrong: provider "x": link is "always": want never or verified`, `registration is "no": want open or closed`}},
		{&AuthCLI{}, authArgs, "--session-idle=721h", []string{"--session-idle (MP3LATHE_SESSION_IDLE) is 721h: want 15m to 720h"}},
		{&AuthCLI{}, authArgs, "--auth-key-file=" + short, []string{"--auth-key (MP3LATHE_AUTH_KEY) is wrong: key 1 has 9 bytes; want at least 32"}},
		{&AuthCLI{}, authArgs, "--auth-key-file=/nowhere", []string{"--auth-key-file (MP3LATHE_AUTH_KEY_FILE) names a file that cannot be read: /nowhere: no such file"}},
		{&NotifierCLI{}, notifier, "--mails=-1 --link-lifetime=1s --health=none", []string{
			"--link-lifetime (MP3LATHE_LINK_LIFETIME) is 1s: want 1m or more",
			"--mails (MP3LATHE_MAILS) is -1: want 1 to 1000",
			"--health (MP3LATHE_HEALTH) is \"none\": want an address",
		}},
		{&NotifierCLI{}, notifier, "--smtp=", []string{"--smtp (MP3LATHE_SMTP) is not set"}},
		{&NotifierCLI{}, notifier, "--smtp=mail.example.org:smtpx", []string{"--smtp (MP3LATHE_SMTP) is wrong: server address"}},
		{&NotifierCLI{}, notifier, "--smtp-user=mp3", []string{"--smtp-password (MP3LATHE_SMTP_PASSWORD) is not set"}},
		{&NotifierCLI{}, notifier, "--smtp-password=secret0815", []string{"--smtp-user (MP3LATHE_SMTP_USER) is not set, but there is a password"}},
		{&NotifierCLI{}, notifier, "--smtp-user=mp3 --smtp-password=secret0815 --smtp-security=none", []string{"--smtp (MP3LATHE_SMTP) is wrong: the password would go to mail.example.org unencrypted"}},
		{&NotifierCLI{}, notifier, "--smtp-ca=" + short, []string{"--smtp-ca (MP3LATHE_SMTP_CA) names " + short + ", which holds no certificate"}},
		{&NotifierCLI{}, notifier, "--mail-from=nobody", []string{"--mail-from (MP3LATHE_MAIL_FROM) is wrong: sender \"nobody\""}},
	} {
		args := append(slices.Clone(c.args), strings.Fields(c.more)...)
		got := program(t, c.grammar, "", args...)
		lines := strings.Split(strings.TrimSuffix(got.stderr, "\n"), "\n")
		if got.code != exitUsage || got.stdout != "" {
			t.Errorf("%T %s: exit code %d, output %q", c.grammar, c.more, got.code, got.stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%T %s: no %q in\n%s", c.grammar, c.more, want, got.stderr)
			}
		}
		if most := max(len(c.want), 1); len(lines) > most {
			t.Errorf("%T %s: more than %d sentences:\n%s", c.grammar, c.more, most, got.stderr)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "program: --") || strings.Contains(line, "secret0815") {
				t.Errorf("%T %s: %s", c.grammar, c.more, line)
			}
		}
	}
}

// TestPrecedence: what is on the command line beats the environment in both of its
// forms; two of the same kind are one too many.
func TestPrecedence(t *testing.T) {
	file, other := write(t, "file", "sqlite:/file\n"), write(t, "other", "sqlite:/other\n")
	for _, c := range []struct{ flags, env, envFile, want string }{
		{"", "sqlite:/env", "", "sqlite:/env"},
		{"", "", file, "sqlite:/file"},
		{"--database=sqlite:/flag", "sqlite:/env", "", "sqlite:/flag"},
		{"--database=sqlite:/flag", "", file, "sqlite:/flag"},
		{"--database-file=" + other, "sqlite:/env", "", "sqlite:/other"},
		{"--database-file=" + other, "", file, "sqlite:/other"},
		{"--database-file=" + other, "sqlite:/env", file, "sqlite:/other"},
		{"--database=sqlite:/flag --database-file=" + other, "", "", ""},
		{"", "sqlite:/env", file, ""},
	} {
		for name, value := range map[string]string{"MP3LATHE_DATABASE": c.env, "MP3LATHE_DATABASE_FILE": c.envFile} {
			t.Setenv(name, value)
			if value == "" {
				os.Unsetenv(name)
			}
		}
		var grammar struct{ DatabaseFlags }
		parser, err := kong.New(&grammar)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.Parse(strings.Fields(c.flags))
		if err != nil {
			t.Fatal(err)
		}
		FlagsFirst(parsed)
		var f Faults
		got := grammar.DatabaseFlags.Check(&f)
		if got != c.want || (f.Err() == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v", c, got, f.Err())
		}
	}
}

// TestHelp: --help alone tells all flags of the default command.
func TestHelp(t *testing.T) {
	for _, grammar := range []any{&GatewayCLI{}, &AuthCLI{}, &NotifierCLI{}} {
		got := program(t, grammar, "", "--help")
		if got.code != exitDone || got.stderr != "" {
			t.Errorf("%T: exit code %d: %s", grammar, got.code, got.stderr)
		}
		parser, err := kong.New(grammar, Vars("5m"))
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range parser.Model.Children {
			help := got.stdout
			if command != parser.Model.DefaultCmd {
				help = program(t, grammar, "", command.Name, "--help").stdout
			}
			if err := apptest.Explained(command.Flags, help); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCreateUser needs the database and nothing else, and says what it did in a line.
func TestCreateUser(t *testing.T) {
	database := "sqlite:" + filepath.Join(t.TempDir(), "accounts.db")
	create := func(stdin string, args ...string) ended {
		return program(t, &AuthCLI{}, stdin, append([]string{"create-user", "--database", database}, args...)...)
	}
	for _, c := range []struct {
		stdin string
		args  []string
		code  int
		want  string // of the line on standard output, or on standard error
	}{
		{"a long pass phrase\n", []string{"ada@example.org", "--role", "admin"}, exitDone, "ada@example.org has an account now (admin) in " + database},
		{"no line end, either", []string{"bob@example.org"}, exitDone, "bob@example.org has an account now (user) in " + database},
		{"a long pass phrase\n", []string{"Ada@Example.org"}, exitFailed, "program: Ada@Example.org has an account already"},
		{"short\n", []string{"eve@example.org"}, exitFailed, "program: a password has 8 to 128 characters"},
		{"\n", []string{"eve@example.org"}, exitFailed, "program: no password came: it is to be the first line of standard input"},
		{"", []string{"eve@example.org"}, exitFailed, "program: no password came: it is to be the first line of standard input"},
		{"a long pass phrase\n", []string{"eve"}, exitFailed, "program: "},
	} {
		got := create(c.stdin, c.args...)
		text := got.stdout
		if c.code != exitDone {
			text = got.stderr
		}
		if got.code != c.code || !strings.HasPrefix(text, c.want) || strings.Count(got.stdout+got.stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, want %d and %q\n%s%s", c.args, got.code, c.code, c.want, got.stdout, got.stderr)
		}
		for _, internal := range []string{"auth:", "mail:", "accountstore", "stopped", "{"} {
			if strings.Contains(got.stderr, internal) {
				t.Errorf("%q: %s", c.args, got.stderr)
			}
		}
	}
}

// TestRotateKey: the commands of the keys fit together.
func TestRotateKey(t *testing.T) {
	database := "sqlite:" + filepath.Join(t.TempDir(), "accounts.db")
	made := program(t, &AuthCLI{}, "", "keygen")
	if _, err := auth.ParseSecrets(made.stdout); err != nil || made.code != exitDone {
		t.Fatalf("exit code %d, %v", made.code, err)
	}
	key := write(t, "auth.key", made.stdout)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--auth-key-file", key}, exitDone, "signs in 15m;"},
		{[]string{"--auth-key-file", key, "--revoke"}, exitDone, "signs now; those before are refused"},
		{[]string{"--auth-key-file", key}, exitDone, "signs in 15m;"},
		{[]string{"--auth-key", auth.NewSecret()}, exitFailed, "none of the signing keys in the database can be opened"},
		{nil, exitUsage, "--auth-key (MP3LATHE_AUTH_KEY) is not set"},
	} {
		got := program(t, &AuthCLI{}, "", append([]string{"rotate-key", "--database", database}, c.args...)...)
		if text := got.stdout + got.stderr; got.code != c.code || !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%q: exit code %d, want %q\n%s", c.args, got.code, c.want, text)
		}
	}
}

// TestInterrupted: who is stopped while it opens its parts has ended in order.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	args := append(settings("redis", "links", "mail"), "--database=sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if code := Main(ctx, "program", "", &NotifierCLI{}, args, &Std{In: strings.NewReader(""), Out: &out, Err: &errs}); code != exitDone {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// TestUnusableParts: a part that is not there, or not what it should be, ends the
// program with one sentence that names it, without a password and without the names
// of packages.
func TestUnusableParts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	dir := t.TempDir()
	text := write(t, "text.db", strings.Repeat("this is no database ", 1000))
	sqlite := "--database=sqlite:" + filepath.Join(dir, "x.db")
	folder := "--bucket=file://" + filepath.Join(dir, "bucket")
	for _, c := range []struct{ flags, want string }{
		{"--database=mysql://u:geheim@" + closed.Addr().String() + "/x", "the database cannot be used: open mysql://u@" + closed.Addr().String() + "/x: dial tcp"},
		{"--database=mongodb://u:geheim@" + closed.Addr().String() + "/x?serverSelectionTimeoutMS=200", "the database cannot be used: open mongodb://u@" + closed.Addr().String() + "/x: "},
		{"--database=sqlite:/nowhere/x.db", "the database cannot be used: open /nowhere/x.db: no such file or directory\n"},
		{"--database=sqlite:" + dir, "the database cannot be used: open sqlite:" + dir + ": "},
		{"--database=sqlite:" + text, "the database cannot be used: open sqlite:" + text + ": file is not a database"},
		{sqlite + " --bucket=file://" + text, "the bucket cannot be used: open bucket file://" + text + ": mkdir " + text + ": not a directory\n"},
		{sqlite + " " + folder + " --listen=" + taken.Addr().String(), "another program listens on " + taken.Addr().String() + "; choose another address with --listen (MP3LATHE_LISTEN)\n"},
		{sqlite + " " + folder + " --listen=192.0.2.1:80", "--listen (MP3LATHE_LISTEN): cannot listen on 192.0.2.1:80: "},
	} {
		args := append(settings("redis", "links", "auth-url", "bucket"), strings.Fields(c.flags)...)
		if strings.Contains(c.flags, "file://") {
			args = append(args, "--s3-access-key=", "--s3-secret-key=")
		}
		got := program(t, &GatewayCLI{}, "", args...)
		if got.code != exitFailed || !strings.HasPrefix(got.stderr, "program: "+c.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: exit code %d\n%s", c.flags, got.code, got.stderr)
		}
		for _, bad := range []string{"geheim", "sqldb", "objstore", "jobstore"} {
			if strings.Contains(got.stderr, bad) {
				t.Errorf("%s: %s", c.flags, got.stderr)
			}
		}
	}
}

// TestPlain: what people read of an error.
func TestPlain(t *testing.T) {
	inner := fmt.Errorf("sqldb: open x: %w", context.DeadlineExceeded)
	err := Explain("the database cannot be used", errors.Join(fmt.Errorf("jobstore: %w", inner), errors.New("link: no key: sqldb: y")))
	want := "the database cannot be used: open x: no answer in time; no key: sqldb: y"
	if Plain(err) != want || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s\nwant\n%s", Plain(err), want)
	}
	if Explain("words", nil) != nil {
		t.Error("no error became one")
	}
}

// TestStdIsPlain: see [Service]. The images' limits of size are what it is for.
func TestStdIsPlain(t *testing.T) {
	if n := reflect.TypeFor[*Std]().NumMethod(); n > 0 {
		t.Errorf("Std has %d exported methods, which kong can call by name: with their parameters every program holds all services", n)
	}
}
