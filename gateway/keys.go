package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// This file has what makes a POST with an Idempotency-Key happen once, after
// draft-ietf-httpapi-idempotency-key-header-07.

const (
	keyHeader      = "Idempotency-Key"
	replayedHeader = "Idempotency-Replayed"
	maxKey         = 255 // characters
	// lastStep is the time from a job to the answer that tells of it. If it takes
	// longer its gateway has died.
	lastStep      = 2 * time.Second
	keyPurgeEvery = 5 * time.Minute
	keyPurgeBatch = 1000
)

func badKey() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusBadRequest, "bad_idempotency_key",
		"The Idempotency-Key is malformed: want one of 1 to 255 characters of ASCII, such as a UUID, with or without quotation marks.")
}

func keyReused() *httpapi.Problem {
	return httpapi.NewProblem(http.StatusUnprocessableEntity, "idempotency_key_reused",
		"This Idempotency-Key was used for another request. Make a new one for each.")
}

func keyInUse() *httpapi.Problem {
	return conflict("idempotency_key_in_use", "A request with this Idempotency-Key is still under way. Try again.").
		WithHeader("Retry-After", "5")
}

// readKey returns the key of a request; "" if it has none. It is a string of RFC 8941
// in quotation marks; most clients leave those out.
func readKey(h http.Header) (string, *httpapi.Problem) {
	values := h.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}
	text, quoted := strings.CutPrefix(values[0], `"`)
	var key strings.Builder
	closed := !quoted
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < ' ' || c > '~', !quoted && strings.IndexByte(` "\,;`, c) >= 0:
			return "", badKey()
		case quoted && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			key.WriteByte(text[i])
		case quoted && c == '\\':
			return "", badKey()
		case quoted && c == '"':
			if closed = i == len(text)-1; !closed {
				return "", badKey()
			}
		default:
			key.WriteByte(c)
		}
	}
	if len(values) > 1 || !closed || key.Len() < 1 || key.Len() > maxKey {
		return "", badKey()
	}
	return key.String(), nil
}

// digest returns the SHA-256 (hex) that the head of a request tells of its body, in
// the words of RFC 9530; "" if it tells none.
func digest(h http.Header) (string, error) {
	for _, field := range []string{"Content-Digest", "Repr-Digest"} { // one and the same without an encoding
		for _, list := range h.Values(field) {
			for member := range strings.SplitSeq(list, ",") {
				name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
				if name != "sha-256" {
					continue
				}
				inner, ok := strings.CutPrefix(value, ":")
				inner, ok2 := strings.CutSuffix(inner, ":")
				sum, err := base64.StdEncoding.DecodeString(inner)
				if !ok || !ok2 || err != nil || len(sum) != sha256.Size {
					return "", httpapi.NewProblem(http.StatusBadRequest, "bad_digest", "The "+field+" is malformed.")
				}
				return hex.EncodeToString(sum), nil
			}
		}
	}
	return "", nil
}

