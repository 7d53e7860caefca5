package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestServeMetrics: one address tells of all services in the process, and it is not the
// one of their users.
func TestServeMetrics(t *testing.T) {
	s := serve(t, t.TempDir(), "--health", "127.0.0.1:0", "--sweep-interval", "100ms")
	c := s.user(t)
	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "phone.3gp"))
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.Upload(t.Context(), "phone.3gp", bytes.NewReader(video), nil)
	if err != nil {
		t.Fatal(err)
	}
	if j, err = c.Follow(t.Context(), j.ID, nil); err != nil || j.State != "succeeded" {
		t.Fatalf("%+v, %v", j, err)
	}
	get := func(url string) (int, string) {
		t.Helper()
		res, err := http.Get(url)
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
	if status, _ := get(s.url + "/metrics"); status != http.StatusNotFound {
		t.Errorf("users are answered with %d", status)
	}
	address := regexp.MustCompile(`"health is served".*"address":"([^"]+)"`).FindStringSubmatch(s.stderr.String())
	if address == nil {
		t.Fatal("no address in the log")
	}
	wants := []string{
		`mp3lathe_build_info{goversion="go`,
		`mp3lathe_http_requests_total{code="202",route="POST /v1/jobs",service="gateway"} 1`,
		`mp3lathe_http_requests_total{code="200",route="POST /v1/auth/login",service="auth"} 1`,
		`mp3lathe_jobs_created_total{lane="short"} 1`,
		`mp3lathe_jobs_ended_total{code="",state="succeeded"} 1`,
		`mp3lathe_jobs{state="succeeded"} 1`,
		`mp3lathe_queue_jobs{lane="default"} 0`,
		`mp3lathe_cage_conversions_total{end="done"} 1`,
		`mp3lathe_job_duration_seconds_count{lane="short"} 1`,
		`mp3lathe_conversion_realtime_ratio_count 1`,
		`mp3lathe_mails_total{outcome="sent",service="notifier"} 1`,
		`asynq_tasks_processed_total{queue="convert-short"} 1`,
		`go_sql_open_connections{db_name="relaxed"}`,
		`process_cpu_seconds_total `,
		`mp3lathe_disk_free_bytes{place="bucket"} `,
	}
	for _, stage := range []string{"upload", "wait", "read", "decode", "encode", "store", "notify"} {
		wants = append(wants, `mp3lathe_job_stage_duration_seconds_count{stage="`+stage+`"} 1`)
	}
	var missing []string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		missing = missing[:0]
		_, text := get("http://" + address[1] + "/metrics")
		for _, want := range wants {
			if !strings.Contains(text, "\n"+want) {
				missing = append(missing, want)
			}
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Errorf("/metrics lacks\n%s", strings.Join(missing, "\n"))
}
