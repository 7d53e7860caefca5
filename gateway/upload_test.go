package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/job"
)

// field is one part of a form. A file has a file name.
type field struct{ name, fileName, value string }

func form(fields ...field) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		h := textproto.MIMEHeader{}
		d := fmt.Sprintf("form-data; name=%q", f.name)
		if f.fileName != "" {
			d += "; filename=\"" + f.fileName + "\""
		}
		h.Set("Content-Disposition", d)
		p, _ := w.CreatePart(h)
		_, _ = io.WriteString(p, f.value)
	}
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func (r *rig) post(t *testing.T, path, contentType string, body io.Reader) answer {
	t.Helper()
	req := r.request(t, "POST", path, "alice", body)
	req.Header.Set("Content-Type", contentType)
	return r.send(t, req)
}

func TestUploadRaw(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	sum := sha256.Sum256(clip)
	for name, body := range map[string]io.Reader{
		"with a length": bytes.NewReader(clip),
		"in chunks":     struct{ io.Reader }{bytes.NewReader(clip)},
	} {
		a := r.post(t, "/v1/jobs?vbr=4&start=1:02&tag=genre=Jazz&tag=disc=2&max-duration=none&notify=false&filename=a%2Fholiday.mov", "application/x-www-form-urlencoded", body)
		if a.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %d %s", name, a.StatusCode, a.body)
		}
		var j jobView
		decode(t, a, &j)
		if a.Header.Get("Location") != "/v1/jobs/"+j.ID || j.Links.Self != "/v1/jobs/"+j.ID || j.Links.Audio != "" {
			t.Errorf("%s: location %q, links %v", name, a.Header.Get("Location"), j.Links)
		}
		if j.State != job.Queued || j.Position < 1 || j.FileName != "holiday.mov" || j.Notify || j.Attempt != 0 ||
			j.SourceBytes != int64(len(clip)) || j.SourceSHA256 != hex.EncodeToString(sum[:]) || j.Owner != "" {
			t.Errorf("%s: %+v", name, j)
		}
		if s := j.Settings; s["vbr"] != 4.0 || s["start"] != 62.0 || s["max-duration"] != -1.0 || fmt.Sprint(s["tags"]) != "map[disc:2 genre:Jazz]" {
			t.Errorf("%s: settings %v", name, s)
		}
		got, err := r.jobs.Get(t.Context(), j.ID)
		if err != nil || got.Owner != "user-alice" || got.NotifyTo != "" || got.State != job.Queued {
			t.Errorf("%s: row %+v, %v", name, got, err)
		}
		if want := j.ID + ":0"; r.queue.last() != want {
			t.Errorf("%s: queued %q", name, r.queue.last())
		}
		o, err := r.bucket.NewReader(t.Context(), job.SourceKey(j.ID))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(o); err != nil || !bytes.Equal(b, clip) {
			t.Errorf("%s: the bucket has %d bytes, %v", name, len(b), err)
		}
		_ = o.Close()
	}
	var j jobView
	req := r.request(t, "POST", "/v1/jobs", "alice", bytes.NewReader(clip))
	req.Header.Set("Content-Disposition", `attachment; filename*=UTF-8''tr%C3%A4umend.mp4`)
	decode(t, r.send(t, req), &j)
	if got, _ := r.jobs.Get(t.Context(), j.ID); got.FileName != "träumend.mp4" || got.NotifyTo != "alice@example.org" || !j.Notify {
		t.Errorf("row %+v", got)
	}
}

func TestUploadForm(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	file := field{"file", "my clip.mp4", string(clip)}
	for name, fields := range map[string][]field{
		"before": {{"bitrate", "", "192k"}, {"notify", "", "off"}, {"title", "", ""}, {"_charset_", "", "utf-8"}, file},
		"after":  {file, {"bitrate", "", "192k"}, {"notify", "", "off"}},
		"around": {{"bitrate", "", "192k"}, file, {"notify", "", "off"}},
	} {
		contentType, body := form(fields...)
		a := r.post(t, "/v1/jobs", contentType, bytes.NewReader(body))
		var j jobView
		decode(t, a, &j)
		if a.StatusCode != http.StatusAccepted || j.Settings["bitrate"] != 192.0 || j.Notify || j.FileName != "my clip.mp4" || j.SourceBytes != int64(len(clip)) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		if a.Header.Get("Connection") == "close" || a.Close {
			t.Errorf("%s: the connection is not kept", name)
		}
	}
	// The query may hold settings of a form too.
	contentType, body := form(file)
	var j jobView
	decode(t, r.post(t, "/v1/jobs?bitrate=64&filename=x.mp4", contentType, bytes.NewReader(body)), &j)
	if j.Settings["bitrate"] != 64.0 || j.FileName != "x.mp4" {
		t.Errorf("%+v", j)
	}
}

