package objstore_test

import (
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
)

// fault is what a proxy does to a request.
type fault int

const (
	none     fault = iota
	refuse         // 503, without asking the server
	broken         // 500, without asking the server
	cut            // the connection ends within the answer's body
	shorter        // the body ends early, and the length says so
	lost           // the server is asked, and the connection ends before its answer
	rangeOff       // the server is asked for the whole object, whatever the range
	full           // 507, without asking the server
	quota          // 403 with the code QuotaExceeded, without asking the server
)

// proxy stands between a bucket and the server.
type proxy struct {
	requests atomic.Int64

	mu    sync.Mutex
	fault func(*http.Request) fault // nil: none
}

func (p *proxy) set(f func(*http.Request) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *proxy) choose(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil {
		return none
	}
	return p.fault(r)
}

// through returns a bucket that is reached through a proxy.
func through(t *testing.T) (*objstore.Bucket, *proxy) {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	transport := &http.Transport{}
	// The fault is chosen once for a request, and told to the answer by a header.
	const header = "X-Fault"
	reverse := &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			code, _ := strconv.Atoi(r.Request.Header.Get(header))
			n := r.ContentLength / 2
			switch fault(code) {
			case cut:
				r.Body = &breaking{r.Body, n}
			case shorter:
				r.ContentLength = n
				r.Header.Set("Content-Length", strconv.FormatInt(n, 10))
				r.Body = &limited{io.LimitReader(r.Body, n), r.Body}
			case lost:
				return errors.New("lost")
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		f := p.choose(r)
		if f == full || f == quota {
			// Who answers before it has read all resets the connection, and the answer
			// may be lost on the way.
			_, _ = io.Copy(io.Discard, r.Body)
		}
		switch f {
		case refuse:
			w.WriteHeader(http.StatusServiceUnavailable)
		case broken:
			w.WriteHeader(http.StatusInternalServerError)
		case full:
			w.WriteHeader(http.StatusInsufficientStorage)
		case quota:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>QuotaExceeded</Code></Error>")
		case rangeOff:
			r.Header.Del("Range")
			reverse.ServeHTTP(w, r)
		default:
			r.Header.Set(header, strconv.Itoa(int(f)))
			reverse.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		front.Close()
		transport.CloseIdleConnections()
	})
	u := strings.Replace(newURL(t, "s3"), url.QueryEscape(server.Endpoint), url.QueryEscape(front.URL), 1)
	return open(t, u), p
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

// now and then chooses among faults for every n-th request or so.
func nowAndThen(seed uint64, n int, faults ...fault) func(*http.Request) fault {
	random := rand.New(rand.NewPCG(seed, 1))
	return func(*http.Request) fault {
		if random.IntN(n) > 0 {
			return none
		}
		return faults[random.IntN(len(faults))]
	}
}

// method applies a fault to the first times requests of a method.
func method(name string, times int, f fault) func(*http.Request) fault {
	return func(r *http.Request) fault {
		if r.Method != name || times == 0 {
			return none
		}
		times--
		return f
	}
}
