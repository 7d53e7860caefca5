package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"

	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// TestMetrics runs jobs through a fleet that a real Prometheus watches by our rules, and
// asks it all that our dashboards and rules ask: each query has an answer, and each
// metric, label and value that a query names is there.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := fleet(t)
	p := watch(t, s)
	s.outcomes(t)
	s.linted(t)

	rules, panels := readRules(t), readDashboards(t)
	type question struct{ what, query string }
	var open []question // without an answer yet
	for title, queries := range panels {
		for _, q := range queries {
			open = append(open, question{title, q})
		}
	}
	for _, r := range rules {
		if r.Record != "" {
			open = append(open, question{"rule", selector(r.Record, r.Labels)})
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		open = slices.DeleteFunc(open, func(q question) bool { return p.answers(t, q.query) })
		if len(open) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, q := range open {
		t.Errorf("no data for %s: %s", q.what, q.query)
	}
	// What a query selects is there, even if it has an answer without, or rightly none, as
	// alerts.
	for title, queries := range panels {
		for _, q := range queries {
			p.known(t, title, q)
		}
	}
	for _, r := range rules {
		if !strings.HasPrefix(r.Expr, "vector(") {
			p.known(t, r.Record+r.Alert, r.Expr)
		}
	}
	p.well(t)
	s.quiet(t)
}

// outcomes has jobs end in many ways.
func (s *system) outcomes(t *testing.T) {
	t.Helper()
	c := s.user(t, "anna@example.org")
	ctx := within(t, 2*time.Minute)
	upload := func(name string) client.Job {
		t.Helper()
		f, err := os.Open(filepath.Join("..", "..", "testdata", name))
		must(t, err)
		defer f.Close()
		j, err := c.Upload(ctx, filepath.Base(name), f, nil)
		must(t, err)
		return j
	}
	for name, want := range map[string]string{
		"melody.mp4": "", "phone.3gp": "", "waltz.m4a": "", "media/mp3-cbr.mp4": "",
		"media/bad-empty-track.m4a": "no_audio", "media/bad-codec-ac4.mp4": "unsupported_codec", "media/bad-cut-mdat.m4a": "truncated",
	} {
		j, err := c.Follow(ctx, upload(name).ID, nil)
		must(t, err)
		code := ""
		if j.Failure != nil {
			code = j.Failure.Code
		}
		if code != want {
			t.Fatalf("%s ended as %s %q", name, j.State, code)
		}
		if code == "" {
			_, err := readAll(c.Audio(ctx, j.ID))
			must(t, err)
			continue
		}
		j, err = c.Retry(ctx, j.ID)
		must(t, err)
		_, err = c.Follow(ctx, j.ID, nil)
		must(t, err)
	}
	upload("melody.mp4") // which is there
	eventually(t, time.Minute, "mails tell of the jobs", func() bool { return len(s.jobMails()) >= 7 })
	must(t, c.Delete(ctx, upload("audiobook.m4b").ID))
}

// linted has promtool judge the names of what each service tells, but for those of
// asynq's collector, which are not ours.
func (s *system) linted(t *testing.T) {
	t.Helper()
	promtool, err := testserver.Promtool(t.Context())
	must(t, err)
	for name, address := range s.health {
		text, err := fetch(t.Context(), "http://"+address+"/metrics")
		must(t, err)
		var ours strings.Builder
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "asynq_") {
				ours.WriteString(line)
			}
		}
		if !strings.Contains(ours.String(), `mp3lathe_build_info{`) {
			t.Errorf("%s does not say which it is", name)
		}
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(ours.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// prometheus is one that can be asked.
type prometheus struct{ url string }

// watch starts a Prometheus with our rules, which knows the services by the names that
// deploy/prometheus/prometheus.yml gives them.
func watch(t *testing.T, s *system) *prometheus {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", "..", "deploy", "prometheus"))
	must(t, err)
	b, err := os.ReadFile(filepath.Join(folder, "prometheus.yml"))
	must(t, err)
	var config struct {
		Global map[string]string `yaml:"global"`
		Rules  []string          `yaml:"rule_files"`
		Jobs   []struct {
			Name    string                `yaml:"job_name"`
			DNS     []map[string]any      `yaml:"dns_sd_configs,omitempty"`
			Targets []map[string][]string `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	must(t, yaml.UnmarshalStrict(b, &config))
	for i, r := range config.Rules {
		config.Rules[i] = filepath.Join(folder, r)
	}
	config.Global = map[string]string{"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
	jobs := config.Jobs[:0]
	for _, j := range config.Jobs {
		address := s.health[j.Name]
		if address == "" { // itself
			continue
		}
		j.DNS, j.Targets = nil, []map[string][]string{{"targets": {address}}}
		jobs = append(jobs, j)
	}
	if config.Jobs = jobs; len(jobs) != len(s.health) {
		t.Fatalf("it watches %d of %d", len(jobs), len(s.health))
	}
	b, err = yaml.Marshal(config)
	must(t, err)
	server, err := testserver.Prometheus(t.Context(), newFile(t, t.TempDir(), "prometheus.yml", string(b)))
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	p := &prometheus{server.URL}
	// What was there before the first look counts for nothing in a rate.
	eventually(t, time.Minute, "it has seen all services", func() bool {
		return p.answers(t, fmt.Sprintf("count(up == 1) == %d", len(jobs)))
	})
	return p
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return readAll(res.Body, nil)
}

// ask returns the data of an answer of Prometheus'.
func (p *prometheus) ask(t *testing.T, path string, data any) {
	t.Helper()
	b, err := fetch(t.Context(), p.url+path)
	must(t, err)
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	must(t, json.Unmarshal(b, &answer))
	if answer.Status != "success" {
		t.Fatalf("%s: %s", path, answer.Error)
	}
}

// answers reports whether a query has an answer that holds a number.
func (p *prometheus) answers(t *testing.T, query string) bool {
	t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	p.ask(t, "/api/v1/query?query="+url.QueryEscape(query), &data)
	for _, r := range data.Result {
		if v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64); err == nil && !math.IsNaN(v) {
			return true
		}
	}
	return false
}

// well checks that rules can be evaluated, and services be asked.
func (p *prometheus) well(t *testing.T) {
	t.Helper()
	var groups struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.ask(t, "/api/v1/rules", &groups)
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Errorf("the rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	var targets struct {
		ActiveTargets []struct{ ScrapeURL, Health, LastError string }
	}
	p.ask(t, "/api/v1/targets", &targets)
	for _, x := range targets.ActiveTargets {
		if x.Health != "up" {
			t.Errorf("%s is %s: %s", x.ScrapeURL, x.Health, x.LastError)
		}
	}
}

var (
	// names of metrics in queries, with what selects of them.
	names = regexp.MustCompile(`\b((?:mp3lathe|asynq|go_sql|process)_\w+|(?:slo|lane|code|service):[\w:]+|up)\b(?:\{([^}]*)\})?`)
	// matchers of labels.
	matchers = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	// groups are labels by which a query groups or joins.
	groups = regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([\w\s,]*)\)`)
	// words that a regular expression chooses from.
	words = regexp.MustCompile(`^\w+(\|\w+)*$`)
)

// known checks that the metrics, labels and values are there that a query names. Codes of
// HTTP come with the first such answer; all else is there from the start.
func (p *prometheus) known(t *testing.T, what, query string) {
	t.Helper()
	check := func(q string) bool {
		t.Helper()
		ok := p.answers(t, q)
		if !ok {
			t.Errorf("%s: no data for %s", what, q)
		}
		return ok
	}
	found := names.FindAllStringSubmatch(query, -1)
	if len(found) == 0 && !strings.Contains(query, "ALERTS") {
		t.Errorf("%s: no metric in %s", what, query)
	}
	for _, m := range found {
		metric := m[1]
		if !check("count(" + metric + ")") {
			continue
		}
		for _, by := range matchers.FindAllStringSubmatch(m[2], -1) {
			label, op, value := by[1], by[2], by[3]
			check(fmt.Sprintf(`count(%s{%s!=""})`, metric, label))
			switch {
			case strings.HasPrefix(op, "!"), label == "code" && metric == "mp3lathe_http_requests_total":
			case label == "le": // which is written in two ways
				check(fmt.Sprintf(`count(%s{le=~%q})`, metric, value))
			case op == "=" || words.MatchString(value):
				for _, one := range strings.Split(value, "|") {
					check(fmt.Sprintf(`count(%s{%s=%q})`, metric, label, one))
				}
			default:
				t.Errorf("%s: nothing checks %s", what, by[0])
			}
		}
	}
	for _, list := range groups.FindAllStringSubmatch(query, -1) {
		for _, label := range strings.FieldsFunc(list[1], func(r rune) bool { return r == ' ' || r == ',' }) {
			if !slices.ContainsFunc(found, func(m []string) bool { return p.answers(t, fmt.Sprintf(`count(%s{%s!=""})`, m[1], label)) }) {
				t.Errorf("%s: no metric of it has the label %s: %s", what, label, query)
			}
		}
	}
}

// selector selects a metric by its labels.
func selector(metric string, labels map[string]string) string {
	var by []string
	for label, value := range labels {
		by = append(by, fmt.Sprintf("%s=%q", label, value))
	}
	return metric + "{" + strings.Join(by, ",") + "}"
}

type rule struct {
	Record, Alert, Expr string
	Labels              map[string]string
}

// readRules reads our rules.
func readRules(t *testing.T) (all []rule) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "deploy", "prometheus", "rules", "*.yml"))
	must(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		var f struct{ Groups []struct{ Rules []rule } }
		must(t, yaml.Unmarshal(b, &f))
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	if len(all) < 30 {
		t.Fatalf("only %d rules", len(all))
	}
	return all
}

// readDashboards returns the queries of our panels, as Grafana sends them, by dashboard
// and panel.
func readDashboards(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "deploy", "grafana", "dashboards", "*.json"))
	must(t, err)
	all, n := map[string][]string{}, 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		var d struct {
			Title  string
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		must(t, json.Unmarshal(b, &d))
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				n++
				what := d.Title + ", " + p.Title
				all[what] = append(all[what], strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			}
		}
	}
	if n < 60 {
		t.Fatalf("only %d queries", n)
	}
	return all
}