// TestUploadFaults: each way in which an upload can be wrong has its answer and
// leaves nothing behind.
func TestUploadFaults(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	r := newRig(t, func(c *gateway.Config) { c.MaxUpload = limit })
	file := field{"file", "clip.mp4", string(clip)}
	big := string(clip[:16]) + strings.Repeat("x", limit)
	many := make([]field, 70)
	for i := range many {
		many[i] = field{"tag", "", "genre=" + strings.Repeat("x", i)}
	}
	for name, c := range map[string]struct {
		query  string
		fields []field
		raw    string
		status int
		code   string
		where  string
	}{
		"unknown setting":        {"?speed=2", nil, string(clip), 422, "bad_setting", "query.speed"},
		"bad value":              {"?bitrate=loud", nil, string(clip), 422, "bad_setting", "query.bitrate"},
		"contradiction":          {"?bitrate=128&vbr=2", nil, string(clip), 422, "bad_setting", "query.bitrate"},
		"end before start":       {"?start=9&end=3", nil, string(clip), 422, "bad_setting", "query.end"},
		"given twice":            {"?rate=44100&rate=48000", nil, string(clip), 422, "bad_setting", "query.rate"},
		"notify":                 {"?notify=perhaps", nil, string(clip), 422, "bad_setting", "query.notify"},
		"malformed query":        {"?a=%zz", nil, string(clip), 400, "bad_request", ""},
		"empty":                  {"", nil, "", 422, "empty_upload", ""},
		"text":                   {"", nil, strings.Repeat("hello ", 99), 415, "not_mp4", ""},
		"short":                  {"", nil, "\x00\x00\x00", 415, "not_mp4", ""},
		"too large":              {"", nil, big, 413, "too_large", ""},
		"form: bad value":        {"", []field{{"rate", "", "x"}, file}, "", 422, "bad_setting", "form.rate"},
		"form: bad value after":  {"", []field{file, {"rate", "", "x"}}, "", 422, "bad_setting", "form.rate"},
		"form: contradiction":    {"", []field{{"abr", "", "99"}, file, {"vbr", "", "1"}}, "", 422, "bad_setting", "form.bitrate"},
		"form and query":         {"?vbr=1", []field{file, {"vbr", "", "1"}}, "", 422, "bad_setting", "form.vbr"},
		"form: unknown":          {"", []field{{"speed", "", "2"}, file}, "", 422, "bad_setting", "form.speed"},
		"form: two files":        {"", []field{file, file}, "", 422, "bad_form", ""},
		"form: other file field": {"", []field{{"video", "a.mp4", string(clip)}}, "", 422, "bad_form", ""},
		"form: no file":          {"", []field{{"rate", "", "44100"}}, "", 422, "no_file", ""},
		"form: nothing":          {"", []field{}, "", 422, "no_file", ""},
		"form: long field":       {"", []field{{"title", "", strings.Repeat("x", 9000)}, file}, "", 422, "bad_form", ""},
		"form: huge field":       {"", []field{{"title", "", strings.Repeat("x", 900_000)}, file}, "", 422, "bad_form", ""},
		"form: many fields":      {"", append(many, file), "", 422, "", ""},
		"form: no name":          {"", []field{{"", "", "x"}, file}, "", 422, "bad_form", ""},
		"form: empty file":       {"", []field{{"file", "a.mp4", ""}}, "", 422, "empty_upload", ""},
		"form: text":             {"", []field{{"file", "a.mp4", "hello hello hello"}}, "", 415, "not_mp4", ""},
		"form: too large":        {"", []field{{"file", "a.mp4", big}}, "", 413, "too_large", ""},
		"form: too large by far": {"", []field{{"file", "a.mp4", big + big + big}}, "", 413, "too_large", ""},
	} {
		for _, chunked := range []bool{false, true} {
			contentType, body := "video/mp4", []byte(c.raw)
			if c.fields != nil {
				contentType, body = form(c.fields...)
			}
			var reader io.Reader = bytes.NewReader(body)
			if chunked {
				reader = struct{ io.Reader }{reader}
			}
			a := r.post(t, "/v1/jobs"+c.query, contentType, reader)
			var p struct {
				Code   string
				Errors []struct{ Location, Message string }
			}
			decode(t, a, &p)
			if a.StatusCode != c.status || p.Code != c.code && c.code != "" {
				t.Errorf("%s (chunked %v): %d %s, want %d %s", name, chunked, a.StatusCode, a.body, c.status, c.code)
			}
			if c.where != "" && (len(p.Errors) != 1 || p.Errors[0].Location != c.where) {
				t.Errorf("%s: %s", name, a.body)
			}
		}
	}
	// Who mistypes one is told of all, those that only uploads have included.
	a := r.post(t, "/v1/jobs?notfy=no", "video/mp4", bytes.NewReader(clip))
	for _, name := range append(job.SettingNames(), "filename", "notify") {
		if !regexp.MustCompile(`[ ,]` + name + `[,"]`).Match(a.body) {
			t.Errorf("the problem does not name %s: %s", name, a.body)
		}
	}
	for name, contentType := range map[string]string{
		"no boundary":    "multipart/form-data",
		"empty boundary": `multipart/form-data; boundary=""`,
		"long boundary":  "multipart/form-data; boundary=" + strings.Repeat("x", 71),
		"malformed":      "multipart/form-data; boundary",
	} {
		_, body := form(file)
		if a := r.post(t, "/v1/jobs", contentType, bytes.NewReader(body)); a.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		} else {
			wantProblem(t, a, 400, "bad_form")
		}
	}
	for name, body := range map[string]string{
		"another boundary": "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n",
		"long head":        "--a\r\nContent-Disposition: form-data; name=file\r\nX: " + strings.Repeat("x", 500_000) + "\r\n\r\n" + string(clip) + "\r\n--a--\r\n",
		"long preamble":    strings.Repeat("x\r\n", 200_000) + "--a\r\nContent-Disposition: form-data; name=file\r\n\r\n" + string(clip) + "\r\n--a--\r\n",
		"bad head":         "--a\r\nno colon\r\n\r\n1\r\n--a--\r\n",
	} {
		if a := r.post(t, "/v1/jobs", "multipart/form-data; boundary=a", strings.NewReader(body)); a.StatusCode != 400 && a.StatusCode != 413 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	req := r.request(t, "POST", "/v1/jobs", "alice", bytes.NewReader(clip))
	req.Header.Set("Content-Encoding", "gzip")
	wantProblem(t, r.send(t, req), 415, "unsupported_encoding")
	r.nothingLeft(t)
	if got := r.queue.last(); got != "" {
		t.Errorf("queued %s", got)
	}
}

