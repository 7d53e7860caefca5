package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/app/apptest"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// served is a "serve" that runs in this process.
type served struct {
	url, dir       string
	stdout, stderr *testserver.Output
	end            context.CancelFunc // as a signal does
	code           chan int
}

// serve starts "serve" on a folder and waits until it says where. The test's end
// stops it.
func serve(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	s := &served{dir: dir, stdout: &testserver.Output{}, stderr: &testserver.Output{}, code: make(chan int, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		args := append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, args...)
		s.code <- run(ctx, args, strings.NewReader(""), s.stdout, s.stderr)
	}()
	s.end = cancel
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			t.Logf("%s%s", s.stdout, s.stderr)
		}
	})
	for s.url == "" {
		select {
		case <-done:
			t.Fatalf("it ended at its start:\n%s%s", s.stdout, s.stderr)
		case <-time.After(10 * time.Millisecond):
		}
		b, _ := os.ReadFile(filepath.Join(dir, "address"))
		s.url = strings.TrimSpace(string(b))
	}
	return s
}

// user makes a user and logs in.
func (s *served) user(t *testing.T) *client.Client {
	t.Helper()
	c := &client.Client{Base: s.url}
	if err := c.Register(t.Context(), "ada@example.org", "a long pass phrase"); err != nil {
		t.Fatal(err)
	}
	if err := c.Login(t.Context(), "ada@example.org", "a long pass phrase"); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestServeSettings: wrong settings of all services are told at once, each in a
// sentence with its names, and nothing is begun, made or printed.
func TestServeSettings(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"--max-upload=-5 --mails=-1 --link-lifetime=1s --concurrency=-3 --grace=-1s --token-lifetime=0s", []string{
			"--max-upload (MP3LATHE_MAX_UPLOAD) is -5: want 1 or more",
			"--token-lifetime (MP3LATHE_TOKEN_LIFETIME) is 0s: want 1s to 24h",
			"--concurrency (MP3LATHE_CONCURRENCY) is -3: want 1 to 1000",
			"--grace (MP3LATHE_GRACE) is -1s: want 0s or more",
			"--link-lifetime (MP3LATHE_LINK_LIFETIME) is 1s: want 1m or more",
			"--mails (MP3LATHE_MAILS) is -1: want 1 to 1000",
		}},
		{"--concurrency=0 --max-tries=0 --lease=0s --job-timeout=-1s --max-length=0s --retention=0s --sweep-interval=0s --sweep-stale=0s --orphan-age=0s --audit-retention=1h", []string{
			"--concurrency (", "--max-tries (", "--lease (", "--job-timeout (", "--max-length (", "--retention (",
			"--sweep-interval (", "--sweep-stale (", "--orphan-age (", "--audit-retention (",
		}},
		{"--window=-1 --weights=6:3 --short-bytes=-1 --short-length=-1s --bulk-after=1000", []string{
			"--short-bytes (MP3LATHE_SHORT_BYTES) is -1: want 0 or more",
			"--short-length (MP3LATHE_SHORT_LENGTH) is -1s: want 0s or more",
			"--bulk-after (MP3LATHE_BULK_AFTER) is 1000: want 0 to 999",
			"--weights (MP3LATHE_WEIGHTS) is \"6:3\": want three numbers from 1 to 1000",
			"--window (MP3LATHE_WINDOW) is -1: want 0 to 1000",
		}},
		{"--quota-jobs=10001 --quota-daily=-1 --quota-stored=-1", []string{
			"--quota-jobs (MP3LATHE_QUOTA_JOBS) is 10001: want 0 to 10000",
			"--quota-daily (MP3LATHE_QUOTA_DAILY) is -1: want 0 or more", "--quota-stored (",
		}},
		{"--rate-user=-1 --rate-address=10000001 --trusted-proxies=10.0.0.0/8,nobody", []string{
			"--rate-user (MP3LATHE_RATE_USER) is -1: want 0 to 10000000", "--rate-address (",
			"--trusted-proxies (MP3LATHE_TRUSTED_PROXIES) has \"nobody\": want networks",
		}},
		{"--weights=6:3:0", []string{"--weights ("}},
		{"--weights=6:x:1", []string{"--weights ("}},
		{"--listen=8080", []string{"--listen (MP3LATHE_LISTEN) is \"8080\": want an address such as"}},
		{"--public-url=mp3.example.org", []string{"--public-url (MP3LATHE_PUBLIC_URL) is wrong"}},
		{"--mail-from=me", []string{"--mail-from (MP3LATHE_MAIL_FROM) is wrong"}},
		{"--smtp-ca=/nowhere", []string{"--smtp-ca (MP3LATHE_SMTP_CA) names a file that cannot be read", "--smtp (MP3LATHE_SMTP) is not set"}},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		got := inProcess(t, "", append([]string{"serve", "--data", dir}, strings.Fields(c.args)...)...)
		got.want(t, exitUsage, c.want...)
		if got.stdout != "" || strings.Count(got.stderr, "\n") != len(c.want) || strings.Count(got.stderr, "mp3lathe: --") != len(c.want) {
			t.Errorf("%s: not a sentence for each on standard error alone:\n%s%s", c.args, got.stdout, got.stderr)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: the folder was made", c.args)
		}
	}
}

