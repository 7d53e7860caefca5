package testserver

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
)

// S3Fault is what an [S3Proxy] does to a request.
type S3Fault int

// The faults.
const (
	S3None     S3Fault = iota
	S3Refuse           // 503, without asking the server
	S3Broken           // 500, without asking the server
	S3Cut              // the connection ends within the answer's body
	S3Shorter          // the body ends early, and the length says so
	S3Lost             // the server is asked, and the connection ends before its answer
	S3RangeOff         // the server is asked for the whole object, whatever the range
	S3Full             // 507, without asking the server
	S3Quota            // 403 with the code QuotaExceeded, without asking the server
	S3Stall            // nothing happens until the client goes
)

// S3Proxy stands between clients and an S3 server, and does wrong what it is told to.
type S3Proxy struct {
	// Endpoint is where it answers.
	Endpoint string
	// Requests so far.
	Requests atomic.Int64

	front     *httptest.Server
	transport *http.Transport
	closed    chan struct{}

	mu    sync.Mutex
	fault func(*http.Request) S3Fault // nil: none
}

// Set chooses the fault of each request from now on; nil is none.
func (p *S3Proxy) Set(f func(*http.Request) S3Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *S3Proxy) choose(r *http.Request) S3Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil {
		return S3None
	}
	return p.fault(r)
}

// NewS3Proxy starts a proxy in front of a server. Close it at the end.
func NewS3Proxy(endpoint string) (*S3Proxy, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	p := &S3Proxy{transport: &http.Transport{}, closed: make(chan struct{})}
	p.front = httptest.NewServer(http.HandlerFunc(p.handler(target)))
	p.Endpoint = p.front.URL
	return p, nil
}

// Close ends the proxy and all that it has under way.
func (p *S3Proxy) Close() {
	close(p.closed)
	p.front.CloseClientConnections()
	p.front.Close()
	p.transport.CloseIdleConnections()
}

func (p *S3Proxy) handler(target *url.URL) http.HandlerFunc {
	// The fault is chosen once for a request, and told to the answer by a header.
	const header = "X-Fault"
	reverse := &httputil.ReverseProxy{
		Transport: p.transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			code, _ := strconv.Atoi(r.Request.Header.Get(header))
			n := r.ContentLength / 2
			switch S3Fault(code) {
			case S3Cut:
				r.Body = &breaking{r.Body, n}
			case S3Shorter:
				r.ContentLength = n
				r.Header.Set("Content-Length", strconv.FormatInt(n, 10))
				r.Body = &limited{io.LimitReader(r.Body, n), r.Body}
			case S3Lost:
				return errors.New("lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	return func(w http.ResponseWriter, r *http.Request) {
		p.Requests.Add(1)
		f := p.choose(r)
		if f == S3Full || f == S3Quota {
			// Who answers before it has read all resets the connection, and the answer
			// may be lost on the way.
			_, _ = io.Copy(io.Discard, r.Body)
		}
		switch f {
		case S3Refuse:
			w.WriteHeader(http.StatusServiceUnavailable)
		case S3Broken:
			w.WriteHeader(http.StatusInternalServerError)
		case S3Full:
			w.WriteHeader(http.StatusInsufficientStorage)
		case S3Quota:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>QuotaExceeded</Code></Error>")
		case S3Stall:
			_, _ = io.Copy(io.Discard, r.Body) // so that the client's end is noticed
			select {
			case <-r.Context().Done():
			case <-p.closed:
			}
			panic(http.ErrAbortHandler)
		case S3RangeOff:
			r.Header.Del("Range")
			reverse.ServeHTTP(w, r)
		default:
			r.Header.Set(header, strconv.Itoa(int(f)))
			reverse.ServeHTTP(w, r)
		}
	}
}

// breaking is a body that fails.
type breaking struct {
	io.ReadCloser
	left int64
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("broken")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

type limited struct {
	io.Reader
	io.Closer
}
