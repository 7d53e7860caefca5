package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// TestTrace: one trace goes from an upload with an API key through all four services to
// the mail, the logs and a refusal name it, and it tells nothing that is not for the eyes
// of those who run the service.
func TestTrace(t *testing.T) {
	t.Parallel()
	collector, err := testserver.OTLP()
	must(t, err)
	t.Cleanup(func() { must(t, collector.Close()) })
	s := fleet(t, "MP3LATHE_OTLP="+collector.URL, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test", "OTEL_EXPORTER_OTLP_HEADERS=x-collector-key=open-sesame")
	const email, fileName = "very.private@example.org", "a-private-name.mp4"
	c := s.user(t, email)
	_, byKey := s.key(t, c, password, "jobs:read", "jobs:write")
	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "melody.mp4"))
	must(t, err)
	j, err := byKey.Upload(t.Context(), fileName, bytes.NewReader(video), map[string][]string{"title": {"private-title"}})
	must(t, err)
	j, err = c.Follow(within(t, time.Minute), j.ID, nil)
	must(t, err)
	if j.State != "succeeded" {
		t.Fatalf("%+v", j)
	}
	eventually(t, time.Minute, "a mail", func() bool { return len(s.jobMails()) > 0 })
	refused, told := refusal(t, s.url)
	s.quiet(t) // which has them send what they have

	must(t, collector.Err())
	spans := collector.Spans()
	byID, all := map[string]testserver.OTLPSpan{}, map[string]bool{}
	var upload testserver.OTLPSpan
	for _, x := range spans {
		byID[x.ID] = x
		if x.Name == "POST /v1/jobs" {
			upload = x
		}
	}
	for _, x := range spans {
		if x.Trace != upload.Trace {
			continue
		}
		all[x.Service+": "+x.Name] = true
		if x.Fault != "" {
			t.Errorf("%+v has failed", x)
		}
		// Each leads to the upload.
		for at, n := x, 0; at.ID != upload.ID; n++ {
			parent, ok := byID[at.Parent]
			if !ok || n > 10 {
				t.Errorf("%s: %s hangs in the air", x.Service, x.Name)
				break
			}
			at = parent
		}
	}
	for _, want := range []string{
		"mp3lathe-gateway: POST /v1/jobs", "mp3lathe-gateway: exchange API key", "mp3lathe-auth: POST /v1/auth/token",
		"mp3lathe-gateway: receive upload", "mp3lathe-gateway: store upload", "mp3lathe-gateway: insert job", "mp3lathe-gateway: queue job",
		"mp3lathe-worker: convert job", "mp3lathe-worker: claim job", "mp3lathe-worker: convert", "mp3lathe-worker: store MP3", "mp3lathe-worker: end attempt", "mp3lathe-worker: queue notice",
		"mp3lathe-notifier: tell end of job", "mp3lathe-notifier: send mail",
	} {
		if !all[want] {
			t.Errorf("no span %q in %v", want, slices.Sorted(maps.Keys(all)))
		}
	}
	outcomes(t, s, j.ID, upload.Trace)
	for _, p := range s.services {
		for _, private := range []string{fileName, "private-title"} {
			if strings.Contains(p.out.String(), private) {
				t.Errorf("the log of %s tells %q", p.name, private)
			}
		}
	}
	// The logs of the four that had to do with it know the trace.
	for _, p := range s.services {
		if p.name != "queues" && !strings.Contains(p.out.String(), `"trace_id":"`+upload.Trace+`"`) {
			t.Errorf("the log of %s does not name the trace", p.name)
		}
	}
	if told == "" || !slices.ContainsFunc(spans, func(x testserver.OTLPSpan) bool { return x.Trace == told && x.Attrs["error.type"] == "unauthorized" }) {
		t.Errorf("the refusal names the trace %q: %s", told, refused)
	}
	for _, raw := range collector.Raw() {
		for _, secret := range append([]string{email, "very.private", fileName, "a-private-name", "private-title", "eyJhbGci", "signature"}, s.secrets...) {
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("the spans tell %q", secret)
			}
		}
		if !bytes.Contains(raw, []byte("deployment.environment.name")) {
			t.Error("what the environment says of the process is not told")
		}
	}
	if collector.Headers().Get("X-Collector-Key") != "open-sesame" {
		t.Errorf("the collector's headers are not sent: %v", collector.Headers())
	}
}

// outcomes checks that the logs are records, and have one line for the upload, one for the
// end of its job and one for the mail.
func outcomes(t *testing.T, s *system, id, trace string) {
	t.Helper()
	found := map[string]int{}
	for _, p := range s.services {
		for line := range strings.Lines(p.out.String()) {
			var r struct {
				Time, Level, Msg, Service, Route, Job string
				Trace                                 string `json:"trace_id"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.Time == "" || r.Level == "" || r.Msg == "" || r.Service != p.name {
				t.Errorf("a line of %s is no record of its: %s", p.name, line)
			}
			if r.Trace == trace && (r.Job == id || r.Route == "POST /v1/jobs") {
				found[p.name+": "+r.Msg]++
			}
		}
	}
	for _, want := range []string{"gateway: request", "worker: succeeded", "notifier: notice sent"} {
		if found[want] != 1 {
			t.Errorf("%d lines %q of the job, want one: %v", found[want], want, found)
		}
	}
}

// refusal is what a stranger is told, and the trace that it names.
func refusal(t *testing.T, base string) (body, trace string) {
	t.Helper()
	res, err := http.Get(base + "/v1/jobs")
	must(t, err)
	defer res.Body.Close()
	var p struct{ Code, Trace string }
	must(t, json.NewDecoder(res.Body).Decode(&p))
	return p.Code, p.Trace
}

// TestTraceCollectorHangs: with a collector that takes everything and answers nothing,
// jobs end as ever, and so do the services.
func TestTraceCollectorHangs(t *testing.T) {
	collector, err := testserver.OTLP()
	must(t, err)
	t.Cleanup(func() { _ = collector.Close() })
	collector.Hang(true)
	s := embedded(t, t.TempDir(), "--otlp", collector.URL)
	c := s.user(t, "anna@example.org")
	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "melody.mp4"))
	must(t, err)
	for range 5 {
		j, err := c.Upload(t.Context(), "melody.mp4", bytes.NewReader(video), map[string][]string{"fresh": {"true"}})
		must(t, err)
		j, err = c.Follow(within(t, time.Minute), j.ID, nil)
		must(t, err)
		if j.State != "succeeded" || j.Attempt != 1 {
			t.Errorf("%+v", j)
		}
	}
	began := time.Now()
	s.services[0].stop(t)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v to end", took)
	}
}
