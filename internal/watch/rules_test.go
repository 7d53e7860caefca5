// Package watch checks what watches a fleet: the rules and alerts of Prometheus, the
// runbook, and Grafana's dashboards. Whether what they ask for is there is seen by
// package e2e, which runs a fleet.
package watch

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

const (
	prometheus = "../../deploy/prometheus"
	runbook    = "https://github.com/mp3lathe/mp3lathe/blob/main/docs/runbook.md#"
)

// rule is one of Prometheus'.
type rule struct {
	Record, Alert, Expr string
	For                 string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	files, err := filepath.Glob(prometheus + "/rules/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Groups []struct {
				Name  string
				Rules []rule
			}
		}
		if err := yaml.UnmarshalStrict(b, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// promtool runs it in the folder of Prometheus' files.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := testserver.Promtool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = prometheus
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// files are those of a pattern in the folder of Prometheus' files, as promtool finds
// them there.
func files(t *testing.T, pattern string) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(prometheus, pattern))
	if err != nil || len(found) == 0 {
		t.Fatal(pattern, err)
	}
	for _, f := range found {
		name, err := filepath.Rel(prometheus, f)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// TestRules has promtool check the configuration and the rules, and run the cases of
// alerts.
func TestRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files(t, "rules/*.yml")...)...)
	promtool(t, append([]string{"test", "rules"}, files(t, "tests/*.yml")...)...)
}

// TestAlerts: each alert says how bad it is and what has happened, has a case in which it
// comes, and an entry in the runbook; which has none for alerts that there are not.
func TestAlerts(t *testing.T) {
	t.Parallel()
	book, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	for _, section := range bytes.Split(book, []byte("\n## "))[1:] {
		title, text, _ := strings.Cut(string(section), "\n")
		entries[title] = strings.TrimSpace(text)
	}
	cases := ""
	for _, name := range files(t, "tests/*.yml") {
		b, err := os.ReadFile(filepath.Join(prometheus, name))
		if err != nil {
			t.Fatal(err)
		}
		cases += string(b)
	}
	var names []string
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		names = append(names, r.Alert)
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what has happened", r.Alert)
		}
		if url := r.Annotations["runbook_url"]; url != runbook+strings.ToLower(r.Alert) {
			t.Errorf("%s: runbook_url %q", r.Alert, url)
		}
		if len(entries[r.Alert]) < 80 {
			t.Errorf("%s: the runbook says %q", r.Alert, entries[r.Alert])
		}
		if !strings.Contains(cases, `alertname="`+r.Alert+`",alertstate="firing"`) {
			t.Errorf("%s: there is no case in which it comes", r.Alert)
		}
	}
	if len(names) < 10 {
		t.Errorf("only %q", names)
	}
	for title := range entries {
		if regexp.MustCompile(`^Mp3lathe`).MatchString(title) && !slices.Contains(names, title) {
			t.Errorf("the runbook has %s, which is no alert", title)
		}
	}
}
