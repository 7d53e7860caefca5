package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

// chaos is a fleet in which things go wrong.
type chaos struct {
	t      *testing.T
	base   string
	user   *client.Client
	nodes  map[string]*node
	faults []disaster

	maria *testserver.MariaDBServer
	mongo *testserver.MongoDBServer // nil if jobs are in SQL
	redis *testserver.RedisServer
	proxy *testserver.S3Proxy // in front of the bucket
	smtp  *testserver.SMTPServer

	database, bucket string
	jobs             string // the database of jobs, if it is another one
	s3               *testserver.S3Server

	clips []example
	long  example

	promises              []*promise
	again, mails, doubled int
	unmailed              map[int]bool // rounds in which no mail may come
	mu                    sync.Mutex
	deaths                []death // of the notifier, and of the mail server
}

// example is a file with what must become of it.
type example struct {
	path  string
	file  []byte
	codes []string
	mp3   [32]byte
}

// node is a service that is started again when it ends by itself, as an orchestrator
// does: without a database, say, a service does not start.
type node struct {
	t       *testing.T
	program string
	env     []string
	args    []string

	mu      sync.Mutex
	service *service // nil while it is to be down
}

func (n *node) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begin()
}

// begin is start for those who hold the lock.
func (n *node) begin() {
	paths, err := chaosPrograms()
	must(n.t, err)
	s := start(n.t, n.program, exec.Command(paths[n.program], n.args...), n.env)
	n.service = s
	go func() {
		<-s.done
		time.Sleep(200 * time.Millisecond) // not all the time
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.service == s && !s.forgotten && n.t.Context().Err() == nil {
			s.forget()
			n.begin()
		}
	}()
}

// kill ends it as a power cut does.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.service.forget()
	n.service.kill()
	n.service = nil
}

// stop ends it in order.
func (n *node) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.service.stop(n.t)
}

// disaster is something that goes wrong for a time.
type disaster struct {
	part        string // that it befalls
	name        string
	least, most time.Duration
	begin       func() (heal func())
}

// hurried is a fleet in which all that takes time is a tenth of what it is by default,
// or less.
var hurried = []string{"MP3LATHE_LEASE=3s", "MP3LATHE_SWEEP_INTERVAL=500ms", "MP3LATHE_SWEEP_STALE=2s", "MP3LATHE_NOTICE_LEASE=10s"}

// newChaos starts the servers and the fleet: two workers, one of them with a clock that
// is fast.
func newChaos(t *testing.T, settings ...string) *chaos {
	return chaosOn(t, nil, settings...)
}

// chaosOn is newChaos with the jobs in MongoDB, if there is one.
func chaosOn(t *testing.T, mongo *testserver.MongoDBServer, settings ...string) *chaos {
	t.Helper()
	_, err := chaosPrograms()
	must(t, err)
	ctx := within(t, 5*time.Minute)
	c := &chaos{t: t, mongo: mongo, nodes: map[string]*node{}, unmailed: map[int]bool{}}
	if mongo != nil {
		url, err := mongo.NewDatabase()
		must(t, err)
		c.jobs = url
	}
	c.maria, err = testserver.MariaDB(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, c.maria.Stop()) })
	c.redis, err = testserver.Redis(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, c.redis.Stop()) })
	c.s3, err = testserver.S3(ctx)
	must(t, err)
	t.Cleanup(func() { must(t, c.s3.Stop()) })
	c.proxy, err = testserver.NewS3Proxy(c.s3.Endpoint)
	must(t, err)
	t.Cleanup(c.proxy.Close)
	c.smtp, err = testserver.SMTP(testserver.SMTPConfig{Security: "none"})
	must(t, err)
	t.Cleanup(func() { must(t, c.smtp.Close()) })
	c.database, err = c.maria.NewDatabase(ctx)
	must(t, err)
	c.bucket, err = c.s3.NewBucket(ctx, "chaos")
	must(t, err)
	c.services(settings)
	c.fast()
	c.user = &client.Client{Base: c.base}
	eventually(t, time.Minute, "a user can log in", func() bool {
		_ = c.user.Register(ctx, "chaos@example.org", password)
		return c.user.Login(ctx, "chaos@example.org", password) == nil
	})
	c.examples()
	c.disasters()
	return c
}