// TestUploadParts: parts of ours that fail in the midst of an upload.
func TestUploadParts(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Create", "Write", "Commit", "Committed"} {
		r := newRig(t, nil)
		r.faults.set(method, down)
		for range 2 {
			contentType, body := form(field{"file", "a.mp4", string(clip)})
			wantProblem(t, r.post(t, "/v1/jobs", contentType, bytes.NewReader(body)), 503, "unavailable")
			wantProblem(t, r.post(t, "/v1/jobs", "video/mp4", bytes.NewReader(clip)), 503, "unavailable")
		}
		r.nothingLeft(t)
	}
	// There is no room, be it for the file or for its row.
	for _, method := range []string{"Create", "Write", "Commit", "Insert"} {
		r := newRig(t, nil)
		r.faults.set(method, func() error { return fmt.Errorf("write: %w", syscall.ENOSPC) })
		wantProblem(t, r.post(t, "/v1/jobs", "video/mp4", bytes.NewReader(clip)), 507, "storage_full")
		contentType, body := form(field{"file", "a.mp4", string(clip)})
		wantProblem(t, r.post(t, "/upload", contentType, bytes.NewReader(body)), 507, "storage_full")
		r.nothingLeft(t)
		if n := r.pending(t); n != 0 {
			t.Errorf("%s: %d unfinished files are left", method, n)
		}
		r.faults.set(method, nil)
		r.newJob(t, "alice")
	}
	// The row was inserted, and only the answer was lost.
	r := newRig(t, nil)
	r.faults.set("Inserted", down)
	j := r.newJob(t, "alice")
	if r.queue.last() != j.ID+":0" {
		t.Error("the job was not queued")
	}
	// The queue is down: the sweeper will see to it.
	r = newRig(t, nil)
	r.faults.set("Convert", down)
	r.faults.set("Publish", down)
	j = r.newJob(t, "alice")
	if r.get(t, j.ID, "alice").State != job.Queued || !strings.Contains(r.log.String(), "could not be queued") {
		t.Error("the job is not there, or nobody was told")
	}
	// SQL panics, so to say: the object goes all the same.
	r = newRig(t, nil)
	r.faults.set("Insert", func() error { panic("no") })
	wantProblem(t, r.post(t, "/v1/jobs", "video/mp4", bytes.NewReader(clip)), 500, "internal")
}

