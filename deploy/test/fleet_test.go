package deploytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// freePort is one of loopback's that nobody listens on just now.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := testserver.FreePort()
	must(t, err)
	return strconv.Itoa(port)
}

// TestProfiles: what the cage needs of a container's own seccomp profile is in those
// that are called RuntimeDefault, for a container without capabilities.
func TestProfiles(t *testing.T) {
	for name, profile := range engines {
		s := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}
		p, err := profile(s)
		must(t, err)
		if p.DefaultAction != specs.ActErrno {
			t.Errorf("%s: the default is %s", name, p.DefaultAction)
		}
		for _, call := range []string{"seccomp", "prctl", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "prlimit64", "setrlimit", "socketpair", "execve"} {
			if !slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
				return s.Action == specs.ActAllow && len(s.Args) == 0 && slices.Contains(s.Names, call)
			}) {
				t.Errorf("%s does not allow %s", name, call)
			}
		}
	}
}

// landlock reports whether this machine's kernel has it.
func landlock() bool {
	const version = 1
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, version)
	return errno == 0 && abi > 0
}

// TestContainers runs the services from their images against real servers: their tables
// are made by migrate, each is healthy by its own command, one file is converted in the
// cage, a mail tells of it, and an administrator sees the queues.
func TestContainers(t *testing.T) {
	for _, image := range images(t) {
		rootfs(t, image) // which takes minutes the first time
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	maria, err := testserver.MariaDB(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, maria.Stop()) })
	redis, err := testserver.Redis(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, redis.Stop()) })
	s3, err := testserver.S3(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, s3.Stop()) })
	smtp, err := testserver.SMTP(testserver.SMTPConfig{})
	must(t, err)
	t.Cleanup(func() { must(t, smtp.Close()) })
	jobs, err := maria.NewDatabase(ctx)
	must(t, err)
	accounts, err := maria.NewDatabase(ctx)
	must(t, err)

	secrets := t.TempDir()
	must(t, os.Chmod(secrets, 0o755))
	file := func(name, content string) string {
		path := filepath.Join(secrets, name)
		must(t, os.WriteFile(path, []byte(content), 0o644)) // as engines do: their users are not ours
		return path
	}
	file("jobs.url", jobs)
	file("accounts.url", accounts)
	file("link.key", "a key of links that has more than 32 characters")
	file("s3.secret", s3.SecretKey)
	inside := map[string]string{
		"/run/secrets": secrets,
		"/etc/hosts":   file("hosts", "127.0.0.1 localhost mail.test\n"),
		// The programs find it by themselves, or no mail is sent.
		"/etc/ssl/certs/ca-certificates.crt": file("ca.pem", string(smtp.CertPEM())),
	}
	file("auth.key", once(t, "auth", place{args: []string{"keygen"}}))

	port := map[string]string{}
	for _, image := range []string{"gateway", "auth", "worker", "notifier", "queues"} {
		port[image] = freePort(t)
	}
	url := "http://127.0.0.1:" + port["gateway"]
	_, smtpPort, err := net.SplitHostPort(smtp.Address())
	must(t, err)
	shared := []string{
		"MP3LATHE_DATABASE_FILE=/run/secrets/jobs.url", "MP3LATHE_REDIS=" + redis.URL,
		"MP3LATHE_BUCKET=" + s3.URL, "MP3LATHE_S3_ACCESS_KEY=" + s3.AccessKey, "MP3LATHE_S3_SECRET_KEY_FILE=/run/secrets/s3.secret",
		"MP3LATHE_PUBLIC_URL=" + url, "MP3LATHE_LINK_KEY_FILE=/run/secrets/link.key",
		"MP3LATHE_SMTP=localhost:" + smtpPort, "MP3LATHE_MAIL_FROM=mp3lathe <mp3lathe@example.org>",
	}
	isolation := "preferred"
	if landlock() {
		isolation = "required"
	}
	of := func(more ...string) place {
		return place{mounts: inside, env: append(slices.Clone(shared), more...)}
	}
	listen := func(image string) string { return "127.0.0.1:" + port[image] }
	toAccounts := "MP3LATHE_DATABASE_FILE=/run/secrets/accounts.url"

	for image, p := range map[string]place{"gateway": of(), "auth": of(toAccounts)} {
		p.args = []string{"migrate"}
		if said := once(t, image, p); !strings.Contains(said, "are up to date\n") {
			t.Errorf("%s migrate: %s", image, said)
		}
	}
	worker := of("MP3LATHE_HEALTH="+listen("worker"), "MP3LATHE_ISOLATION="+isolation)
	worker.profile = engines["containerd"]
	auth := start(t, "auth", of(toAccounts, "MP3LATHE_LISTEN="+listen("auth"), "MP3LATHE_HEALTH=127.0.0.1:0", "MP3LATHE_AUTH_KEY_FILE=/run/secrets/auth.key"))
	auth.healthy(t) // or the gateway says that it misses it
	fleet := []*container{
		auth,
		start(t, "gateway", of("MP3LATHE_LISTEN="+listen("gateway"), "MP3LATHE_HEALTH=127.0.0.1:0", "MP3LATHE_AUTH_URL=http://"+listen("auth"), "MP3LATHE_QUEUES_URL=http://"+listen("queues"))),
		start(t, "worker", worker),
		start(t, "notifier", of("MP3LATHE_HEALTH="+listen("notifier"))),
		start(t, "queues", place{env: []string{"MP3LATHE_REDIS=" + redis.URL, "MP3LATHE_LISTEN=" + listen("queues"), "MP3LATHE_HEALTH=127.0.0.1:0"}}),
	}
	for _, c := range fleet {
		c.healthy(t)
	}
	run(t, ctx, url)
	// One confirms the address, one tells of the job.
	mails, err := smtp.Wait(ctx, 2)
	if err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(mails, func(m testserver.SMTPMessage) bool { return bytes.Contains(m.Data, []byte("is ready")) && m.TLS }) {
		t.Errorf("no mail tells of the job: %d mails", len(mails))
	}
	caged(t, listen("worker"))
	_, err = app.CreateUser(ctx, accounts, "root@example.org", password, "admin")
	must(t, err)
	queuesShown(t, ctx, url)
	for _, c := range fleet {
		calm(t, c, "")
	}
}

