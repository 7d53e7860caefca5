package workers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/job"
)

// TestIsolation: a worker outlives a file that crashes its converter, counts it, and
// an operator can see the file and pardon it.
func TestIsolation(t *testing.T) {
	p, log := newParts(t)
	evil := planted.Source(planted.Segfault, "")
	sum := sha256.Sum256(evil)
	hash := hex.EncodeToString(sum[:])
	id := uuid.Must(uuid.NewV7()).String()
	put(t, p.Bucket, job.SourceKey(id), evil)
	if _, err := p.Jobs.Insert(t.Context(), job.Job{ID: id, Owner: "ada", SourceSHA256: hash}); err != nil {
		t.Fatal(err)
	}
	good := upload(t, p, "phone.3gp")
	if err := p.Queue.Convert(t.Context(), id, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := p.Queue.Convert(t.Context(), good, 0, 0); err != nil {
		t.Fatal(err)
	}
	settings := Settings{Health: "127.0.0.1:0"}
	settings.Backoff = 1
	stop := start(t, p, settings)
	eventually(t, "both jobs have ended", func() bool {
		a, err1 := p.Jobs.Get(t.Context(), id)
		b, err2 := p.Jobs.Get(t.Context(), good)
		return err1 == nil && err2 == nil && a.State == job.Failed && a.Failure.Code == job.Crashed && b.State == job.Succeeded
	})
	address := regexp.MustCompile(`"health is served" address=(\S+)`).FindStringSubmatch(log.String())
	if address == nil {
		t.Fatal("no address in the log")
	}
	resp, err := http.Get("http://" + address[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`mp3lathe_cage_conversions_total{end="crashed"} 2`, `mp3lathe_cage_conversions_total{end="done"} 1`} {
		if !strings.Contains(string(b), want+"\n") {
			t.Errorf("/metrics lacks %s:\n%s", want, b)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}

	url := "--database=sqlite:" + p.DB.String()[len("sqlite:"):]
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := app.Main(t.Context(), "worker", "", &CLI{}, append([]string{"quarantine", url}, args...), &app.Std{Out: &out, Err: &out})
		return code, out.String()
	}
	if code, out := run(); code != 0 || !regexp.MustCompile(hash+`  2 +crashed .* yes\n`).MatchString(out) {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := run("--pardon", hash); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := run("--pardon", hash); code != 1 || !strings.Contains(out, "no conversion has crashed with") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := run(); code != 0 || !strings.Contains(out, "no conversion has crashed") {
		t.Errorf("%d: %s", code, out)
	}
}

// TestNotIsolated: to convert in the worker's own process is said in the log.
func TestNotIsolated(t *testing.T) {
	p, log := newParts(t)
	id := upload(t, p, "phone.3gp")
	if err := p.Queue.Convert(t.Context(), id, 0, 0); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p, Settings{Isolation: IsolationOff})
	eventually(t, "the job has ended", func() bool {
		j, err := p.Jobs.Get(t.Context(), id)
		return err == nil && j.State == job.Succeeded
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "not isolated") {
		t.Error("the log does not say that conversions are not isolated")
	}
}