// TestUploadUndecided: where nobody knows whether there is a row, the file stays: it may
// be that of a job. If it is not, the sweeper finds it.
func TestUploadUndecided(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]string{
		"the row is there":         {"Inserted", "Get"},
		"there is no row":          {"Insert", "Get"},
		"the row may come to be":   {"Insert"}, // since a commit can be under way
		"the answer only was lost": {"Inserted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			for _, f := range faults {
				r.faults.set(f, down)
			}
			send := func() answer { return r.keyedPost(t, "k", "alice", "/v1/jobs", "video/mp4", bytes.NewReader(clip)) }
			if first := send(); first.StatusCode != 202 {
				wantProblem(t, first, 503, "unavailable")
			}
			sources := func() (ids []string) {
				objects, err := r.bucket.List(t.Context(), "", "", 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range objects {
					id, _ := job.OwnerOfKey(o.Key)
					ids = append(ids, id)
				}
				return ids
			}
			if left := sources(); len(left) != 1 {
				t.Errorf("files of the first: %v", left)
			}
			for _, f := range faults {
				r.faults.set(f, nil)
			}
			var j job.Job
			eventually(t, "it is taken", func() bool {
				again := send()
				_ = json.Unmarshal(again.body, &j)
				return again.StatusCode == 202
			})
			if !slices.Contains(sources(), j.ID) {
				t.Errorf("the job %s has no file: %v", j.ID, sources())
			}
		})
	}
}

// dial opens a connection to the gateway.
func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	return conn
}

const uploadHead = "POST /v1/jobs%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n"

// TestUploadCut: the connection ends, or the body does, before the file.
func TestUploadCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, whole := form(field{"file", "a.mp4", string(clip)})
	separator := strings.TrimPrefix(strings.SplitN(string(whole), "\r\n", 2)[0], "--")
	multi := "Content-Type: multipart/form-data; boundary=" + separator + "\r\n"
	for name, sent := range map[string]string{
		"raw":             "Content-Length: 500000\r\n\r\n" + string(clip),
		"raw, in sniff":   "Content-Length: 500000\r\n\r\n" + string(clip[:9]),
		"raw, no byte":    "Content-Length: 500000\r\n\r\n",
		"chunked":         "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(clip), clip),
		"in a chunk":      "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s", len(clip)+9, clip),
		"multipart":       multi + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(whole)) + string(whole[:len(whole)/2]),
		"no end boundary": multi + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(whole)) + string(whole[:len(whole)-60]),
		"in a part head":  multi + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(whole)) + string(whole[:90]),
	} {
		conn := r.dial(t)
		_, _ = fmt.Fprintf(conn, uploadHead+"%s", "", sent)
		// The server sees the end as soon as we half-close.
		_ = conn.(*net.TCPConn).CloseWrite()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != 400 || !strings.Contains(string(b), "upload_incomplete") {
			t.Errorf("%s: %d %s", name, res.StatusCode, b)
		}
	}
	// A connection that is reset.
	conn := r.dial(t)
	_, _ = fmt.Fprintf(conn, uploadHead+"Content-Length: 5000000\r\n\r\n%s", "", clip)
	eventually(t, "the upload has begun", func() bool { return r.pending(t) > 0 })
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	r.nothingLeft(t)
	eventually(t, "the unfinished object is gone", func() bool { return r.pending(t) == 0 })

	// A form whose body ends too early, with a length that fits.
	a := r.post(t, "/v1/jobs", "multipart/form-data; boundary="+separator, bytes.NewReader(whole[:len(whole)-60]))
	wantProblem(t, a, 400, "upload_incomplete")
	a = r.post(t, "/v1/jobs", "multipart/form-data; boundary="+separator, bytes.NewReader(whole[:30]))
	wantProblem(t, a, 400, "upload_incomplete")
	r.nothingLeft(t)
}

