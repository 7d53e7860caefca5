package watch

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

const grafana = "../../deploy/grafana"

// source is a data source as panels name it.
type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type grid struct{ X, Y, W, H int }

// dashboard has the fields of Grafana's that ours have, so that a misspelt one shows.
type dashboard struct {
	UID, Title, Description string
	Tags                    []string
	SchemaVersion           int
	Editable                bool
	GraphTooltip            int
	Refresh                 string
	Time                    struct{ From, To string }
	Links                   []struct {
		Type, Title                                    string
		Tags                                           []string
		AsDropdown, KeepTime, TargetBlank, IncludeVars bool
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Collapsed                bool
	GridPos                  grid
	Datasource               *source
	Options                  json.RawMessage
	FieldConfig              *struct {
		Defaults struct {
			Unit       string
			Min, Max   *float64
			Decimals   *int
			Custom     json.RawMessage
			Thresholds json.RawMessage
		}
		Overrides []json.RawMessage
	}
	Targets []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
		Exemplar                  bool
	}
	Panels []panel
}

// dashboards reads all of ours, strictly.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(grafana + "/dashboards/*.json")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	all := map[string]dashboard{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		decoder := json.NewDecoder(bytes.NewReader(b))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&d); err != nil || decoder.More() {
			t.Fatalf("%s: %v", name, err)
		}
		all[filepath.Base(name)] = d
	}
	return all
}

// provisioned are the data sources that Grafana is given.
func provisioned(t *testing.T) (all []source) {
	t.Helper()
	var f struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, URL string
			IsDefault            bool `yaml:"isDefault"`
			Editable             bool
			JSONData             map[string]any `yaml:"jsonData"`
		}
	}
	read(t, grafana+"/provisioning/datasources/prometheus.yaml", &f)
	for _, d := range f.Datasources {
		all = append(all, source{d.Type, d.UID})
	}
	return all
}

func read(t *testing.T, name string, to any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(b, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestDashboards: each is what Grafana takes, its panels lie side by side, and each asks
// a data source that there is.
func TestDashboards(t *testing.T) {
	t.Parallel()
	sources := provisioned(t)
	uids := map[string]bool{}
	for name, d := range dashboards(t) {
		if d.UID == "" || uids[d.UID] || !strings.HasPrefix(d.UID, "mp3lathe-") || len(d.UID) > 40 {
			t.Errorf("%s: the uid %q", name, d.UID)
		}
		uids[d.UID] = true
		if d.Title == "" || d.Description == "" || !slices.Contains(d.Tags, "mp3lathe") || d.SchemaVersion < 36 {
			t.Errorf("%s has no title, description, tag or version: %+v", name, d)
		}
		checkPanels(t, name, d.Panels, sources)
	}
	var f struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type string
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			Options            struct{ Path string }
		}
	}
	read(t, grafana+"/provisioning/dashboards/mp3lathe.yaml", &f)
	if len(f.Providers) != 1 || f.Providers[0].Type != "file" || f.Providers[0].Options.Path != "/etc/grafana/dashboards" {
		t.Errorf("Grafana is given %+v", f.Providers)
	}
}

func checkPanels(t *testing.T, name string, panels []panel, sources []source) {
	t.Helper()
	ids := map[int]bool{}
	asked := 0
	for i, p := range panels {
		if p.ID <= 0 || ids[p.ID] {
			t.Errorf("%s: the panel %q has the ID %d", name, p.Title, p.ID)
		}
		ids[p.ID] = true
		if g := p.GridPos; g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%s: the panel %q lies outside: %+v", name, p.Title, g)
		}
		for _, q := range panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s: the panels %q and %q overlap", name, p.Title, q.Title)
			}
		}
		switch p.Type {
		case "row", "text":
			if len(p.Targets) > 0 || len(p.Panels) > 0 {
				t.Errorf("%s: %q asks, or holds panels", name, p.Title)
			}
			continue
		case "timeseries", "stat":
		default:
			t.Errorf("%s: %q is of the type %q", name, p.Title, p.Type)
		}
		if p.Title == "" || p.FieldConfig == nil || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s: the panel %q lacks a title, a unit or a query", name, p.Title)
		}
		if p.Datasource == nil || !slices.Contains(sources, *p.Datasource) {
			t.Errorf("%s: %q asks %+v, want one of %v", name, p.Title, p.Datasource, sources)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			asked++
			if refs[target.RefID] || target.RefID == "" || target.Expr == "" || !slices.Contains(sources, target.Datasource) {
				t.Errorf("%s: %q has the query %+v", name, p.Title, target)
			}
			refs[target.RefID] = true
		}
	}
	if asked < 10 {
		t.Errorf("%s asks %d things only", name, asked)
	}
}