// fast checks that the clock of one worker is, by what it logs.
func (c *chaos) fast() {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return // see fastClock
	}
	n := c.nodes["fast"]
	eventually(c.t, time.Minute, "the clock of one worker is five minutes fast", func() bool {
		n.mu.Lock()
		line, _, _ := strings.Cut(n.service.out.String(), "\n")
		n.mu.Unlock()
		var logged struct{ Time time.Time }
		return json.Unmarshal([]byte(line), &logged) == nil && time.Until(logged.Time) > 3*time.Minute
	})
}

// services starts the fleet.
func (c *chaos) services(settings []string) {
	t := c.t
	dir := t.TempDir()
	file := func(name, content string) string { return newFile(t, dir, name, content) }
	authKey := newAuthKey(t)
	front, behind := freeAddress(t), freeAddress(t)
	c.base = "http://" + front
	env := []string{
		"MP3LATHE_DATABASE_FILE=" + file("database", cmp.Or(c.jobs, c.database)),
		"MP3LATHE_REDIS=" + c.redis.URL,
		"MP3LATHE_BUCKET=" + strings.Replace(c.bucket, escaped(c.s3.Endpoint), escaped(c.proxy.Endpoint), 1),
		"MP3LATHE_S3_ACCESS_KEY=" + c.s3.AccessKey,
		"MP3LATHE_S3_SECRET_KEY_FILE=" + file("s3", c.s3.SecretKey),
		"MP3LATHE_PUBLIC_URL=" + c.base,
		"MP3LATHE_LINK_KEY_FILE=" + file("link", linkKey),
		"MP3LATHE_PARALLELISM=" + strconv.Itoa(parallelism),
		"MP3LATHE_JOB_MEMORY=256", "MP3LATHE_TOKEN_LIFETIME=24h",
	}
	env = append(env, settings...)
	for name, n := range map[string]*node{
		"auth":     {program: "auth", args: []string{"--database-file", file("accounts", c.database), "--listen", behind, "--auth-key-file", file("auth.key", authKey)}},
		"gateway":  {program: "gateway", args: []string{"--listen", front, "--auth-url", "http://" + behind}},
		"worker":   {program: "worker"},
		"fast":     {program: "fast"},
		"notifier": {program: "notifier", args: []string{"--smtp", c.smtp.Address(), "--smtp-security", "none", "--mail-from", "mp3lathe <mp3lathe@example.org>"}},
	} {
		n.t, n.env = t, env
		n.start()
		c.nodes[name] = n
	}
	awaitReady(t, c.base)
}

func escaped(endpoint string) string {
	return strings.NewReplacer(":", "%3A", "/", "%2F").Replace(endpoint)
}

// examples are the files of the load.
func (c *chaos) examples() {
	t := c.t
	for _, f := range clips(t, 30) {
		b, err := os.ReadFile(f.path)
		must(t, err)
		if len(b) == 0 || len(f.codes) != 1 { // one right end each
			continue
		}
		e := example{path: f.path, file: b, codes: f.codes}
		if f.codes[0] == "" {
			e.mp3 = converted(t, b)
		}
		c.clips = append(c.clips, e)
	}
	if len(c.clips) < 15 {
		t.Fatalf("only %d clips", len(c.clips))
	}
	// A few minutes, so that there is time to die in.
	path := looped(t, 11)
	b, err := os.ReadFile(path)
	must(t, err)
	c.long = example{path, b, []string{""}, converted(t, b)}
}

