package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

// TestRepeatedUpload: a gateway is killed in the midst of an upload with a key. The
// repetition at its successor makes the job, and one after that gets the same answer.
func TestRepeatedUpload(t *testing.T) {
	t.Parallel()
	l, front := newLean(t), freeAddress(t)
	first := l.gateway(front)
	c := &client.Client{Base: "http://" + front}
	must(t, c.Register(t.Context(), "anna@example.org", password))
	must(t, c.Login(t.Context(), "anna@example.org", password))
	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "melody.mp4"))
	must(t, err)

	conn, err := net.Dial("tcp", front)
	must(t, err)
	defer conn.Close()
	send := func(conn net.Conn, body []byte) {
		_, err := fmt.Fprintf(conn, "POST /v1/jobs?filename=melody.mp4 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
			"Idempotency-Key: once\r\nContent-Length: %d\r\n\r\n%s", c.Token, len(video), body)
		must(t, err)
	}
	send(conn, video[:len(video)/2])
	eventually(t, 10*time.Second, "the upload has begun", func() bool {
		left, err := filepath.Glob(filepath.Join(l.dir, "bucket", ".tmp", "*"))
		return err == nil && len(left) > 0
	})
	first.kill()
	first.forget()

	l.gateway(front)
	repeat := func() (*http.Response, string) {
		conn, err := net.Dial("tcp", front)
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		send(conn, video)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		b, err := io.ReadAll(res.Body)
		must(t, err)
		return res, string(b)
	}
	res, made := repeat() // it waits for the lease of the dead to pass
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", res.StatusCode, made)
	}
	if res, again := repeat(); res.StatusCode != http.StatusAccepted || again != made || res.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s\nafter %s", res.StatusCode, again, made)
	}
	jobs, err := c.List(t.Context())
	must(t, err)
	if len(jobs) != 1 || !strings.Contains(made, jobs[0].ID) {
		t.Errorf("%d jobs: %+v", len(jobs), jobs)
	}
}
