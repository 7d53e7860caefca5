package queues

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/apptest"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

var shared *testserver.RedisServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.Redis, &shared)) }

// TestFlagsAreExplained: the help tells of each.
func TestFlagsAreExplained(t *testing.T) {
	parser, err := kong.New(&CLI{}, app.Vars("5m"))
	if err != nil {
		t.Fatal(err)
	}
	var help bytes.Buffer
	app.Main(t.Context(), "mp3lathe-queues", "", &CLI{}, []string{"--help"}, &app.Std{Out: &help, Err: io.Discard})
	if err := apptest.Explained(parser.Model.DefaultCmd.Flags, help.String()); err != nil {
		t.Error(err)
	}
}

// start runs the program until the test ends, and returns its address.
func start(t *testing.T, redis string, args ...string) string {
	t.Helper()
	log := &testserver.Output{}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		code <- app.Main(ctx, "mp3lathe-queues", "", &CLI{}, append([]string{"--listen=127.0.0.1:0", "--redis=" + redis}, args...),
			&app.Std{In: strings.NewReader(""), Out: log, Err: log})
	}()
	t.Cleanup(func() {
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("it ended with %d: %s", c, log)
		}
	})
	address := regexp.MustCompile(`"the page of the queues is served","service":"queues","address":"([^"]*)"`)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if m := address.FindStringSubmatch(log.String()); m != nil {
			return "http://" + m[1]
		}
		if time.Now().After(end) {
			t.Fatalf("it does not say where it is: %s", log)
		}
	}
}

// TestProgram: it shows the queues of a real Redis, and lets only its own page change
// them, if at all.
func TestProgram(t *testing.T) {
	redis, err := shared.NewURL()
	if err != nil {
		t.Fatal(err)
	}
	client, err := queue.Open(redisconn.At(redis))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Convert(t.Context(), "one", 0, 0); err != nil {
		t.Fatal(err)
	}
	ask := func(base, method, path string, headers ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	const pause, resume = "/admin/queues/api/queues/convert:pause", "/admin/queues/api/queues/convert:resume"
	reads, writes := start(t, redis), start(t, redis, "--read-only=false")
	for _, base := range []string{reads, writes} {
		for path, want := range map[string]string{
			"/": "<title>Asynq", "/admin/queues": "<title>Asynq", "/admin/queues/queues/convert": "<title>Asynq", // which has its own addresses
			"/admin/queues/api/queues": `"queue":"convert"`, "/livez": "ok", "/readyz": `"redis":"ok"`,
		} {
			if code, body := ask(base, "GET", path); code != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: %d %.300s", path, code, body)
			}
		}
		if code, body := ask(base, "GET", "/elsewhere"); code != 404 || !strings.Contains(body, "not_found") {
			t.Errorf("%d %s", code, body)
		}
	}
	if code, _ := ask(reads, "POST", pause); code != 405 {
		t.Errorf("changed by the page that only shows: %d", code)
	}
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example"} {
		if code, _ := ask(writes, "POST", pause, header); code != 403 {
			t.Errorf("%s: %d", header, code)
		}
	}
	for _, own := range []struct{ path, header string }{{pause, "Sec-Fetch-Site: same-origin"}, {resume, "Origin: " + writes}} {
		if code, body := ask(writes, "POST", own.path, own.header); code != 204 {
			t.Errorf("%s: %d %s", own.header, code, body)
		}
	}
}
