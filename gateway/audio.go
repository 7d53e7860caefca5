package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// maxRanges is how many ranges of an MP3 are answered one by one. Each is a
// request to the bucket; who asks for more gets the whole, as RFC 9110, 14.2
// advises.
const maxRanges = 16

type audioInput struct {
	ID        string `path:"id" doc:"The job's ID"`
	Inline    bool   `query:"inline" doc:"To be played in the browser, rather than saved"`
	Expires   string `query:"expires" doc:"Of a signed link: until when it is good"`
	Signature string `query:"signature" doc:"Of a signed link"`
}

func (g *Gateway) audio(ctx context.Context, in *audioInput) (*huma.StreamResponse, error) {
	return g.serveAudio(ctx, in.ID, in.Inline)
}

// serveAudio checks what can be before the answer begins.
func (g *Gateway) serveAudio(ctx context.Context, id string, inline bool) (*huma.StreamResponse, error) {
	x := exchangeOf(ctx)
	u := x.user
	u.admin = u.admin || x.byLink // the signature was made for this job
	j, err := g.find(ctx, id, u)
	if err == nil && !x.byLink {
		err = g.note(ctx, u, job.ActAudio, &j)
	}
	if err != nil {
		return nil, err
	}
	if err := hasAudio(&j); err != nil {
		return nil, err
	}
	object, err := g.bucket.open(ctx, j.Result.Key)
	switch {
	case errors.Is(err, fs.ErrNotExist): // deleted between our two looks, or lost
		return nil, gone("audio_gone", "The MP3 is no longer there.").WithCause(err)
	case err != nil:
		return nil, httpapi.Trouble(err)
	}
	if object.Size() != j.Result.Bytes {
		_ = object.Close()
		return nil, httpapi.Internal(fmt.Errorf("gateway: %s has %d bytes, not %d", j.Result.Key, object.Size(), j.Result.Bytes))
	}
	return &huma.StreamResponse{Body: func(huma.Context) { g.sendAudio(x, &j, object, inline) }}, nil
}

// hasAudio says why a job has no MP3.
func hasAudio(j *job.Job) error {
	switch j.State {
	case job.Succeeded:
		if j.Result == nil {
			return httpapi.Internal(fmt.Errorf("gateway: job %s has succeeded without a result", j.ID))
		}
		return nil
	case job.Failed:
		detail := "The conversion has failed."
		if j.Failure != nil {
			detail += " " + j.Failure.Sentence()
		}
		return conflict("job_failed", detail)
	case job.Canceled:
		return conflict("job_canceled", "The job was canceled.")
	case job.Expired:
		return gone("expired", "The MP3 was kept for a while and has been deleted.")
	}
	return conflict("not_ready", "The MP3 is not ready yet.").WithHeader("Retry-After", "2")
}

func (g *Gateway) sendAudio(x *exchange, j *job.Job, object Reader, inline bool) {
	buf := g.buffers.Get().(*buffers)
	defer g.release(buf)
	src := &content{r: object}
	defer src.Close()
	w := &audioWriter{
		ResponseWriter: x.w, control: http.NewResponseController(x.w), idle: g.config.DownloadIdle, buf: buf.chunk[:],
		counted: g.counts.downloadedBytes,
	}
	h := w.Header()
	h.Set("Content-Type", "audio/mpeg")
	h.Set("Content-Disposition", disposition(j.MP3Name(), inline))
	// What lies under a key never changes, so that its name will do for its bytes.
	h.Set("ETag", `"`+j.Result.Key+`"`)
	h.Set("Cache-Control", "private, no-cache")
	if strings.Count(x.r.Header.Get("Range"), ",") >= maxRanges {
		x.r.Header.Del("Range")
	}
	http.ServeContent(w, x.r, "", j.Ended, src)

	err := src.failure()
	switch {
	case w.err != nil: // the client is gone, or too slow
		panic(http.ErrAbortHandler)
	case err != nil && w.sent:
		httpapi.Abort(x.r.Context(), httpapi.Trouble(err))
	case err != nil:
		w.clear("Accept-Ranges", "Content-Range", "ETag", "Last-Modified")
		httpapi.Trouble(err).Write(x.w, x.r)
	case w.status == http.StatusRequestedRangeNotSatisfiable:
		w.clear()
		httpapi.NewProblem(w.status, "bad_range", "The MP3 does not have that range.").Write(x.w, x.r)
	case w.status >= 400:
		w.clear()
		httpapi.NewProblem(w.status, "precondition_failed", "The MP3 is not the one that was asked for.").Write(x.w, x.r)
	default: // HEAD, 304
		w.start()
	}
}

// disposition is a Content-Disposition with a file name in both of its forms (RFC
// 6266, appendix D): a rough one in ASCII, and the true one encoded by RFC 8187.
func disposition(name string, inline bool) string {
	var ascii, encoded strings.Builder
	for _, r := range name {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			r = '_'
		}
		ascii.WriteRune(r)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$&+-.^_`|~", c) >= 0:
			encoded.WriteByte(c)
		default:
			fmt.Fprintf(&encoded, "%%%02X", c)
		}
	}
	kind := "attachment"
	if inline {
		kind = "inline"
	}
	return kind + `; filename="` + ascii.String() + `"; filename*=UTF-8''` + encoded.String()
}

// audioWriter holds the head of an answer back until there is something to send, so
// that a bucket that fails at once can still be told of with a proper answer. Each
// piece has a while to be taken.
type audioWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration
	buf     []byte
	counted prometheus.Counter

	status int   // that was announced
	sent   bool  // the head
	err    error // of a write
}

func (w *audioWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// start sends the head.
func (w *audioWriter) start() {
	if !w.sent {
		w.sent = true
		_ = w.control.SetWriteDeadline(time.Now().Add(w.idle))
		w.ResponseWriter.WriteHeader(max(w.status, http.StatusOK))
	}
}

// clear takes back headers of the answer that is not given.
func (w *audioWriter) clear(more ...string) {
	for _, name := range append(more, "Content-Disposition", "Content-Length", "Cache-Control") {
		w.Header().Del(name)
	}
	w.Header().Set("Cache-Control", "no-store")
}

func (w *audioWriter) Write(p []byte) (int, error) {
	if w.status >= 400 { // the words of package http; a problem takes their place
		return len(p), nil
	}
	w.start()
	_ = w.control.SetWriteDeadline(time.Now().Add(w.idle))
	n, err := w.ResponseWriter.Write(p)
	w.counted.Add(float64(n))
	if err != nil {
		w.err = err
	}
	return n, err
}

// ReadFrom is what [io.Copy] calls; it spares it a buffer.
func (w *audioWriter) ReadFrom(src io.Reader) (n int64, err error) {
	for {
		m, err := src.Read(w.buf)
		if m > 0 {
			k, werr := w.Write(w.buf[:m])
			n += int64(k)
			if werr != nil {
				return n, werr
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// content keeps the error that an object could not be read for, which package http
// does not tell. For several ranges package http reads in a goroutine of its own.
type content struct {
	mu  sync.Mutex
	r   Reader
	err error
}

func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.r.Seek(offset, whence)
	if err != nil {
		c.err = err
	}
	return n, err
}

func (c *content) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.Close()
}

func (c *content) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