// hashOf is one text for several.
func hashOf(v ...any) string {
	b, _ := json.Marshal(v)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// headOf is what tells requests apart before the body has come. Whose they are stands
// beside it.
func headOf(r *http.Request) job.Request {
	query := r.URL.RawQuery
	if q, err := url.ParseQuery(query); err == nil {
		query = q.Encode() // in one order
	}
	separator, err := boundary(r.Header.Get("Content-Type"))
	raw := err == nil && separator == ""
	req := job.Request{Bytes: -1}
	name := ""
	if raw {
		name = dispositionName(r.Header.Get("Content-Disposition"))
		req.Bytes = r.ContentLength // -1 if it is not told
	}
	req.Head = hashOf(r.Method, r.URL.Path, query, raw, name)
	return req
}

// request is what tells an upload that has come from others.
func (u *upload) request(head string) job.Request {
	req := job.Request{Head: head, Bytes: -1, Body: hashOf(u.form.settings, u.form.fileName, u.form.notify, u.form.fresh, u.form.bulk, u.form.keep, u.sha256)}
	if u.isRaw && u.bytes > 0 { // else it was not read
		req.Bytes = u.bytes
	}
	return req
}

// once is a middleware that lets a request with a key have its effect once. The key
// is claimed before anything is done and held until there is an answer, which is kept;
// the same request gets it again. It stands inside of [Gateway.authenticate].
func (g *Gateway) once(ctx huma.Context, next func(huma.Context)) {
	x := exchangeOf(ctx.Context())
	key, p := readKey(x.r.Header)
	if p == nil && key == "" {
		next(ctx)
		return
	}
	var rec *job.KeyRecord
	k := &job.Keyed{Request: headOf(x.r)}
	if p == nil {
		sum := sha256.Sum256([]byte(key))
		k.RequestKey = job.RequestKey{Owner: x.user.id, Name: hex.EncodeToString(sum[:]), Holder: uuid.NewString()}
		rec, p = g.claimKey(x, k)
	}
	if p == nil && rec != nil {
		p = g.same(x, k, rec, ctx.Operation().OperationID == legacyUploadID)
	}
	if p == nil && rec != nil && rec.Answer.Status == 0 {
		p = g.recall(x, rec)
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(g.config.Timeout)) // it may have waited
	switch {
	case p != nil:
		p.Write(x.w, x.r)
	case rec == nil:
		g.holding(ctx, x, k, next)
	case rec.Answer.Status == 0:
		x.w.Header().Set(replayedHeader, "true")
		next(ctx)
	default:
		replay(x.w, &rec.Answer)
	}
}

// claimKey claims the key of a request, or returns what came of the earlier request
// that has it; it waits a while for one that is under way.
func (g *Gateway) claimKey(x *exchange, k *job.Keyed) (*job.KeyRecord, *httpapi.Problem) {
	ctx := x.r.Context()
	began := time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		rec, claimed, err := g.keys.ClaimKey(ctx, *k, g.config.KeyLease)
		switch {
		case err != nil:
			return nil, httpapi.Trouble(err)
		case claimed:
			return nil, nil
		case rec.Answer.Status != 0, rec.JobID != "" && (!rec.Held || time.Since(began) > lastStep):
			return &rec, nil
		case rec.Head != k.Head, lengthsDiffer(&rec.Request, &k.Request):
			return nil, keyReused()
		case time.Since(began) > g.config.KeyWait:
			return nil, keyInUse()
		}
		select {
		case <-time.After(pause):
		case <-httpapi.Draining(ctx): // another gateway has more time
			return nil, httpapi.Unavailable(errors.New("the gateway is being stopped"), time.Second)
		case <-ctx.Done():
			return nil, keyInUse().WithCause(ctx.Err())
		}
	}
}

func lengthsDiffer(a, b *job.Request) bool { return a.Bytes >= 0 && b.Bytes >= 0 && a.Bytes != b.Bytes }

// same refuses a request that is not the one that has its key. What a body says has
// to be read, unless its length, or its digest in the head, tells.
func (g *Gateway) same(x *exchange, k *job.Keyed, rec *job.KeyRecord, anyName bool) *httpapi.Problem {
	switch {
	case rec.Head != k.Head, rec.Body != "" && lengthsDiffer(&rec.Request, &k.Request):
		return keyReused()
	case rec.Body == "":
		return nil
	}
	u := &upload{g: g, body: x.body, idle: true}
	if err := u.recognize(x, anyName); err != nil {
		return httpapi.AsProblem(err)
	}
	if u.request(k.Head).Body != rec.Body {
		return keyReused()
	}
	return nil
}

