package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/departed"
	"github.com/mp3lathe/mp3lathe/internal/events"
	"github.com/mp3lathe/mp3lathe/internal/fair"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The parts that the services run with fit.
var (
	_ gateway.Jobs         = (*jobstore.Store)(nil)
	_ gateway.Jobs         = fair.Jobs{}
	_ gateway.Keys         = (*jobstore.Store)(nil)
	_ gateway.Queue        = fair.Queue{}
	_ gateway.Hints        = (*events.Bus)(nil)
	_ gateway.Verifier     = (*token.Verifier)(nil)
	_ gateway.LinkVerifier = (*link.Signer)(nil)
	_ gateway.Departures   = (*departed.Store)(nil)

	_                                                         = gateway.BucketOf[*objstore.Writer, *objstore.Reader]
	_ gateway.ObjectStore[*objstore.Writer, *objstore.Reader] = (*objstore.Bucket)(nil)
)

// clip is what an upload looks like; nobody converts it here.
var clip = append([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"), bytes.Repeat([]byte("0123456789"), 20_000)...)

// retention is short, so that a test can let a job expire; nobody does by himself.
const retention = time.Millisecond

// store is the store of jobs with what a worker does to them.
type store interface {
	gateway.Jobs
	gateway.Keys
	Claim(ctx context.Context, id, worker string, lease time.Duration) (job.Job, error)
	Heartbeat(ctx context.Context, id string, attempt int, p job.Progress, lease time.Duration) error
	Succeed(ctx context.Context, id string, attempt int, r job.Result, retention time.Duration) (job.Job, error)
	Fail(ctx context.Context, id string, attempt int, f job.Failure, retention time.Duration) (job.Job, error)
	Expire(ctx context.Context, id string) (job.Job, error)
	CountCrash(ctx context.Context, sha256, id string, attempt int, code job.Code) (int, error)
}

// faults are what a test lets go wrong, by the name of the method. It is called
// before the method, and what it returns is the method's answer if it is an error.
type faults struct {
	mu sync.Mutex
	m  map[string]func() error
}

func (f *faults) set(method string, fault func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[string]func() error{}
	}
	f.m[method] = fault
}

func (f *faults) at(method string) error {
	f.mu.Lock()
	fault := f.m[method]
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault()
}

var errDown = errors.New("dial tcp 10.9.8.7: refused")

func down() error { return errDown }

// faulty is the store behind faults.
type faulty struct {
	store
	*faults
}

func (f faulty) Submit(ctx context.Context, sub job.Submission) (job.Job, error) {
	if err := f.at("Insert"); err != nil {
		return job.Job{}, err
	}
	j, err := f.store.Submit(ctx, sub)
	if err := f.at("Inserted"); err != nil {
		return job.Job{}, err
	}
	return j, err
}

func (f faulty) Get(ctx context.Context, id string) (job.Job, error) {
	if err := f.at("Get"); err != nil {
		return job.Job{}, err
	}
	return f.store.Get(ctx, id)
}

func (f faulty) List(ctx context.Context, q job.Query) ([]job.Job, error) {
	if err := f.at("List"); err != nil {
		return nil, err
	}
	return f.store.List(ctx, q)
}

func (f faulty) NoteAct(ctx context.Context, a job.Act) error {
	if err := f.at("NoteAct"); err != nil {
		return err
	}
	return f.store.NoteAct(ctx, a)
}

func (f faulty) Acts(ctx context.Context, q job.ActQuery) ([]job.Act, error) {
	if err := f.at("Acts"); err != nil {
		return nil, err
	}
	return f.store.Acts(ctx, q)
}

func (f faulty) Cancel(ctx context.Context, id string) (job.Job, error) {
	if err := f.at("Cancel"); err != nil {
		return job.Job{}, err
	}
	return f.store.Cancel(ctx, id)
}

func (f faulty) Delete(ctx context.Context, id string) error {
	if err := f.at("Delete"); err != nil {
		return err
	}
	return f.store.Delete(ctx, id)
}

func (f faulty) RetryOnce(ctx context.Context, id string, k *job.Keyed) (job.Job, error) {
	if err := f.at("Retry"); err != nil {
		return job.Job{}, err
	}
	j, err := f.store.RetryOnce(ctx, id, k)
	if err := f.at("Retried"); err != nil {
		return job.Job{}, err
	}
	return j, err
}

func (f faulty) Usage(ctx context.Context, owner string, most int) (job.Usage, error) {
	if err := f.at("Usage"); err != nil {
		return job.Usage{}, err
	}
	return f.store.Usage(ctx, owner, most)
}

func (f faulty) Spend(ctx context.Context, owner string, bytes, allowed int64) (bool, error) {
	if err := f.at("Spend"); err != nil {
		return false, err
	}
	return f.store.Spend(ctx, owner, bytes, allowed)
}

func (f faulty) Twin(ctx context.Context, twin string) (job.Job, error) {
	if err := f.at("Twin"); err != nil {
		return job.Job{}, err
	}
	return f.store.Twin(ctx, twin)
}

func (f faulty) Join(ctx context.Context, id string, sub job.Submission) (job.Job, error) {
	if err := f.at("Join"); err != nil {
		return job.Job{}, err
	}
	return f.store.Join(ctx, id, sub)
}

func (f faulty) ClaimKey(ctx context.Context, k job.Keyed, lease time.Duration) (job.KeyRecord, bool, error) {
	if err := f.at("ClaimKey"); err != nil {
		return job.KeyRecord{}, false, err
	}
	return f.store.ClaimKey(ctx, k, lease)
}

func (f faulty) AnswerKey(ctx context.Context, k job.Keyed, a job.Answer) error {
	if err := f.at("AnswerKey"); err != nil {
		return err
	}
	return f.store.AnswerKey(ctx, k, a)
}

// faultyBucket is a bucket behind faults.
type faultyBucket struct {
	*objstore.Bucket
	*faults
}

type faultyWriter struct {
	*objstore.Writer
	*faults
}

func (w faultyWriter) Write(p []byte) (int, error) {
	if err := w.at("Write"); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w faultyWriter) Commit() error {
	if err := w.at("Commit"); err != nil {
		return err
	}
	if err := w.Writer.Commit(); err != nil {
		return err
	}
	return w.at("Committed")
}

type faultyReader struct {
	*objstore.Reader
	*faults
}

func (r faultyReader) Read(p []byte) (int, error) {
	if err := r.at("Read"); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (b faultyBucket) CreateSequential(ctx context.Context, key string) (faultyWriter, error) {
	if err := b.at("Create"); err != nil {
		return faultyWriter{}, err
	}
	w, err := b.Bucket.CreateSequential(ctx, key)
	return faultyWriter{w, b.faults}, err
}

func (b faultyBucket) NewReader(ctx context.Context, key string) (faultyReader, error) {
	if err := b.at("Open"); err != nil {
		return faultyReader{}, err
	}
	r, err := b.Bucket.NewReader(ctx, key)
	return faultyReader{r, b.faults}, err
}

func (b faultyBucket) Ping(ctx context.Context) error {
	if err := b.at("Ping"); err != nil {
		return err
	}
	return b.Bucket.Ping(ctx)
}

func (b faultyBucket) Exists(ctx context.Context, key string) (bool, error) {
	if err := b.at("Exists"); err != nil {
		return false, err
	}
	return b.Bucket.Exists(ctx, key)
}

func (b faultyBucket) Delete(ctx context.Context, key string) error {
	if err := b.at("Remove"); err != nil {
		return err
	}
	return b.Bucket.Delete(ctx, key)
}

func (b faultyBucket) DeletePrefix(ctx context.Context, prefix string) error {
	if err := b.at("DeletePrefix"); err != nil {
		return err
	}
	return b.Bucket.DeletePrefix(ctx, prefix)
}

// tasks is a queue that notes what it was given.
type tasks struct {
	*faults
	mu  sync.Mutex
	all []string
}

func (q *tasks) Enqueue(_ context.Context, j job.Job) error {
	if err := q.at("Convert"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, fmt.Sprintf("%s:%d", j.ID, j.Attempt))
	return nil
}

func (q *tasks) last() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == 0 {
		return ""
	}
	return q.all[len(q.all)-1]
}

// wire carries hints within a test, and can be cut.
type wire struct {
	*faults
	mu sync.Mutex
	f  []func(string)
}

func (w *wire) Publish(_ context.Context, id string) error {
	if err := w.at("Publish"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.f {
		f(id)
	}
	return nil
}

func (w *wire) Subscribe(ctx context.Context, f func(string)) error {
	w.mu.Lock()
	w.f = append(w.f, f)
	w.mu.Unlock()
	f("")
	<-ctx.Done()
	return ctx.Err()
}

// passes are the access tokens of a test: the name of the user, but for a few.
type passes struct{}

const tokenLife = time.Hour

func (passes) Verify(_ context.Context, raw string) (token.Claims, error) {
	switch raw {
	case "forged":
		return token.Claims{}, fmt.Errorf("%w: signature", token.ErrInvalid)
	case "old":
		return token.Claims{}, fmt.Errorf("%w: %w", token.ErrInvalid, token.ErrExpired)
	case "keyless":
		return token.Claims{}, fmt.Errorf("%w: %w", token.ErrUnavailable, errDown)
	}
	name, scopes, limited := strings.Cut(raw, "/") // "root/jobs:read" has that scope alone
	c := token.Claims{Subject: "user-" + name, Email: name + "@example.org", Roles: []string{token.RoleUser}, Scopes: strings.Split(scopes, "+"), Expires: time.Now().Add(tokenLife)}
	if !limited {
		c.Scopes = []string{token.ScopeAccount, token.ScopeJobsRead, token.ScopeJobsWrite, token.ScopeAdmin}
	}
	switch name {
	case "root":
		c.Roles = append(c.Roles, token.RoleAdmin)
	case "scrooge": // who may have one job waiting, and as many bytes as he likes
		one, any := int64(1), int64(0)
		c.Quota = &token.Quota{Jobs: &one, DailyBytes: &any}
	case "brief":
		c.Expires = time.Now().Add(300 * time.Millisecond)
	}
	return c, nil
}

// rig is a gateway that serves.
type rig struct {
	url      string
	client   *http.Client
	jobs     store
	folder   string // of the bucket
	bucket   *objstore.Bucket
	queue    *tasks
	wire     *wire
	links    *link.Signer
	faults   *faults
	log      *testserver.Output
	contract *contract
	stop     context.CancelFunc
	ended    chan struct{} // closed when the server has ended
}

func newRig(t *testing.T, change func(*gateway.Config)) *rig {
	return newRigOf(t, change, nil)
}

// newRigOf is newRig with other parts.
func newRigOf(t *testing.T, change func(*gateway.Config), parts func(*gateway.Deps)) *rig {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	folder := t.TempDir()
	bucket, err := objstore.Open(ctx, "file://"+folder)
	if err != nil {
		t.Fatal(err)
	}
	links, err := link.New("http://gateway.example", bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	f := &faults{}
	r := &rig{
		folder: folder, jobs: newStore(t), bucket: bucket, queue: &tasks{faults: f}, wire: &wire{faults: f}, links: links, faults: f,
		log: &testserver.Output{}, stop: stop, ended: make(chan struct{}),
	}
	config := gateway.Config{Poll: 50 * time.Millisecond}
	if change != nil {
		change(&config)
	}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	deps := gateway.Deps{
		Jobs: faulty{r.jobs, f}, Keys: faulty{r.jobs, f}, Queue: r.queue, Hints: r.wire, Bucket: gateway.BucketOf(faultyBucket{bucket, f}),
		Tokens: passes{}, Links: links, Logger: logger,
		Checks: map[string]httpapi.Check{"bucket": bucket.Ping},
	}
	if parts != nil {
		parts(&deps)
	}
	g, err := gateway.New(config, deps)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := httpapi.Serve(ctx, l, g.Handler(), logger, httpapi.ServerConfig{}); err != nil {
			t.Error(err)
		}
	})
	go func() { wg.Wait(); close(r.ended) }()
	transport := &http.Transport{}
	r.client = &http.Client{Transport: transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		select {
		case <-r.ended:
		case <-time.After(20 * time.Second):
			t.Error("the gateway does not end")
		}
		_ = bucket.Close()
	})
	res := r.send(t, r.request(t, "GET", "/openapi.json", "", nil))
	r.contract = readContract(t, string(res.body))
	return r
}

