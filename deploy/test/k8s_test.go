package deploytest

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// cluster is what an overlay makes, by the kinds and names of the objects.
type cluster struct {
	overlay     string
	components  []string // beside those of the overlay
	namespaces  map[string]*core.Namespace
	deployments map[string]*apps.Deployment
	sets        map[string]*apps.StatefulSet
	jobs        map[string]*batch.Job
	services    map[string]*core.Service
	configs     map[string]*core.ConfigMap
	secrets     map[string]*core.Secret
	budgets     map[string]*policy.PodDisruptionBudget
	policies    map[string]*networking.NetworkPolicy
	ingresses   map[string]*networking.Ingress
	scalers     map[string]*autoscaling.HorizontalPodAutoscaler
	scaled      map[string]*keda.ScaledObject
	keys        map[string]*keda.TriggerAuthentication
}

// pod is a template of one, whatever makes it.
type pod struct {
	of   string // kind and name of what makes it
	kind string
	name string
	core.PodTemplateSpec
}

func (c *cluster) pods() (all []pod) {
	for name, d := range c.deployments {
		all = append(all, pod{"Deployment " + name, "Deployment", name, d.Spec.Template})
	}
	for name, s := range c.sets {
		all = append(all, pod{"StatefulSet " + name, "StatefulSet", name, s.Spec.Template})
	}
	for name, j := range c.jobs {
		all = append(all, pod{"Job " + name, "Job", name, j.Spec.Template})
	}
	return all
}

// selected are the pods that a selector takes.
func (c *cluster) selected(t *testing.T, by *meta.LabelSelector) (found []pod) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(by)
	must(t, err)
	for _, p := range c.pods() {
		if selector.Matches(labels.Set(p.Labels)) {
			found = append(found, p)
		}
	}
	return found
}

// put keeps an object by its name.
func put[T any](m *map[string]T, name string, o T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[name] = o
}

// kustomize builds an overlay as kubectl does, and decodes what comes of it strictly: a
// field that its kind does not have is an error. dev gets secrets of its own. Components
// are added as an overlay above it would.
func kustomize(t *testing.T, overlay string, components ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(filepath.Join(dir, "k8s"), os.DirFS(filepath.Join(top, "deploy", "k8s"))))
	folder := filepath.Join(dir, "k8s", "overlays", overlay)
	secrets := filepath.Join(folder, "secrets")
	must(t, os.RemoveAll(secrets))
	if overlay == "dev" {
		must(t, os.Rename(makeSecrets(t), secrets))
	}
	if len(components) > 0 {
		above := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: mp3lathe\nresources: [../" + overlay + "]\ncomponents:\n"
		for _, name := range components {
			above += "  - ../../components/" + name + "\n"
		}
		folder = filepath.Join(dir, "k8s", "overlays", "above")
		must(t, os.Mkdir(folder, 0o700))
		must(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(above), 0o600))
	}
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatalf("kustomize: %v", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, autoscaling.AddToScheme, batch.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme, keda.AddToScheme,
	} {
		must(t, add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	c := &cluster{overlay: overlay, components: components}
	for _, r := range made.Resources() {
		b, err := r.AsYAML()
		must(t, err)
		object, kind, err := decoder.Decode(b, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", r.CurId(), err)
			continue
		}
		if ns := r.GetNamespace(); ns != "mp3lathe" && kind.Kind != "Namespace" {
			t.Errorf("%s is in the namespace %q", r.CurId(), ns)
		}
		name := r.GetName()
		switch o := object.(type) {
		case *core.Namespace:
			put(&c.namespaces, name, o)
		case *apps.Deployment:
			put(&c.deployments, name, o)
		case *apps.StatefulSet:
			put(&c.sets, name, o)
		case *batch.Job:
			put(&c.jobs, name, o)
		case *core.Service:
			put(&c.services, name, o)
		case *core.ConfigMap:
			put(&c.configs, name, o)
		case *core.Secret:
			put(&c.secrets, name, o)
		case *policy.PodDisruptionBudget:
			put(&c.budgets, name, o)
		case *networking.NetworkPolicy:
			put(&c.policies, name, o)
		case *networking.Ingress:
			put(&c.ingresses, name, o)
		case *autoscaling.HorizontalPodAutoscaler:
			put(&c.scalers, name, o)
		case *keda.ScaledObject:
			put(&c.scaled, name, o)
		case *keda.TriggerAuthentication:
			put(&c.keys, name, o)
		default:
			t.Errorf("%s: nothing here knows what it is for", r.CurId())
		}
	}
	for _, name := range services {
		if c.deployments[name] == nil {
			t.Fatalf("%s has no deployment %s", overlay, name)
		}
	}
	return c
}

// TestOverlays: what each overlay makes is well-formed, holds together, runs with the
// least rights, and is reached by those only who have to.
func TestOverlays(t *testing.T) {
	for _, made := range [][]string{{"dev"}, {"production"}, {"production", "oidc"}, {"production", "mongodb"}} {
		t.Run(strings.Join(made, " with "), func(t *testing.T) {
			overlay := made[0]
			c := kustomize(t, overlay, made[1:]...)
			if ns := c.namespaces["mp3lathe"]; ns == nil || ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
				t.Errorf("the namespace is %+v", ns)
			}
			for _, p := range c.pods() {
				restricted(t, p)
				c.found(t, p)
			}
			for _, name := range services {
				cared(t, c.deployments[name])
				c.settings(t, name)
			}
			c.reached(t)
			c.scaling(t)
			c.walls(t)
			if overlay == "production" && (len(c.secrets) > 0 || len(c.ingresses) != 2 || len(c.scalers) != 2 || len(c.scaled) != 1) {
				t.Errorf("%d secrets, %d ingresses, %d scalers, %d by KEDA", len(c.secrets), len(c.ingresses), len(c.scalers), len(c.scaled))
			}
		})
	}
}

