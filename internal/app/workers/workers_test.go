package workers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/apptest"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

var _ worker.SweepBucket = bucket{}

func TestMain(m *testing.M) {
	planted.Enter()
	goleak.VerifyTestMain(m)
}

// newParts opens the embedded parts.
func newParts(t *testing.T) (*app.Parts, *testserver.Output) {
	t.Helper()
	redis := embedded.Redis()
	t.Cleanup(redis.Close)
	log := &testserver.Output{}
	p := &app.Parts{Log: slog.New(slog.NewTextHandler(log, nil))}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	dir := t.TempDir()
	bucket := app.BucketPlace{URL: "file://" + filepath.Join(dir, "bucket")}
	if err := p.Open(t.Context(), "sqlite:"+filepath.Join(dir, "jobs.db"), bucket, redis.Address()); err != nil {
		t.Fatal(err)
	}
	return p, log
}

// upload makes a queued job of which the queue knows nothing.
func upload(t *testing.T, p *app.Parts, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../../testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7()).String()
	put(t, p.Bucket, job.SourceKey(id), data)
	if _, err := p.Jobs.Insert(t.Context(), job.Job{ID: id, Owner: "ada", NotifyTo: "ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	return id
}

func put(t *testing.T, b *objstore.Bucket, key string, data []byte) {
	t.Helper()
	w, err := b.CreateSequential(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// start runs the service until stop is called.
func start(t *testing.T, p *app.Parts, settings Settings) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Run(ctx, p, settings) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// TestRun: the whole service converts what the queue tells it, finds what nobody has
// told the queue, says whether it is well, and stops.
func TestRun(t *testing.T) {
	p, log := newParts(t)
	told := upload(t, p, "phone.3gp")
	if err := p.Queue.Convert(t.Context(), told, 0, 0); err != nil {
		t.Fatal(err)
	}
	untold := upload(t, p, "media/bad-text.mp4")
	settings := Settings{Health: "127.0.0.1:0"}
	settings.Sweep = worker.SweepConfig{Interval: 50 * time.Millisecond, Stale: 100 * time.Millisecond}
	stop := start(t, p, settings)
	for id, want := range map[string]job.State{told: job.Succeeded, untold: job.Failed} {
		eventually(t, "the job is "+string(want), func() bool {
			j, err := p.Jobs.Get(t.Context(), id)
			return err == nil && j.State == want
		})
	}
	eventually(t, "the notices are asked for", func() bool {
		d, err := p.Queue.Depth(t.Context(), queue.Notify)
		return err == nil && d.Pending == 2
	})
	address := regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(log.String())
	if address == nil {
		t.Fatal("the log does not tell the address")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://%s/readyz", address[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", resp.Status, body, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, what := range []string{"the worker is ready", "msg=succeeded", "msg=failed", "msg=swept"} {
		if !strings.Contains(log.String(), what) {
			t.Errorf("the log lacks %q", what)
		}
	}
}

// TestNewQueue: a queue that began with the process is told at once of what waits,
// mails too, however short a time ago another queue was told, and whoever has died
// with the sweepers' lease.
func TestNewQueue(t *testing.T) {
	p, _ := newParts(t)
	ended := upload(t, p, "phone.3gp")
	j, err := p.Jobs.Claim(t.Context(), ended, "dead", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Jobs.Fail(t.Context(), ended, j.Attempt, job.Failure{Code: job.NoAudio}, time.Hour); err != nil {
		t.Fatal(err)
	}
	waiting := upload(t, p, "phone.3gp")
	if err := p.Jobs.Enqueued(t.Context(), waiting, 0); err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Jobs.Lease(t.Context(), "sweeper", "dead", time.Hour); err != nil || !ok {
		t.Fatal(ok, err)
	}
	// SQLite's clock counts in milliseconds, and rounds: as long as its next two have not
	// come, it cannot tell that this was before the queue began.
	eventually(t, "time has passed", func() bool {
		due, err := p.Jobs.Overdue(t.Context(), 2*time.Millisecond, 10)
		return err == nil && len(due) == 1
	})
	var settings Settings
	settings.Sweep = worker.SweepConfig{QueueSince: time.Now()}
	stop := start(t, p, settings)
	eventually(t, "the job has ended", func() bool {
		j, err := p.Jobs.Get(t.Context(), waiting)
		return err == nil && j.State == job.Succeeded
	})
	eventually(t, "both notices are asked for", func() bool {
		d, err := p.Queue.Depth(t.Context(), queue.Notify)
		return err == nil && d.Pending == 2
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestBadHealth(t *testing.T) {
	p, _ := newParts(t)
	if err := Run(t.Context(), p, Settings{Health: "nowhere.invalid:1"}); err == nil || !strings.Contains(err.Error(), "--health (MP3LATHE_HEALTH)") {
		t.Errorf("served health nowhere: %v", err)
	}
}

// TestObjects: the bucket's pages and ages.
func TestObjects(t *testing.T) {
	p, _ := newParts(t)
	for i := range 5 {
		put(t, p.Bucket, fmt.Sprintf("in/%d", i), []byte("x"))
	}
	put(t, p.Bucket, "out/0", []byte("x"))
	b := bucket{p.Bucket}
	var keys []string
	for after := ""; ; after = keys[len(keys)-1] {
		page, err := b.Objects(t.Context(), "in/", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			keys = append(keys, o.Key)
			if o.Age < 0 || o.Age > time.Minute {
				t.Errorf("%s is %v old", o.Key, o.Age)
			}
		}
		if len(page) < 2 {
			break
		}
	}
	if got := strings.Join(keys, " "); got != "in/0 in/1 in/2 in/3 in/4" {
		t.Errorf("keys %s", got)
	}
}

// TestSettings: wrong settings are told, each with its name, and all flags are
// explained.
func TestSettings(t *testing.T) {
	var out, errs bytes.Buffer
	std := &app.Std{In: strings.NewReader(""), Out: &out, Err: &errs}
	if code := app.Main(t.Context(), "worker", "", &CLI{}, []string{"--concurrency=-3", "--lease=0s", "--health=x"}, std); code != 2 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"worker: --concurrency (MP3LATHE_CONCURRENCY) is -3: want 1 to 1000\n", "worker: --lease (MP3LATHE_LEASE) is 0s: want 1s or more\n",
		"worker: --health (", "worker: --database (", "worker: --bucket (", "worker: --redis (",
	} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("no %q in\n%s", want, errs.String())
		}
	}
	if code := app.Main(t.Context(), "worker", "", &CLI{}, []string{"--help"}, std); code != 0 {
		t.Errorf("exit code %d of the help", code)
	}
	var c CLI
	parser, err := kong.New(&c, app.Vars("5m"))
	if err != nil {
		t.Fatal(err)
	}
	if err := apptest.Explained(parser.Model.Children[0].Flags, out.String()); err != nil {
		t.Error(err)
	}
	if _, err := parser.Parse([]string{"--audit-retention=48h", "--window=7", "--health=:1"}); err != nil {
		t.Fatal(err)
	}
	var f app.Faults
	if s := c.Serve.settings(&f); f.Err() != nil || s.Sweep.AuditRetention != 48*time.Hour || s.Window != 7 || s.Health != ":1" {
		t.Errorf("%+v, %v", s, f.Err())
	}
}