// recognize finds out what an upload is, as cheaply as may be.
func (u *upload) recognize(x *exchange, anyName bool) error {
	if separator, err := boundary(x.r.Header.Get("Content-Type")); err != nil || separator != "" {
		return u.read(x, anyName)
	}
	sum, err := digest(x.r.Header)
	if err != nil || sum == "" {
		return u.read(x, anyName)
	}
	u.form.notify, u.sha256 = true, sum
	if err := u.form.setQuery(x.r.URL.RawQuery); err != nil {
		return err
	}
	u.form.nameFile(dispositionName(x.r.Header.Get("Content-Disposition")))
	return nil
}

// recall finds the job of a request whose answer was never kept.
func (g *Gateway) recall(x *exchange, rec *job.KeyRecord) *httpapi.Problem {
	j, err := g.jobOf(x.r.Context(), rec.JobID, x.user, job.ActView)
	if err != nil {
		return httpapi.AsProblem(err)
	}
	x.made = &j
	return nil
}

// holding handles a request that has its key, and keeps the answer.
func (g *Gateway) holding(ctx huma.Context, x *exchange, k *job.Keyed, next func(huma.Context)) {
	x.keyed = k
	stop := g.hold(k.RequestKey)
	held := &heldAnswer{ResponseWriter: x.w}
	x.w = held
	settled := false
	defer func() {
		stop()
		if !settled { // a panic
			g.settle(k, nil)
		}
	}()
	next(huma.WithContext(humago.NewContext(ctx.Operation(), x.r, held), ctx.Context()))
	stop()
	settled = true
	x.w = held.ResponseWriter
	// Of a body that was not read to its end nothing is known, unless it had no part
	// in the answer.
	known := k.Body != "" || x.body == nil || x.body.untouched() || x.body.complete() && x.body.n == 0
	answer := &job.Answer{Status: held.code(), Header: map[string]string{}, Body: held.body.String()}
	if !known || !final(answer.Status) {
		answer = nil
	}
	if answer != nil {
		for _, name := range []string{"Content-Type", "Location", "Cache-Control", "ETag"} {
			if v := x.w.Header().Get(name); v != "" {
				answer.Header[name] = v
			}
		}
	}
	g.settle(k, answer)
	held.send()
}

// final reports whether a request would be answered the same way again. All else, such
// as a limit that was reached, a state that did not fit or a part that was down, may
// pass, and nothing was done.
func final(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusGone, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return status < 300
}

// settle keeps the answer to a request, or gives its key back.
func (g *Gateway) settle(k *job.Keyed, answer *job.Answer) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	var err error
	if answer == nil {
		err = g.keys.FreeKey(ctx, k.RequestKey)
	} else {
		err = g.keys.AnswerKey(ctx, *k, *answer)
	}
	if err != nil && !errors.Is(err, job.ErrLost) {
		// The key comes free when its lease has passed, and a job that was made is found.
		g.logger.Warn("what came of an idempotency key could not be kept", "user", k.Owner, "error", err)
	}
}

// hold gives signs of life for who holds a key, until the function that it returns is
// called.
func (g *Gateway) hold(k job.RequestKey) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(g.config.KeyLease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// Who has lost it is told when he makes his job.
			if err := g.keys.HoldKey(ctx, k, g.config.KeyLease); err != nil && ctx.Err() == nil {
				g.logger.Debug("an idempotency key could not be held", "user", k.Owner, "error", err)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// replay gives an answer again.
func replay(w http.ResponseWriter, a *job.Answer) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set(replayedHeader, "true")
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(a.Body))
}

// purge removes keys, and days of uploads, that have expired, until ctx is done.
func (g *Gateway) purge(ctx context.Context) {
	tick := time.NewTicker(keyPurgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for {
			n, err := g.keys.PurgeKeys(ctx, keyPurgeBatch)
			if err != nil && ctx.Err() == nil {
				g.logger.Warn("idempotency keys that have expired were not removed", "error", err)
			}
			if n < keyPurgeBatch {
				break
			}
		}
		if err := g.jobs.PurgeUsage(ctx); err != nil && ctx.Err() == nil {
			g.logger.Warn("what was uploaded on earlier days was not forgotten", "error", err)
		}
	}
}
