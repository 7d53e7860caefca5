package gateway

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/metrics"
	"github.com/mp3lathe/mp3lathe/internal/trace"
	"github.com/mp3lathe/mp3lathe/job"
)

const (
	// chunk is how much of a file is held at a time.
	chunk = 64 << 10
	// formSlack is how much longer than its file a form may be.
	formSlack = 1 << 20
	// commitTimeout bounds what the bucket does with a file that is complete.
	commitTimeout = 2 * time.Minute
	// storeTimeout bounds what is done in SQL and the bucket for a client who may
	// be gone.
	storeTimeout = 15 * time.Second
	// queueTimeout bounds the queueing of a job: the sweeper can do it too.
	queueTimeout = 3 * time.Second
	// publishTimeout bounds a hint, which may be lost.
	publishTimeout = 500 * time.Millisecond
)

// buffers are what an upload or a download needs while it goes on.
type buffers struct {
	chunk [chunk]byte
	ahead *bufio.Reader // for multipart
}

func newBufferPool() *sync.Pool {
	return &sync.Pool{New: func() any { return &buffers{ahead: bufio.NewReaderSize(nil, readAhead)} }}
}

func (g *Gateway) release(b *buffers) {
	b.ahead.Reset(nil)
	g.buffers.Put(b)
}

// upload is one file on its way in.
type upload struct {
	g    *Gateway
	id   string
	ctx  context.Context
	form form
	body *body
	buf  *buffers
	// idle: the file is looked at, and not stored.
	idle bool
	// isRaw: the body is the file as it is.
	isRaw bool

	object Writer
	bytes  int64
	sha256 string
	joined *job.Job   // the earlier job that is the answer
	room   *allowance // of its user; nil if it is not looked at
}

// create takes an upload.
func (g *Gateway) create(ctx context.Context, _ *struct{}) (*acceptedOutput, error) {
	j, joined, err := g.receive(ctx, false)
	if err != nil {
		return nil, err
	}
	out := g.accepted(ctx, &j, exchangeOf(ctx).user)
	if joined {
		out.Body.Duplicate = true
		if j.State == job.Succeeded {
			out.Status = http.StatusOK
		}
	}
	return out, nil
}

// receive reads an upload to its end and makes a job of it, unless an earlier one is
// joined. Whatever goes wrong, nothing is left behind that nobody will find.
func (g *Gateway) receive(ctx context.Context, anyName bool) (j job.Job, joined bool, err error) {
	x := exchangeOf(ctx)
	if x.made != nil {
		return *x.made, false, nil
	}
	// From here on the client's going away is seen by reading, and what follows
	// the last byte no longer depends on the client.
	stored, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	id, err := uuid.NewV7()
	if err != nil {
		return job.Job{}, false, fmt.Errorf("gateway: make an ID: %w", err)
	}
	u := &upload{g: g, id: id.String(), ctx: stored, body: x.body}
	began := time.Now()
	defer func() {
		g.counts.uploadedBytes.Add(float64(u.bytes))
		switch {
		case err == nil && joined:
			g.counts.joined.Inc()
		case err == nil:
			g.counts.made.WithLabelValues(metrics.LaneName(j.Lane)).Inc()
			g.counts.stages.Observe(ctx, metrics.Upload, time.Since(began))
		}
		if u.object != nil {
			u.object.Abort()
		}
	}()
	err = u.receiveSpan(func() error { return u.read(x, anyName) })
	if err == nil && u.joined == nil {
		watch := time.AfterFunc(commitTimeout, cancel)
		defer watch.Stop()
		j, err = u.finish(x)
	}
	if u.joined != nil {
		return *u.joined, true, err
	}
	return j, false, err
}

// receiveSpan makes a span of the reading of an upload, which goes into the bucket at the
// same time.
func (u *upload) receiveSpan(read func() error) error {
	_, span := trace.Begin(u.ctx, "receive upload")
	err := read()
	span.Set(trace.Int64("bytes", u.bytes))
	if p := (*httpapi.Problem)(nil); errors.As(err, &p) {
		span.Fail(p.Code)
		span.End()
	} else {
		span.Done(err)
	}
	return err
}

// submission is what has come, as the store takes it.
func (u *upload) submission(x *exchange) job.Submission {
	sub := job.Submission{Job: job.Job{
		ID: u.id, Owner: x.user.id, FileName: u.form.fileName, Settings: u.form.settings,
		SourceBytes: u.bytes, SourceSHA256: u.sha256, Keep: u.form.keep, State: job.Queued, Trace: trace.Parent(u.ctx),
	}, Key: x.keyed}
	if u.form.notify {
		sub.NotifyTo = x.user.email
	}
	if !u.form.fresh {
		sub.Twin = sub.Job.Twin()
	}
	if x.keyed != nil {
		x.keyed.Request = u.request(x.keyed.Head)
	}
	return sub
}

