package deploytest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// external are the secrets that are to be there before the production overlay, as
// docs/deploy.md lists them: "secret/key".
func external(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, "docs", "deploy.md"))
	must(t, err)
	all := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(mp3lathe-[a-z]+)` \\| `([a-z`, .-]+)` \\|").FindAllStringSubmatch(string(b), -1) {
		for _, key := range strings.Split(row[2], "`, `") {
			all[row[1]+"/"+key] = true
		}
	}
	if len(all) < 8 {
		t.Fatalf("docs/deploy.md lists only the secrets %v", all)
	}
	return all
}

// secret reports whether there is a key of a secret.
func (c *cluster) secret(t *testing.T, name, key string) bool {
	t.Helper()
	if c.overlay == "production" {
		return external(t)[name+"/"+key]
	}
	s := c.secrets[name]
	return s != nil && len(s.Data[key]) > 0
}

// found checks that all that a pod names is there.
func (c *cluster) found(t *testing.T, p pod) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range p.Spec.Volumes {
		volumes[v.Name] = true
		switch {
		case v.Projected != nil:
			if v.Projected.DefaultMode == nil || *v.Projected.DefaultMode != 0o440 {
				t.Errorf("%s: the mode of %s is %v", p.of, v.Name, v.Projected.DefaultMode)
			}
			for _, s := range v.Projected.Sources {
				for _, item := range s.Secret.Items {
					if !c.secret(t, s.Secret.Name, item.Key) {
						t.Errorf("%s: there is no key %s of a secret %s", p.of, item.Key, s.Secret.Name)
					}
				}
			}
		case v.Secret != nil:
			if c.secrets[v.Secret.SecretName] == nil {
				t.Errorf("%s: there is no secret %s", p.of, v.Secret.SecretName)
			}
		case v.EmptyDir == nil:
			t.Errorf("%s: the volume %s is of a kind that nothing checks", p.of, v.Name)
		}
	}
	if s := c.sets[p.name]; s != nil && p.kind == "StatefulSet" {
		for _, v := range s.Spec.VolumeClaimTemplates {
			volumes[v.Name] = true
		}
		if c.services[s.Spec.ServiceName] == nil {
			t.Errorf("%s: there is no service %s", p.of, s.Spec.ServiceName)
		}
	}
	mounted := map[string]bool{}
	for _, x := range append(slices.Clone(p.Spec.InitContainers), p.Spec.Containers...) {
		for _, m := range x.VolumeMounts {
			mounted[m.Name] = true
			if !volumes[m.Name] {
				t.Errorf("%s: there is no volume %s", p.of, m.Name)
			}
		}
		for _, from := range x.EnvFrom {
			if from.ConfigMapRef == nil || c.configs[from.ConfigMapRef.Name] == nil {
				t.Errorf("%s: there is no %+v", p.of, from)
			}
		}
		for _, e := range x.Env {
			switch from := e.ValueFrom; {
			case from == nil:
			case from.ConfigMapKeyRef != nil:
				if m := c.configs[from.ConfigMapKeyRef.Name]; m == nil || m.Data[from.ConfigMapKeyRef.Key] == "" {
					t.Errorf("%s: %s: there is no %v", p.of, e.Name, from.ConfigMapKeyRef)
				}
			case from.SecretKeyRef != nil:
				if !c.secret(t, from.SecretKeyRef.Name, from.SecretKeyRef.Key) {
					t.Errorf("%s: %s: there is no %v", p.of, e.Name, from.SecretKeyRef)
				}
			default:
				t.Errorf("%s: %s is from where nothing checks", p.of, e.Name)
			}
		}
		for _, probe := range []*core.Probe{x.StartupProbe, x.LivenessProbe, x.ReadinessProbe} {
			if probe != nil && probe.TCPSocket != nil && !opens(x, probe.TCPSocket.Port.String()) || probe != nil && probe.HTTPGet != nil && !opens(x, probe.HTTPGet.Port.String()) {
				t.Errorf("%s: a probe asks where nothing is open: %+v", p.of, probe.ProbeHandler)
			}
		}
	}
	for name := range volumes {
		if !mounted[name] {
			t.Errorf("%s: the volume %s is for nothing", p.of, name)
		}
	}
}