// looped makes a file of the melody, over and over, and returns its path.
func looped(t *testing.T, times int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "long.mp4")
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-stream_loop", strconv.Itoa(times), "-i", filepath.Join("..", "..", "testdata", "melody.mp4"),
		"-c", "copy", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// disasters are all that can go wrong.
func (c *chaos) disasters() {
	t := c.t
	killed := func(name string) func() func() {
		return func() func() {
			n := c.nodes[name]
			n.kill()
			return n.start
		}
	}
	spoil := func(f func(*http.Request) testserver.S3Fault) func() func() {
		return func() func() {
			c.proxy.Set(f)
			return func() { c.proxy.Set(nil) }
		}
	}
	var calls atomic.Int64
	writes := func(r *http.Request) bool { return r.Method == http.MethodPut || r.Method == http.MethodPost }
	c.faults = []disaster{
		{"worker", "a worker is killed", 100 * time.Millisecond, 2 * time.Second, killed("worker")},
		{"fast", "the fast worker is killed", 100 * time.Millisecond, 2 * time.Second, killed("fast")},
		{"gateway", "the gateway is killed", 50 * time.Millisecond, time.Second, killed("gateway")},
		{"auth", "auth is killed", time.Second, 3 * time.Second, killed("auth")},
		{"notifier", "the notifier is killed", 50 * time.Millisecond, 2 * time.Second, func() func() {
			c.dies(time.Now(), time.Now())
			return killed("notifier")()
		}},
		{"Redis", "Redis is stopped", time.Second, 4 * time.Second, func() func() {
			must(t, c.redis.Kill())
			return func() { must(t, c.redis.Start(context.WithoutCancel(t.Context()))) }
		}},
		{"Redis", "Redis restarts empty", 50 * time.Millisecond, 100 * time.Millisecond, func() func() {
			must(t, c.redis.Kill())
			return func() { must(t, c.redis.Start(context.WithoutCancel(t.Context()))) }
		}},
		{"Redis", "Redis hangs", time.Second, 3 * time.Second, func() func() {
			must(t, c.redis.Freeze())
			return func() { must(t, c.redis.Thaw()) }
		}},
		{"Redis", "Redis is wiped", 0, time.Millisecond, func() func() {
			must(t, c.redis.Wipe(t.Context()))
			return nil
		}},
		{"MySQL", "MySQL is stopped", 10 * time.Second, 11 * time.Second, func() func() {
			must(t, c.maria.Kill())
			return func() { must(t, c.maria.Start(context.WithoutCancel(t.Context()))) }
		}},
		{"MySQL", "MySQL restarts", 0, time.Millisecond, func() func() {
			must(t, c.maria.Kill())
			must(t, c.maria.Start(context.WithoutCancel(t.Context())))
			return nil
		}},
		{"bucket", "every third call to the bucket fails", 2 * time.Second, 4 * time.Second, spoil(func(*http.Request) testserver.S3Fault {
			if calls.Add(1)%3 == 0 {
				return testserver.S3Broken
			}
			return testserver.S3None
		})},
		{"bucket", "answers of the bucket are lost", time.Second, 3 * time.Second, spoil(func(*http.Request) testserver.S3Fault {
			if calls.Add(1)%4 == 0 {
				return testserver.S3Lost
			}
			return testserver.S3None
		})},
		{"bucket", "the bucket stalls", time.Second, 4 * time.Second, spoil(func(*http.Request) testserver.S3Fault { return testserver.S3Stall })},
		{"bucket", "the bucket is full", time.Second, 3 * time.Second, spoil(func(r *http.Request) testserver.S3Fault {
			if writes(r) {
				return testserver.S3Full
			}
			return testserver.S3None
		})},
		{"mail", "the mail server says 4xx", time.Second, 3 * time.Second, func() func() {
			c.smtp.RefuseData(451, -1)
			return func() { c.smtp.RefuseData(451, 0) }
		}},
		{"mail", "the mail server says 5xx", time.Second, 2 * time.Second, func() func() {
			c.unmailed[c.now()] = true
			c.smtp.RefuseRecipient(550, -1)
			return func() { c.smtp.RefuseRecipient(550, 0) }
		}},
		{"mail", "the mail server hangs", time.Second, 3 * time.Second, func() func() {
			c.smtp.Hang(-1)
			return func() { c.smtp.Hang(0) }
		}},
		{"mail", "the mail server takes a mail and dies", time.Second, 2 * time.Second, func() func() {
			from := time.Now()
			c.smtp.DropBeforeReply(1)
			return func() {
				c.smtp.DropBeforeReply(0)
				c.dies(from, time.Now())
			}
		}},
	}
	if c.mongo != nil && !c.mongo.Real {
		c.faults = append(c.faults, c.mongoFaults()...)
	}
}

