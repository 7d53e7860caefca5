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

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/worker"
)

var _ worker.SweepBucket = bucket{}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logbook is a log that tests read.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newParts opens the embedded parts.
func newParts(t *testing.T) (*app.Parts, *logbook) {
	t.Helper()
	redis, err := embedded.Redis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	log := &logbook{}
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
	err = p.OpenDB(t.Context(), func(ctx context.Context) (*sqldb.DB, error) {
		return sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "jobs.db"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.OpenBucket(t.Context(), &app.BucketFlags{Bucket: "file://" + filepath.Join(dir, "bucket")}); err != nil {
		t.Fatal(err)
	}
	if err := p.OpenQueue(redis.URL()); err != nil {
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
func start(t *testing.T, p *app.Parts, flags Flags, health string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- Run(ctx, p, flags, health) }()
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
	stop := start(t, p, Flags{SweepInterval: 50 * time.Millisecond, SweepStale: 100 * time.Millisecond}, "127.0.0.1:0")
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

// TestGrace: zero is none, and not the queue's default.
func TestGrace(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: -1, time.Second: time.Second} {
		if got := (Flags{Grace: given}).grace(); got != want {
			t.Errorf("%v becomes %v, want %v", given, got, want)
		}
	}
}

func TestBadFlags(t *testing.T) {
	p, _ := newParts(t)
	for _, flags := range []Flags{{Lease: -1}, {MaxTries: -1}, {SweepInterval: -1}} {
		if err := Run(t.Context(), p, flags, ""); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%+v: %v", flags, err)
		}
	}
	if err := Run(t.Context(), p, Flags{}, "nowhere:none"); err == nil {
		t.Error("served health nowhere")
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