// password of all users.
const password = "correct horse battery staple"

// queuesShown checks that an administrator finds the page of the queues at the gateway, and
// that it shows what is in Redis.
func queuesShown(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	c := &client.Client{Base: url}
	must(t, c.Login(ctx, "root@example.org", password))
	for path, want := range map[string]string{"/": "<title>Asynq", "/api/queues": `"queue":"convert-short"`} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/admin/queues"+path, nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+c.Token)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		b, err := io.ReadAll(res.Body)
		must(t, errors.Join(err, res.Body.Close()))
		if res.StatusCode != http.StatusOK || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %.500s", path, res.StatusCode, b)
		}
	}
}

// run converts a file as a user does.
func run(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	const email = "anna@example.org"
	c := &client.Client{Base: url}
	must(t, c.Register(ctx, email, password))
	must(t, c.Login(ctx, email, password))
	f, err := os.Open(filepath.Join(top, "testdata", "melody.mp4"))
	must(t, err)
	defer f.Close()
	j, err := c.Upload(ctx, "melody.mp4", f, nil)
	must(t, err)
	j, err = c.Follow(ctx, j.ID, func(client.Job) {})
	must(t, err)
	if j.State != "succeeded" {
		t.Fatalf("the job %s: %+v", j.State, j.Failure)
	}
	r, err := c.Audio(ctx, j.ID)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	if int64(len(b)) != j.Result.Bytes || len(b) < 1000 || !bytes.HasPrefix(b, []byte("ID3")) && b[0] != 0xff {
		t.Errorf("the MP3 has %d bytes, want %d; it begins with % x", len(b), j.Result.Bytes, b[:min(len(b), 8)])
	}
}

// caged checks that the worker has converted in its cage.
func caged(t *testing.T, address string) {
	t.Helper()
	res, err := http.Get("http://" + address + "/metrics")
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if want := "mp3lathe_cage_conversions_total{end=\"done\"} 1\n"; !strings.Contains(string(b), want) {
		t.Errorf("the worker's metrics lack %q:\n%s", want, b)
	}
}

// calm checks that a program has nothing to complain of in its container, but of what is
// to be expected.
func calm(t *testing.T, c *container, expected string) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(c.out.String()) {
		var record struct {
			Level string
			Lacks string `json:"kernel_lacks"`
		}
		if !strings.HasPrefix(line, "{") {
			continue // words for a user
		}
		lines++
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("%s says: %s", c.image, line)
		}
		foreseen := !landlock() && record.Lacks != "" || expected != "" && strings.Contains(line, expected)
		if record.Level != "INFO" && !foreseen {
			t.Errorf("%s says: %s", c.image, line)
		}
	}
	if lines == 0 {
		t.Errorf("%s logs nothing", c.image)
	}
}

// TestAllInOne runs the image that has everything in one process, with its folder.
func TestAllInOne(t *testing.T) {
	data := t.TempDir()
	if os.Geteuid() == 0 {
		must(t, os.Chown(data, 65532, 65532))
	}
	port := freePort(t)
	c := start(t, "mp3lathe", place{
		env:    []string{"MP3LATHE_LISTEN=127.0.0.1:" + port},
		mounts: map[string]string{"/data": data}, write: true,
	})
	c.healthy(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run(t, ctx, fmt.Sprintf("http://127.0.0.1:%s", port))
	calm(t, c, `"part":"tokens"`) // for whom it asks too early
	converted := once(t, "mp3lathe", place{args: []string{"version"}})
	if !strings.HasPrefix(converted, "mp3lathe  ") {
		t.Errorf("its version: %s", converted)
	}
}
