package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// TestLimits: two gateways on one Redis count a user's requests together, and when Redis
// is gone nobody is turned away.
func TestLimits(t *testing.T) {
	l := newLean(t)
	redis, err := testserver.Redis(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = redis.Stop() })
	const most = 40
	var gateways []*client.Client
	for range 2 {
		front := freeAddress(t)
		l.gateway(front, "--redis", redis.URL, "--rate-user", strconv.Itoa(most), "--quota-jobs", "1")
		gateways = append(gateways, &client.Client{Base: "http://" + front})
	}
	must(t, gateways[0].Register(t.Context(), "anna@example.org", password))
	must(t, gateways[0].Login(t.Context(), "anna@example.org", password))
	gateways[1].Token = gateways[0].Token

	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "melody.mp4"))
	must(t, err)
	_, err = gateways[0].Upload(t.Context(), "a.mp4", newReader(video), nil)
	must(t, err)
	_, err = gateways[1].Upload(t.Context(), "b.mp4", newReader(append(video, 0)), nil)
	if problem := (*client.Error)(nil); !errors.As(err, &problem) || problem.Status != 429 || problem.Code != "quota_jobs" || !strings.Contains(problem.Detail, "1 of your jobs") {
		t.Errorf("one job more: %v", err)
	}
	answered, began := 0, time.Now()
	for i := range 3 * most {
		_, err := gateways[i%2].List(t.Context())
		problem := (*client.Error)(nil)
		switch {
		case err == nil:
			answered++
		case !errors.As(err, &problem) || problem.Status != 429 || problem.Code != "too_many_requests":
			t.Fatal(err)
		}
	}
	// Two were uploads; one comes back each 1.5 seconds.
	if more := int(time.Since(began).Seconds()/1.5) + 1; answered < most-2 || answered > most-2+more+1 {
		t.Errorf("%d were answered", answered)
	}
	must(t, redis.Kill())
	for i := range 10 {
		if _, err := gateways[i%2].List(t.Context()); err != nil {
			t.Errorf("without redis: %v", err)
		}
	}
}
