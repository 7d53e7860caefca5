package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mp3lathe/mp3lathe/job"
)

const (
	// lingerBytes and lingerTime bound what is read from a client that goes on
	// sending after its upload was refused.
	lingerBytes = 64 << 20
	lingerTime  = 2 * time.Second
)

// exchange is a request and its answer, for handlers that need more of them than
// typed inputs and outputs.
type exchange struct {
	r    *http.Request
	w    http.ResponseWriter
	user user
	body *body // of uploads
	// byLink: the holder of a signed link, who may fetch this job's MP3 and is no
	// user.
	byLink bool
	// keyed is the request under its key; nil without one.
	keyed *job.Keyed
	// made is the job that this request has made or changed already, when it came
	// before under the same key and its answer was lost; else nil.
	made *job.Job
}

type exchangeKey struct{}

// exchangeOf returns the exchange that [attach] put into a context.
func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}

// attach is the outermost middleware.
func attach(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	next(huma.WithValue(ctx, exchangeKey{}, &exchange{r: r, w: w}))
}

// lingering is a middleware of uploads. The answer to one that is refused goes out
// whole and at once, and what the client still sends is read for a while: one that
// finds the connection reset in the midst of its sending often never reads why.
func (g *Gateway) lingering(ctx huma.Context, next func(huma.Context)) {
	x := exchangeOf(ctx.Context())
	w := x.w
	control := http.NewResponseController(w)
	x.body = &body{
		r: x.r.Body, control: control, idle: g.config.UploadIdle, rate: g.config.MinUploadRate, left: -1,
	}
	if x.r.Body == http.NoBody {
		x.body.err = io.EOF
	} else {
		w.Header().Set("Connection", "close") // until all has been read
	}
	held := &heldAnswer{ResponseWriter: w}
	x.w = held
	next(huma.WithContext(humago.NewContext(ctx.Operation(), x.r, held), ctx.Context()))

	_ = control.SetWriteDeadline(time.Now().Add(g.config.Timeout))
	w.Header().Set("Content-Length", strconv.Itoa(held.body.Len()))
	held.send()
	if x.body.complete() {
		return
	}
	_ = control.Flush()
	if x.r.Header.Get("Expect") == "" || x.body.n > 0 {
		x.body.drain(lingerBytes, lingerTime)
	}
}

// heldAnswer keeps a short answer until it is complete.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *heldAnswer) WriteHeader(status int)      { w.status = status }
func (w *heldAnswer) Write(b []byte) (int, error) { return w.body.Write(b) }

// send sends the answer.
func (w *heldAnswer) send() {
	w.ResponseWriter.WriteHeader(w.code())
	_, _ = w.ResponseWriter.Write(w.body.Bytes())
}

func (w *heldAnswer) code() int { return max(w.status, http.StatusOK) }

// Unwrap lets [http.ResponseController] reach the connection.
func (w *heldAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