// settings checks that a service takes its settings, with secrets of the right form where
// its pod has them, and that it gets the time to end.
func (c *cluster) settings(t *testing.T, service string) {
	t.Helper()
	t.Run(service, func(t *testing.T) {
		spec := c.deployments[service].Spec.Template.Spec
		// Those that deploy/secrets.sh makes have the names that the files have in the pods.
		values, folder := makeSecrets(t), t.TempDir()
		must(t, os.WriteFile(filepath.Join(values, "smtp.password"), []byte("secret"), 0o444))
		must(t, os.WriteFile(filepath.Join(values, "oidc.json"), []byte(`[{"name":"example","issuer":"https://id.example.org","client_id":"mp3lathe","client_secret":"secret"}]`), 0o444))
		for _, v := range spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				for _, item := range s.Secret.Items {
					b, err := os.ReadFile(filepath.Join(values, item.Path))
					must(t, err)
					must(t, os.WriteFile(filepath.Join(folder, item.Path), b, 0o444))
				}
			}
		}
		env := map[string]string{}
		x := spec.Containers[0]
		for _, from := range x.EnvFrom {
			for k, v := range c.configs[from.ConfigMapRef.Name].Data {
				env[k] = v
			}
		}
		for _, e := range x.Env {
			if _, twice := env[e.Name]; twice {
				t.Errorf("%s is set twice", e.Name)
			}
			switch {
			case e.ValueFrom == nil:
				env[e.Name] = e.Value
			case e.ValueFrom.ConfigMapKeyRef != nil:
				env[e.Name] = c.configs[e.ValueFrom.ConfigMapKeyRef.Name].Data[e.ValueFrom.ConfigMapKeyRef.Key]
			default:
				env[e.Name] = "something"
			}
		}
		refuses(t, service, env, folder)
		needs := ends(t, service, env)
		if h := x.Lifecycle; h != nil && h.PreStop != nil && h.PreStop.Sleep != nil {
			needs += time.Duration(h.PreStop.Sleep.Seconds) * time.Second
		}
		if spec.TerminationGracePeriodSeconds == nil || time.Duration(*spec.TerminationGracePeriodSeconds)*time.Second < needs {
			t.Errorf("it gets too little time to end in: it takes up to %v", needs)
		}
		n := 0
		for _, name := range []string{"MP3LATHE_LISTEN", "MP3LATHE_HEALTH"} {
			if port := env[name]; port != "" {
				n++
				if !opens(x, strings.TrimPrefix(port, ":")) {
					t.Errorf("it listens on %s, and opens %v", port, x.Ports)
				}
			}
		}
		if n != len(x.Ports) {
			t.Errorf("it listens on %d ports, and opens %v", n, x.Ports)
		}
		// What Prometheus is told, where it finds pods by such annotations.
		want := map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": strings.TrimPrefix(env["MP3LATHE_HEALTH"], ":")}
		if got := c.deployments[service].Spec.Template.Annotations; !maps.Equal(got, want) {
			t.Errorf("its pods have the annotations %v, want %v", got, want)
		}
	})
}

