package app

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/sqldb"
)

// listener serves a handler on a port of its own and returns the port.
func listener(t *testing.T, network, address string, h http.Handler) string {
	t.Helper()
	var cfg net.ListenConfig
	l, err := cfg.Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestAsk: the command health of each program asks what runs on its address, however
// that is written, and ends with 0 or 1.
func TestAsk(t *testing.T) {
	// None of them may go through a proxy.
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	var status atomic.Int32
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write([]byte(`{"status":"x","checks":{}}` + "\n"))
	})
	port := listener(t, "tcp", ":0", mux)
	release := make(chan struct{})
	silent := listener(t, "tcp", "127.0.0.1:0", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct {
		grammar any
		flags   string
		status  int32
		code    int
		want    string // on standard output if code is 0, else on standard error
	}{
		{&GatewayCLI{}, "--listen=:" + port, 200, exitDone, "{\"status\":\"x\",\"checks\":{}}\n"},
		{&GatewayCLI{}, "--listen=0.0.0.0:" + port, 200, exitDone, "{"},
		{&GatewayCLI{}, "--listen=[::]:" + port, 200, exitDone, "{"},
		{&GatewayCLI{}, "--listen=localhost:" + port, 200, exitDone, "{"},
		{&GatewayCLI{}, "--listen=:" + port, 503, exitFailed, "program: /readyz answers 503 Service Unavailable: {\"status\":\"x\""},
		{&GatewayCLI{}, "--live --listen=:" + port, 503, exitDone, "ok\n"},
		{&AuthCLI{}, "--listen=:" + port, 200, exitDone, "{"},
		{&AuthCLI{}, "--listen=:" + port, 404, exitFailed, "program: /readyz answers 404"},
		{&NotifierCLI{}, "--health=:" + port, 200, exitDone, "{"},
		{&NotifierCLI{}, "", 200, exitUsage, "program: --health (MP3LATHE_HEALTH) is not set\n"},
		{&NotifierCLI{}, "--health=127.0.0.1:0", 200, exitUsage, "program: --health (MP3LATHE_HEALTH) is \"127.0.0.1:0\": want the port"},
		{&NotifierCLI{}, "--health=8080", 200, exitUsage, "program: --health (MP3LATHE_HEALTH) is \"8080\": want an address"},
		{&NotifierCLI{}, "--timeout=0s --health=:" + port, 200, exitUsage, "program: --timeout is 0s: want more than 0s\n"},
		{&GatewayCLI{}, "--listen=" + closed.Addr().String(), 200, exitFailed, "program: nobody answers on " + closed.Addr().String() + ": connection refused\n"},
		{&GatewayCLI{}, "--timeout=50ms --listen=127.0.0.1:" + silent, 200, exitFailed, "program: nobody answers on 127.0.0.1:" + silent + ": no answer in time\n"},
	} {
		status.Store(c.status)
		got := program(t, c.grammar, "", append([]string{"health"}, strings.Fields(c.flags)...)...)
		text, other := got.stdout, got.stderr
		if c.code != exitDone {
			text, other = other, text
		}
		if got.code != c.code || !strings.HasPrefix(text, c.want) || other != "" || strings.Count(text, "\n") != 1 {
			t.Errorf("%T health %s: exit code %d\n%s%s", c.grammar, c.flags, got.code, got.stdout, got.stderr)
		}
	}
}

// TestAskByVariable: in a container the command finds the address where the program
// has it from, and the answer of a real service is understood.
func TestAskByVariable(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	t.Setenv("MP3LATHE_LISTEN", l.Addr().String())
	t.Setenv("MP3LATHE_DATABASE", "sqlite:"+filepath.Join(dir, "accounts.db"))
	t.Setenv("MP3LATHE_AUTH_KEY", "0123456789abcdef0123456789abcdef")
	if got := program(t, &AuthCLI{}, "", "health"); got.code != exitFailed {
		t.Errorf("before its start: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	var log strings.Builder
	go func() {
		ended <- Main(ctx, "program", "", &AuthCLI{}, nil, &Std{In: strings.NewReader(""), Out: &log, Err: &log})
	}()
	var got = program(t, &AuthCLI{}, "", "health")
	for end := time.Now().Add(30 * time.Second); got.code != exitDone && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		got = program(t, &AuthCLI{}, "", "health")
	}
	cancel()
	if code := <-ended; code != exitDone {
		t.Errorf("auth ended with %d: %s", code, log.String())
	}
	if want := "{\"status\":\"ready\",\"checks\":{\"database\":\"ok\"}}\n"; got.stdout != want {
		t.Errorf("%s%s, want %s", got.stdout, got.stderr, want)
	}
}

// TestMigrate needs the database and nothing else, and makes the tables that the
// services of a user without the right to do so can work with.
func TestMigrate(t *testing.T) {
	database := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	for _, c := range []struct {
		grammar any
		tables  []string
	}{
		{&GatewayCLI{}, []string{"jobs", "job_departures"}},
		{&AuthCLI{}, []string{"users"}},
	} {
		for range 2 {
			got := program(t, c.grammar, "", "migrate", "--database", database)
			if want := "the tables in " + database + " are up to date\n"; got.code != exitDone || got.stdout != want || got.stderr != "" {
				t.Fatalf("%T: exit code %d\n%s%s", c.grammar, got.code, got.stdout, got.stderr)
			}
		}
		p := &Parts{}
		none := func(context.Context, *sqldb.DB) error { return nil }
		if err := p.openDB(t.Context(), database, none); err != nil {
			t.Fatal(err)
		}
		for _, table := range c.tables {
			if _, err := p.DB.ExecContext(t.Context(), "SELECT * FROM "+table); err != nil {
				t.Errorf("%T: %v", c.grammar, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	got := program(t, &GatewayCLI{}, "", "migrate")
	if got.code != exitUsage || !strings.HasPrefix(got.stderr, "program: --database (MP3LATHE_DATABASE) is not set") {
		t.Errorf("exit code %d\n%s", got.code, got.stderr)
	}
}
