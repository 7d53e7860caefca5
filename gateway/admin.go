package gateway

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

// QueuesPath is where the page about the queues lies.
const QueuesPath = "/admin/queues"

// administrators lets in those alone, by a token of the scope that only they have. In
// browsers it comes in a cookie, and whatever changes something from a page of ours: see
// [Gateway.browsers].
func (g *Gateway) administrators(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, p := g.claimsOf(r.Context(), r.Header.Get("Authorization"))
		switch {
		case p == nil:
			httpapi.SetUser(r.Context(), c.Subject)
			p = g.limitUser(r.Context(), w, user{id: c.Subject})
		case p.Status == http.StatusUnauthorized:
			if many := g.limitAddress(w, r); many != nil {
				p = many
			}
		}
		switch {
		case p != nil:
		case !c.May(token.ScopeAdmin):
			p = insufficient(token.ScopeAdmin)
		case !c.Is(token.RoleAdmin):
			p = httpapi.NewProblem(http.StatusForbidden, "forbidden", "This is for administrators.")
		}
		if p == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
			// What it does it does to all jobs.
			act := job.Act{Action: job.ActQueues, Detail: r.Method + " " + strings.TrimPrefix(r.URL.Path, QueuesPath)}
			if err := g.noteFrom(r.Context(), r, user{id: c.Subject, email: c.Email}, act); err != nil {
				p = httpapi.AsProblem(err)
			}
		}
		if p != nil {
			p.Write(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// QueuesAt is the page about the queues that another process serves at a URL, for
// [Deps].Queues. That process is not told who asks.
func QueuesAt(target *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: newTransport(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // by which it tells its own pages from those of others
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization")
		},
		ModifyResponse: func(r *http.Response) error {
			for _, name := range oursAlready {
				r.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			w.Header().Set("Content-Security-Policy", httpapi.NoContent)
			w.Header().Set("Cache-Control", "no-store")
			httpapi.Trouble(err).Write(w, r)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Del("Content-Security-Policy") // the page has one that fits it
		w.Header().Del("Cache-Control")
		proxy.ServeHTTP(w, r)
	})
}
