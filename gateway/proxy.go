package gateway

import (
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/trace"
)

const (
	// maxAuthBody is the longest body that is passed on to the auth service.
	maxAuthBody = 64 << 10
	authDial    = 2 * time.Second
	authAnswer  = 15 * time.Second // hashing a password takes its time under load
)

// authRoutes are passed on to the auth service.
var authRoutes = []string{"POST /login", "POST /validate", "/v1/auth", "/v1/auth/", "GET /.well-known/jwks.json"}

// oursAlready are headers that stand in the gateway's answers before another service's
// are put in.
var oursAlready = []string{"X-Request-Id", "X-Content-Type-Options", "Referrer-Policy", "Strict-Transport-Security"}

// newTransport makes connections to a service behind the gateway.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: authDial, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    authDial,
		ResponseHeaderTimeout:  authAnswer,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// newAuthProxy passes requests on to the auth service at target.
func newAuthProxy(target *url.URL, transport http.RoundTripper, trusted []netip.Prefix) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			// Auth goes on with the trace of the request: with ours, whatever that has named.
			for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
				r.Out.Header.Del(name)
			}
			trace.Inject(r.In.Context(), r.Out.Header)
			if client, ok := clientIP(r.In, trusted); ok { // and not the proxy before us
				r.Out.Header.Set("X-Forwarded-For", client.String())
			}
			if !strings.HasPrefix(r.In.URL.Path, accountapi.BrowserPath+"/") {
				r.Out.Header.Del("Cookie") // nobody else there reads any
			}
			if cookie, err := r.In.Cookie(accountapi.SignInCookie); err == nil && strings.HasPrefix(r.In.URL.Path, accountapi.OIDCPath+"/") {
				r.Out.Header.Set("Cookie", cookie.Name+"="+cookie.Value) // but this, which is for there
			}
		},
		ModifyResponse: func(r *http.Response) error {
			// These are ours already; the rest is as the auth service has it.
			for _, name := range oursAlready {
				r.Header.Del(name)
			}
			r.Header.Del("Content-Security-Policy")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			w.Header().Set("Cache-Control", "no-store")
			var long *http.MaxBytesError
			if errors.As(err, &long) {
				httpapi.NewProblem(http.StatusRequestEntityTooLarge, "too_large", "The body is too large.").Write(w, r)
				return
			}
			httpapi.Trouble(err).Write(w, r)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxAuthBody)
		w.Header().Del("Cache-Control")
		proxy.ServeHTTP(w, r)
	})
}