// reached checks services and ingresses: each leads to a port that somebody opens.
func (c *cluster) reached(t *testing.T) {
	t.Helper()
	for name, s := range c.services {
		pods := c.selected(t, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(pods) != 1 || len(s.Spec.Selector) == 0 {
			t.Errorf("service %s: it has the pods of %d", name, len(pods))
			continue
		}
		for _, p := range s.Spec.Ports {
			if !opens(pods[0].Spec.Containers[0], p.TargetPort.String()) {
				t.Errorf("service %s: nobody opens %s", name, p.TargetPort.String())
			}
		}
	}
	for name, in := range c.ingresses {
		hosts := map[string]bool{}
		for _, tls := range in.Spec.TLS {
			if !external(t)[tls.SecretName+"/tls.key"] {
				t.Errorf("ingress %s: there is no secret %s", name, tls.SecretName)
			}
			for _, h := range tls.Hosts {
				hosts[h] = true
			}
		}
		for _, rule := range in.Spec.Rules {
			if !hosts[rule.Host] {
				t.Errorf("ingress %s: there is no TLS for %s", name, rule.Host)
			}
			if public := c.shared(t)["MP3LATHE_PUBLIC_URL"]; public != "https://"+rule.Host {
				t.Errorf("ingress %s is for %s, and the public URL is %s", name, rule.Host, public)
			}
			for _, path := range rule.HTTP.Paths {
				b := path.Backend.Service
				s := c.services[b.Name]
				if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == b.Port.Name || p.Port == b.Port.Number }) {
					t.Errorf("ingress %s: there is no %+v", name, b)
				}
			}
		}
	}
	if in := c.ingresses["gateway"]; in != nil {
		of := func(name string) string { return in.Annotations["nginx.ingress.kubernetes.io/"+name] }
		// A file of the largest size, and what a form adds to it.
		if n, err := strconv.Atoi(strings.TrimSuffix(of("proxy-body-size"), "g")); err != nil || n<<30 <= 4<<30 {
			t.Errorf("bodies may have %s", of("proxy-body-size"))
		}
		for name, least := range map[string]int{"proxy-read-timeout": 600, "proxy-send-timeout": 61} {
			if n, err := strconv.Atoi(of(name)); err != nil || n < least {
				t.Errorf("%s is %q, want at least %d", name, of(name), least)
			}
		}
		if of("proxy-request-buffering") != "off" || of("proxy-buffering") != "off" {
			t.Error("it stores bodies before it passes them on")
		}
	}
}

// shared are the settings of several services.
func (c *cluster) shared(t *testing.T) map[string]string {
	t.Helper()
	for name, m := range c.configs {
		if strings.HasPrefix(name, "mp3lathe-") {
			return m.Data
		}
	}
	t.Fatal("there is no ConfigMap mp3lathe")
	return nil
}

// scaling checks what scales, and what keeps enough of them.
func (c *cluster) scaling(t *testing.T) {
	t.Helper()
	by := map[string]int{}
	scales := func(name, target string) {
		by[target]++
		if d := c.deployments[target]; d == nil || d.Spec.Replicas != nil {
			t.Errorf("%s scales %s, of which there is none, or whose number is set", name, target)
		}
	}
	for name, s := range c.scalers {
		scales(name, s.Spec.ScaleTargetRef.Name)
	}
	for name, s := range c.scaled {
		scales(name, s.Spec.ScaleTargetRef.Name)
		if s.Spec.MinReplicaCount == nil || *s.Spec.MinReplicaCount != 0 {
			t.Errorf("%s does not go down to none", name)
		}
		var names []string
		for _, trigger := range s.Spec.Triggers {
			names = append(names, trigger.Name)
			if trigger.AuthenticationRef != nil && c.keys[trigger.AuthenticationRef.Name] == nil {
				t.Errorf("%s: there is no %v", name, trigger.AuthenticationRef)
			}
		}
		want := []string{"depth", "age", "sweeper"}
		if slices.Contains(c.components, "mongodb") {
			want = []string{"depth", "sweeper"}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s has the triggers %q", name, names)
		}
	}
	for name, key := range c.keys {
		for _, ref := range key.Spec.SecretTargetRef {
			if !external(t)[ref.Name+"/"+ref.Key] {
				t.Errorf("%s: there is no key %s of a secret %s", name, ref.Key, ref.Name)
			}
		}
	}
	for name, n := range by {
		if n != 1 {
			t.Errorf("%s is scaled by %d", name, n)
		}
	}
	for _, name := range services {
		b := c.budgets[name]
		if b == nil {
			t.Errorf("%s has no budget of disruptions", name)
			continue
		}
		if pods := c.selected(t, b.Spec.Selector); len(pods) != 1 || pods[0].name != name || b.Spec.MaxUnavailable == nil || b.Spec.MinAvailable != nil {
			t.Errorf("the budget %s is %+v, for %d", name, b.Spec, len(pods))
		}
	}
}