// read reads an upload to its end.
func (u *upload) read(x *exchange, anyName bool) error {
	u.form.notify = true
	if err := u.form.setQuery(x.r.URL.RawQuery); err != nil {
		return err
	}
	separator, err := boundary(x.r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if err := u.g.checkHead(x.r, separator != ""); err != nil {
		return err
	}
	if separator != "" {
		if err := u.admit(x); err != nil {
			return err
		}
	}
	u.buf = u.g.buffers.Get().(*buffers)
	defer u.g.release(u.buf)
	if separator == "" {
		err = u.raw(x)
	} else {
		u.buf.ahead.Reset(u.body)
		fr := &formReader{form: &u.form, anyName: anyName, file: u.file}
		err = fr.read(u.body, u.buf.ahead, separator)
	}
	if err == nil && u.joined == nil && !u.body.complete() { // the end of a chunked body, or what follows the last boundary
		u.body.drain(chunk, 5*time.Second)
	}
	if err == nil && u.body.complete() {
		x.w.Header().Del("Connection")
	}
	return err
}

// raw reads a body that is the file as it is.
func (u *upload) raw(x *exchange) error {
	u.isRaw = true
	u.form.nameFile(dispositionName(x.r.Header.Get("Content-Disposition")))
	want, err := digest(x.r.Header)
	if err != nil {
		return err
	}
	if want != "" && !u.idle {
		u.sha256 = want
		if err := u.join(u.submission(x)); err != nil || u.joined != nil {
			return err // the file need not come
		}
		if x.keyed != nil {
			x.keyed.Body = "" // it has not come yet
		}
	}
	if err := u.admit(x); err != nil {
		return err
	}
	if err := u.file(u.body); err != nil {
		return err
	}
	if want != "" && want != u.sha256 {
		return httpapi.NewProblem(http.StatusBadRequest, "digest_mismatch", "The file that has come is not the one that the digest in the header stands for. Upload it again.")
	}
	return nil
}

// checkHead refuses what can be told from the head of the request.
func (g *Gateway) checkHead(r *http.Request, multipart bool) error {
	limit := g.config.MaxUpload
	if multipart {
		limit += formSlack
	}
	switch e := r.Header.Get("Content-Encoding"); {
	case e != "" && e != "identity":
		return httpapi.NewProblem(http.StatusUnsupportedMediaType, "unsupported_encoding", "Upload the file as it is, without a content encoding.")
	case r.ContentLength > limit:
		return g.tooLarge()
	case r.ContentLength == 0:
		return emptyUpload()
	}
	return nil
}

func (g *Gateway) tooLarge() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusRequestEntityTooLarge, "too_large",
		fmt.Sprintf("The file is too large; at most %d bytes are taken.", g.config.MaxUpload))
}

func emptyUpload() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusUnprocessableEntity, "empty_upload", "The file is empty.")
}

// file reads the file itself into the bucket, and counts and hashes it.
func (u *upload) file(src io.Reader) error {
	buf := u.buf.chunk[:]
	n, err := fill(src, buf, sniffLen)
	switch {
	case err != nil && err != io.EOF:
		return u.broken(err)
	case n == 0:
		return emptyUpload()
	case !sniff(buf[:min(n, sniffLen)]):
		return httpapi.NewProblem(http.StatusUnsupportedMediaType, "not_mp4",
			"The file is not an MP4 file, nor of its family (MOV, M4A, M4V, 3GP).")
	}
	var object io.Writer = io.Discard
	if !u.idle {
		o, err := u.g.bucket.create(u.ctx, job.SourceKey(u.id))
		if err != nil {
			return httpapi.Trouble(err)
		}
		u.object, object = o, o
	}
	hash := sha256.New()
	for {
		if u.bytes += int64(n); u.bytes > u.g.config.MaxUpload {
			return u.g.tooLarge()
		}
		if u.room != nil {
			if err := u.room.bytes(u.bytes); err != nil {
				return err
			}
		}
		hash.Write(buf[:n])
		if _, werr := object.Write(buf[:n]); werr != nil {
			return httpapi.Trouble(werr)
		}
		if err == io.EOF {
			break
		}
		if n, err = fill(src, buf, len(buf)); err != nil && err != io.EOF {
			return u.broken(err)
		}
	}
	u.sha256 = hex.EncodeToString(hash.Sum(nil))
	return nil
}