// answer is an answer that has been read.
type answer struct {
	*http.Response
	body []byte
	err  error // of reading the body
}

func (r *rig) request(t *testing.T, method, path, user string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.Header.Set("Authorization", "Bearer "+user)
	}
	return req
}

// send sends a request and holds the answer against the description.
func (r *rig) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	a := answer{Response: res}
	a.body, a.err = io.ReadAll(res.Body)
	if r.contract != nil && a.err == nil {
		if err := r.contract.check(req, res, a.body); err != nil {
			t.Errorf("the answer does not fit its description: %v", err)
		}
	}
	if strings.Contains(string(a.body), "10.9.8.7") {
		t.Errorf("the answer tells of our inside: %s", a.body)
	}
	return a
}

func (r *rig) do(t *testing.T, method, path, user string) answer {
	t.Helper()
	return r.send(t, r.request(t, method, path, user, nil))
}

// upload uploads a file as a raw body and wants a job made of it.
func (r *rig) upload(t *testing.T, user string, file []byte) answer {
	t.Helper()
	req := r.request(t, "POST", "/v1/jobs?fresh=true&filename=clip.mp4", user, bytes.NewReader(file))
	req.Header.Set("Content-Type", "video/mp4")
	a := r.send(t, req)
	if a.StatusCode != http.StatusAccepted {
		t.Fatalf("upload: %d %s", a.StatusCode, a.body)
	}
	return a
}