// mongoFaults are what can befall the database of jobs.
func (c *chaos) mongoFaults() []disaster {
	stopped := func() func() {
		must(c.t, c.mongo.Kill())
		return func() { must(c.t, c.mongo.Start(context.WithoutCancel(c.t.Context()))) }
	}
	return []disaster{
		{"MongoDB", "MongoDB is stopped", 10 * time.Second, 11 * time.Second, stopped},
		{"MongoDB", "MongoDB restarts", 0, time.Millisecond, stopped},
		{"MongoDB", "MongoDB is stopped for a moment", time.Second, 3 * time.Second, stopped},
	}
}

// openJobs opens the database of jobs.
func (c *chaos) openJobs(ctx context.Context) jobs.Store {
	c.t.Helper()
	p := &app.Parts{}
	must(c.t, p.OpenDB(ctx, cmp.Or(c.jobs, c.database)))
	c.t.Cleanup(func() { must(c.t, p.Close()) })
	return p.Jobs
}

// refused reports whether the mail server has refused mails for good while those of a
// round may have been sent, some of which wait.
func (c *chaos) refused(round int) bool {
	for n := range 12 {
		if c.unmailed[round+n] {
			return true
		}
	}
	return false
}

// now is the round that is under way.
func (c *chaos) now() int { return c.promises[len(c.promises)-1].round }

// end waits until nothing moves, and looks at what is there in all places.
func (c *chaos) end() {
	t := c.t
	t.Helper()
	ctx := within(t, 3*time.Minute)
	accepted := map[string]*promise{}
	for _, p := range c.promises {
		if p.id == "" {
			continue
		}
		if other := accepted[p.id]; other != nil {
			t.Errorf("%s is the job of both %s and %s", p.id, p.name, other.name)
		}
		accepted[p.id] = p
	}
	c.checkMails(accepted)
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		c.nodes[name].stop()
	}
	jobs := c.openJobs(ctx)
	bucket, err := objstore.OpenWith(ctx, c.bucket, &objstore.Options{AccessKey: c.s3.AccessKey, SecretKey: c.s3.SecretKey})
	must(t, err)
	defer bucket.Close()

	// What was accepted is there, has ended, and was not changed afterwards; and there
	// is nothing else.
	found := 0
	for before := ""; ; {
		page, err := jobs.List(ctx, job.Query{Before: before, Limit: 500})
		must(t, err)
		for _, j := range page {
			found++
			p := accepted[j.ID]
			if p == nil {
				t.Errorf("a job %s (%s, %s) that nobody was promised", j.ID, j.FileName, j.State)
				continue
			}
			if string(j.State) != p.last.State || j.Attempt != p.last.Attempt {
				t.Errorf("%s was %s (attempt %d) and is %s (attempt %d)", j.ID, p.last.State, p.last.Attempt, j.State, j.Attempt)
			}
		}
		if len(page) < 500 {
			break
		}
		before = page[len(page)-1].ID
	}
	if found != len(accepted) {
		t.Errorf("%d jobs are there, %d were promised", found, len(accepted))
	}
	c.checkBucket(ctx, jobs, bucket)
}

