package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// running is a server of a test.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, h http.Handler, l *lines, cfg httpapi.ServerConfig) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &running{url: "http://" + ln.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { s.done <- httpapi.Serve(ctx, ln, h, l.logger(), cfg) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-s.done:
			if err != nil {
				t.Error(err)
			}
			s.done <- nil
		case <-time.After(10 * time.Second):
			t.Error("the server does not end")
		}
	})
	return s
}

func client(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// TestShutdown: a request under way is finished, an endless one hears of the end,
// and new ones are not taken.
func TestShutdown(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}, 2), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-goOn
		if r.Context().Err() != nil {
			t.Error("the context of a request ended with the server's")
		}
		_, _ = io.WriteString(w, "whole")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		begun <- struct{}{}
		select {
		case <-httpapi.Draining(r.Context()):
			_, _ = io.WriteString(w, "bye")
		case <-time.After(8 * time.Second):
			t.Error("nobody said that the server ends")
		}
	})
	l := &lines{}
	s := start(t, httpapi.Observe(mux, l.logger(), 9*time.Second, nil), l, httpapi.ServerConfig{})
	c := client(t)
	got := make(chan string, 2)
	for _, path := range []string{"/slow", "/endless"} {
		go func() {
			res, err := c.Get(s.url + path)
			if err != nil {
				got <- err.Error()
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(b)
		}()
	}
	<-begun
	<-begun
	s.stop()
	if g := <-got; g != "bye" {
		t.Errorf("the endless answer: %q", g)
	}
	eventually(t, "the listener closes", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(goOn)
	if g := <-got; g != "whole" {
		t.Errorf("the slow answer: %q", g)
	}
}

// TestGrace: what does not end is cut off, and has tidied up when the server has
// ended.
func TestGrace(t *testing.T) {
	for _, grace := range []time.Duration{-1, 50 * time.Millisecond} {
		t.Run(grace.String(), func(t *testing.T) { testGrace(t, grace) })
	}
}

func testGrace(t *testing.T, grace time.Duration) {
	t.Parallel()
	begun := make(chan struct{})
	var tidy atomic.Bool
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		time.Sleep(200 * time.Millisecond) // as long as a bucket may take
		tidy.Store(true)
	})
	l := &lines{}
	s := start(t, h, l, httpapi.ServerConfig{Grace: grace})
	failed := make(chan error, 1)
	go func() {
		res, err := client(t).Get(s.url)
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	<-begun
	s.stop()
	if err := <-failed; err == nil {
		t.Error("a request without an end was answered")
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	if !tidy.Load() {
		t.Error("the server has ended before the request that it cut off")
	}
	s.done <- nil
	if !strings.Contains(l.text(), "cut off") {
		t.Error("the log does not tell of it")
	}
}

// TestAbort: an answer that breaks off in the middle is not taken for whole.
func TestAbort(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*http.Request){
		"abort": func(r *http.Request) { httpapi.Abort(r.Context(), errSecret) },
		"panic": func(*http.Request) { panic(errSecret) },
	} {
		l := &lines{}
		s := start(t, httpapi.Observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			fail(r)
		}), l.logger(), time.Second, nil), l, httpapi.ServerConfig{})
		res, err := client(t).Get(s.url)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil || strings.Contains(string(b), "10.1.2.3") {
			t.Errorf("%s: %q without an error", name, b)
		}
		eventually(t, "the log line", func() bool { return len(l.requests(t)) == 1 })
		line := l.requests(t)[0]
		if e, _ := line["error"].(string); line["cut"] != true || line["level"] != "ERROR" || !strings.Contains(e, errSecret.Error()) {
			t.Errorf("%s: logged %v", name, line)
		}
	}
}

// TestSlowBody: a client that announces a body and sends none does not hold the
// connection, also if the handler does not want the body.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	l := &lines{}
	h := httpapi.Observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "done")
	}), l.logger(), 100*time.Millisecond, nil)
	s := start(t, h, l, httpapi.ServerConfig{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(bufio.NewReader(conn)); err != nil && errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	} else if ne := (net.Error)(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("the connection is still open")
	}
}

