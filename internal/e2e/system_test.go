package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

const password = "correct horse battery staple"

// system is a running mp3lathe, however it is built.
type system struct {
	url      string
	services []*service
	mails    func() []string // their source
	bucket   func(t *testing.T) *objstore.Bucket
	secrets  []string          // that no log may hold
	health   map[string]string // addresses for those who watch, by service; nil if there are none
}

// servers are those that all programs share, with a new database and bucket.
type servers struct {
	database, bucket string
	jobs             string // the database of jobs, if it is another one
	maria            *testserver.MariaDBServer
	redis            *testserver.RedisServer
	s3               *testserver.S3Server
}

// stores starts them for the length of a test.
func stores(t *testing.T, ctx context.Context) servers {
	t.Helper()
	maria, err := testserver.MariaDB(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, maria.Stop()) })
	redis, err := testserver.Redis(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, redis.Stop()) })
	s3, err := testserver.S3(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, s3.Stop()) })
	database, err := maria.NewDatabase(ctx)
	must(t, err)
	bucket, err := s3.NewBucket(ctx, "mp3lathe")
	must(t, err)
	return servers{database: database, bucket: bucket, maria: maria, redis: redis, s3: s3}
}

// fleet starts the four services and the page of the queues as processes on servers of
// their own, with settings that all of them have.
func fleet(t *testing.T, settings ...string) *system {
	t.Helper()
	return fleetOn(t, stores(t, within(t, 3*time.Minute)), settings...)
}

// fleetOn is fleet on servers that are there.
func fleetOn(t *testing.T, on servers, settings ...string) *system {
	t.Helper()
	database, redis, s3, bucket := on.database, on.redis, on.s3, on.bucket
	const smtpPassword = "smtp-secret-0815"
	smtp, err := testserver.SMTP(testserver.SMTPConfig{Security: "starttls", User: "mp3", Password: smtpPassword})
	must(t, err)
	t.Cleanup(func() { must(t, smtp.Close()) })

	dir := t.TempDir()
	file := func(name, content string) string { return newFile(t, dir, name, content) }
	authKey := newAuthKey(t)

	front, behind, queues := freeAddress(t), freeAddress(t), freeAddress(t)
	env := []string{
		"MP3LATHE_DATABASE_FILE=" + file("database", cmp.Or(on.jobs, database)),
		"MP3LATHE_REDIS=" + redis.URL,
		"MP3LATHE_BUCKET_FILE=" + file("bucket", bucket),
		"MP3LATHE_S3_ACCESS_KEY=" + s3.AccessKey,
		"MP3LATHE_S3_SECRET_KEY_FILE=" + file("s3", s3.SecretKey+"\n"),
		"MP3LATHE_PUBLIC_URL=http://" + front,
		"MP3LATHE_LINK_KEY_FILE=" + file("link", linkKey),
		"MP3LATHE_SWEEP_INTERVAL=1s",
		"MP3LATHE_LOG_LEVEL=debug",
		"MP3LATHE_PARALLELISM=" + strconv.Itoa(parallelism),
	}
	env = append(env, settings...)
	s := &system{url: "http://" + front, secrets: []string{password, linkKey, smtpPassword, s3.SecretKey, strings.TrimSpace(authKey)}}
	if u, err := url.Parse(database); err == nil {
		if p, ok := u.User.Password(); ok && p != "" {
			s.secrets = append(s.secrets, p)
		}
	}
	s.mails = func() []string {
		var all []string
		for _, m := range smtp.Messages() {
			all = append(all, string(m.Data))
		}
		return all
	}
	s.bucket = func(t *testing.T) *objstore.Bucket {
		b, err := objstore.OpenWith(t.Context(), bucket, &objstore.Options{AccessKey: s3.AccessKey, SecretKey: s3.SecretKey})
		must(t, err)
		return b
	}
	mail := []string{
		"--smtp", smtp.Address(), "--smtp-user", "mp3", "--smtp-password-file", file("smtp", smtpPassword), "--smtp-ca", file("ca.pem", string(smtp.CertPEM())),
		"--mail-from", "mp3lathe <mp3lathe@example.org>",
	}
	s.health = map[string]string{}
	watched := func(name string, args ...string) *service {
		s.health[name] = freeAddress(t)
		return run(t, name, env, append(args, "--health", s.health[name])...)
	}
	s.services = []*service{
		watched("auth", append([]string{"--database-file", file("accounts", database), "--listen", behind, "--auth-key-file", file("auth.key", authKey)}, mail...)...),
		watched("gateway", "--listen", front, "--auth-url", "http://"+behind, "--queues-url", "http://"+queues),
		watched("worker"),
		watched("notifier", mail...),
		watched("queues", "--listen", queues),
	}
	s.wait(t)
	return s
}

