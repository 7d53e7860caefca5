package objstore_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// fault is what a proxy does to a request.
type fault = testserver.S3Fault

const (
	none     = testserver.S3None
	refuse   = testserver.S3Refuse
	broken   = testserver.S3Broken
	cut      = testserver.S3Cut
	shorter  = testserver.S3Shorter
	lost     = testserver.S3Lost
	rangeOff = testserver.S3RangeOff
	full     = testserver.S3Full
	quota    = testserver.S3Quota
)

// through returns a bucket that is reached through a proxy.
func through(t *testing.T) (*objstore.Bucket, *testserver.S3Proxy) {
	t.Helper()
	p, err := testserver.NewS3Proxy(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	u := strings.Replace(newURL(t, "s3"), url.QueryEscape(server.Endpoint), url.QueryEscape(p.Endpoint), 1)
	return open(t, u), p
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
