package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/rate"
)

// This file limits how often somebody may ask, and tells him so in the fields of
// draft-ietf-httpapi-ratelimit-headers-10.

// Rates are how many requests are answered in a minute. 0 is any number.
type Rates struct {
	// User is for each user.
	User int
	// Address is for each address that sends no good token: logins, signed links. Of
	// IPv6 it is the first half.
	Address int
}

// limitUser counts a request of a user's.
func (g *Gateway) limitUser(ctx context.Context, w http.ResponseWriter, u user) *httpapi.Problem {
	return g.limit(ctx, w, "user", u.id, g.config.Rates.User)
}

// limitAddress counts a request of nobody known.
func (g *Gateway) limitAddress(w http.ResponseWriter, r *http.Request) *httpapi.Problem {
	return g.limit(r.Context(), w, "address", clientAddress(r, g.config.TrustedProxies), g.config.Rates.Address)
}

// limit counts a request, and refuses it if it is one too many. The answer tells what is
// left, whatever else it says.
func (g *Gateway) limit(ctx context.Context, w http.ResponseWriter, policy, whose string, perMinute int) *httpapi.Problem {
	if g.limiter == nil || perMinute <= 0 {
		return nil
	}
	v := g.limiter.Take(ctx, policy+":"+whose, rate.Limit{Requests: perMinute, Per: time.Minute})
	if !v.Known {
		return nil
	}
	next := int((v.Next + time.Second - 1) / time.Second)
	tellLimit(w.Header(), fmt.Sprintf("%q;q=%d;w=60", policy, perMinute), fmt.Sprintf("%q;r=%d;t=%d", policy, v.Remaining, next))
	if v.Allowed {
		return nil
	}
	return httpapi.NewProblem(http.StatusTooManyRequests, "too_many_requests",
		fmt.Sprintf("No more than %d requests a minute are answered. Wait before the next.", perMinute)).
		WithHeader("Retry-After", strconv.Itoa(max(next, 1)))
}

func tellLimit(h http.Header, policy, left string) {
	h.Add("RateLimit-Policy", policy)
	h.Add("RateLimit", left)
}

// clientAddress is where a request comes from, as far as limits tell: of IPv6 it is the
// first half, since who has an address has all that begin as it does.
func clientAddress(r *http.Request, trusted []netip.Prefix) string {
	address, ok := clientIP(r, trusted)
	if !ok {
		return r.RemoteAddr
	}
	if address.Is6() {
		if half, err := address.WithZone("").Prefix(64); err == nil {
			return half.String()
		}
	}
	return address.String()
}

// clientIP is where a request comes from: the last address in X-Forwarded-For that is
// none of our own proxies, if it has come through those. ok is false if even the
// connection does not tell.
func clientIP(r *http.Request, trusted []netip.Prefix) (address netip.Addr, ok bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if address, err = netip.ParseAddr(host); err != nil {
		return netip.Addr{}, false
	}
	ours := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	address = address.Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && ours(address); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // what stands before it nobody of us has written
		}
		address = hop.Unmap()
	}
	return address, true
}