// jobView is what tests look at in a job.
type jobView struct {
	ID           string         `json:"id"`
	State        job.State      `json:"state"`
	Version      int64          `json:"version"`
	Owner        string         `json:"owner"`
	FileName     string         `json:"file_name"`
	SourceBytes  int64          `json:"source_bytes"`
	SourceSHA256 string         `json:"source_sha256"`
	Settings     map[string]any `json:"settings"`
	Notify       bool           `json:"notify"`
	Attempt      int            `json:"attempt"`
	Position     int            `json:"queue_position"`
	Progress     *struct {
		Fraction float64 `json:"fraction"`
		Position float64 `json:"position_seconds"`
		Total    float64 `json:"total_seconds"`
	} `json:"progress"`
	Failure *struct{ Code, Message, Advice, Detail string } `json:"failure"`
	Result  map[string]any                                  `json:"result"`
	Links   struct{ Self, Events, Audio string }            `json:"links"`
	Expires *time.Time                                      `json:"expires_at"`
}

func decode(t *testing.T, a answer, v any) {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v in %d %s", err, a.StatusCode, a.body)
	}
}

// newJob uploads a file and returns its job.
func (r *rig) newJob(t *testing.T, user string) jobView {
	t.Helper()
	var j jobView
	decode(t, r.upload(t, user, clip), &j)
	return j
}