// embedded starts the whole system in one process. Called again with the same
// folder it is the restart.
func embedded(t *testing.T, dir string, args ...string) *system {
	t.Helper()
	paths, err := programs()
	must(t, err)
	args = append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--log-level", "debug", "--sweep-interval", "1s", "--parallelism", strconv.Itoa(parallelism)}, args...)
	return serveWith(t, exec.Command(paths["mp3lathe"], args...), dir)
}

// serveWith is embedded with a command, whose data is in dir.
func serveWith(t *testing.T, cmd *exec.Cmd, dir string) *system {
	t.Helper()
	s := &system{secrets: []string{password}}
	p := start(t, "mp3lathe", cmd, cmd.Env)
	s.services = []*service{p}
	eventually(t, time.Minute, "it says where it listens", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "address"))
		s.url = strings.TrimSpace(string(b))
		select {
		case <-p.done:
			t.Fatalf("it ended at its start: %s", p.out)
		default:
		}
		return err == nil && s.url != ""
	})
	s.mails = func() []string {
		var all []string
		files, _ := filepath.Glob(filepath.Join(dir, "mail", "*.eml"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			must(t, err)
			all = append(all, string(b))
		}
		return all
	}
	s.bucket = func(t *testing.T) *objstore.Bucket {
		b, err := objstore.Open(t.Context(), "file://"+filepath.Join(dir, "bucket"))
		must(t, err)
		return b
	}
	s.wait(t)
	return s
}