// checkBucket sweeps what the dead have left, and then looks for what nobody needs and
// for what somebody lacks.
func (c *chaos) checkBucket(ctx context.Context, jobs jobs.Store, bucket *objstore.Bucket) {
	t := c.t
	t.Helper()
	sweeper, err := worker.NewSweeper(
		worker.Config{Sweep: worker.SweepConfig{OrphanAge: time.Nanosecond, OrphanInterval: time.Nanosecond, Interval: time.Minute, Stale: time.Hour}},
		worker.SweepDeps{Jobs: jobs, Queue: nowhere{}, Hints: nowhere{}, Bucket: workers.SweepBucket(bucket)})
	must(t, err)
	report, err := sweeper.Sweep(ctx)
	must(t, err)
	t.Logf("left by those who died, and swept: %d objects", report.Orphans)
	have := map[string]bool{}
	for after := ""; ; {
		page, err := bucket.List(ctx, "", after, 1000)
		must(t, err)
		for _, o := range page {
			have[o.Key] = true
			after = o.Key
		}
		if len(page) < 1000 {
			break
		}
	}
	delete(have, job.MarkKey)
	for _, p := range c.promises {
		if p.id == "" {
			continue
		}
		j, err := jobs.Get(ctx, p.id)
		must(t, err)
		for _, key := range []string{job.SourceKey(j.ID), job.ResultKey(j.ID, j.Attempt)} {
			needed := job.Standing{State: j.State, Attempt: j.Attempt}.Needs(j.ID, key)
			if needed && !have[key] {
				t.Errorf("%s is missing", key)
			}
			if needed {
				delete(have, key)
			}
		}
	}
	for key := range have {
		t.Errorf("%s is left, and nobody needs it", key)
	}
}

// nowhere is a queue that nobody listens to.
type nowhere struct{}

func (nowhere) Convert(context.Context, string, int, time.Duration) error { return nil }
func (nowhere) Notify(context.Context, string, int) error                 { return nil }
func (nowhere) Publish(context.Context, string) error                     { return nil }

// checkMails: each end is told once. A second time is possible only where the notifier
// or the mail server has died after the mail was taken and before that was known, and it
// is the same mail then.
func (c *chaos) checkMails(accepted map[string]*promise) {
	t := c.t
	t.Helper()
	told := map[string][]time.Time{}
	count := func() {
		clear(told)
		for _, m := range c.smtp.Messages() {
			_, rest, _ := strings.Cut(string(m.Data), "Message-ID: <")
			id, _, ok := strings.Cut(rest, ".")
			if !ok {
				t.Fatalf("a mail without an ID: %.300s", m.Data)
			}
			told[id] = append(told[id], m.At)
		}
	}
	missing := func() (ids []string) {
		for id, p := range accepted {
			if len(told[id]) == 0 && !c.refused(p.round) {
				ids = append(ids, fmt.Sprintf("%s (%s, round %d)", id, p.name, p.round))
			}
		}
		return ids
	}
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		count()
		if len(missing()) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Errorf("these were not told: %q", missing())
			break
		}
	}
	for id, times := range told {
		p := accepted[id]
		if p == nil {
			t.Errorf("%d mails of %s, which nobody was promised", len(times), id)
			continue
		}
		c.mails += len(times)
		c.doubled += len(times) - 1
		for i, again := range times[1:] {
			first := times[i]
			if !slices.ContainsFunc(c.deaths, func(d death) bool { return d.until.After(first.Add(-noteTime)) && d.from.Before(again) }) {
				t.Errorf("a mail of %s (%s, round %d) was sent at %v and again at %v, and nobody died in between", id, p.name, p.round, first, again)
			}
		}
	}
}

// death is when the notifier, or the mail server with an answer, may have died.
type death struct{ from, until time.Time }

func (c *chaos) dies(from, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths = append(c.deaths, death{from, until})
}

// noteTime is how far the clock of a mail's arrival and that of a death may be apart.
const noteTime = 100 * time.Millisecond