func (u *upload) broken(err error) *httpapi.Problem {
	if u.body.err != nil && u.body.err != io.EOF {
		err = u.body.err // as it was before mime/multipart saw it
	}
	return u.body.broken(err)
}

// finish makes the job of a file that has come whole, or joins an earlier one.
func (u *upload) finish(x *exchange) (job.Job, error) {
	sub := u.submission(x)
	if err := u.join(sub); err != nil || u.joined != nil {
		return job.Job{}, err
	}
	if err := u.checkQuarantine(); err != nil {
		return job.Job{}, err
	}
	if err := u.spend(x, &sub); err != nil {
		return job.Job{}, err
	}
	_, storing := trace.Begin(u.ctx, "store upload", trace.With(trace.Int64("bytes", u.bytes)))
	err := u.object.Commit()
	storing.Done(err)
	if err != nil {
		u.remove() // for the case that only the answer was lost
		return job.Job{}, httpapi.Trouble(err)
	}
	for range maxRaces {
		made, err := u.submit(sub)
		if !errors.Is(err, job.ErrTwin) {
			return made, err
		}
		// The same came at the same time, and was quicker.
		if err := u.join(sub); err != nil || u.joined != nil {
			u.remove()
			return job.Job{}, err
		}
	}
	u.remove()
	return job.Job{}, conflict("conflict", "The same file is uploaded again and again. Try again.")
}

// submit makes the job. If the error wraps [job.ErrTwin] there is one already. With another
// error the file is removed if it is certain that there is no row, now and later; else it
// stays, and the sweeper sees whose it is.
func (u *upload) submit(sub job.Submission) (job.Job, error) {
	ctx, cancel := context.WithTimeout(u.ctx, storeTimeout)
	defer cancel()
	inserting, span := trace.Begin(ctx, "insert job", trace.With(trace.String("job.id", sub.ID)))
	made, err := u.g.jobs.Submit(inserting, sub)
	if errors.Is(err, job.ErrTwin) {
		span.Done(nil) // its answer is there already
	} else {
		span.Done(err)
	}
	switch {
	case errors.Is(err, job.ErrTwin):
		return job.Job{}, err
	case errors.Is(err, job.ErrLost):
		u.remove()
		return job.Job{}, keyInUse().WithCause(err)
	case err != nil:
		// The row may be there all the same, if only the answer was lost.
		again, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), storeTimeout)
		defer cancel()
		found, gerr := u.g.jobs.Get(again, sub.ID)
		if gerr != nil {
			// That there is none now is not enough: a commit may be under way, in a database
			// that hangs. What has no room was refused.
			if errors.Is(gerr, job.ErrNotFound) && errors.Is(err, syscall.ENOSPC) {
				u.remove()
			} else {
				u.g.logger.WarnContext(u.ctx, "it is not known whether an upload has become a job: its file stays until the sweeper knows", "job", u.id, "error", gerr)
			}
			return job.Job{}, httpapi.Trouble(err)
		}
		made = found
	}
	u.g.enqueue(u.ctx, made)
	return made, nil
}

// remove deletes the file of a job that was not made. If that fails the sweeper
// finds it.
func (u *upload) remove() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), storeTimeout)
	defer cancel()
	if err := u.g.bucket.Delete(ctx, job.SourceKey(u.id)); err != nil {
		u.g.logger.WarnContext(u.ctx, "an upload that became no job was left in the bucket", "job", u.id, "error", err)
	}
}

// enqueue tells the workers of a queued job, and whoever watches it. That the row
// says so is enough: the sweeper finds jobs that are not in the queue.
func (g *Gateway) enqueue(ctx context.Context, j job.Job) {
	ctx, span := trace.Begin(ctx, "queue job", trace.Producer, trace.With(trace.String("job.id", j.ID), trace.String("job.lane", string(j.Lane))))
	defer span.End()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queueTimeout)
	defer cancel()
	if err := g.queue.Enqueue(ctx, j); err != nil {
		span.Fail("error")
		g.logger.WarnContext(ctx, "a job could not be queued; the sweeper will do it", "job", j.ID, "error", err)
	}
	g.publish(ctx, j.ID)
}

// publish tells whoever watches a job that it has changed.
func (g *Gateway) publish(ctx context.Context, id string) {
	g.hub.notify(id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	if err := g.hints.Publish(ctx, id); err != nil {
		g.logger.DebugContext(ctx, "a hint was lost", "job", id, "error", err)
	}
}