// wait waits until the gateway is ready, and auth behind it.
func (s *system) wait(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "the system is ready", func() bool {
		for _, p := range s.services {
			select {
			case <-p.done:
				t.Fatalf("%s ended at its start: %s", p.name, p.tail())
			default:
			}
		}
		for _, path := range []string{"/readyz", "/.well-known/jwks.json"} {
			res, err := http.Get(s.url + path)
			if err != nil {
				return false
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
}

// jobMails are the mails that tell of jobs.
func (s *system) jobMails() (about []string) {
	for _, m := range s.mails() {
		if sub := subject(m); strings.Contains(sub, "is ready") || strings.Contains(sub, "could not be converted") {
			about = append(about, m)
		}
	}
	return about
}

// user makes a user and logs in.
func (s *system) user(t *testing.T, email string) *client.Client {
	t.Helper()
	c := &client.Client{Base: s.url}
	must(t, c.Register(t.Context(), email, password))
	must(t, c.Login(t.Context(), email, password))
	return c
}

// TestFleet converts 50 mixed files at once with four processes on MariaDB, Redis,
// an S3 server and a mail server.
func TestFleet(t *testing.T) {
	t.Parallel()
	s := fleet(t)
	s.batch(t, clips(t, 50))
	s.quiet(t)
}

// TestEmbedded does the same with one process that brings all of these along.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	s := embedded(t, t.TempDir())
	s.batch(t, clips(t, 50))
	s.quiet(t)
}

// batch uploads files at once and looks at what comes of each: the outcome, the
// MP3, the mail, and what is left in the bucket.
func (s *system) batch(t *testing.T, files []clip) {
	const email = "anna@example.org"
	c := s.user(t, email)
	ctx := within(t, 5*time.Minute)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		ended = map[string]client.Job{}
		mails int
	)
	for i, f := range files {
		wg.Go(func() {
			j, known, err := s.convert(ctx, c, f, i)
			if err != nil {
				t.Errorf("%s: %v", f.path, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if known { // else it was refused at the door
				ended[j.ID] = j
				mails++
			}
		})
	}
	wg.Wait()
	if len(ended) < len(files)/2 {
		t.Errorf("only %d of %d files became jobs", len(ended), len(files))
	}

	eventually(t, time.Minute, "a mail for each job", func() bool { return len(s.jobMails()) >= mails })
	all := s.jobMails()
	if len(all) != mails {
		t.Errorf("%d mails for %d jobs", len(all), mails)
	}
	for id, j := range ended {
		found := 0
		for _, m := range all {
			if strings.Contains(m, "Message-ID: <"+id+".") {
				found++
				if want := map[string]string{"succeeded": "is ready", "failed": "could not be converted"}[j.State]; !strings.Contains(subject(m), want) {
					t.Errorf("the mail about %s, which %s, has the subject %q", j.FileName, j.State, subject(m))
				}
			}
		}
		if found != 1 {
			t.Errorf("%d mails about %s", found, j.FileName)
		}
	}
	s.checkBucket(t, ended)
}

// convert uploads one file and checks what comes of it. known is false if the
// gateway refused it.
func (s *system) convert(ctx context.Context, c *client.Client, f clip, i int) (j client.Job, known bool, err error) {
	upload := c.Upload
	if i%2 == 1 {
		upload = c.UploadForm
	}
	file, err := os.Open(f.path)
	if err != nil {
		return j, false, err
	}
	defer file.Close()
	j, err = upload(ctx, filepath.Base(f.path), file, nil)
	var problem *client.Error
	if errors.As(err, &problem) && problem.Code == "not_mp4" {
		if !f.right("invalid_data") {
			return j, false, fmt.Errorf("the gateway refused it: %w", err)
		}
		return j, false, nil
	}
	if err != nil {
		return j, false, err
	}
	version := int64(0)
	j, err = c.Follow(ctx, j.ID, func(j client.Job) {
		if j.Version < version {
			err = errors.Join(err, fmt.Errorf("version %d after %d", j.Version, version))
		}
		version = j.Version
	})
	if err != nil {
		return j, true, err
	}
	code := ""
	if j.Failure != nil {
		code = j.Failure.Code
	}
	if (j.State == "succeeded") != (code == "") || !f.right(code) {
		return j, true, fmt.Errorf("it ended as %s %q, want one of %q", j.State, code, f.codes)
	}
	if j.State != "succeeded" {
		return j, true, nil
	}
	return j, true, s.checkAudio(ctx, c, f, j)
}

// parallelism of conversions, in the system and beside it: with 2 and more the
// bytes do not depend on how busy the machine is.
const parallelism = 2

// checkAudio compares the MP3 with what the package makes of the same file.
func (s *system) checkAudio(ctx context.Context, c *client.Client, f clip, j client.Job) error {
	got, err := readAll(c.Audio(ctx, j.ID))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(binDir, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	opts := worker.Options(job.Settings{})
	opts.Parallelism = parallelism
	r, err := transcode.ConvertFile(ctx, filepath.Join(dir, "want.mp3"), f.path, &opts)
	if err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(dir, "want.mp3"))
	if err != nil {
		return err
	}
	switch {
	case !bytes.Equal(got, want):
		return fmt.Errorf("the MP3 has other bytes (%d) than the package makes (%d)", len(got), len(want))
	case j.Result.Samples != r.Samples || f.samples != 0 && j.Result.Samples != f.samples:
		return fmt.Errorf("%d samples, want %d", j.Result.Samples, r.Samples)
	}
	return nil
}

// checkBucket looks for what should not be there, and for what should.
func (s *system) checkBucket(t *testing.T, ended map[string]client.Job) {
	t.Helper()
	b := s.bucket(t)
	defer b.Close()
	wanted := map[string]bool{job.MarkKey: true} // a sweeper has been there
	for id, j := range ended {
		if j.State == "succeeded" {
			wanted[job.ResultKey(id, j.Attempt)] = true
		} else {
			wanted[job.SourceKey(id)] = true
		}
	}
	var extra, missing []string
	eventually(t, 10*time.Second, "the bucket holds what it should", func() bool {
		objects, err := b.List(t.Context(), "", "", 1000)
		must(t, err)
		extra, missing = nil, nil
		have := map[string]bool{}
		for _, o := range objects {
			have[o.Key] = true
			if !wanted[o.Key] {
				extra = append(extra, o.Key)
			}
		}
		for key := range wanted {
			if !have[key] {
				missing = append(missing, key)
			}
		}
		return extra == nil && missing == nil
	})
}

// quiet stops the services, which must end well, and looks into their logs.
func (s *system) quiet(t *testing.T) {
	t.Helper()
	for _, p := range s.services {
		p.stop(t)
		log := p.out.String()
		for _, secret := range s.secrets {
			if strings.Contains(log, secret) {
				t.Errorf("the log of %s holds the secret %q", p.name, secret)
			}
		}
		for line := range strings.Lines(log) {
			// Services may start in any order, and say whom they miss until he is there.
			if strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, "a part that is needed cannot be reached") {
				t.Errorf("%s: %s", p.name, line)
			}
			// A token of ours begins with this, in JSON Web Tokens' form.
			if strings.Contains(line, "eyJhbGci") || strings.Contains(line, "signature=") {
				t.Errorf("the log of %s holds a token or a signature: %s", p.name, line)
			}
		}
	}
}

func subject(mail string) string {
	for line := range strings.Lines(mail) {
		if s, ok := strings.CutPrefix(line, "Subject: "); ok {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