func TestServeHelp(t *testing.T) {
	var grammar cli
	parser, err := newParser(&grammar, &stdio{out: &stickyWriter{w: io.Discard}, err: io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	help := inProcess(t, "", "serve", "--help").stdout
	for _, command := range parser.Model.Children {
		if command.Name == "serve" {
			if err := apptest.Explained(command.Flags, help); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSecondServe: one that finds the folder taken says so and leaves the first one
// alone, its address included.
func TestSecondServe(t *testing.T) {
	s := serve(t, t.TempDir())
	got := inProcess(t, "", "serve", "--data", s.dir, "--listen", "127.0.0.1:0")
	got.want(t, exitFailed, "another mp3lathe serves from "+s.dir)
	if b := read(t, filepath.Join(s.dir, "address")); strings.TrimSpace(string(b)) != s.url {
		t.Errorf("the address is %q", b)
	}
}

// TestLeftByTheDead: what a killed process left, its address and unfinished files, is
// removed by the next.
func TestLeftByTheDead(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "address"), []byte("http://127.0.0.1:1\n"))
	write(t, filepath.Join(dir, "bucket", ".tmp", "ABC"), []byte("half an upload"))
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	got := inProcess(t, "", "serve", "--data", dir, "--listen", port.Addr().String())
	got.want(t, exitFailed, "another program listens on "+port.Addr().String())
	if _, err := os.Stat(filepath.Join(dir, "address")); err == nil {
		t.Error("the old address is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "bucket", ".tmp", "ABC")); err == nil {
		t.Error("half an upload is still there")
	}
}

// TestNoDrain: with --drain 0 nobody waits for an upload that stands still.
func TestNoDrain(t *testing.T) {
	s := serve(t, t.TempDir(), "--drain", "0s", "--grace", "0s")
	c := s.user(t)
	body, writer := io.Pipe()
	defer writer.Close()
	ended := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/jobs", body)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+c.Token)
			req.Header.Set("Content-Type", "video/mp4")
			_, err = http.DefaultClient.Do(req)
		}
		ended <- err
	}()
	if _, err := writer.Write(read(t, fixture("melody.mp4"))); err != nil {
		t.Fatal(err)
	}
	// The server has begun to store it.
	for begun := false; !begun; {
		files, err := filepath.Glob(filepath.Join(s.dir, "bucket", ".tmp", "*"))
		if err != nil {
			t.Fatal(err)
		}
		begun = len(files) > 0
		time.Sleep(5 * time.Millisecond)
	}
	s.end()
	select {
	case code := <-s.code:
		if code != exitDone {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for the upload")
	}
	writer.Close() // the client waits for its body too
	if err := <-ended; err == nil {
		t.Error("the upload has ended well")
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "bucket", ".tmp", "*")); len(left) > 0 {
		t.Errorf("what was stored of the upload is still there: %s", left)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestUnusableData: a folder that is none, or holds what is not ours, ends the
// command with one sentence, and nothing is left half made.
func TestUnusableData(t *testing.T) {
	for name, c := range map[string]struct {
		make map[string]string // files by their paths, below a folder
		data string            // below that folder
		want string
	}{
		"a file":         {map[string]string{"data": "x"}, "data", "the folder for the data cannot be used (--data names another): mkdir "},
		"below a file":   {map[string]string{"file": "x"}, "file/data", "the folder for the data cannot be used (--data names another): mkdir "},
		"keys is a file": {map[string]string{"data/keys": "x"}, "data", "data/keys: not a directory"},
		"no key":         {map[string]string{"data/keys/auth.txt": "x"}, "data", "auth.txt cannot be used: key 1 has 1 bytes; want at least 32"},
		"short key":      {map[string]string{"data/keys/link.txt": "x"}, "data", "link.txt cannot be used: key 1 has 1 bytes; want at least 32"},
		"no keys":        {map[string]string{"data/keys/link.txt": ""}, "data", "link.txt cannot be used: no key"},
		"no database":    {map[string]string{"data/mp3lathe.db": strings.Repeat("text ", 1000)}, "data", "the database cannot be used: open sqlite:"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.make {
				write(t, filepath.Join(dir, file), []byte(text))
			}
			got := inProcess(t, "", "serve", "--data", filepath.Join(dir, c.data), "--listen", "127.0.0.1:0")
			got.want(t, exitFailed, c.want)
			if got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("not one line on standard error alone:\n%s%s", got.stdout, got.stderr)
			}
			for file, text := range c.make {
				if string(read(t, filepath.Join(dir, file))) != text {
					t.Errorf("%s was changed", file)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "data", "address")); err == nil {
				t.Error("there is an address")
			}
		})
	}
}

// TestNewerData: an older program leaves the data of a newer one alone.
func TestNewerData(t *testing.T) {
	s := serve(t, t.TempDir())
	s.end()
	if code := <-s.code; code != exitDone {
		t.Fatal(code)
	}
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(s.dir, "mp3lathe.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO accounts_schema (version_id, is_applied) VALUES (9999, 1)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	got := inProcess(t, "", "serve", "--data", s.dir, "--listen", "127.0.0.1:0")
	got.want(t, exitFailed, "the data in "+s.dir+" are of a newer mp3lathe than this one")
	if got.stdout != "" {
		t.Errorf("it said %s", got.stdout)
	}
}

// TestReadOnlyData: what cannot be written is told at the start, and not at the first
// upload or mail. Root can write everything, so another user tries.
func TestReadOnlyData(t *testing.T) {
	if os.Getuid() == 0 {
		readOnlyDataAsNobody(t)
		return
	}
	s := serve(t, t.TempDir())
	s.end()
	<-s.code
	for _, name := range []string{"mp3lathe.db", "bucket", "mail", "keys", ""} {
		path := filepath.Join(s.dir, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o500); err != nil {
			t.Fatal(err)
		}
		got := inProcess(t, "", "serve", "--data", s.dir, "--listen", "127.0.0.1:0")
		if err := os.Chmod(path, info.Mode()); err != nil {
			t.Fatal(err)
		}
		if got.code != exitFailed || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, path) {
			t.Errorf("%s: exit code %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
}

// readOnlyDataAsNobody runs that test again as a user without rights.
func readOnlyDataAsNobody(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mp3lathe-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	exe = filepath.Join(dir, "test")
	err = errors.Join(os.WriteFile(exe, program, 0o755), os.Chmod(exe, 0o755), os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o700))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestReadOnlyData$")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestKeyIsWholeOrNot: what cannot be written leaves nothing that the next start
// would take for a key.
func TestKeyIsWholeOrNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.Mkdir(path, 0o700); err != nil { // so that it cannot get its name
		t.Fatal(err)
	}
	if err := create(path, []byte("key")); err == nil {
		t.Fatal("a folder was replaced")
	}
	if _, err := os.Stat(path + ".part"); err == nil {
		t.Error("the unfinished file is still there")
	}
}
