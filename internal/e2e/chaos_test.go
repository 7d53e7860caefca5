package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// TestChaos runs the four services on real servers under a load of mixed jobs, while
// parts of it die, hang, forget and lie, round by round, and then reads the history: did
// the system keep its word? MP3LATHE_CHAOS_ROUNDS and MP3LATHE_CHAOS_SEED set how many
// rounds and which; a round that fails says how it is repeated.
//
// The clock of one worker is five minutes fast all the time.
func TestChaos(t *testing.T) {
	t.Parallel()
	newChaosRun(t, 4, 25).run(func() *chaos { return newChaos(t, hurried...) })
}

// TestChaosMongoDB is the same with the jobs in MongoDB, or FerretDB, which dies too.
func TestChaosMongoDB(t *testing.T) {
	t.Parallel()
	mongo := mongoServer(t)
	newChaosRun(t, 2, 6).run(func() *chaos { return chaosOn(t, mongo, hurried...) })
}

// chaosRun is how long, and by which numbers, things go wrong.
type chaosRun struct {
	t      *testing.T
	rounds int
	seed   uint64
}

// newChaosRun has so many rounds, and in CI so many, unless the environment says otherwise.
func newChaosRun(t *testing.T, rounds, ci int) chaosRun {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) % 1_000_000
	if os.Getenv("CI") != "" {
		rounds = ci
	}
	for name, set := range map[string]func(n uint64){
		"MP3LATHE_CHAOS_ROUNDS": func(n uint64) { rounds = int(n) },
		"MP3LATHE_CHAOS_SEED":   func(n uint64) { seed = n },
	} {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.ParseUint(s, 10, 64)
			must(t, err)
			set(n)
		}
	}
	return chaosRun{t, rounds, seed}
}

// run runs the rounds on a fleet.
func (r chaosRun) run(start func() *chaos) {
	t, rounds, seed := r.t, r.rounds, r.seed
	t.Logf("%d rounds; to repeat them: make chaos ROUNDS=%[1]d SEED=%d", rounds, seed)
	c := start()
	began := time.Now()
	for n := range rounds {
		c.round(n, rand.New(rand.NewPCG(seed, uint64(n))))
		if t.Failed() {
			t.Fatalf("round %d of seed %d failed", n, seed)
		}
	}
	c.end()
	t.Logf("%d rounds in %v: %d jobs, %d of them tried again; %d mails, %d of them a second time (the notifier or the mail server died in between)",
		rounds, time.Since(began).Round(time.Second), len(c.promises), c.again, c.mails, c.doubled)
}

// chaosPrograms are the programs under test as users have them, but for the faults that
// children commit, and one worker whose clock is five minutes fast.
var chaosPrograms = sync.OnceValues(func() (map[string]string, error) {
	paths := map[string]string{}
	build := func(name, program string, flags ...string) error {
		paths[name] = filepath.Join(binDir, "chaos-"+name)
		args := append([]string{"build", "-buildvcs=false", "-o", paths[name]}, flags...)
		out, err := exec.Command("go", append(args, "github.com/mp3lathe/mp3lathe/cmd/"+program)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	fast, err := fastClock()
	if err != nil {
		return nil, err
	}
	return paths, errors.Join(build("gateway", "gateway"), build("auth", "auth"), build("notifier", "notifier"),
		build("worker", "worker", "-tags", "planted"), build("fast", "worker", append(fast, "-tags", "planted")...))
})

// fastClock are the flags of a build whose time of day is five minutes ahead. To change
// package time for that would be to compile all anew that imports it.
func fastClock() (flags []string, err error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, nil // there is no assembly for it: it goes right
	}
	added := map[string]string{}
	for _, name := range []string{"clock.go", "clock_amd64.s"} {
		from, err := filepath.Abs(filepath.Join("testdata", "fastclock", name))
		if err != nil {
			return nil, err
		}
		to, err := filepath.Abs(filepath.Join("..", "..", "cmd", "worker", name))
		if err != nil {
			return nil, err
		}
		added[to] = from
	}
	text, err := json.Marshal(map[string]any{"Replace": added})
	if err != nil {
		return nil, err
	}
	overlay := filepath.Join(binDir, "fastclock.json")
	// A variable of the runtime is what it sets.
	return []string{"-overlay", overlay, "-ldflags", "-checklinkname=0"}, os.WriteFile(overlay, text, 0o600)
}

// promise is an upload, and what the system has told of it.
type promise struct {
	name   string
	file   []byte
	codes  []string // of the right ends; "" is success
	want   [32]byte // SHA-256 of the MP3
	round  int
	slowly bool // the upload takes half a second
	key    string

	id      string // of the job that was promised
	uploads int    // requests that it took
	last    client.Job
	jumps   []string // changes that were seen and should not be
}

// upload sends the file until it is accepted, under one key.
func (p *promise) upload(ctx context.Context, base, token string) error {
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		status, j, problem, err := p.try(ctx, base, token)
		p.uploads++
		switch {
		case err == nil && (status == http.StatusAccepted || status == http.StatusOK):
			if p.id != "" && p.id != j.ID {
				return fmt.Errorf("the same key brought %s and %s", p.id, j.ID)
			}
			p.id = j.ID
			return nil
		case err == nil && status == http.StatusUnsupportedMediaType && slices.Contains(p.codes, string(job.InvalidData)):
			return nil // refused at the door
		case err == nil && status < 500 && status != http.StatusTooManyRequests && status != http.StatusConflict && problem != "upload_incomplete":
			return fmt.Errorf("refused with %d %s", status, problem)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not accepted after %d requests: %d %s, %w", p.uploads, status, problem, err)
		case <-time.After(delay):
		}
	}
}

