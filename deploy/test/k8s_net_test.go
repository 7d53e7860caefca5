package deploytest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	networking "k8s.io/api/networking/v1"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/jobstore"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

// walls checks that nothing reaches anything but what it has to: each pod is shut in by
// a policy for all, and the ways out of it are those named here.
func (c *cluster) walls(t *testing.T) {
	t.Helper()
	nothing := c.policies["nothing"]
	if nothing == nil || len(nothing.Spec.PodSelector.MatchLabels)+len(nothing.Spec.PodSelector.MatchExpressions)+len(nothing.Spec.Ingress)+len(nothing.Spec.Egress) > 0 ||
		!slices.Equal(nothing.Spec.PolicyTypes, []networking.PolicyType{"Ingress", "Egress"}) {
		t.Errorf("not all is forbidden that is not allowed: %+v", nothing)
	}
	want := map[string][]string{
		"gateway":  {"gateway", "names", "to-bucket", "to-database", "to-redis"},
		"auth":     {"auth", "names", "to-database", "to-mail"},
		"worker":   {"names", "to-bucket", "to-database", "to-redis"},
		"notifier": {"names", "to-database", "to-mail", "to-redis"},
		"queues":   {"names", "to-redis"},
		"migrate":  {"names", "to-database"},
	}
	if slices.Contains(c.components, "oidc") {
		want["auth"] = []string{"auth", "names", "to-database", "to-mail", "to-provider"}
	}
	if slices.Contains(c.components, "mongodb") {
		for _, name := range []string{"gateway", "worker", "notifier", "migrate"} {
			want[name] = slices.Sorted(slices.Values(append(want[name], "to-mongodb")))
		}
	}
	for _, p := range c.pods() {
		var out []string
		for name, policy := range c.policies {
			if len(policy.Spec.Egress) > 0 && slices.ContainsFunc(c.selected(t, &policy.Spec.PodSelector), func(q pod) bool { return q.of == p.of }) {
				out = append(out, name)
			}
		}
		slices.Sort(out)
		ours := want[p.Labels["app.kubernetes.io/name"]]
		if ours == nil {
			ours = []string{"names"} // a part of the trial, which asks nobody
		}
		if !slices.Equal(out, ours) {
			t.Errorf("%s: it gets out by %q, want %q", p.of, out, ours)
		}
	}
	for name, policy := range c.policies {
		pods := c.selected(t, &policy.Spec.PodSelector)
		if len(pods) == 0 {
			t.Errorf("the policy %s is for no pod", name)
		}
		for _, way := range policy.Spec.Egress {
			c.narrow(t, name, way.To, way.Ports)
		}
		for _, way := range policy.Spec.Ingress {
			c.narrow(t, name, way.From, way.Ports)
			for _, port := range way.Ports {
				for _, p := range pods {
					if !opens(p.Spec.Containers[0], port.Port.String()) {
						t.Errorf("the policy %s leads to %s of %s, which is not open", name, port.Port.String(), p.of)
					}
				}
			}
		}
	}
}

// narrow checks that a way leads to somebody, and not to everybody.
func (c *cluster) narrow(t *testing.T, name string, peers []networking.NetworkPolicyPeer, ports []networking.NetworkPolicyPort) {
	t.Helper()
	if len(peers) == 0 || len(ports) == 0 {
		t.Errorf("the policy %s leads anywhere: %v %v", name, peers, ports)
	}
	for _, peer := range peers {
		switch {
		case peer.IPBlock != nil:
			if strings.HasSuffix(peer.IPBlock.CIDR, "/0") {
				t.Errorf("the policy %s leads everywhere", name)
			}
		case peer.NamespaceSelector != nil: // others' pods
		case peer.PodSelector == nil || len(c.selected(t, peer.PodSelector)) == 0:
			t.Errorf("the policy %s leads to nobody: %v", name, peer.PodSelector)
		}
	}
}

// TestMongoDBTrigger: so is the question by which it does where the jobs are in MongoDB.
func TestMongoDBTrigger(t *testing.T) {
	metadata := kustomize(t, "production", "mongodb").scaled["worker"].Spec.Triggers[0].Metadata
	mongo, err := testserver.MongoDB(t.Context(), os.Getenv("MP3LATHE_TEST_MONGODB"))
	must(t, err)
	t.Cleanup(func() { must(t, mongo.Stop()) })
	url, err := mongo.NewDatabase()
	must(t, err)
	p := &app.Parts{}
	must(t, p.OpenDB(t.Context(), url))
	t.Cleanup(func() { must(t, p.Close()) })
	for range 3 {
		_, err := p.Jobs.Insert(t.Context(), job.Job{ID: uuid.Must(uuid.NewV7()).String(), Owner: "ada"})
		must(t, err)
	}
	l, err := p.Jobs.List(t.Context(), job.Query{Limit: 1})
	must(t, err)
	_, err = p.Jobs.Cancel(t.Context(), l[0].ID)
	must(t, err)
	if n, err := mongo.Count(t.Context(), url, metadata["collection"], metadata["query"]); err != nil || n != 2 {
		t.Errorf("the depth is %d, want 2: %v", n, err)
	}
}

// TestTriggers: the questions by which KEDA scales workers are answered by a real
// database with our tables, and the answers are right.
func TestTriggers(t *testing.T) {
	queries := map[string]string{}
	for _, trigger := range kustomize(t, "production").scaled["worker"].Spec.Triggers {
		if trigger.Type == "mysql" {
			queries[trigger.Name] = trigger.Metadata["query"]
		}
	}
	maria, err := testserver.MariaDB(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, maria.Stop()) })
	url, err := maria.NewDatabase(t.Context())
	must(t, err)
	db, err := sqldb.Open(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, jobstore.Migrate(t.Context(), db))
	// As KEDA reads it.
	answer := func(name string) (value float64) {
		must(t, db.QueryRowContext(t.Context(), queries[name]).Scan(&value))
		return value
	}
	if depth, age := answer("depth"), answer("age"); depth != 0 || age != 0 {
		t.Errorf("of nothing the depth is %v and the age %v", depth, age)
	}
	jobs := jobstore.New(db)
	var ids []string
	for range 3 {
		id := uuid.Must(uuid.NewV7()).String()
		ids = append(ids, id)
		_, err := jobs.Insert(t.Context(), job.Job{ID: id, Owner: "ada"})
		must(t, err)
	}
	_, err = jobs.Claim(t.Context(), ids[0], "worker", time.Minute)
	must(t, err)
	// One has waited for five minutes; the other is to wait for an hour yet, as before another try.
	for id, change := range map[string]string{ids[1]: "created_at = created_at - 300000000", ids[2]: "not_before = created_at + 3600000000, created_at = created_at - 900000000"} {
		_, err := db.ExecContext(t.Context(), "UPDATE jobs SET "+change+" WHERE id = ?", id)
		must(t, err)
	}
	if depth, age := answer("depth"), answer("age"); depth != 3 || age < 300 || age > 400 {
		t.Errorf("the depth is %v, want 3, and the age %v, want 300", depth, age)
	}
}
