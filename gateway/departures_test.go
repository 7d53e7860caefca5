package gateway_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/mp3lathe/mp3lathe/gateway"
)

// gone are the owners who have departed.
type gone struct {
	*faults
	mu     sync.Mutex
	owners []string
}

func (g *gone) Depart(_ context.Context, owner string) error {
	if err := g.at("Depart"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.owners = append(g.owners, owner)
	return nil
}

// TestDepart: only the auth service's token, which is good for nothing else, says that an
// owner is gone, and the answer comes when that is written down.
func TestDepart(t *testing.T) {
	t.Parallel()
	owners := &gone{faults: &faults{}}
	r := newRigOf(t, nil, func(d *gateway.Deps) { d.Departures = owners })
	id := r.newJob(t, "alice").ID
	for _, user := range []string{"alice", "root", "alice/jobs:write", "root/admin", "alice/"} {
		wantProblem(t, r.do(t, "DELETE", "/v1/jobs", user), 403, "insufficient_scope")
	}
	wantProblem(t, r.do(t, "DELETE", "/v1/jobs", ""), 401, "unauthorized")
	wantProblem(t, r.do(t, "DELETE", "/v1/jobs", "forged"), 401, "token_invalid")
	owners.set("Depart", down)
	wantProblem(t, r.do(t, "DELETE", "/v1/jobs", "alice/jobs:purge"), 503, "unavailable")
	if len(owners.owners) != 0 {
		t.Errorf("%v are gone", owners.owners)
	}
	owners.set("Depart", nil)
	for range 2 {
		if a := r.do(t, "DELETE", "/v1/jobs", "alice/jobs:purge"); a.StatusCode != 204 || len(a.body) != 0 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	if !slices.Equal(owners.owners, []string{"user-alice", "user-alice"}) {
		t.Errorf("%v are gone", owners.owners)
	}
	for _, c := range [][2]string{{"GET", "/v1/jobs"}, {"GET", "/v1/jobs/" + id}, {"DELETE", "/v1/jobs/" + id}, {"POST", "/v1/jobs"}} {
		wantProblem(t, r.do(t, c[0], c[1], "alice/jobs:purge"), 403, "insufficient_scope")
	}
	// A gateway that has nobody to tell has no such route.
	wantProblem(t, newRig(t, nil).do(t, "DELETE", "/v1/jobs", "alice/jobs:purge"), 405, "method_not_allowed")
}
