package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// sound is an MP3 as far as anybody looks.
var sound = bytes.Repeat([]byte("0123456789abcdef"), 20_000)

// TestRanges holds the answers against those of package http for the same bytes.
func TestRanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	j := r.succeed(t, id, sound)
	tag := `"` + j.Result.Key + `"`
	reference := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, req, "", j.Ended, bytes.NewReader(sound))
	})
	before, after := j.Ended.Add(-time.Hour).UTC().Format(http.TimeFormat), j.Ended.Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, headers := range [][]string{
		{},
		{"Range", "bytes=0-0"},
		{"Range", "bytes=0-"},
		{"Range", "bytes=5-9"},
		{"Range", "bytes=-7"},
		{"Range", "bytes=319999-"},
		{"Range", "bytes=319990-999999"},
		{"Range", "bytes=320000-"},
		{"Range", "bytes=-0"},
		{"Range", "bytes=9-5"},
		{"Range", "bytes=a-b"},
		{"Range", "lines=1-2"},
		{"Range", "bytes=0-1,5-6,100000-200000"},
		{"Range", "bytes=0-319999,0-319999"},
		{"Range", "bytes=5-9", "If-Range", tag},
		{"Range", "bytes=5-9", "If-Range", `"other"`},
		{"Range", "bytes=5-9", "If-Range", before},
		{"If-None-Match", tag},
		{"If-None-Match", `"other"`},
		{"If-Match", `"other"`},
		{"If-Match", tag, "Range", "bytes=5-9"},
		{"If-Modified-Since", after},
		{"If-Modified-Since", before},
		{"If-Unmodified-Since", before},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			name := fmt.Sprint(method, headers)
			req := r.request(t, method, "/v1/jobs/"+id+"/audio", "alice", nil)
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			a := r.send(t, req)
			w := httptest.NewRecorder()
			reference.ServeHTTP(w, req.Clone(t.Context()))
			if a.StatusCode != w.Code {
				t.Errorf("%s: %d, want %d", name, a.StatusCode, w.Code)
				continue
			}
			if a.err != nil {
				t.Errorf("%s: %v", name, a.err)
			}
			same := []string{"Content-Range", "Accept-Ranges", "ETag", "Last-Modified", "Content-Length"}
			switch {
			case w.Code >= 400:
				same = same[:1]
				if method == "GET" {
					code := "bad_range"
					if w.Code == 412 {
						code = "precondition_failed"
					}
					wantProblem(t, a, w.Code, code)
				}
			case strings.HasPrefix(w.Header().Get("Content-Type"), "multipart/"):
				if method == "GET" {
					sameParts(t, name, a, w)
				}
			case !bytes.Equal(a.body, w.Body.Bytes()) && method == "GET":
				t.Errorf("%s: %d bytes, want %d", name, len(a.body), w.Body.Len())
			}
			for _, h := range same {
				if got, want := a.Header.Get(h), w.Header().Get(h); got != want {
					t.Errorf("%s: %s is %q, want %q", name, h, got, want)
				}
			}
		}
	}
	// A great many ranges are a great many requests to the bucket.
	req := r.request(t, "GET", "/v1/jobs/"+id+"/audio", "alice", nil)
	req.Header.Set("Range", "bytes=0-0"+strings.Repeat(",5-5", 500))
	if a := r.send(t, req); a.StatusCode != 200 || !bytes.Equal(a.body, sound) {
		t.Errorf("many ranges: %d", a.StatusCode)
	}
}

func sameParts(t *testing.T, name string, a answer, w *httptest.ResponseRecorder) {
	t.Helper()
	parts := func(contentType string, body io.Reader) (all []string) {
		_, params, err := mime.ParseMediaType(contentType)
		if err != nil {
			t.Fatal(err)
		}
		for mr := multipart.NewReader(body, params["boundary"]); ; {
			p, err := mr.NextPart()
			if err == io.EOF {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(p)
			all = append(all, fmt.Sprint(p.Header, string(b)))
		}
	}
	got := parts(a.Header.Get("Content-Type"), bytes.NewReader(a.body))
	want := parts(w.Header().Get("Content-Type"), w.Body)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: the parts differ", name)
	}
}

