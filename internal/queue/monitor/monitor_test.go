package monitor

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

var shared *testserver.RedisServer

func TestMain(m *testing.M) { os.Exit(testserver.Main(m, testserver.Redis, &shared)) }

const root = "/admin/queues"

func open(t *testing.T, at redisconn.Address, root string, changes bool) func(method, path string) *httptest.ResponseRecorder {
	t.Helper()
	page, closePage, err := New(at, root, changes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closePage(); err != nil {
			t.Error(err)
		}
	})
	return func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(method, root+path, nil))
		return w
	}
}

// TestQueues shows what is in a Redis, a real one and that inside the process, and
// changes it only if it may.
func TestQueues(t *testing.T) {
	t.Parallel()
	url, err := shared.NewURL()
	if err != nil {
		t.Fatal(err)
	}
	inside := embedded.Redis()
	t.Cleanup(inside.Close)
	for name, at := range map[string]redisconn.Address{"redis": redisconn.At(url), "embedded": inside.Address()} {
		t.Run(name, func(t *testing.T) {
			client, err := queue.Open(at)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for _, id := range []string{"one", "two"} {
				if err := client.ConvertIn(t.Context(), job.LaneShort, id, 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			look, change := open(t, at, root, false), open(t, at, root, true)
			state := func() (s struct{ Queues []queueState }) {
				t.Helper()
				w := look("GET", "/api/queues")
				if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || len(s.Queues) != 1 {
					t.Fatalf("%d %s: %v", w.Code, w.Body, err)
				}
				return s
			}
			if q := state().Queues[0]; q != (queueState{"convert-short", 2, 2, false}) {
				t.Errorf("%+v", q)
			}
			tasks := look("GET", "/api/queues/convert-short/pending_tasks")
			if body := tasks.Body.String(); tasks.Code != 200 || !strings.Contains(body, `"id":"one:0"`) || !strings.Contains(body, `"id":"two:0"`) {
				t.Errorf("%d %s", tasks.Code, body)
			}
			if kind := tasks.Header().Get("Content-Type"); kind != "application/json" {
				t.Errorf("data is of the type %q", kind)
			}
			for _, path := range []string{"/api/queues/convert-short:pause", "/api/queues/convert-short/pending_tasks:archive_all", "/settings"} {
				if w := look("POST", path); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
					t.Errorf("%s: %d %v", path, w.Code, w.Header())
				}
			}
			if w := look("DELETE", "/api/queues/convert-short/pending_tasks/one:0"); w.Code != 405 {
				t.Errorf("a task was removed: %d", w.Code)
			}
			if q := state().Queues[0]; q != (queueState{"convert-short", 2, 2, false}) {
				t.Errorf("changed by a page that may not: %+v", q)
			}
			for method, path := range map[string]string{"POST": "/api/queues/convert-short:pause", "DELETE": "/api/queues/convert-short/pending_tasks/one:0"} {
				if w := change(method, path); w.Code >= 300 {
					t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
				}
			}
			if q := state().Queues[0]; q != (queueState{"convert-short", 1, 1, true}) {
				t.Errorf("after changes: %+v", q)
			}
		})
	}
}

type queueState struct {
	Queue         string
	Size, Pending int
	Paused        bool
}

var source = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

// TestIndex: the page asks nobody but us for anything, all that it asks for is there and
// of its type, and its policy lets its own scripts run.
func TestIndex(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"", root} {
		get := open(t, redisconn.At("redis://127.0.0.1:1/0"), root, false) // nothing of this needs a Redis
		index := get("GET", "/")
		html, policy := index.Body.String(), index.Header().Get("Content-Security-Policy")
		if !strings.Contains(html, `window.FLAG_READ_ONLY="true"`) || index.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%v %s", index.Header(), html)
		}
		if strings.Contains(policy, "script-src 'self' 'unsafe") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("policy %q", policy)
		}
		for _, s := range regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(html, -1) {
			sum := sha256.Sum256([]byte(s[1]))
			if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(policy, "'sha256-"+hash+"'") {
				t.Errorf("a script of the page may not run: %.80s", s[1])
			}
		}
		found := 0
		for _, m := range source.FindAllStringSubmatch(html, -1) {
			path, ok := strings.CutPrefix(m[1], root+"/")
			if !ok {
				t.Errorf("the page asks for %s", m[1])
				continue
			}
			w := get("GET", "/"+path)
			if w.Code != 200 || strings.HasPrefix(w.Body.String(), "<!doctype") {
				t.Errorf("%s: %d %.60s", path, w.Code, w.Body)
			}
			if kind := w.Header().Get("Content-Type"); strings.HasSuffix(path, ".js") && kind != "application/javascript; charset=utf-8" {
				t.Errorf("%s is of the type %q", path, kind)
			}
			found++
		}
		if strings.Contains(html, "manifest") {
			t.Error("the page has a manifest, for which browsers ask without cookies")
		}
		if found < 5 {
			t.Errorf("the page asks for %d files", found)
		}
		if w := get("GET", "/static/media/logo-color.c2b0c1f3.svg"); w.Header().Get("Content-Type") != "image/svg+xml" {
			t.Errorf("its logo is of the type %q", w.Header().Get("Content-Type"))
		}
		// Its other addresses, as when one is loaded again.
		for _, path := range []string{"/queues/convert-short", "/servers", "/redis"} {
			if w := get("GET", path); w.Code != 200 || w.Body.String() != html {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	}
}

func TestBadPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"redis://localhost", "admin"}, {"redis://localhost", "/admin/"}, {"redis://localhost", "/"}, {"http://localhost", "/admin"}} {
		if _, _, err := New(redisconn.At(c[0]), c[1], false); err == nil {
			t.Errorf("a page of %s at %s", c[0], c[1])
		}
	}
}