// try sends the file once.
func (p *promise) try(ctx context.Context, base, token string) (status int, j client.Job, problem string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	body := newReader(p.file)
	if p.slowly {
		body = &slowReader{r: body, pause: 500 * time.Millisecond / time.Duration(len(p.file)/slowPiece+1)}
	}
	q := url.Values{"filename": {filepath.Base(p.name)}, "fresh": {"true"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/jobs?"+q.Encode(), io.NopCloser(body))
	if err != nil {
		return 0, j, "", err
	}
	req.ContentLength = int64(len(p.file))
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", strconv.Quote(p.key))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, j, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, j, "", err
	}
	if res.StatusCode >= 300 {
		var told struct{ Code string }
		_ = json.Unmarshal(b, &told) // whatever it is, the status counts
		return res.StatusCode, j, told.Code, nil
	}
	return res.StatusCode, j, "", json.Unmarshal(b, &j)
}

// slowPiece is how much a slow upload sends between two pauses.
const slowPiece = 16 << 10

type slowReader struct {
	r     io.Reader
	pause time.Duration
}

func (s *slowReader) Read(b []byte) (int, error) {
	time.Sleep(s.pause) // the time that a network takes
	return s.r.Read(b[:min(len(b), slowPiece)])
}

// watch looks at the job until it has ended, and remembers what should not be.
func (p *promise) watch(ctx context.Context, c *client.Client) error {
	for {
		j, err := c.Get(ctx, p.id)
		var problem *client.Error
		switch {
		case err == nil:
			p.see(j)
			if j.Done() {
				return nil
			}
		case errors.As(err, &problem) && problem.Status == http.StatusNotFound:
			return fmt.Errorf("the job %s, which was accepted, is not there", p.id)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the job %s has not ended: %s, attempt %d: %w", p.id, p.last.State, p.last.Attempt, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// see compares what is told now with what was told before.
func (p *promise) see(j client.Job) {
	was := p.last
	p.last = j
	switch {
	case was.ID == "":
	case j.Version < was.Version:
		p.jumps = append(p.jumps, fmt.Sprintf("version %d after %d", j.Version, was.Version))
	case j.Attempt < was.Attempt:
		p.jumps = append(p.jumps, fmt.Sprintf("attempt %d after %d", j.Attempt, was.Attempt))
	case was.Done() && j.State != was.State:
		p.jumps = append(p.jumps, fmt.Sprintf("%s after %s", j.State, was.State))
	}
}

// load makes the jobs of a round: clips of all kinds, one that takes a second or two,
// and one that crashes its converter.
func (c *chaos) load(n int, random *rand.Rand) []*promise {
	var all []*promise
	add := func(name string, file []byte, want [32]byte, codes ...string) {
		all = append(all, &promise{
			name: name, file: file, codes: codes, want: want, round: n, slowly: random.IntN(3) == 0, key: uuid.NewString(),
		})
	}
	for range 5 {
		f := c.clips[random.IntN(len(c.clips))]
		add(f.path, f.file, f.mp3, f.codes...)
	}
	add("long.mp4", c.long.file, c.long.mp3, "")
	if random.IntN(3) == 0 {
		faults := []planted.Fault{planted.Segfault, planted.Fork, planted.Noise, planted.Hoard}
		f := faults[random.IntN(len(faults))]
		code := job.Crashed
		if f == planted.Hoard {
			code = job.OutOfMemory
		}
		add("planted "+string(f), planted.Source(f, uuid.NewString()), [32]byte{}, string(code))
	}
	return all
}

// round lets things go wrong once, and waits until all is well again.
func (c *chaos) round(n int, random *rand.Rand) {
	t := c.t
	t.Helper()
	names, befallen := []string{}, map[string]bool{}
	for _, i := range random.Perm(len(c.faults))[:1+random.IntN(2)] {
		// One at a time for each part: what is dead cannot hang.
		if f := c.faults[i]; !befallen[f.part] {
			befallen[f.part] = true
			names = append(names, f.name)
		}
	}
	promises := c.load(n, random)
	c.promises = append(c.promises, promises...)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var g sync.WaitGroup
	for _, p := range promises {
		after := time.Duration(random.IntN(600)) * time.Millisecond
		g.Go(func() {
			time.Sleep(after) // users come when they like
			if err := p.upload(ctx, c.base, c.user.Token); err != nil {
				t.Errorf("round %d (%s): %s: %v", n, strings.Join(names, ", "), p.name, err)
				return
			}
			if p.id == "" {
				return
			}
			if err := p.watch(ctx, c.user); err != nil {
				t.Errorf("round %d (%s): %s: %v", n, strings.Join(names, ", "), p.name, err)
			}
		})
	}
	for _, f := range c.faults {
		if !slices.Contains(names, f.name) {
			continue
		}
		after, length := time.Duration(random.IntN(900))*time.Millisecond, f.least+time.Duration(random.Int64N(int64(f.most-f.least)+1))
		g.Go(func() {
			time.Sleep(after) // when nobody expects it
			heal := f.begin()
			time.Sleep(length)
			if heal != nil {
				heal()
			}
		})
	}
	g.Wait()
	c.check(n, names, promises)
	t.Logf("round %d: %s; %d jobs in %v", n, strings.Join(names, ", "), len(promises), time.Since(began).Round(100*time.Millisecond))
}

// check reads the history of a round.
func (c *chaos) check(n int, names []string, promises []*promise) {
	t := c.t
	t.Helper()
	where := fmt.Sprintf("round %d (%s)", n, strings.Join(names, ", "))
	for _, p := range promises {
		if p.id == "" {
			continue
		}
		code := ""
		if p.last.Failure != nil {
			code = p.last.Failure.Code
		}
		if p.last.Attempt > 1 {
			c.again++
		}
		if !slices.Contains(p.codes, code) || (p.last.State == "succeeded") != (code == "") {
			t.Errorf("%s: %s (%s) ended as %s %q, not as one of %q", where, p.name, p.id, p.last.State, code, p.codes)
			continue
		}
		for _, jump := range p.jumps {
			t.Errorf("%s: %s (%s): %s", where, p.name, p.id, jump)
		}
		if code != "" {
			continue
		}
		mp3, err := readAll(c.user.Audio(t.Context(), p.id))
		if err != nil || sha256.Sum256(mp3) != p.want {
			t.Errorf("%s: %s (%s): %d bytes that are not its MP3, %v", where, p.name, p.id, len(mp3), err)
		}
	}
}

// converted is what the package makes of a file.
func converted(t *testing.T, file []byte) [32]byte {
	t.Helper()
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "in"), filepath.Join(dir, "out.mp3")
	must(t, os.WriteFile(src, file, 0o600))
	opts := worker.Options(job.Settings{})
	opts.Parallelism = parallelism
	_, err := transcode.ConvertFile(t.Context(), dst, src, &opts)
	must(t, err)
	mp3, err := os.ReadFile(dst)
	must(t, err)
	return sha256.Sum256(mp3)
}