func (r *rig) get(t *testing.T, id, user string) jobView {
	t.Helper()
	a := r.do(t, "GET", "/v1/jobs/"+id, user)
	if a.StatusCode != 200 {
		t.Fatalf("get: %d %s", a.StatusCode, a.body)
	}
	var j jobView
	decode(t, a, &j)
	return j
}

// must is for the calls that a worker makes.
func must(t *testing.T) func(job.Job, error) job.Job {
	return func(j job.Job, err error) job.Job {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
}

func (r *rig) claim(t *testing.T, id string) job.Job {
	t.Helper()
	return must(t)(r.jobs.Claim(t.Context(), id, "worker-1", time.Minute))
}

// succeed does a worker's work.
func (r *rig) succeed(t *testing.T, id string, mp3 []byte) job.Job {
	t.Helper()
	j := r.claim(t, id)
	key := job.ResultKey(id, j.Attempt)
	w, err := r.bucket.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(mp3); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return must(t)(r.jobs.Succeed(t.Context(), id, j.Attempt, job.Result{
		Key: key, Bytes: int64(len(mp3)), Duration: 5.25, Samples: 231525,
		SampleRate: 44100, Channels: 2, Encoding: "VBR 2", Track: 1, Codec: "aac", Language: "deu", BytesRead: 1234, WallTime: 0.1,
	}, retention))
}

func (r *rig) fail(t *testing.T, id string, code job.Code) job.Job {
	t.Helper()
	j := r.claim(t, id)
	return must(t)(r.jobs.Fail(t.Context(), id, j.Attempt, job.Failure{Code: code, Detail: "track 7"}, retention))
}

func (r *rig) expire(t *testing.T, id string) {
	t.Helper()
	eventually(t, "the job expires", func() bool {
		_, err := r.jobs.Expire(t.Context(), id)
		if err != nil && !errors.Is(err, job.ErrConflict) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// wantProblem checks an answer's status and code.
func wantProblem(t *testing.T, a answer, status int, code string) {
	t.Helper()
	var p struct {
		Code   string
		Status int
	}
	if a.Request.Method != http.MethodHead {
		_ = json.Unmarshal(a.body, &p)
	} else {
		p.Code, p.Status = code, status
	}
	if a.StatusCode != status || p.Code != code || p.Status != status {
		t.Errorf("%s %s: %d %s, want %d %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, a.body, status, code)
	}
}

// nothingLeft checks that an upload that came to nothing left nothing.
func (r *rig) nothingLeft(t *testing.T) {
	t.Helper()
	var found string
	eventually(t, "nothing is left", func() bool {
		objects, err := r.bucket.List(context.Background(), "", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := r.jobs.List(context.Background(), job.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		found = fmt.Sprint(objects, jobs)
		return len(objects) == 0 && len(jobs) == 0
	}, func() string { return found })
}

// pending returns the number of objects that are being written. A folder keeps
// them in .tmp.
func (r *rig) pending(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(r.folder, ".tmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(files)
}

// bucketStub is the rest of a bucket that a test does not use.
type bucketStub struct{}

type stubReader struct{ gateway.Reader }

func (bucketStub) NewReader(context.Context, string) (stubReader, error) {
	return stubReader{}, fs.ErrNotExist
}
func (bucketStub) Exists(context.Context, string) (bool, error) { return false, nil }
func (bucketStub) Ping(context.Context) error                   { return nil }
func (bucketStub) Delete(context.Context, string) error         { return nil }
func (bucketStub) DeletePrefix(context.Context, string) error   { return nil }

// eventually waits for what comes by itself.
func eventually(t *testing.T, what string, is func() bool, found ...func() string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, f := range found {
				what += ": " + f()
			}
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func newStore(t *testing.T) store {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "jobs.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := jobstore.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return jobstore.New(db)
}