// TestLongWork: once a body has come, the time that it had to come in no longer
// matters, neither to this request nor to the next on the connection.
func TestLongWork(t *testing.T) {
	t.Parallel()
	l := &lines{}
	mux, a := httpapi.NewAPI("work", "1", "")
	huma.Register(a, huma.Operation{Method: "POST", Path: "/work", BodyReadTimeout: 100 * time.Millisecond}, func(ctx context.Context, in *struct {
		Body struct {
			Name string `json:"name"`
		}
	}) (*thingOutput, error) {
		select {
		case <-ctx.Done():
			return nil, httpapi.NewProblem(http.StatusConflict, "canceled", "The request was canceled.")
		case <-time.After(300 * time.Millisecond):
		}
		out := &thingOutput{}
		out.Body.Name = in.Body.Name
		return out, nil
	})
	s := start(t, httpapi.Observe(mux, l.logger(), 5*time.Second, nil), l, httpapi.ServerConfig{})
	c := client(t)
	for range 2 {
		res, err := c.Post(s.url+"/work", "application/json", strings.NewReader(`{"name":"bolt"}`))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 {
			t.Errorf("%d %s, %v", res.StatusCode, b, err)
		}
	}
}

// TestHead: limits on the head of a request.
func TestHead(t *testing.T) {
	t.Parallel()
	l := &lines{}
	s := start(t, http.NotFoundHandler(), l, httpapi.ServerConfig{ReadHeaderTimeout: 100 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = io.ReadAll(conn)
	if ne := (net.Error)(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("a head without an end is waited for")
	}
	req, _ := http.NewRequest("GET", s.url, nil)
	req.Header.Set("X-Long", strings.Repeat("x", 64<<10))
	res, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long head: %d", res.StatusCode)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var asked atomic.Int32
	l := &lines{}
	mux := http.NewServeMux()
	httpapi.Health(mux, l.logger(), map[string]httpapi.Check{
		"sql": func(context.Context) error {
			asked.Add(1)
			if down.Load() {
				return errSecret
			}
			return nil
		},
		"bucket": func(context.Context) error { return nil },
	})
	begun, goOn := make(chan struct{}), make(chan struct{})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { close(begun); <-goOn })
	s := start(t, httpapi.Observe(mux, l.logger(), 9*time.Second, nil), l, httpapi.ServerConfig{})
	c := client(t)
	ask := func(path string) (int, string) {
		res, err := c.Get(s.url + path)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	if code, body := ask("/livez"); code != 200 || body != "ok\n" {
		t.Errorf("livez %d %s", code, body)
	}
	if code, body := ask("/readyz"); code != 200 || !strings.Contains(body, `"sql":"ok"`) || !strings.Contains(body, `"status":"ready"`) {
		t.Errorf("readyz %d %s", code, body)
	}
	n := asked.Load()
	if ask("/readyz"); asked.Load() != n {
		t.Error("the parts are asked for each question")
	}
	down.Store(true)
	eventually(t, "readyz says that SQL is down", func() bool {
		code, body := ask("/readyz")
		return code == 503 && strings.Contains(body, `"sql":"unavailable"`) && strings.Contains(body, `"bucket":"ok"`) && !strings.Contains(body, "10.1.2.3")
	})
	if strings.Count(l.text(), "cannot be reached") != 1 || !strings.Contains(l.text(), errSecret.Error()) {
		t.Errorf("log %s", l.text())
	}
	down.Store(false)
	eventually(t, "readyz says that SQL is back", func() bool { code, _ := ask("/readyz"); return code == 200 })

	// A server that drains is not ready. A connection that is open keeps being
	// answered on only if it is in use, so the question is on its way already.
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /readyz HTTP/1.1\r\n")
	go func() { _, _ = ask("/slow") }()
	<-begun
	s.stop()
	_, _ = io.WriteString(conn, "Host: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != 503 || !strings.Contains(string(b), "draining") {
			t.Errorf("readyz %d %s", res.StatusCode, b)
		}
	}
	close(goOn)
}

// TestSpare: a part that a service can do without is told of, and does not make it
// unready.
func TestSpare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		needed error
		status int
	}{"all but it": {nil, 200}, "nor another": {errSecret, 503}} {
		l := &lines{}
		mux := http.NewServeMux()
		httpapi.Health(mux, l.logger(), map[string]httpapi.Check{
			"sql":   func(context.Context) error { return c.needed },
			"redis": httpapi.Spare(func(context.Context) error { return errSecret }),
			"spare": httpapi.Spare(func(context.Context) error { return nil }),
		})
		w := serve(mux, "GET", "/readyz", "")
		if w.Code != c.status || !strings.Contains(w.Body.String(), `"redis":"unavailable"`) || !strings.Contains(w.Body.String(), `"spare":"ok"`) ||
			strings.Contains(w.Body.String(), `"status":"ready"`) != (c.status == 200) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if !strings.Contains(l.text(), errSecret.Error()) || strings.Contains(l.text(), "ERROR") != (c.needed != nil) {
			t.Errorf("%s: log %s", name, l.text())
		}
	}
}