// TestUploadSlow: clients that stall or trickle are given up.
func TestUploadSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *gateway.Config) { c.UploadIdle, c.MinUploadRate = 200*time.Millisecond, 100_000 })
	conn := r.dial(t)
	began := time.Now()
	_, _ = fmt.Fprintf(conn, uploadHead+"Content-Length: 500000\r\n\r\n%s", "", clip[:1000])
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 408 || !strings.Contains(string(b), "upload_timeout") || time.Since(began) > 5*time.Second {
		t.Errorf("stalled: %d %s after %v", res.StatusCode, b, time.Since(began))
	}
	conn = r.dial(t)
	_, _ = fmt.Fprintf(conn, uploadHead+"Content-Length: 500000\r\n\r\n%s", "", clip[:16])
	ended := make(chan string)
	go func() {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			ended <- err.Error()
			return
		}
		b, _ := io.ReadAll(res.Body)
		ended <- fmt.Sprint(res.StatusCode, string(b))
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case got := <-ended:
			if !strings.HasPrefix(got, "408") || !strings.Contains(got, "upload_timeout") {
				t.Errorf("trickled: %s", got)
			}
		case <-tick.C:
			_, _ = conn.Write([]byte("x"))
			continue
		}
		break
	}
	r.nothingLeft(t)
	// One that is fast enough may take longer than the idle time and the timeout.
	slow := newRig(t, func(c *gateway.Config) { c.UploadIdle, c.Timeout = 300*time.Millisecond, 300*time.Millisecond })
	pr, pw := io.Pipe()
	go func() {
		for i := range 10 {
			_, _ = pw.Write(clip[i*len(clip)/10 : (i+1)*len(clip)/10])
			time.Sleep(100 * time.Millisecond)
		}
		_ = pw.Close()
	}()
	if a := slow.post(t, "/v1/jobs", "video/mp4", pr); a.StatusCode != 202 {
		t.Errorf("steady: %d %s", a.StatusCode, a.body)
	}
}

// TestUploadEarly: what can be told early is, before the file has come.
func TestUploadEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, c := range map[string]struct{ query, rest, want string }{
		"setting":             {"?vbr=11", "Content-Length: 1000000000\r\n\r\n", "bad_setting"},
		"length":              {"", "Content-Length: 99999999999\r\n\r\n", "too_large"},
		"type":                {"", "Content-Length: 1000000000\r\n\r\n<!DOCTYPE html><html>", "not_mp4"},
		"type, in chunks":     {"", "Transfer-Encoding: chunked\r\n\r\n10\r\n<!DOCTYPE html><\r\n", "not_mp4"},
		"expecting, setting":  {"?vbr=11", "Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n", "bad_setting"},
		"expecting, no token": {"", "Authorization: x\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n", "unauthorized"},
		"setting in a form": {"", "Content-Type: multipart/form-data; boundary=a\r\nContent-Length: 1000000000\r\n\r\n" +
			"--a\r\nContent-Disposition: form-data; name=vbr\r\n\r\n11\r\n--a\r\nContent-Disposition: form-data; name=file\r\n\r\n" + string(clip[:200]), "bad_setting"},
	} {
		conn := r.dial(t)
		head := fmt.Sprintf(uploadHead, c.query)
		if strings.HasPrefix(c.rest, "Authorization") {
			head = strings.Replace(head, "Authorization: Bearer alice\r\n", "", 1)
		}
		began := time.Now()
		_, _ = io.WriteString(conn, head+c.rest)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || !strings.Contains(string(b), c.want) || !res.Close || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %d %s, %v, close %v, after %v", name, res.StatusCode, b, err, res.Close, time.Since(began))
		}
		_ = conn.Close()
	}
	// A good one is told to go on, and its connection is kept.
	conn := r.dial(t)
	br := bufio.NewReader(conn)
	for range 2 {
		_, _ = fmt.Fprintf(conn, uploadHead+"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", "", len(clip))
		line, err := br.ReadString('\n')
		if err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = br.ReadString('\n')
		_, _ = conn.Write(clip)
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 202 || res.Close {
			t.Errorf("%d, close %v, %v", res.StatusCode, res.Close, err)
		}
	}
	// A client that sends all before it reads gets to read what was wrong.
	body := bytes.Repeat([]byte("<html>"), 5_000_000)
	conn = r.dial(t)
	_, _ = fmt.Fprintf(conn, uploadHead+"Content-Length: %d\r\n\r\n", "", len(body))
	if _, err := conn.Write(body); err != nil {
		t.Error(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != 415 {
		t.Errorf("%v, %v", res, err)
	}
}

// TestUploadDrain: a shutdown lets an upload finish.
func TestUploadDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	pr, pw := io.Pipe()
	got := make(chan answer, 1)
	go func() { got <- r.post(t, "/v1/jobs", "video/mp4", pr) }()
	_, _ = pw.Write(clip)
	eventually(t, "the upload has begun", func() bool { return r.pending(t) > 0 })
	r.stop()
	_, _ = pw.Write(clip)
	_ = pw.Close()
	a := <-got
	var j jobView
	decode(t, a, &j)
	if a.StatusCode != 202 || j.SourceBytes != int64(2*len(clip)) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// discard is a bucket that keeps nothing.
type discard struct{ bucketStub }

type discardWriter struct{ n int64 }

func (w *discardWriter) Write(p []byte) (int, error) { w.n += int64(len(p)); return len(p), nil }
func (w *discardWriter) Commit() error               { return nil }
func (w *discardWriter) Abort()                      {}

func (discard) CreateSequential(context.Context, string) (*discardWriter, error) {
	return &discardWriter{}, nil
}

// flow is an endless file.
type flow struct{ left int64 }

func (f *flow) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), f.left)], clip)
	f.left -= int64(n)
	return n, nil
}