// restricted checks what Kubernetes' level of that name asks of a pod, and a bit more.
func restricted(t *testing.T, p pod) {
	t.Helper()
	s := p.Spec
	sc := s.SecurityContext
	switch {
	case sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.RunAsUser == nil || *sc.RunAsUser == 0:
		t.Errorf("%s: it may run as root", p.of)
	case sc.SeccompProfile == nil || sc.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
		t.Errorf("%s: seccomp is %v", p.of, sc.SeccompProfile)
	case sc.FSGroup == nil || *sc.FSGroup != *sc.RunAsUser:
		t.Errorf("%s: its user is not in the group of its volumes", p.of)
	}
	if s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
		t.Errorf("%s: it is given a token for the cluster", p.of)
	}
	if s.EnableServiceLinks == nil || *s.EnableServiceLinks {
		t.Errorf("%s: it is given variables that nobody wrote", p.of)
	}
	if s.HostNetwork || s.HostPID || s.HostIPC {
		t.Errorf("%s: it shares something with the node", p.of)
	}
	for _, c := range append(slices.Clone(s.InitContainers), s.Containers...) {
		sc := c.SecurityContext
		if sc == nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem ||
			sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []core.Capability{"ALL"}) || len(sc.Capabilities.Add) > 0 || sc.Privileged != nil {
			t.Errorf("%s: %s has more rights than it needs: %+v", p.of, c.Name, sc)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: %s has no bounds: %v", p.of, c.Name, c.Resources)
		}
		if _, tag, ok := strings.Cut(filepath.Base(c.Image), ":"); !ok || tag == "latest" {
			t.Errorf("%s: the image %s names no version", p.of, c.Image)
		}
	}
}

// cared checks that one of our services is asked for its health, and is spread.
func cared(t *testing.T, d *apps.Deployment) {
	t.Helper()
	s := d.Spec.Template.Spec
	c := s.Containers[0]
	for what, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		want := "/livez"
		if what == "readiness" {
			want = "/readyz"
		}
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want {
			t.Errorf("%s: the %s probe is %+v", d.Name, what, probe)
		}
	}
	// A program waits for so long for another that changes the tables.
	if p := c.StartupProbe; p != nil && time.Duration(p.FailureThreshold*p.PeriodSeconds)*time.Second <= 5*time.Minute {
		t.Errorf("%s: it is ended after %d tries, every %d s, to start", d.Name, p.FailureThreshold, p.PeriodSeconds)
	}
	if !strings.HasSuffix(strings.Split(c.Image, ":")[0], "mp3lathe-"+d.Name) {
		t.Errorf("%s: its image is %s", d.Name, c.Image)
	}
	if len(s.TopologySpreadConstraints) != 2 {
		t.Errorf("%s: it is spread by %v", d.Name, s.TopologySpreadConstraints)
	}
	for _, spread := range s.TopologySpreadConstraints {
		selector, err := meta.LabelSelectorAsSelector(spread.LabelSelector)
		if err != nil || selector.Empty() || !selector.Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("%s: it is spread among others: %v, %v", d.Name, spread.LabelSelector, err)
		}
	}
	if u := d.Spec.Strategy.RollingUpdate; u != nil && u.MaxUnavailable != nil && u.MaxUnavailable.IntValue() != 0 {
		t.Errorf("%s: while it is replaced there are fewer", d.Name)
	}
}

// opens reports whether a container has a port of that name or number.
func opens(c core.Container, port string) bool {
	return slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool {
		return p.Name == port || port == strconv.Itoa(int(p.ContainerPort))
	})
}
