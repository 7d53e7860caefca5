package accountapi

import (
	"net/http"
	"net/url"
	"time"
)

// The cookies of browsers. The first has the access token, and comes with every request;
// the second has the refresh token, and comes with those below [BrowserPath] only. No
// script can read them, no other host can set them, they come over TLS only (or from the
// same machine), and not with requests that pages of others cause.
const (
	AccessCookie  = "__Host-mp3lathe-access"
	RefreshCookie = "__Secure-mp3lathe-refresh"
	BrowserPath   = "/v1/auth/browser"
)

// Cookies are those of a session, for the times that its tokens are good. Empty tokens
// remove them.
func Cookies(access string, accessLasts time.Duration, refresh string, refreshLasts time.Duration) []http.Cookie {
	cookie := func(name, path, value string, lasts time.Duration) http.Cookie {
		age := int(lasts.Seconds())
		if value == "" {
			age = -1
		}
		return http.Cookie{Name: name, Path: path, Value: value, MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	}
	return []http.Cookie{cookie(AccessCookie, "/", access, accessLasts), cookie(RefreshCookie, BrowserPath, refresh, refreshLasts)}
}

// SameOrigin reports whether a request to a host comes from a page of the same, by what
// browsers say and pages cannot: Sec-Fetch-Site, or Origin where that is missing. A
// request with neither does not: every browser sends Origin with what changes something.
func SameOrigin(fetchSite, origin, host string) bool {
	switch fetchSite {
	case "same-origin", "none": // none is the user himself
		return true
	case "":
	default:
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && u.Host == host
}