// TestUploadMemory: ten uploads at once need no more memory than their buffers.
// It is not parallel with other tests, which would be counted too.
func TestUploadMemory(t *testing.T) {
	const size = 64 << 20
	r := newRigOf(t, nil, func(d *gateway.Deps) { d.Bucket = gateway.BucketOf(discard{}) })
	r.client.Timeout = 5 * time.Minute // on a busy machine
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	var peak uint64
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
	})
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			contentType, body := "video/mp4", io.Reader(&flow{size})
			if i%2 == 1 {
				contentType = "multipart/form-data; boundary=a"
				body = io.MultiReader(strings.NewReader("--a\r\nContent-Disposition: form-data; name=file; filename=a.mp4\r\n\r\n"), body, strings.NewReader("\r\n--a--\r\n"))
			}
			a := r.post(t, "/v1/jobs", contentType, body)
			var j jobView
			decode(t, a, &j)
			if a.StatusCode != 202 || j.SourceBytes != size {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	wg.Wait()
	close(done)
	watch.Wait()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	growth := int64(peak) - int64(before.HeapAlloc)
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("heap grew by at most %.1f MiB, %.1f MiB were allocated in all", float64(growth)/(1<<20), float64(allocated)/(1<<20))
	if growth > 16<<20 {
		t.Errorf("the heap grew by %d bytes", growth)
	}
	// The client's side is in the figure. What counts is that it does not grow with
	// the files: 640 MiB were sent.
	if allocated > 64<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

func TestLegacyUpload(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	contentType, body := form(field{"video", "a.mp4", string(clip)})
	a := r.post(t, "/upload", contentType, bytes.NewReader(body))
	id := strings.TrimPrefix(a.Header.Get("Location"), "/v1/jobs/")
	if a.StatusCode != 200 || string(a.body) != "success!" || !job.ValidID(id) {
		t.Fatalf("%d %s %v", a.StatusCode, a.body, a.Header)
	}
	if j := r.get(t, id, "alice"); j.FileName != "a.mp4" {
		t.Errorf("%+v", j)
	}
	contentType, body = form(field{"a", "a.mp4", string(clip)}, field{"b", "a.mp4", string(clip)})
	wantProblem(t, r.post(t, "/upload", contentType, bytes.NewReader(body)), 422, "bad_form")
	contentType, body = form()
	wantProblem(t, r.post(t, "/upload", contentType, bytes.NewReader(body)), 422, "no_file")

	mp3 := []byte("ID3 not really")
	r.succeed(t, id, mp3)
	a = r.do(t, "GET", "/download?fid="+url.QueryEscape(id), "alice")
	if a.StatusCode != 200 || !bytes.Equal(a.body, mp3) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	wantProblem(t, r.do(t, "GET", "/download?fid=x", "alice"), 404, "not_found")
	wantProblem(t, r.do(t, "GET", "/download", "alice"), 422, "invalid_input")
	wantProblem(t, r.do(t, "GET", "/download?fid="+id, "bob"), 404, "not_found")
	wantProblem(t, r.do(t, "GET", "/download?fid="+id, ""), 401, "unauthorized")
}