// TestNames: file names that would break out of the header do not, and others
// arrive as they are.
func TestNames(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, want := range map[string]string{
		"clip.mp4":                            "clip.mp3",
		"my clip (1).final.mov":               "my clip (1).final.mp3",
		"träumend 夢.mp4":                      "träumend 夢.mp3",
		"a\r\nSet-Cookie: x=1\r\n\r\n<b>.mp4": "aSet-Cookie: x=1<b>.mp3",
		`a"; filename="evil.exe`:              `a"; filename="evil.mp3`,
		`back\slash.mp4`:                      "slash.mp3",
		"../../etc/passwd":                    "passwd.mp3",
		"100%.mp4":                            "100%.mp3",
		"semi;colon,comma'quote.mp4":          "semi;colon,comma'quote.mp3",
		"\u202egpj.4pm":                       "gpj.mp3",
		"":                                    "audio.mp3",
		strings.Repeat("ä", 200) + ".mp4":     strings.Repeat("ä", 125) + ".mp3",
	} {
		a := r.post(t, "/v1/jobs?filename="+url.QueryEscape(name), "video/mp4", bytes.NewReader(clip))
		var j jobView
		decode(t, a, &j)
		r.succeed(t, j.ID, []byte("mp3"))
		for _, inline := range []string{"", "?inline=1"} {
			a := r.do(t, "GET", "/v1/jobs/"+j.ID+"/audio"+inline, "alice")
			d := a.Header.Get("Content-Disposition")
			kind, params, err := mime.ParseMediaType(strings.Replace(d, `filename="`, `rough="`, 1))
			wantKind := "attachment"
			if inline != "" {
				wantKind = "inline"
			}
			if err != nil || kind != wantKind {
				t.Errorf("%q: %q, %v", name, d, err)
				continue
			}
			if got := params["filename"]; got != want && !(len(want) > 250 && strings.HasPrefix(got, "äää")) {
				t.Errorf("%q: got %q, want %q (%s)", name, got, want, d)
			}
			for _, c := range params["rough"] {
				if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '%' {
					t.Errorf("%q: the rough name is %q", name, params["rough"])
				}
			}
			if a.Header.Get("Set-Cookie") != "" || a.Header.Get("Content-Type") != "audio/mpeg" {
				t.Errorf("%q: %v", name, a.Header)
			}
		}
	}
}

func TestAudioStates(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	audio := func(id string) answer { t.Helper(); return r.do(t, "GET", "/v1/jobs/"+id+"/audio", "alice") }
	wantProblem(t, audio(id), 409, "not_ready")
	r.claim(t, id)
	wantProblem(t, audio(id), 409, "not_ready")
	must(t)(r.jobs.Fail(t.Context(), id, 1, job.Failure{Code: job.Encrypted}, retention))
	if a := audio(id); !strings.Contains(string(a.body), "copy-protected") {
		t.Errorf("%s", a.body)
	}
	wantProblem(t, audio(id), 409, "job_failed")
	r.expire(t, id)
	wantProblem(t, audio(id), 410, "expired")
	id = r.newJob(t, "alice").ID
	r.do(t, "DELETE", "/v1/jobs/"+id, "alice")
	wantProblem(t, audio(id), 409, "job_canceled")
	id = r.newJob(t, "alice").ID
	j := r.succeed(t, id, sound)
	if err := r.bucket.Delete(t.Context(), j.Result.Key); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, audio(id), 410, "audio_gone")
	// Another object than the row tells of is not given out for it.
	w, err := r.bucket.Create(t.Context(), j.Result.Key)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(sound[1:])
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, audio(id), 500, "internal")
}

func TestLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	r.succeed(t, id, sound)
	get := func(link, user string) answer {
		t.Helper()
		_, path, _ := strings.Cut(link, "gateway.example")
		return r.do(t, "GET", path, user)
	}
	good, old := r.links.Audio(id, time.Now().Add(time.Minute)), r.links.Audio(id, time.Now().Add(-time.Minute))
	for _, l := range []string{good, good + "&inline=1", good + "&utm_source=mail"} {
		if a := get(l, ""); a.StatusCode != 200 || !bytes.Equal(a.body, sound) {
			t.Errorf("%s: %d %s", l, a.StatusCode, a.body)
		}
	}
	wantProblem(t, get(old, ""), 410, "link_expired")
	wantProblem(t, get(good[:len(good)-1], ""), 403, "bad_link")
	wantProblem(t, get(strings.Replace(good, "expires=", "expires=1", 1), ""), 403, "bad_link")
	wantProblem(t, get(strings.Replace(good, "signature=", "x=", 1), ""), 403, "bad_link")
	wantProblem(t, get(strings.Replace(good, "/audio", "", 1), ""), 401, "unauthorized")
	wantProblem(t, get(strings.Replace(good, "/audio", "/events", 1), ""), 401, "unauthorized")
	// A token comes first.
	wantProblem(t, get(good, "bob"), 404, "not_found")
	if a := get(old, "alice"); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
	if strings.Contains(r.log.String(), "signature=") {
		t.Error("a signature was logged")
	}
	r.expire(t, id)
	wantProblem(t, get(good, ""), 410, "expired")
	r.do(t, "DELETE", "/v1/jobs/"+id, "alice")
	wantProblem(t, get(good, ""), 404, "not_found")
}

// TestAudioFaults: a bucket that fails is told of, or the answer is seen to be
// broken; it never looks whole.
func TestAudioFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := r.newJob(t, "alice").ID
	r.succeed(t, id, sound)
	audio := func(ranges string) answer {
		t.Helper()
		req := r.request(t, "GET", "/v1/jobs/"+id+"/audio", "alice", nil)
		if ranges != "" {
			req.Header.Set("Range", ranges)
		}
		return r.send(t, req)
	}
	r.faults.set("Open", down)
	wantProblem(t, audio(""), 503, "unavailable")
	r.faults.set("Open", nil)
	for _, ranges := range []string{"", "bytes=10-", "bytes=0-99999,100000-200000"} {
		var reads, after atomic.Int32
		r.faults.set("Read", func() error {
			if reads.Add(1) > after.Load() {
				return errDown
			}
			return nil
		})
		if !strings.Contains(ranges, ",") { // there the head of the first part is out already
			a := audio(ranges)
			wantProblem(t, a, 503, "unavailable")
			if a.Header.Get("ETag") != "" || a.Header.Get("Content-Range") != "" || a.Header.Get("Content-Disposition") != "" {
				t.Errorf("headers of what was not sent: %v", a.Header)
			}
		}
		reads.Store(0)
		after.Store(2)
		if a := audio(ranges); a.err == nil || len(a.body) == 0 {
			t.Errorf("%q: %d with %d bytes and no error", ranges, a.StatusCode, len(a.body))
		}
	}
	if !strings.Contains(r.log.String(), errDown.Error()) || !strings.Contains(r.log.String(), "cut=true code=unavailable") {
		t.Error("the log does not tell of it")
	}
}

// TestSlowReader: who does not take the MP3 is given up, who takes it slowly not.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.DownloadIdle, c.Timeout = time.Second, time.Second })
	id := r.newJob(t, "alice").ID
	big := bytes.Repeat(sound, 50) // beyond what the kernel holds
	r.succeed(t, id, big)
	conn := r.dial(t)
	_, _ = fmt.Fprintf(conn, "GET /v1/jobs/%s/audio HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n\r\n", id)
	eventually(t, "the stalled download is cut off", func() bool { return strings.Contains(r.log.String(), "cut=true") })
	if n, _ := io.Copy(io.Discard, conn); n >= int64(len(big)) {
		t.Error("it came whole")
	}
	// Slow, but with progress: longer than both time-outs.
	res, err := r.client.Do(r.request(t, "GET", "/v1/jobs/"+id+"/audio", "alice", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	began := time.Now()
	var n int64
	for {
		m, err := io.CopyN(io.Discard, res.Body, 1<<20)
		n += m
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Since(began) < 3*time.Second/2 {
			time.Sleep(80 * time.Millisecond)
		}
	}
	if n != int64(len(big)) {
		t.Errorf("%d bytes of %d", n, len(big))
	}
}
