package gateway

import (
	"net/http"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// hsts has browsers use TLS alone for a year.
const hsts = "max-age=31536000"

// browsers lets in those whose access token is in a cookie: it becomes an Authorization
// header. Since browsers send cookies whoever has caused a request, one that changes
// something must come from a page of ours; SameSite=Strict, which the cookie has, should
// see to that too. Programs with a header of their own are not asked.
func (g *Gateway) browsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.config.TLS {
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		cookie, err := r.Cookie(accountapi.AccessCookie)
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		if safe && strings.HasPrefix(r.URL.Path, accountapi.OIDCPath+"/") {
			// The browser comes from another site, from a provider, and what answers it does
			// not ask who is logged in.
			next.ServeHTTP(w, r)
			return
		}
		if err != nil || r.Header.Get("Authorization") != "" || r.URL.Path == accountapi.BrowserPath || strings.HasPrefix(r.URL.Path, accountapi.BrowserPath+"/") {
			next.ServeHTTP(w, r)
			return
		}
		site := r.Header.Get("Sec-Fetch-Site")
		if !safe && !accountapi.SameOrigin(site, r.Header.Get("Origin"), r.Host) || safe && site == "cross-site" {
			httpapi.NewProblem(http.StatusForbidden, "cross_origin", "A page of another origin has caused this request.").Write(w, r)
			return
		}
		r.Header.Set("Authorization", "Bearer "+cookie.Value)
		next.ServeHTTP(w, r)
	})
}
